from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from infra.imaging.frame import FRAME_HEIGHT, FRAME_WIDTH, Frame


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 HxWx3: smooth colours with fine grain over them."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.integers(40, 215, (9, 7, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    grain = rng.integers(-12, 13, (height, width, 1), dtype=np.int16)
    return (coarse.astype(np.int16) + grain).clip(0, 255).astype(np.uint8)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, bottom]], np.float32)


def rectangle(frame: Frame) -> tuple[int, int, int, int]:
    return frame.left, frame.top, frame.left + 3 * frame.unit, frame.top + 4 * frame.unit


@pytest.mark.parametrize("height", [1024, 400, 1600, 4000])
def test_a_person_who_fills_a_photo_of_three_to_four_gets_it_whole(height: int) -> None:
    width = height * 3 // 4
    frame = Frame.around(box(0.3 * width, 0.2 * height, 0.7 * width, 0.8 * height), (height, width))
    assert frame == Frame(0, 0, height // 4)


@pytest.mark.parametrize(("size", "share"), [((4000, 3000), 0.2), ((3000, 4000), 0.5), ((1024, 768), 0.3)])
def test_a_small_person_in_a_large_photo_is_cut_out(size: tuple[int, int], share: float) -> None:
    height, width = size
    reach = share * height
    person = box(0.6 * width, 0.4 * height, 0.6 * width + reach / 3, 0.4 * height + reach)
    frame = Frame.around(person, size)
    left, top, right, bottom = rectangle(frame)
    assert left >= 0 and top >= 0 and right <= width and bottom <= height
    assert left < person[0, 0] - 0.1 * reach and right > person[1, 0] + 0.1 * reach
    assert top < person[0, 1] - 0.2 * reach and bottom > person[1, 1]
    assert 0.6 < reach * frame.scale / FRAME_HEIGHT < 0.85


def test_a_tiny_person_is_not_blown_up_without_end() -> None:
    assert Frame.around(box(500, 500, 510, 530), (3000, 2000)).scale == 4


@pytest.mark.parametrize("corner", [(0, 0), (2700, 0), (0, 3300), (2700, 3300)])
def test_a_person_at_the_border_is_framed_inside_the_photo(corner: tuple[int, int]) -> None:
    x, y = corner
    left, top, right, bottom = rectangle(Frame.around(box(x, y, x + 300, y + 700), (4000, 3000)))
    assert left >= 0 and top >= 0 and right <= 3000 and bottom <= 4000
    assert left <= x and top <= y and right >= x + 300 and bottom >= y + 700


def test_points_beyond_the_photo_tell_where_it_crops_the_person() -> None:
    # Wider than three to four of the photo's height: the frame is taller than the photo and stands on its lower border.
    wide = Frame.around(box(100, 100, 1900, 1400), (1000, 2000))
    assert wide.top < 0 and wide.top + 4 * wide.unit == 1000
    upside_down = Frame.around(box(100, -400, 1900, 900), (1000, 2000))
    assert upside_down.top == 0 and 4 * upside_down.unit > 1000


def test_a_landscape_photo_is_cut_to_its_height() -> None:
    frame = Frame.around(box(900, 60, 1200, 1000), (1080, 1920))
    assert (frame.top, frame.unit) == (0, 270)
    assert 0 < frame.left < 900


def test_a_narrow_photo_is_extended_by_its_border() -> None:
    photo = textured(1920, 1080)
    frame = Frame.around(box(300, 200, 800, 1880), photo.shape[:2])
    assert frame.left < 0 and frame.left + 3 * frame.unit > 1080
    cut = frame.cut(photo)
    beyond = int(-frame.left * frame.scale) - 1
    assert cut.shape == (FRAME_HEIGHT, FRAME_WIDTH, 3)
    assert (cut[:, :beyond] == cut[:, :1]).all()


def centre(mask: np.ndarray) -> np.ndarray:
    moments = cv2.moments(mask)
    return np.array([moments["m10"], moments["m01"]]) / moments["m00"]


FRAMES = [
    (Frame(0, 0, 256), (1024, 768)),
    (Frame(0, 0, 100), (400, 300)),
    (Frame(0, 0, 1000), (4000, 3000)),
    (Frame(701, 455, 311), (3000, 4000)),
    (Frame(-153, 72, 462), (1920, 1080)),
]


@pytest.mark.parametrize(("frame", "size"), FRAMES)
def test_points_go_there_and_back(frame: Frame, size: tuple[int, int]) -> None:
    points = np.random.default_rng(0).uniform(0, 900, (2, 25, 3)).astype(np.float32)
    back = frame.points_to_photo(frame.points_to_frame(points))
    assert back.dtype == np.float32
    assert np.abs(back - points).max() < 2e-3
    assert np.array_equal(back[..., 2], points[..., 2])
    assert np.allclose(frame.affine[:, :2], np.eye(2) * frame.scale)


@pytest.mark.parametrize(("frame", "size"), FRAMES)
def test_pixels_stand_where_the_points_say(frame: Frame, size: tuple[int, int]) -> None:
    """The centre of a blurred spot in the photo is found in the frame where `points_to_frame` puts it."""
    spot = np.round([frame.left + 1.6 * frame.unit, frame.top + 1.9 * frame.unit])
    rows, columns = np.ogrid[: size[0], : size[1]]
    sigma = 6 * max(1, 1 / frame.scale)
    across, down = (np.exp(-((i - s) ** 2) / (2 * sigma**2)) for i, s in zip((columns, rows), spot, strict=True))
    photo = (255 * across * down).astype(np.uint8)
    assert np.abs(centre(frame.cut(photo)) - frame.points_to_frame(spot)).max() < 0.05
    back = frame.mask_to_photo(frame.cut_mask(photo), size)
    assert np.abs(centre(back) - spot).max() < 0.1


def test_shrinking_averages_and_does_not_alias() -> None:
    fine = np.zeros((4000, 3000), np.uint8)
    fine[:, ::2] = 255
    cut = Frame(0, 0, 1000).cut(fine)
    assert cut.min() > 90 and cut.max() < 165  # sampling single pixels would give 0 and 255


@pytest.mark.parametrize(("frame", "size"), FRAMES)
def test_labels_keep_their_values(frame: Frame, size: tuple[int, int]) -> None:
    labels = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.uint8)
    labels[200:800, 300:500] = 5
    labels[300:400, 320:360] = 17
    photo = frame.labels_to_photo(labels, size)
    assert photo.shape == size and set(np.unique(photo)) == {0, 5, 17}
    share = (photo == 5).sum() * frame.scale**2 / (labels == 5).sum()
    assert abs(share - 1) < 0.02


