"""What the analysis finds on the drawn sample garments, whose shapes are known, and on odd cut-outs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from infra.serving.engine import EngineError
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_analysis import LEAST_CLOTH, WORKING_SIDE, analyse_garment
from infra.viton.geometric.garment_holes import with_holes_filled
from infra.viton.geometric.garment_inside import inner_back
from infra.viton.geometric.garment_labels import painted_over, white_label, with_label_filled, without_label
from infra.viton.geometric.garment_outline import mirror_axis, neck_opening, tilt
from infra.viton.geometric.garment_upper import on_cloth
from tests.conftest import GARMENTS, SAMPLES, read_rgb
from tests.dressing import garment_alpha, garment_of, kind_of

SHORT = ("crop_top", "polo", "tshirt_dark", "tshirt_striped_print", "tshirt_white")
SLEEVELESS = ("tank_top", "dress_floral")
UPPER = [name for name in GARMENTS if kind_of(name) != "lower"]


def photo(name: str) -> tuple[np.ndarray, np.ndarray]:
    return read_rgb(SAMPLES / "garment" / f"{name}.jpg"), garment_alpha(name)


@pytest.fixture(scope="module")
def wardrobe() -> dict[str, Garment]:
    return {name: garment_of(name) for name in GARMENTS}


@pytest.mark.parametrize("name", UPPER)
def test_sleeves_are_found_where_there_are_some(wardrobe: dict[str, Garment], name: str) -> None:
    assert wardrobe[name].sleeved == (name not in SLEEVELESS)


def test_sleeve_index_tells_short_from_long(wardrobe: dict[str, Garment]) -> None:
    for name in SHORT:
        assert 0.35 < wardrobe[name].sleeve_index() < 0.6, name  # reached 0.43 to 0.52
    assert wardrobe["longsleeve_check"].sleeve_index() > 1.1  # reached 1.24
    assert wardrobe["longsleeve_check"].sleeve_taper() < 0.45
    assert wardrobe["tank_top"].sleeve_index() == 0


@pytest.mark.parametrize("name", UPPER)
def test_both_sides_agree(wardrobe: dict[str, Garment], name: str) -> None:
    """The samples are drawn symmetric but for folds."""
    garment = wardrobe[name]
    for pair in (garment.neck, garment.shoulder, garment.armpit):
        mirrored = np.array([2 * garment.axis - pair[1, 0], pair[1, 1]])
        assert np.hypot(*(pair[0] - mirrored)) < 0.05 * garment.chest  # reached 0.03


@pytest.mark.parametrize("name", UPPER)
def test_landmarks_stand_in_the_order_of_a_garment(wardrobe: dict[str, Garment], name: str) -> None:
    g = wardrobe[name]
    for side, out in ((0, -1), (1, 1)):
        assert out * (g.shoulder[side, 0] - g.neck[side, 0]) > 0
        assert g.neck[side, 1] < g.armpit[side, 1] < g.sides[side, -1, 1]
        assert (np.diff(g.sides[side][:, 1]) > 0).all()
    assert 0.8 < g.shoulders / g.chest < 1.2 if g.sleeved else 0.6 < g.shoulders / g.chest < 1.1


@pytest.mark.parametrize("name", [name for name in UPPER if name not in SLEEVELESS])
def test_cuffs_lie_across_the_sleeve(wardrobe: dict[str, Garment], name: str) -> None:
    for strip in wardrobe[name].sleeves:
        along = (strip.outer[-1] + strip.inner[-1] - strip.outer[8] - strip.inner[8]) / 2
        cuff = strip.outer[-1] - strip.inner[-1]
        cosine = abs(along @ cuff) / (np.hypot(*along) * np.hypot(*cuff))
        assert cosine < 0.35  # reached 0.2: the drawn cuffs are nearly square to the sleeve
        assert 0.25 < strip.widths[-1] / strip.widths[0] < 1.0


@pytest.mark.parametrize("name", ["tank_top", "crop_top"])
def test_inner_back_and_label_are_left_out(wardrobe: dict[str, Garment], name: str) -> None:
    garment = wardrobe[name]
    neck = garment.neck
    window = np.zeros(garment.alpha.shape, bool)
    middle = int(garment.axis)
    window[int(neck[:, 1].min()) : int(garment.armpit[:, 1].mean()), middle - 40 : middle + 40] = True
    picture = np.pad(photo(name)[0], ((8, 8), (8, 8), (0, 0)))
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    label = window & (garment.alpha > 250) & (hsv[..., 1] < 30) & (hsv[..., 2] > 150)
    label = cv2.erode(label.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert label.sum() > 100  # the samples do show one
    assert (garment.parts[0][label] < 20).mean() > 0.97


# Depth of the front neckline in half neck widths, as the samples are drawn (make_garments.py: half, dip, ny).
CREW, SCOOP, TANK = (205 - 142) / 72, (268 - 142) / 88, (272 - 142) / 78


@pytest.mark.parametrize(
    ("name", "drawn"),
    [("tshirt_dark", CREW), ("tshirt_white", CREW), ("tshirt_striped_print", CREW), ("longsleeve_check", CREW),
     ("crop_top", SCOOP), ("tank_top", TANK)],
)  # fmt: skip
def test_the_neckline_is_the_front_one(wardrobe: dict[str, Garment], name: str, drawn: float) -> None:
    """Not the back collar's seam above it, nor the front collar's below."""
    line = wardrobe[name].neckline
    depth = line[len(line) // 2, 1] - line[[0, -1], 1].mean()
    assert depth / (line[-1, 0] - line[0, 0]) * 2 == pytest.approx(drawn, abs=0.12)  # reached 0.08


def test_a_label_over_the_neckline_is_painted_over_and_stripes_are_not() -> None:
    neckline = np.stack([np.linspace(100, 300, 41), 100 + 60 * (1 - np.linspace(-1, 1, 41) ** 2)], 1)
    cloth = np.full((300, 400, 3), (20, 120, 60), np.uint8)
    alpha = np.full((300, 400), 255, np.uint8)
    labelled = cloth.copy()
    labelled[140:168, 185:215] = 250
    painted = without_label(labelled, alpha, neckline)
    assert np.abs(painted[163:].astype(int) - cloth[163:]).max() < 30
    striped = cloth.copy()
    striped[::12] = striped[1::12] = striped[2::12] = 250
    assert np.array_equal(without_label(striped, alpha, neckline), striped)


def test_an_open_collar_shows_the_inside_between_its_flaps() -> None:
    """A closed shape of shaded cloth under the curve goes; plain cloth, as of a turtleneck, stays."""
    neckline = np.stack([np.linspace(100, 300, 41), 100 + 40 * (1 - np.linspace(-1, 1, 41) ** 2)], 1)
    shirt = np.full((400, 400, 3), 200, np.uint8)
    inside = cv2.fillPoly(np.zeros((400, 400), np.uint8), [np.int32([(130, 100), (270, 100), (200, 250)])], 1) > 0
    shirt[inside] = 120
    back = inner_back(shirt, neckline, collar=True)
    assert (back[inside] > 127).mean() > 0.97
    below = np.arange(400)[:, None] > 265
    assert back[np.broadcast_to(below, back.shape)].max() == 0
    plain = np.full((400, 400, 3), 200, np.uint8)
    assert np.array_equal(inner_back(plain, neckline, collar=True), inner_back(plain, neckline, collar=False))


@pytest.mark.parametrize("name", UPPER)
def test_the_parts_hold_all_of_the_front(wardrobe: dict[str, Garment], name: str) -> None:
    garment = wardrobe[name]
    torso, sleeves = garment.parts
    held = np.max([torso, *(s for s in sleeves if s is not None)], axis=0)
    front = (garment.alpha > 250) & (garment.back == 0)
    assert (held[front] > 200).mean() > 0.99  # reached 0.996; the rest is beside the seams' feather


def test_trousers_have_legs_and_skirts_have_none(wardrobe: dict[str, Garment]) -> None:
    jeans, skirt = wardrobe["jeans"], wardrobe["skirt"]
    assert jeans.sleeved and not skirt.sleeved
    top, crotch = jeans.sides[0, 0, 1], jeans.sides[0, -1, 1]
    assert 0.25 < (crotch - top) / (jeans.sleeves[0].outer[-1, 1] - top) < 0.45
    assert skirt.sides[1, -1, 0] - skirt.sides[0, -1, 0] > 1.5 * (skirt.sides[1, 0, 0] - skirt.sides[0, 0, 0])


@pytest.mark.parametrize("angle", [-14, 10])
def test_a_garment_that_lies_askew_is_turned_upright(wardrobe: dict[str, Garment], angle: int) -> None:
    picture, alpha = photo("longsleeve_check")
    matrix = cv2.getRotationMatrix2D((384, 512), angle, 0.75)
    turned = cv2.warpAffine(picture, matrix, (768, 1024), borderMode=cv2.BORDER_REPLICATE)
    askew = cv2.warpAffine(alpha, matrix, (768, 1024))
    assert tilt(askew > 127) == pytest.approx(-angle, abs=3)
    upright, found = wardrobe["longsleeve_check"], analyse_garment(turned, askew, "upper")
    assert found.sleeved
    assert found.chest == pytest.approx(0.75 * upright.chest, rel=0.05)
    assert found.sleeve_index() == pytest.approx(upright.sleeve_index(), rel=0.08)


def test_samples_lie_upright() -> None:
    assert all(tilt(photo(name)[1] > 127) == 0 for name in GARMENTS)


def test_mirror_axis_of_a_shifted_shape() -> None:
    mask = np.zeros((300, 400), bool)
    mask[50:250, 130:231] = True
    assert mirror_axis(mask) == pytest.approx(180, abs=2)


def test_large_photos_are_analysed_at_working_size() -> None:
    picture, alpha = (cv2.resize(x, None, fx=2.5, fy=2.5) for x in photo("tshirt_white"))
    garment = analyse_garment(picture, alpha, "upper")
    assert max(garment.alpha.shape) <= WORKING_SIDE + 16
    assert garment.rgb.shape[:2] == garment.alpha.shape


@pytest.mark.parametrize("name", ["tshirt_dark", "tshirt_white", "longsleeve_check"])
def test_small_photos_are_enlarged_and_keep_their_neckline(wardrobe: dict[str, Garment], name: str) -> None:
    picture, alpha = (cv2.resize(x, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA) for x in photo(name))
    small, large = analyse_garment(picture, alpha, "upper"), wardrobe[name]
    rows, columns = np.nonzero(small.alpha > 127)
    assert max(np.ptp(rows), np.ptp(columns)) == pytest.approx(LEAST_CLOTH, rel=0.03)
    soft = (small.alpha > 20) & (small.alpha < 235)
    assert soft.sum() < 3.5 * 2 * (np.ptp(rows) + np.ptp(columns))  # a rim of 3 pixels, not a blur of 10

    def depth(garment: Garment) -> float:
        line = garment.neckline
        return (line[len(line) // 2, 1] - line[[0, -1], 1].mean()) / garment.chest

    assert depth(small) == pytest.approx(depth(large), abs=0.05)  # reached 0.02
    curve = small.neckline[2:-2, 1]
    assert np.abs(np.diff(curve, 3)).max() < 0.02 * small.chest  # no stairs: reached 0.009


def crew(notch: bool) -> tuple[np.ndarray, np.ndarray]:
    """A dark shirt whose darker inner back carries a white label, on white; with `notch` the label went with it."""
    outline = [(150, 110), (310, 60), (360, 74), (408, 74), (458, 60), (618, 110), (600, 620), (168, 620)]
    picture = np.full((700, 768, 3), 255, np.uint8)
    cv2.fillPoly(picture, [np.int32(outline)], (40, 40, 60))
    cv2.ellipse(picture, (384, 66), (70, 62), 0, 0, 180, (24, 24, 36), -1)
    alpha = cv2.fillPoly(np.zeros((700, 768), np.uint8), [np.int32(outline)], 255)
    cv2.rectangle(picture, (362, 60 if notch else 80), (406, 92 if notch else 104), (255, 255, 255), -1)
    if notch:
        alpha[60:93, 362:407] = 0
    return cv2.GaussianBlur(picture, (0, 0), 1.5), alpha


def test_a_label_that_went_with_the_ground_does_not_shape_the_neckline() -> None:
    alpha = crew(notch=True)[1]
    filled, label = with_label_filled(alpha > 127, 384.0)
    assert filled[74:92, 365:404].all() and label is not None and label[1].max() == pytest.approx(93, abs=2)
    line = analyse_garment(*crew(notch=True), "upper").neckline
    assert line[len(line) // 2, 1] == pytest.approx(128 + 8, abs=8)  # the inner back's lower edge
    assert (np.diff(line[:18, 1]) > -2).all() and (np.diff(line[-18:, 1]) < 2).all()


def test_a_white_label_in_a_dark_back_is_found_and_painted_over() -> None:
    picture, _ = crew(notch=False)
    label = white_label(picture, np.array([[310.0, 60.0], [458.0, 60.0]]))
    assert label[:, [0, -1]] == pytest.approx(np.array([[362, 406], [80, 80], [104, 104]]), abs=4)
    assert painted_over(picture, label)[78:108, 355:415].max() < 80
    light = 255 - (255 - picture) // 8
    assert white_label(light, np.array([[310.0, 60.0], [458.0, 60.0]])) is None


def test_a_round_neck_is_no_label() -> None:
    for name in ("tshirt_white", "tank_top", "crop_top"):
        mask = photo(name)[1] > 127
        filled, label = with_label_filled(mask, mirror_axis(mask))
        assert label is None and np.array_equal(filled, mask)


def test_holes_in_the_front_are_filled_with_cloth_and_gaps_beside_it_are_not() -> None:
    alpha = np.zeros((600, 500), np.uint8)
    alpha[50:550, 50:450] = 255
    cv2.circle(alpha, (260, 330), 40, 0, -1)  # a hand
    cv2.circle(alpha, (250, 90), 25, 0, -1)  # the loop of a neck
    alpha[200:400, 80:100] = 0  # between sleeve and body
    rgb = np.where(alpha[..., None] > 0, np.uint8([30, 90, 200]), np.uint8([250, 200, 180]))
    filled, whole = with_holes_filled(rgb, alpha, 250.0)
    assert whole[290:370, 220:300].min() == 255
    assert np.abs(filled[290:370, 220:300].astype(int) - (30, 90, 200)).max() < 12
    assert whole[90, 250] == 0 and whole[300, 90] == 0
    assert np.array_equal(filled[450:], rgb[450:])


def shapes() -> dict[str, np.ndarray]:
    def filled(*points: tuple[int, int]) -> np.ndarray:
        return cv2.fillPoly(np.zeros((512, 384), np.uint8), [np.int32(points)], 255)

    return {
        "folded": filled((90, 90), (290, 100), (280, 400), (100, 390)),
        "disc": cv2.circle(np.zeros((512, 384), np.uint8), (192, 256), 100, 255, -1),
        "one sleeve": filled((100, 100), (20, 280), (60, 300), (110, 210), (110, 450), (270, 450), (270, 100)),
        "halter": filled((165, 100), (125, 165), (107, 400), (277, 400), (259, 165), (219, 100)),
        "two pieces": filled((60, 100), (150, 100), (150, 400), (60, 400)) | filled((230, 100), (320, 100), (320, 400)),
        "everything": np.full((512, 384), 255, np.uint8),
        "sliver": filled((10, 10), (60, 10), (380, 500), (330, 500)),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["upper", "dress", "lower"])
@pytest.mark.parametrize("shape", shapes())
def test_any_cloth_gets_some_structure(shape: str, kind: str) -> None:
    alpha = shapes()[shape]
    garment = analyse_garment(np.full((*alpha.shape, 3), 120, np.uint8), alpha, kind)
    points = [garment.neck, garment.shoulder, garment.armpit, *garment.sides, garment.neckline]
    assert all(np.isfinite(p).all() for p in points)
    assert garment.sleeved == all(s is not None for s in garment.sleeves)
    assert garment.parts[0].shape == garment.alpha.shape


def drawn(*left: tuple[int, int]) -> Garment:
    """A garment of 768 x 1024 from its left outline, neck to hem, and the mirror image."""
    outline = [*left, *((768 - x, y) for x, y in reversed(left))]
    alpha = cv2.fillPoly(np.zeros((1024, 768), np.uint8), [np.int32(outline)], 255)
    return analyse_garment(np.full((1024, 768, 3), 120, np.uint8), alpha, "upper")


HANGING = ((384, 240), (310, 190), (230, 230), (150, 860), (215, 870), (240, 470), (240, 880), (384, 880))


def test_hanging_sleeves_are_whole() -> None:
    """Below the armpit a hanging sleeve crosses the armhole's line; it is sleeve all the same."""
    garment = drawn(*HANGING)
    assert garment.sleeved and garment.sleeve_index() > 1.1
    for strip, part in zip(garment.sleeves, garment.parts[1]):
        x, y = np.rint((strip.outer + strip.inner)[2:-1] / 2).astype(int).T
        assert (part[y, x] > 250).all()
        assert (garment.parts[0][y[4:], x[4:]] == 0).all()  # and no torso


