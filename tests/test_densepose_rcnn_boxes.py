"""Boxes, suppression and RoIAlign: golden numbers, loops in float64, and torchvision where it is there."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from infra.preprocess.densepose.rcnn.boxes import (
    ANCHOR_SIZES,
    cell_anchors,
    clipped,
    decoded,
    not_empty,
    pooling_levels,
    pyramid_anchors,
    rescaled,
)
from infra.preprocess.densepose.rcnn.choice import chosen_detection
from infra.preprocess.densepose.rcnn.inference import decoder_windows
from infra.preprocess.densepose.rcnn.pooling import roi_align, roi_align_plain
from infra.preprocess.densepose.rcnn.suppression import (
    grouped_nms,
    native_operators,
    nms,
    nms_plain,
    survivors,
    survivors_plain,
)
from tests.golden_recipe import load, uniform_input

GOLDEN = load("densepose_post")
WRITTEN = 2e-6  # the golden numbers have six digits


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def float32(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def loop_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Box by box. The overlap is float32 arithmetic, compared with the threshold in float64."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        for j in kept:
            low, high = np.maximum(boxes[i, :2], boxes[j, :2]), np.minimum(boxes[i, 2:], boxes[j, 2:])
            width, height = np.maximum(high - low, np.float32(0))
            sizes = (boxes[[i, j], 2:] - boxes[[i, j], :2]).prod(1)
            union = sizes[0] + sizes[1] - width * height
            if union > 0 and float(width * height / union) > threshold:
                break
        else:
            kept.append(i)
    return kept


def loop_roi_align(features, rois, output_size, scale, ratio, aligned) -> np.ndarray:
    """Sample by sample in float64."""
    features, offset = np.asarray(features, np.float64), 0.5 if aligned else 0.0
    height, width = features.shape[2:]
    out = np.zeros((len(rois), features.shape[1], *output_size))

    def sample(maps: np.ndarray, y: float, x: float) -> np.ndarray:
        if not (-1 <= y <= height and -1 <= x <= width):
            return np.zeros(len(maps))
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = maps[:, top, left] * (1 - x + left) + maps[:, top, right] * (x - left)
        lower = maps[:, bottom, left] * (1 - x + left) + maps[:, bottom, right] * (x - left)
        return upper * (1 - y + top) + lower * (y - top)

    for index, (picture, *box) in enumerate(np.asarray(rois, np.float64)):
        x1, y1, x2, y2 = np.multiply(box, scale) - offset
        sides = np.array([y2 - y1, x2 - x1])
        bins = (sides if aligned else np.maximum(sides, 1)) / output_size
        counts = [ratio, ratio] if ratio else np.maximum(np.ceil(bins), 0).astype(int)
        for row, column in np.ndindex(*output_size):
            samples = [
                sample(features[int(picture)], y1 + (row + (i + 0.5) / counts[0]) * bins[0],
                       x1 + (column + (j + 0.5) / counts[1]) * bins[1])
                for i, j in np.ndindex(*counts)
            ]  # fmt: skip
            out[index, :, row, column] = np.mean(samples, axis=0) if samples else 0
    return out


def random_boxes(count: int, seed: int, *, whole: bool = False, largest: float = 40) -> Tensor:
    """Within 120 x 120; whole numbers give equal overlaps and empty boxes."""
    draw = np.random.default_rng(seed)
    low, sizes = draw.uniform(0, 80, (count, 2)), draw.uniform(0, largest, (count, 2))
    if whole:
        low, sizes = np.floor(low / 8), np.floor(sizes / 8)
    return torch.from_numpy(np.concatenate([low, low + sizes], 1).astype(np.float32))


@pytest.mark.parametrize("case", GOLDEN["nms"]["cases"], ids=lambda case: str(case["iou"]))
def test_nms(case):
    boxes, scores = float32(GOLDEN["nms"]["boxes"]), float32(GOLDEN["nms"]["scores"])
    groups = torch.tensor(GOLDEN["nms"]["groups"])
    assert nms_plain(boxes, scores, case["iou"]).tolist() == case["keep"]
    assert nms(boxes, scores, case["iou"]).tolist() == case["keep"]
    assert grouped_nms(boxes, scores, groups, case["iou"]).tolist() == case["keep_batched"]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.2, 1 / 3])
@pytest.mark.parametrize("whole", [False, True])
def test_nms_is_the_loop_over_boxes(threshold, whole):
    for seed in range(5):
        boxes = random_boxes(150, seed, whole=whole)
        scores = torch.from_numpy(np.random.default_rng(seed).integers(0, 40, 150).astype(np.float32))  # many are equal
        assert nms_plain(boxes, scores, threshold).tolist() == loop_nms(boxes.numpy(), scores.numpy(), threshold)


def test_nms_follows_a_long_chain():
    """Every box suppresses the next, which then would have suppressed the one after: every second one stays."""
    left = torch.arange(101.0)
    boxes = torch.stack([left * 3, left * 0, left * 3 + 10, left * 0 + 10], 1)
    assert nms_plain(boxes, -left, 0.5).tolist() == list(range(0, 101, 2))


def test_nms_of_nothing():
    nothing = torch.zeros(0, 4)
    assert nms_plain(nothing, nothing[:, 0], 0.5).tolist() == nms(nothing, nothing[:, 0], 0.5).tolist() == []
    assert grouped_nms(nothing, nothing[:, 0], nothing[:, 0].long(), 0.5).tolist() == []


def test_sets_of_boxes_do_not_see_each_other():
    sets = torch.stack([random_boxes(60, seed, whole=True) for seed in range(40)])
    sets[7, 30:] = 0  # filled up
    for survive in (survivors, survivors_plain):
        kept = survive(sets, 0.5)
        for row, boxes in zip(kept, sets):
            alone = loop_nms(boxes.numpy(), -np.arange(60), 0.5)
            assert torch.nonzero(row)[:, 0].tolist() == sorted(alone)


def features_and_rois() -> tuple[Tensor, Tensor]:
    section = GOLDEN["roi_align"]
    return torch.from_numpy(uniform_input(*section["features"]["uniform"], GOLDEN["seed"])), float32(section["rois"])


@pytest.mark.parametrize("case", GOLDEN["roi_align"]["cases"])
def test_roi_align(case):
    features, rois = features_and_rois()
    how = tuple(case["output_size"]), case["spatial_scale"], case["sampling_ratio"], case["aligned"]
    for maps in (features, features.contiguous(memory_format=torch.channels_last)):
        for align in (roi_align, roi_align_plain):
            np.testing.assert_allclose(align(maps, rois, *how), case["output"], rtol=1e-5, atol=WRITTEN)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [0, 1, 2, 3])
def test_roi_align_is_the_loop_over_samples(ratio, aligned):
    draw = np.random.default_rng(ratio)
    for height, width, scale in ((13, 9, 0.25), (1, 6, 0.5), (5, 1, 1.0)):
        features = torch.from_numpy(draw.standard_normal((2, 4, height, width)).astype(np.float32))
        low = draw.uniform(-0.4, 1.1, (30, 2)) * (width, height) / scale
        high = low + draw.uniform(-0.05, 1, (30, 2)) * 12 / scale
        rois = np.concatenate([draw.integers(0, 2, (30, 1)), low, high], 1)
        rois[:3, 3:] = rois[:3, 1:3]  # no size at all
        rois = float32(rois)
        got = roi_align_plain(features, rois, (3, 2), scale, ratio, aligned)
        want = loop_roi_align(features, rois, (3, 2), scale, ratio, aligned)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def test_roi_align_in_pieces_and_of_nothing():
    """More boxes than are read at once, and none."""
    features = torch.randn((1, 8, 40, 30), generator=torch.Generator().manual_seed(0))
    boxes = random_boxes(1300, 0)
    rois = torch.cat([torch.zeros(len(boxes), 1), boxes], 1)
    whole = roi_align_plain(features, rois, (28, 28), 0.25, 2)
    torch.testing.assert_close(whole[1290:], roi_align_plain(features, rois[1290:], (28, 28), 0.25, 2))
    assert roi_align_plain(features, rois[:0], (7, 7), 0.25, 2).shape == (0, 8, 7, 7)


def test_roi_align_in_half_precision_keeps_its_coordinates():
    """bfloat16 cannot tell 200 from 200.5; the boxes stay float32."""
    ramp = torch.arange(300.0).expand(1, 2, 8, 300).contiguous() % 8
    rois = float32([[0, 200.3, 2.0, 203.1, 6.0]])
    want = roi_align_plain(ramp, rois, (2, 2), 1.0, 2)
    got = roi_align_plain(ramp.bfloat16(), rois, (2, 2), 1.0, 2)
    torch.testing.assert_close(got.float(), want, rtol=0.01, atol=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_agrees():
    features, rois = features_and_rois()
    want = roi_align_plain(features, rois, (3, 3), 0.5, 2)
    for align in (roi_align, roi_align_plain):
        torch.testing.assert_close(align(features.cuda(), rois.cuda(), (3, 3), 0.5, 2).cpu(), want)
    boxes, scores = random_boxes(500, 0, whole=True), torch.arange(500.0)
    for suppress in (nms, nms_plain):
        assert suppress(boxes.cuda(), scores.cuda(), 0.5).tolist() == nms_plain(boxes, scores, 0.5).tolist()


def test_against_torchvision():
    pytest.importorskip("torchvision", exc_type=ImportError)
    native = native_operators("cpu")
    if native is None:
        pytest.skip("torchvision does not fit this torch")
    for seed in range(10):
        boxes = random_boxes(400, seed, whole=seed % 2 == 0)
        scores = torch.from_numpy(np.random.default_rng(seed).integers(0, 90, 400).astype(np.float32))
        for threshold in (0.3, 0.5, 0.7):
            assert torch.equal(nms_plain(boxes, scores, threshold), native.nms(boxes, scores, threshold))
    features = torch.randn((2, 16, 31, 27), generator=torch.Generator().manual_seed(1))
    boxes = random_boxes(200, 1, largest=90) - 10
    rois = torch.cat([(torch.arange(200.0) % 2)[:, None], boxes], 1)
    for scale, ratio, aligned in ((0.25, 2, False), (0.25, 0, True), (0.125, 2, True), (0.25, 0, False)):
        how = (3, 5), scale, ratio, aligned
        want = native.roi_align(features, rois, *how)
        torch.testing.assert_close(roi_align_plain(features, rois, *how), want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("failure", ["ImportError", "RuntimeError", "OSError"])
def test_a_torchvision_that_does_not_fit_is_done_without(failure, tmp_path):
    """One built for another torch raises on import; suppression must not notice."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise {failure}('operator torchvision::nms does not exist')\n")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import torch\n"
        "from infra.preprocess.densepose.rcnn.suppression import native_operators, nms\n"
        "assert native_operators('cpu') is None\n"
        "print(nms(torch.tensor([[0., 0., 2., 2.], [0., 0., 2., 2.]]), torch.tensor([.1, .2]), .5).tolist())\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "[1]\n", ran.stderr