def test_outside_the_frame_nothing_is_masked() -> None:
    mask = Frame(100, 200, 100).mask_to_photo(np.full((FRAME_HEIGHT, FRAME_WIDTH), 255, np.uint8), (1000, 900))
    assert (mask[200:600, 100:400] == 255).all()
    assert mask.astype(bool).sum() == 400 * 300


def test_a_photo_of_the_frames_own_size_is_never_resampled() -> None:
    photo = textured(1024, 768)
    frame = Frame(0, 0, 256)
    before = frame.cut(photo)
    assert np.array_equal(before, photo)
    after = textured(1024, 768, seed=1)
    assert np.array_equal(frame.put_back(photo, before, after), after)


def test_a_cut_at_the_photos_own_scale_is_put_back_exactly() -> None:
    photo = textured(1500, 1100)
    frame = Frame(130, 270, 256)
    before = frame.cut(photo)
    after = before.copy()
    after[300:700, 200:500] = (10, 200, 90)
    expected = photo.copy()
    expected[570:970, 330:630] = (10, 200, 90)
    assert np.array_equal(frame.put_back(photo, before, after), expected)


SCENES = [((4000, 3000), Frame(0, 0, 1000)), ((3000, 4000), Frame(701, 455, 311)), ((400, 300), Frame(0, 0, 100))]


