from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from infra.preprocess.human_parser.labels import ARMS, Cihp
from infra.viton.geometric.body import measure_body
from infra.viton.geometric.fill import fill_background, grain
from infra.viton.geometric.lower import WAIST, lower_fill
from infra.viton.geometric.naked import naked_body
from infra.viton.geometric.scene import Scene, old_garment, scene_in, working_box
from infra.viton.geometric.undress import undress
from tests.dressing import bare_parts, dressing, grown, shrunk

MAN, WOMAN = "man_longsleeve_jeans", "woman_tshirt_jeans"


def bared(name: str, **changes: np.ndarray):
    """The person without the top, nothing put on instead: scene, body, old garment, result."""
    inputs = replace(dressing(name, "crop_top"), **changes)
    scene = scene_in(inputs, np.s_[:, :])
    body = measure_body(scene.points, scene.mask, scene.parse)
    scene, old = old_garment(scene, body, "upper")
    nothing = np.zeros(scene.shape, np.float32)
    return scene, body, old, undress(scene, body, old, nothing, naked_body(scene.parse, body, legs_too=False))


def backdrop(scene: Scene) -> np.ndarray:
    """float HxWx3: the samples' plain backdrop as a quadratic surface through what is seen of it."""
    height, width = scene.shape
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1) - 0.5
    basis = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], -1)
    seen = ~grown(scene.mask > 0, 12)
    weights, *_ = np.linalg.lstsq(basis[seen][::11], scene.photo[seen][::11].astype(float), rcond=None)
    return basis @ weights


@pytest.mark.parametrize("person", [MAN, WOMAN])
def test_no_colour_of_the_old_garment_is_left(person):
    """Green and teal tops: no such hue in the picture's bare body. Strands of hair are the composition's."""
    scene, _, old, bare = bared(person)
    near = grown(old.gone, 10) & ~scene.head

    def coloured(picture: np.ndarray) -> np.ndarray:
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        return (hsv[..., 0] > 60) & (hsv[..., 0] < 100) & (hsv[..., 1] > 60) & near

    before, after = coloured(scene.photo).sum(), coloured(bare.picture).sum()
    assert before > 40_000
    assert after < 0.0005 * before


def test_flat_background_closes_without_a_seam():
    """Where the sleeve was wider than the arm the backdrop goes on."""
    scene, _, old, bare = bared(MAN)
    now_background = shrunk(old.gone & (bare.mask < 5), 2)
    assert now_background.sum() > 2000
    off = np.abs(bare.picture[now_background] - backdrop(scene)[now_background])
    assert np.median(off) < 2.5  # grey levels; the photo's own grain is 1.5
    assert np.percentile(off, 98) < 8


def test_filled_skin_has_the_persons_colour():
    scene, _, old, bare = bared(MAN)
    hands = shrunk(np.isin(scene.parse, ARMS), 4)
    filled = shrunk(old.gone & bare_parts(MAN) & (bare.mask > 250), 6)
    lab = cv2.cvtColor(bare.picture, cv2.COLOR_RGB2LAB).astype(float)
    skin, fill = np.median(lab[hands], 0), np.median(lab[filled], 0)
    assert np.abs(skin - fill)[1:].max() < 6  # hue
    assert abs(skin - fill)[0] < 25  # brightness: hands and face are lit differently


def test_arms_stand_out_from_the_background_with_a_soft_edge():
    scene, _, old, bare = bared(MAN)
    edge = bare.mask[grown(old.gone, 2)]
    assert ((edge > 25) & (edge < 230)).sum() > 800


def test_trousers_go_on_up_to_the_waist():
    scene, body, old, bare = bared(WOMAN)
    x, y = np.rint(body.at(0.0, (WAIST + 0.06) * body.torso)).astype(int)
    top = np.argmax(old.below[:, x])
    assert y < top - 20  # the old top came down to there
    trousers = np.median(scene.photo[old.below], 0)
    assert np.abs(np.median(bare.picture[y : top - 8, x - 5 : x + 6], (0, 1)) - trousers).max() < 30


def test_trousers_under_a_long_old_top_have_their_own_colours():
    """Two torsos of jeans hidden: no stripes of single columns, nothing of the ground between the legs."""
    rng = np.random.default_rng(5)
    scene = scene_in(dressing(MAN, "crop_top"), np.s_[:, :])
    photo = np.clip(rng.normal((60, 80, 120), 6, (*scene.shape, 3)), 0, 255).astype(np.uint8)
    below, hole = np.zeros((2, *scene.shape), bool)
    below[800:, 250:380] = below[830:, 420:520] = True
    photo[~below] = (250, 240, 60)
    hole[400:800, 230:540] = True
    filled = lower_fill(replace(scene, photo=photo), below, hole, span=200)[hole].reshape(400, 310, 3)
    assert np.abs(filled - (60, 80, 120)).max() < 45
    assert filled.mean(0).std(0).max() < 3  # column means: stripes would differ by the noise, 6