@pytest.mark.parametrize("case", GOLDEN["box_decode"], ids=lambda case: str(case["weights"][0]))
def test_decoding(case):
    got = decoded(float32(case["deltas"]), float32(case["boxes"]), tuple(case["weights"]))
    np.testing.assert_allclose(got, case["output"], rtol=1e-6, atol=1e-4)
    assert decoded(float32(case["deltas"]).bfloat16(), float32(case["boxes"]), (1, 1, 1, 1)).dtype == torch.float32


def test_anchors():
    cells = [cell_anchors(size) for size in ANCHOR_SIZES]
    np.testing.assert_allclose(cells, list(GOLDEN["cell_anchors"].values()), rtol=1e-6)
    levels = pyramid_anchors(96, 160, torch.device("cpu"))
    assert [len(level) for level in levels] == [3 * 24 * 40, 3 * 12 * 20, 3 * 6 * 10, 3 * 3 * 5, 3 * 2 * 3]
    # row 1, column 2, ratio 1 of p3: around x = 16, y = 8
    np.testing.assert_allclose(levels[1][(1 * 20 + 2) * 3 + 1], [16 - 32, 8 - 32, 16 + 32, 8 + 32])
    assert pyramid_anchors(96, 160, torch.device("cpu")) is levels


def test_levels():
    assert pooling_levels(float32(GOLDEN["levels"]["boxes"])).tolist() == GOLDEN["levels"]["level"]


