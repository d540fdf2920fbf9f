"""Pictures on their way into DensePose R-CNN and out of it: golden numbers, and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from infra.preprocess.densepose import parts
from infra.preprocess.densepose.rcnn.charts import charts_in_box, iuv_picture, pixel_box
from infra.preprocess.densepose.rcnn.resizing import network_size, normalised, resize_bilinear
from tests.golden_recipe import error, load, uniform_input

GOLDEN = load("densepose_post")
SEED = GOLDEN["seed"]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def drawn(section: dict) -> np.ndarray:
    return uniform_input(*section["uniform"], SEED)


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return resize_bilinear(torch.from_numpy(np.ascontiguousarray(picture)), size).numpy()


@pytest.mark.parametrize("case", GOLDEN["resize_shape"], ids=lambda case: "x".join(map(str, case["hw"])))
def test_network_size(case):
    assert list(network_size(case["hw"])) == case["out"]


def test_network_size_of_a_line():
    assert network_size((1, 5000)) == (1, 1333)
    assert network_size((5000, 1)) == (1333, 1)


def test_preprocessing():
    section = GOLDEN["preprocess"]
    bgr = np.floor(drawn(section["image"])).astype(np.uint8)
    size = network_size(bgr.shape[:2], section["min_size"], section["max_size"])
    assert list(size) == section["image_size"]
    small = resized(bgr[..., ::-1], size)
    np.testing.assert_array_equal(small[..., ::-1], section["resized"])
    tensor = normalised(torch.from_numpy(small))[None]
    assert list(tensor.shape) == section["padded_shape"]
    assert error(section["tensor"], tensor) < 1e-6
    assert not tensor[0, :, size[0] :].any() and not tensor[0, :, :, size[1] :].any()


def test_shrinking():
    section = GOLDEN["downscale"]
    picture = np.floor(drawn(section["image"])).astype(np.uint8).repeat(5, 0).repeat(5, 1)
    np.testing.assert_array_equal(resized(picture, section["out_hw"]), section["resized"])


@pytest.mark.parametrize(
    ("size", "to"),
    [((64, 48), (67, 50)), ((64, 48), (64, 50)), ((64, 48), (67, 48)), ((301, 203), (80, 54)), ((5, 7), (200, 280)),
     ((1, 1), (9, 9)), ((40, 30), (4, 3)), ((203, 301), (160, 237))],
)  # fmt: skip
def test_resizing_as_pillow_does(size, to):
    picture = np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), np.uint8)
    picture[: size[0] // 2] = picture[: size[0] // 2] // 128 * 255  # black and white: all the way to the ends
    want = np.asarray(Image.fromarray(picture).resize(to[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resized(picture, to), want)


def charts_of(case: dict) -> Tensor:
    return torch.from_numpy(np.concatenate([drawn(case["inputs"][n])[0] for n in ("coarse", "fine", "u", "v")]))


@pytest.mark.parametrize("case", GOLDEN["chart_to_box"], ids=lambda case: str(case["int_box_xywh"]))
def test_charts_in_a_box(case):
    charts, box = charts_of(case), torch.tensor(case["box_xyxy"], dtype=torch.float32)
    x, y, width, height = pixel_box(box)
    assert [x, y, width, height] == case["int_box_xywh"]
    labels, uv = charts_in_box(charts, max(width, 1), max(height, 1))
    assert list(labels.shape) == case["shape"]
    top, left = y, x
    iuv = iuv_picture(charts, box, (top + case["shape"][0], left + case["shape"][1])).permute(2, 0, 1)
    iuv = iuv[:, top:, left:]
    if "labels" in case:
        np.testing.assert_array_equal(labels, case["labels"])
        np.testing.assert_allclose(uv, case["uv"], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(iuv, case["iuv_uint8"])
    else:
        assert error(case["labels_summary"], labels) == 0
        assert error(case["uv_summary"], uv) < 1e-5
        assert error(case["iuv_summary"], iuv) == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (112, 112), (330, 41), (700, 420)])
def test_four_taps_are_interpolation_of_every_channel(size):
    """Against torch's own interpolation of all 77 channels, and a loop over the parts."""
    charts = torch.randn((77, 112, 112), generator=torch.Generator().manual_seed(size[0]))
    coarse, fine, u, v = F.interpolate(charts[None], size, mode="bilinear")[0].split([2, 25, 25, 25])
    want = fine.argmax(0) * (coarse[1] > coarse[0])
    uv = torch.zeros((2, *size))
    for part in range(1, 25):
        uv[0][want == part], uv[1][want == part] = u[part][want == part], v[part][want == part]
    labels, got = charts_in_box(charts, size[1], size[0])
    same = labels == want
    assert same.float().mean() > 0.9999  # float32 settles a tie within 1e-6 either way
    torch.testing.assert_close(got * same, uv * same, rtol=0, atol=2e-5)


