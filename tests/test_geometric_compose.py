from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from infra.preprocess.human_parser.labels import HEAD, SHOES, Cihp
from infra.serving.engine import EngineError
from infra.viton.geometric.back_view import back_of
from infra.viton.geometric.body import measure_body
from infra.viton.geometric.compose import BACK_NOTE, dress
from infra.viton.geometric.depth import arms_in_front
from infra.viton.geometric.light import exposure, fold_light
from infra.viton.geometric.naked import naked_body
from infra.viton.geometric.scene import old_garment, scene_in
from infra.viton.geometric.warp import warp_upper
from infra.viton.tryon import TryOnInput
from tests.conftest import PEOPLE
from tests.dressing import dressing, garment_of, grown, shrunk

REACH = 24  # pixels beyond the person and the new garment within which the background may be touched
MAN = "man_longsleeve_jeans"


def dressed(person: str, garment: str) -> tuple[TryOnInput, np.ndarray]:
    inputs = dressing(person, garment)
    return inputs, dress(inputs, garment_of(garment)).picture


def new_garment(inputs: TryOnInput, garment: str) -> np.ndarray:
    """float32 HxW: coverage of the warped top."""
    body = measure_body(inputs.pose.people[0], inputs.mask, inputs.parse)
    torso, sleeves, _ = warp_upper(garment_of(garment), body, inputs.parse.shape)
    return np.max([layer.alpha for layer in (torso, *sleeves) if layer is not None], axis=0)


def differs(inputs: TryOnInput, picture: np.ndarray) -> np.ndarray:
    return (picture != inputs.person).any(2)


@pytest.mark.parametrize("garment", ["tank_top", "longsleeve_check", "dress_floral", "jeans"])
@pytest.mark.parametrize("person", PEOPLE)
def test_face_and_hair_keep_their_pixels(person, garment):
    inputs, picture = dressed(person, garment)
    changed = differs(inputs, picture)
    assert changed.sum() > 20_000
    assert not changed[shrunk(np.isin(inputs.parse, HEAD), 5)].any()
    assert not changed[shrunk(inputs.parse == Cihp.FACE, 2)].any()


@pytest.mark.parametrize("person", PEOPLE)
def test_background_keeps_its_pixels(person):
    inputs, picture = dressed(person, "tshirt_striped_print")
    near = grown((inputs.mask > 8) | (new_garment(inputs, "tshirt_striped_print") > 0), REACH)
    assert not (differs(inputs, picture) & ~near).any()


def test_hand_before_the_body_stays_before_the_garment():
    """An arm across the front: hand and wrist of the photo lie on the new cloth."""
    inputs, picture = dressed(MAN, "tshirt_white")
    hand = inputs.parse == Cihp.LEFT_ARM
    hand[:, :150] = False
    assert hand.sum() > 2000
    off = np.abs(picture.astype(int) - inputs.person)[shrunk(hand, 5)]
    assert np.median(off) <= 1
    assert np.percentile(off, 95) < 12


def test_forearm_in_the_old_sleeve_lies_bare_on_a_short_sleeved_top():
    inputs, picture = dressed(MAN, "tshirt_white")
    elbow, wrist = inputs.pose.people[0][[6, 7], :2]
    x, y = np.rint(0.45 * elbow + 0.55 * wrist).astype(int)
    assert inputs.parse[y, x] == Cihp.UPPER_CLOTHES
    forearm = picture[y - 6 : y + 7, x - 6 : x + 7].astype(int)
    assert (forearm[..., 0] - forearm[..., 2]).mean() > 20  # skin is warm, the cloth white


def test_long_sleeve_covers_the_arm_down_to_the_wrist():
    inputs, picture = dressed("woman_tank_skirt", "longsleeve_check")
    elbow, wrist = inputs.pose.people[0][[3, 4], :2]
    x, y = np.rint(0.6 * elbow + 0.4 * wrist).astype(int)
    assert differs(inputs, picture)[y - 5 : y + 6, x - 5 : x + 6].mean() > 0.95


@pytest.mark.parametrize("depth, behind", [(120.0, True), (-120.0, False)])
def test_unseen_forearm_goes_behind_the_body_as_its_depth_says(depth, behind):
    inputs = dressing("woman_tshirt_jeans", "longsleeve_check")
    arm = inputs.parse == Cihp.LEFT_ARM
    mask, parse = np.where(arm, np.uint8(0), inputs.mask), np.where(arm, np.uint8(0), inputs.parse)
    people = inputs.pose.people.copy()
    people[0, 7, :2] = people[0, [2, 5, 9, 12], :2].mean(0)  # the wrist in the middle of the torso
    landmarks = np.zeros((33, 5), np.float32)
    landmarks[[13, 15], 2] = depth
    pose = replace(inputs.pose, people=people, landmarks=landmarks)
    scene = scene_in(replace(inputs, mask=mask, parse=parse, pose=pose), np.s_[:, :])
    body = measure_body(scene.points, scene.mask, scene.parse)
    scene, old = old_garment(scene, body, "upper")
    trunk = naked_body(scene.parse, body, legs_too=False).trunk > 0.5
    far, near = arms_in_front(scene, body, old, trunk, (None, None))
    left = far if far.side == 1 else near
    assert left.behind == behind
    assert (far.side == 1) == (depth > 0)  # the farther arm is laid first