def test_rescaling_drops_what_has_no_area_left():
    section = GOLDEN["rescale_boxes"]
    boxes, visible = rescaled(float32(section["boxes"]), section["network_hw"], section["picture_hw"])
    np.testing.assert_allclose(boxes[visible], section["out"], rtol=1e-6, atol=1e-5)
    assert visible.tolist() == [True, True, False, True]


def test_clipping_and_emptiness():
    boxes = float32([[-3, -3, 5, 5], [8, 1, 30, 40], [2, 2, 2, 9], [math.nan, 0, 1, 1], [0, 0, math.inf, 1]])
    within = clipped(boxes, torch.tensor([20, 10]))
    np.testing.assert_allclose(within[:3], [[0, 0, 5, 5], [8, 1, 10, 20], [2, 2, 2, 9]])
    assert not_empty(boxes).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("size", [(800, 1088), (320, 160), (32, 32)])
def test_decoder_windows_hold_their_boxes(size):
    draw = np.random.default_rng(size[0])
    for _ in range(50):
        low = draw.uniform(0, 0.9, (3, 2)) * size[::-1]
        boxes = float32(np.concatenate([low, low + draw.uniform(0, 1, (3, 2)) * (np.array(size[::-1]) - low)], 1))
        corners, (height, width) = decoder_windows(boxes, size)
        assert height % 32 == width % 32 == 0
        for (top, left), (x1, y1, x2, y2) in zip(corners, boxes.tolist()):
            assert top % 32 == left % 32 == 0 and top >= 0 and left >= 0
            assert top + height <= size[0] and left + width <= size[1]
            assert top == 0 or y1 - top >= 96
            assert left == 0 or x1 - left >= 96
            assert top + height == size[0] or top + height - y2 >= 96
            assert left + width == size[1] or left + width - x2 >= 96