def test_sleeves_whose_cuffs_touch_the_body_are_sleeves() -> None:
    bent = ((384, 230), (320, 200), (230, 225), (110, 480), (215, 800), (270, 780), (190, 500), (240, 430), (235, 860))
    garment = drawn(*bent, (384, 860))
    assert garment.sleeved and garment.sleeve_index() > 1.0


def test_a_spike_beside_a_cuff_is_no_cuff() -> None:
    """As a sleeve's hem leaves where it touches the body."""
    sleeve = ((384, 240), (300, 170), (200, 210), (110, 470), (205, 512), (222, 560), (236, 560), (240, 380))
    garment = drawn(*sleeve, (240, 860), (384, 860))
    assert garment.sleeved
    for strip in garment.sleeves:
        assert strip.widths[-1] > strip.widths[0]  # the spike's are 0.15 of it


def test_a_coat_whose_sleeves_lie_on_it_has_sleeves() -> None:
    coat = drawn((384, 200), (345, 150), (250, 190), (200, 230), (165, 300), (150, 420), (140, 840), (384, 840))
    assert coat.sleeved and coat.sleeve_index() > 0.9
    assert 0.5 < coat.chest / (628 - 140) < 0.75
    assert not drawn((384, 300), (330, 180), (270, 190), (270, 330), (235, 420), (240, 700), (384, 760)).sleeved