@pytest.mark.parametrize(("size", "frame"), [*SCENES, ((1920, 1080), Frame(-153, 72, 462))])
def test_put_back_leaves_the_rest_alone(size: tuple[int, int], frame: Frame) -> None:
    photo = textured(*size)
    before = frame.cut(photo)
    after = before.copy()
    after[300:700, 250:500] = (250, 0, 250)
    kept = [array.copy() for array in (photo, before, after)]
    out = frame.put_back(photo, before, after)
    corners = frame.points_to_photo(np.array([[250, 300], [499, 699]]))
    reach = 1 + max(1, 1 / frame.scale)  # one frame pixel of seam
    (left, top), (right, bottom) = np.floor(corners[0] - reach).astype(int), np.ceil(corners[1] + reach).astype(int)
    outside = np.ones(size, bool)
    outside[top : bottom + 1, left : right + 1] = False
    assert np.array_equal(out[outside], photo[outside])
    inner = int(3 * reach)
    assert (
        np.abs(out[top + inner : bottom - inner, left + inner : right - inner].astype(int) - (250, 0, 250)).max() <= 2
    )
    assert all(np.array_equal(a, b) for a, b in zip((photo, before, after), kept, strict=True))


@pytest.mark.parametrize(("size", "frame"), SCENES)
def test_nothing_changed_is_the_photo(size: tuple[int, int], frame: Frame) -> None:
    photo = textured(*size)
    before = frame.cut(photo)
    assert np.array_equal(frame.put_back(photo, before, before), photo)


def test_a_slight_shadow_keeps_the_photos_detail() -> None:
    photo = textured(4000, 3000)
    frame = Frame(0, 0, 1000)
    before = frame.cut(photo)
    after = before.copy()
    after[300:700, 250:500] -= 5
    part = frame.put_back(photo, before, after)[1300:2600, 1100:1800].astype(int)
    old = photo[1300:2600, 1100:1800].astype(int)
    assert np.abs(part - (old - 5)).mean() < 0.5
    enlarged = cv2.resize(after, (3000, 4000), interpolation=cv2.INTER_CUBIC)[1300:2600, 1100:1800]
    assert np.abs(enlarged - (old - 5)).mean() > 5  # what the detail amounts to


def test_the_replaced_garments_detail_goes_with_it() -> None:
    """A fine bright line at the rim of what was replaced leaves no ghost."""
    photo = np.full((4000, 3000, 3), 120, np.uint8)
    photo[1200:2600, 1000:2000] = 30
    photo[1200:2600, 1000:1003] = 255
    frame = Frame(0, 0, 1000)
    before = frame.cut(photo)
    after = np.full_like(before, 120)
    out = frame.put_back(photo, before, after)
    assert np.abs(out.astype(int) - 120).max() <= 2


def test_where_the_frame_cuts_a_change_it_fades() -> None:
    photo = np.full((2000, 1500, 3), 100, np.uint8)
    frame = Frame(300, 400, 200)
    before = frame.cut(photo)
    after = before.copy()
    after[400:600] = 200  # from the left side of the frame to the right one
    row = frame.put_back(photo, before, after)[800, :, 0].astype(int)
    assert row[299] == 100 and row[900] == 100 and row[600] == 200
    assert np.abs(np.diff(row)).max() < 20


def test_a_change_beyond_the_photo_is_dropped() -> None:
    photo = textured(1920, 1080)
    frame = Frame(-153, 72, 462)
    before = frame.cut(photo)
    after = before.copy()
    after[:, :60] = 0
    assert np.array_equal(frame.put_back(photo, before, after), photo)


def test_large_photo_is_put_back_quickly() -> None:
    photo = textured(4000, 3000)
    frame = Frame(0, 0, 1000)
    before = frame.cut(photo)
    after = before.copy()
    after[300:700, 250:500] = (250, 0, 250)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        frame.put_back(photo, before, after)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.5  # 0.1 s on one idle core


def test_frame_of_a_large_person_shows_most_of_the_photo() -> None:
    square, wide = (800, 800), (1000, 3000)
    assert Frame.around(box(200, 100, 600, 790), square).shows_most_of(square)
    assert not Frame.around(box(200, 500, 280, 700), square).shows_most_of(square)
    assert not Frame.around(box(1200, 100, 1600, 990), wide).shows_most_of(wide)