def test_things_held_stay_in_front():
    """A bag before the body: person in the mask, background in the parse map."""
    inputs = dressing(MAN, "tshirt_white")
    person, mask, parse = inputs.person.copy(), inputs.mask.copy(), inputs.parse.copy()
    bag = np.s_[520:680, 330:440]
    person[bag], mask[bag], parse[bag] = (140, 30, 60), 255, 0
    inputs = replace(inputs, person=person, mask=mask, parse=parse)
    picture = dress(inputs, garment_of("tshirt_white")).picture
    assert (picture[bag][8:-8, 8:-8] == person[bag][8:-8, 8:-8]).all()


def test_headscarf_is_never_removed():
    inputs = dressing("woman_tshirt_jeans", "tshirt_white")
    parse = np.where(inputs.parse == Cihp.HAIR, np.uint8(Cihp.SCARF), inputs.parse)
    picture = dress(replace(inputs, parse=parse), garment_of("tshirt_white")).picture
    scarf = shrunk(parse == Cihp.SCARF, 5)
    assert scarf.sum() > 5000
    assert not differs(inputs, picture)[scarf].any()


def test_no_halo_round_a_dark_garment_on_a_light_background():
    """The rim runs from cloth to background and never beyond either."""
    inputs, picture = dressed("man_tank_trousers", "tshirt_dark")
    alpha = new_garment(inputs, "tshirt_dark")
    rim = (alpha > 0.05) & (alpha < 0.95) & ~grown(inputs.mask > 8, 3)
    assert rim.sum() > 100
    cloth = np.percentile(picture[alpha > 0.99].max(1), 99)
    light = picture[rim].max(1).astype(float)
    assert light.max() < np.percentile(inputs.person[~grown(inputs.mask > 8, 3)], 99) + 4
    assert ((light > cloth + 15) & (light < 190)).mean() > 0.3  # anti-aliased


def test_colour_of_the_garment_is_kept():
    inputs, picture = dressed("woman_tshirt_jeans", "tank_top")
    garment = garment_of("tank_top")
    inner = new_garment(inputs, "tank_top") > 0.99
    inner[: int(inputs.pose.people[0][[2, 5], 1].mean()) + 80] = False
    old = cv2.cvtColor(garment.rgb, cv2.COLOR_RGB2LAB)[garment.alpha > 250].astype(float)
    new = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)[inner].astype(float)
    assert np.abs(np.median(old, 0) - np.median(new, 0)).max() < 10


def test_raised_knee_stays_before_the_top():
    """A thigh that points up to the chest, in its trousers, before the old top."""
    inputs = dressing(MAN, "tshirt_white")
    people = inputs.pose.people.copy()
    hip = people[0, 9, :2]
    people[0, 10, :2] = hip + (40, -90)
    people[0, 10, 2] = 1
    thigh = np.zeros(inputs.parse.shape, np.uint8)
    cv2.line(thigh, tuple(map(int, hip)), tuple(map(int, people[0, 10, :2])), 1, 60)
    person, parse = inputs.person.copy(), inputs.parse.copy()
    person[thigh > 0], parse[thigh > 0] = (150, 40, 40), Cihp.PANTS
    raised = replace(inputs, person=person, parse=parse, pose=replace(inputs.pose, people=people))
    picture = dress(raised, garment_of("tshirt_white")).picture
    assert (picture[shrunk(thigh > 0, 5)] == (150, 40, 40)).mean() > 0.97


def test_fingers_taken_for_a_neck_stay_before_the_garment():
    inputs = dressing(MAN, "tshirt_white")
    hand = inputs.parse == Cihp.LEFT_ARM
    hand[:, :150] = False
    columns = np.flatnonzero(hand.any(0))
    fingers = hand & (np.arange(hand.shape[1]) < np.percentile(columns, 35))
    assert fingers.sum() > 300
    parse = np.where(fingers, np.uint8(Cihp.TORSO_SKIN), inputs.parse)
    picture = dress(replace(inputs, parse=parse), garment_of("tshirt_white")).picture
    # The sleeve beside them is taken off with a rim that fades into the skin.
    assert np.median(np.abs(picture.astype(int) - inputs.person)[shrunk(fingers, 4)]) <= 4


def test_arm_beside_a_strap_top_leaves_it_one_clean_side():
    """Row by row the cloth ends once: no bite of skin with cloth outside of it."""
    inputs, picture = dressed("woman_tshirt_jeans", "tank_top")
    body = measure_body(inputs.pose.people[0], inputs.mask, inputs.parse)
    cloth = cv2.cvtColor(garment_of("tank_top").rgb, cv2.COLOR_RGB2LAB)[garment_of("tank_top").alpha > 250]
    near = np.abs(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(int) - np.median(cloth, 0)).max(2) < 25
    near &= new_garment(inputs, "tank_top") > 0.5
    y0, y1 = (int(body.neck[1] + share * body.torso) for share in (0.35, 0.75))
    for side in (np.s_[:], np.s_[::-1]):
        edge = near[y0:y1, side].argmax(1)
        assert np.abs(np.diff(edge)).max() <= 6  # pixels from row to row