def test_a_hood_is_left_out() -> None:
    body = ((300, 250), (215, 280), (120, 620), (190, 640), (245, 430), (240, 860), (384, 860))
    hooded = drawn((384, 80), (320, 100), (300, 160), *body)
    assert not hooded.collar and hooded.sleeved
    assert hooded.neck[:, 1] == pytest.approx([258, 258], abs=25)
    assert hooded.parts[0][:230].max() == 0


def test_the_neck_of_a_wearer_who_turns_stands_beside_the_axis() -> None:
    mask = cv2.fillPoly(np.zeros((600, 500), np.uint8), [np.int32(
        [(60, 160), (220, 60), (250, 180), (320, 70), (440, 140), (430, 560), (70, 560)])], 1) > 0  # fmt: skip
    opening = neck_opening(mask, 245.0)
    assert opening == pytest.approx(np.array([[220, 60], [320, 70]]), abs=2)
    assert tilt(mask) == 0


def test_a_side_taken_from_the_other_is_moved_in_to_the_cloth() -> None:
    mask = np.zeros((300, 400), bool)
    mask[50:150, 80:300] = mask[150:250, 120:300] = True
    side = np.array([(100.0, 60), (100, 120), (100, 200), (100, 280)])
    assert on_cloth(side, mask).tolist() == [[100, 60], [100, 120], [120, 200], [100, 280]]


def test_a_strapless_top_is_told_from_straps() -> None:
    assert drawn((384, 330), (300, 300), (240, 300), (240, 700), (384, 700)).strapless
    vest = drawn((384, 420), (330, 180), (270, 190), (270, 330), (235, 420), (240, 700), (384, 760))
    assert not vest.strapless and not vest.sleeved
    assert vest.armpit[:, 1] == pytest.approx([428, 428], abs=15)


@pytest.mark.parametrize("alpha", [np.zeros((512, 384), np.uint8), np.eye(512, 384, dtype=np.uint8) * 100])
def test_no_cloth_is_no_garment(alpha: np.ndarray) -> None:
    with pytest.raises(EngineError) as error:
        analyse_garment(np.full((512, 384, 3), 255, np.uint8), alpha, "upper")
    assert error.value.code == "no_garment"


def test_a_speck_is_no_garment() -> None:
    alpha = np.zeros((512, 384), np.uint8)
    alpha[250:260, 180:195] = 255
    with pytest.raises(EngineError, match="no garment"):
        analyse_garment(np.full((512, 384, 3), 255, np.uint8), alpha, "lower")