def test_surface_coordinates_are_clamped():
    charts = torch.zeros((77, 4, 4))
    charts[1], charts[2 + 7], charts[27 + 7], charts[52 + 7] = 1, 1, 1.2, -0.3
    iuv = iuv_picture(charts, torch.tensor([1.0, 2.0, 3.0, 5.0]), (8, 8)).numpy()
    assert iuv[2:5, 1:3].reshape(-1, 3).tolist() == [[7, 255, 0]] * 6
    iuv[2:5, 1:3] = 0
    assert not iuv.any()


def test_a_box_thinner_than_a_pixel_at_the_border():
    charts = torch.zeros((77, 112, 112))
    charts[1], charts[2 + 3] = 1, 1
    iuv = iuv_picture(charts, torch.tensor([9.6, 0.0, 10.0, 10.0]), (10, 10)).numpy()
    assert (iuv[:, 9, 0] == 3).all() and not iuv[:, :9].any()
    assert not iuv_picture(charts, torch.tensor([10.0, 10.0, 10.0, 10.0]), (10, 10)).any()


def body(detection: dict, size: tuple[int, int]) -> np.ndarray:
    """One golden detection as a whole IUV."""
    labels, uv = np.array(detection["labels"]), drawn(detection["uv"])
    x, y = (int(start) for start in detection["box_xywh"][:2])
    iuv = np.zeros((*size, 3), np.uint8)
    quantised = np.stack([labels, *(uv * 255)], -1) * (labels > 0)[..., None]
    iuv[y : y + labels.shape[0], x : x + labels.shape[1]] = quantised.astype(np.uint8)
    return iuv


def overlaid(picture: np.ndarray, people: list[np.ndarray], **how) -> np.ndarray:
    """B, G, R, as the golden pictures are."""
    for iuv in people:
        picture = parts.overlay(picture, iuv, **how)
    return picture[..., ::-1]


def test_published_pictures():
    section = GOLDEN["pictures"]
    grey = np.repeat(np.floor(drawn(section["gray"])).astype(np.uint8)[..., None], 3, -1)
    people = [body(each, grey.shape[:2]) for each in section["detections"]]
    for shows, name in (("parts", "segm"), ("u", "u"), ("v", "v")):
        np.testing.assert_array_equal(overlaid(grey, people, shows=shows), section[f"dp_{name}_default_bgr"])
    black = np.zeros_like(grey)
    np.testing.assert_array_equal(overlaid(black, people, alpha=1), section["dp_segm_black_bgr"])
    np.testing.assert_array_equal(parts.part_picture(people[-1])[..., ::-1], section["dp_segm_idm_vton_bgr"])
    np.testing.assert_array_equal(overlaid(black, people[:1], alpha=1)[..., ::-1], parts.part_picture(people[0]))


def test_colours():
    colours = GOLDEN["colours"]
    np.testing.assert_array_equal(parts.part_colours(), colours["dp_segm_rgb"])
    every = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)[None]
    every = np.where(np.arange(3) == 0, 24, every).astype(np.uint8)  # part 24 everywhere, u from 0 to 255
    got = parts.overlay(np.zeros_like(every), every, "u", 1)[0]
    np.testing.assert_array_equal(got, colours["parula_rgb"])


def test_grey_is_opencv_s_integers():
    rgb = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    r, g, b = rgb.astype(np.int64).transpose(2, 0, 1)
    want = (3735 * b + 19235 * g + 9798 * r + (1 << 14)) >> 15
    np.testing.assert_array_equal(parts.grey(rgb), want[..., None].repeat(3, -1))