def person(points, confidence=0.9) -> np.ndarray:
    out = np.zeros((25, 3), np.float32)
    for row, point in zip(out, points):
        row[:] = *point, confidence
    return out


LEFT, RIGHT = (100, 100, 300, 700), (280, 60, 560, 760)


@pytest.mark.parametrize(
    ("points", "want"),
    [
        ([(200, 150), (150, 400), (250, 400), (200, 650)], 0),
        ([(420, 120), (330, 400), (520, 400), (420, 700)], 1),
        ([(290, 150), (285, 400), (295, 650)], 0),  # in both: the left box fits better
        ([(200, 150)], 0),
        ([(700, 150), (750, 400)], None),
        ([(700, 150), (750, 400), (710, 300), (200, 300)], None),  # most of them elsewhere
    ],
)
def test_the_person_of_the_pose_is_chosen(points, want):
    boxes, scores = np.float32([LEFT, RIGHT]), np.float32([0.99, 0.95])
    assert chosen_detection(boxes, scores, person(points)) == want
    flipped = chosen_detection(boxes[::-1], scores[::-1], person(points))
    assert flipped == (None if want is None else 1 - want)


def test_a_box_of_half_the_person_is_not_chosen():
    whole, upper = LEFT, (100, 100, 300, 400)
    points = person([(200, 150), (150, 300), (250, 300), (200, 650), (180, 660)])
    assert chosen_detection(np.float32([upper, whole]), np.float32([0.99, 0.9]), points) == 1


def test_without_a_pose_the_surest_is_chosen_then_the_largest():
    boxes = np.float32([LEFT, RIGHT])
    assert chosen_detection(boxes, np.float32([0.9, 0.8]), None) == 0
    assert chosen_detection(boxes, np.float32([0.9, 0.9]), None) == 1
    assert chosen_detection(boxes, np.float32([0.9, 0.8]), person([])) == 0
    assert chosen_detection(boxes[:0], np.float32([]), None) is None