def test_filled_skin_is_no_grainier_than_the_skin_seen():
    scene, _, old, bare = bared(MAN)

    def rough(region: np.ndarray) -> float:
        green = bare.picture[..., 1].astype(np.float32)
        return float(np.abs(green - cv2.blur(green, (3, 3)))[region].mean())

    seen = shrunk(np.isin(scene.parse, (*ARMS, Cihp.FACE, Cihp.TORSO_SKIN)) & ~grown(old.gone, 6), 4)
    filled = shrunk(old.gone & bare_parts(MAN) & (bare.mask > 250), 6)
    assert rough(filled) <= rough(seen)


def test_beard_and_coloured_light_do_not_tint_the_skin():
    """Half of the face dark, its rest and the hands as they are: the bare trunk keeps its colour."""
    scene, _, old, plain = bared(MAN)
    person = dressing(MAN, "crop_top").person.copy()
    face = scene.parse == Cihp.FACE
    face[: int(np.flatnonzero(face.any(1)).mean())] = False
    person[face] = person[face] // 4
    *_, bearded = bared(MAN, person=person)
    filled = shrunk(old.gone & bare_parts(MAN) & (plain.mask > 250), 6)
    off = np.median(plain.picture[filled], 0) - np.median(bearded.picture[filled], 0)
    assert np.abs(off).max() < 12


def test_coat_stays_below_the_new_top_and_goes_where_the_picture_ends():
    inputs = dressing("woman_dress", "crop_top")
    parse = np.where(inputs.parse == Cihp.DRESS, np.uint8(Cihp.COAT), inputs.parse)
    scene = scene_in(replace(inputs, parse=parse), np.s_[:, :])
    body = measure_body(scene.points, scene.mask, scene.parse)
    hem = body.below(scene.shape) > 1.2 * body.torso
    coat = (parse == Cihp.COAT) & hem
    _, kept = old_garment(scene, body, "upper", hem=1.1 * body.torso)
    assert kept.below[coat].mean() > 0.95
    _, covered = old_garment(scene, body, "upper", hem=np.inf)
    assert covered.gone[coat].mean() > 0.95


def test_skirt_of_a_dress_stays_under_a_new_top():
    scene, body, old, bare = bared("woman_dress")
    skirt = shrunk((scene.parse == Cihp.DRESS) & (body.below(scene.shape) > 1.2 * body.torso), 6)
    assert skirt.sum() > 10_000
    assert (bare.picture[skirt] == scene.photo[skirt]).all()


def test_pixels_that_need_no_change_keep_their_values():
    scene, _, old, bare = bared(MAN)
    assert (bare.picture[~bare.changed] == scene.photo[~bare.changed]).all()
    assert not bare.changed[shrunk(scene.head, 1)].any()
    assert not (bare.changed & ~grown(old.gone, 24)).any()


def test_textured_background_is_copied_not_blurred():
    """A brick wall behind the person: filled rows and courses go on."""
    wall = np.full((1024, 768, 3), (200, 190, 180), np.uint8)
    for row, y in enumerate(range(0, 1024, 44)):
        for x in range(-60 * (row % 2), 768, 120):
            cv2.rectangle(wall, (x + 3, y + 3), (x + 116, y + 40), (160, 80, 60), -1)
    hole = np.zeros((1024, 768), bool)
    hole[300:620, 320:380] = True
    photo = np.where(hole[..., None], np.uint8(0), wall)
    filled = fill_background(photo, ~hole, hole)
    off = np.abs(filled[hole] - wall[hole]).mean()
    blurred = np.abs(cv2.blur(wall, (121, 121))[hole].astype(float) - wall[hole]).mean()
    assert blurred > 25
    assert off < 0.3 * blurred


def test_grain_is_as_strong_as_the_photos():
    rng = np.random.default_rng(3)
    photo = np.clip(128 + rng.normal(0, 5, (300, 300, 1)), 0, 255).astype(np.uint8).repeat(3, 2)
    everywhere = np.ones((300, 300), bool)
    assert 3 < grain(photo, everywhere).std() < 6
    assert grain(np.full_like(photo, 90), everywhere).std() < 0.1


def test_working_box_holds_everything_that_may_change():
    inputs = dressing(MAN, "crop_top")
    inside = np.zeros(inputs.parse.shape, bool)
    inside[working_box(inputs)] = True
    clothes = np.isin(inputs.parse, (Cihp.UPPER_CLOTHES, *ARMS))
    assert inside[grown(clothes, 12)].all()