def test_back_view_has_no_print_and_says_so():
    """The striped T-shirt's red lettering is gone; the note tells why."""
    inputs = dressing("man_stripes_chinos", "tshirt_striped_print")
    garment = garment_of("tshirt_striped_print")
    behind = dress(replace(inputs, pose=replace(inputs.pose, view="back")), garment)
    front = dress(inputs, garment)

    def red(picture: np.ndarray) -> int:
        r, g, b = picture.astype(int)[270:520, 300:480].transpose(2, 0, 1)
        return int(((r - g > 60) & (r - b > 60)).sum())

    assert behind.notes == (BACK_NOTE,)
    assert front.notes == ()
    assert red(front.picture) > 200
    assert red(behind.picture) < 0.05 * red(front.picture)


def test_back_of_a_garment_has_a_high_neck_and_keeps_its_pattern():
    garment = garment_of("longsleeve_check")
    back = back_of(garment)
    assert back.neckline[20, 1] < garment.neckline[20, 1]
    middle = np.s_[500:750, 300:460]
    assert np.abs(back.rgb[middle].astype(int) - garment.rgb[middle]).mean() < 1
    assert (back.alpha >= garment.alpha).all()


def test_lower_garment_leaves_top_arms_and_shoes():
    inputs, picture = dressed("man_stripes_chinos", "skirt")
    changed = differs(inputs, picture)
    assert not changed[shrunk(np.isin(inputs.parse, (Cihp.UPPER_CLOTHES, *SHOES)), 4)].any()
    chinos = inputs.parse == Cihp.PANTS
    assert changed[chinos].mean() > 0.98


@pytest.mark.parametrize("rows", [slice(0, 420), slice(180, 1024), slice(240, 560)], ids=["chest", "no head", "middle"])
@pytest.mark.parametrize("garment", ["tank_top", "longsleeve_check", "dress_floral", "skirt"])
def test_cropped_person_is_dressed_in_what_is_there(rows, garment):
    inputs = dressing("woman_tank_skirt", garment)
    height = inputs.parse[rows].shape[0]
    pose = inputs.pose.moved(np.float32([[1, 0, 0], [0, 1, -rows.start]]), (height, inputs.parse.shape[1]))
    cut = replace(inputs, person=inputs.person[rows], mask=inputs.mask[rows], parse=inputs.parse[rows], pose=pose)
    picture = dress(cut, garment_of(garment)).picture
    assert picture.shape == cut.person.shape
    assert picture.dtype == np.uint8


def test_person_without_a_seen_shoulder_is_refused():
    inputs = dressing(MAN, "polo")
    people = inputs.pose.people.copy()
    people[0, 2] = 0
    with pytest.raises(EngineError, match="shoulders") as error:
        dress(replace(inputs, pose=replace(inputs.pose, people=people)), garment_of("polo"))
    assert error.value.code == "no_person"


def test_inputs_are_left_as_they_were():
    inputs = dressing(MAN, "longsleeve_check")
    before = [array.copy() for array in (inputs.person, inputs.mask, inputs.parse, inputs.pose.people)]
    dress(inputs, garment_of("longsleeve_check"))
    for array, old in zip((inputs.person, inputs.mask, inputs.parse, inputs.pose.people), before):
        assert (array == old).all()


def test_folds_of_plain_cloth_are_carried_over_and_stripes_are_not():
    plain, striped = (scene_in(dressing(name, "polo"), np.s_[:, :]) for name in ("woman_dress", "man_stripes_chinos"))
    dress_ = plain.parse == Cihp.DRESS
    drawn = 1 + 0.07 * np.sin(np.arange(plain.shape[1]) / 6.0)[None].repeat(plain.shape[0], 0)
    cloth = np.where(dress_[..., None], (drawn[..., None] * (200, 205, 215)).astype(np.uint8), plain.photo)
    light = fold_light(replace(plain, photo=cloth), dress_, span=150)
    inner = shrunk(dress_, 14)
    assert np.corrcoef(light[inner], drawn[inner])[0, 1] > 0.9
    assert light[inner].std() > 0.02
    assert 0.7 < light.min() <= light.max() < 1.2
    assert (fold_light(striped, striped.parse == Cihp.UPPER_CLOTHES, span=150) == 1).all()


def test_exposure_follows_a_dim_photo_mildly():
    scene = scene_in(dressing(MAN, "polo"), np.s_[:, :])
    dim = replace(scene, photo=scene.photo // 2)
    assert exposure(scene) == pytest.approx(1.0, abs=0.03)
    assert 0.75 < exposure(dim) < 0.9
