from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from infra.preprocess.human_parser.labels import LEFT_RIGHT
from infra.preprocess.human_parser.schp.evaluation import averaged_logits, nearest_labels
from infra.preprocess.human_parser.schp.folding import fold
from infra.preprocess.human_parser.schp.geometry import Placement
from infra.preprocess.human_parser.schp.network import build_schp_lip, resized
from infra.preprocess.human_parser.schp.warping import labels_of, normalised, picture_logits, warped
from tests import golden_recipe

PRE, POST, WHOLE = (golden_recipe.load(name) for name in ("schp_pre", "schp_post", "schp_e2e"))
EXACT = 1e-6  # relative: what float32 sums in another order differ by


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def placement(case: dict) -> Placement:
    return Placement((case["height"], case["width"]), tuple(case["size_hw"]))


def noise(name: str, case: dict, seed: int) -> torch.Tensor:
    """White noise uint8 HxWx3, the worst case for interpolation."""
    values = golden_recipe.uniform_input(name, (case["height"], case["width"], 3), 0, 256, seed)
    return torch.from_numpy(np.floor(values).astype(np.uint8))


def digits(rows: list[str]) -> np.ndarray:
    return np.array([[int(digit, 36) for digit in row] for row in rows], np.uint8)


def on_picture(logits: torch.Tensor, placed: Placement) -> torch.Tensor:
    """HxWx(classes)."""
    return torch.cat([values[0] for _, values in picture_logits(logits[None], placed)]).transpose(1, 2)


@pytest.mark.parametrize("case", PRE["geometry"], ids=lambda case: f"{case['width']}x{case['height']}")
def test_geometry(case: dict):
    placed = placement(case)
    found = {"center": placed.centre, "scale": placed.scale, "forward": placed.forward, "inverse": placed.inverse}
    for name, values in found.items():
        assert np.allclose(values, case[name], rtol=1e-4, atol=1e-4), name


@pytest.mark.parametrize("case", PRE["small"] + PRE["large"], ids=lambda case: case["name"])
def test_pictures_in_the_networks_input(case: dict):
    """Every byte, and the normalised tensor."""
    bgr = warped(noise(case["name"], case, PRE["seed"])[None], placement(case))
    if "tensor" in case:
        assert golden_recipe.error(case["warped"], bgr[0]) == 0
        assert golden_recipe.error(case["tensor"], normalised(bgr.flip(-1))[0]) < EXACT
    else:
        assert bgr.numpy().ravel().tolist() == case["warped"]


@pytest.mark.parametrize("case", POST["cases"], ids=lambda case: case["name"])
def test_logits_on_the_picture(case: dict):
    shape, seed = tuple(case["logits_shape"]), POST["seed"]
    [logits] = torch.from_numpy(golden_recipe.uniform_input(case["name"], shape, case["low"], case["high"], seed))
    placed = placement(case)
    assert golden_recipe.error(case["logits"], on_picture(logits, placed)) < EXACT
    assert np.array_equal(labels_of(logits[None], placed)[0, 0], digits(case["labels"]))
    assert np.array_equal(nearest_labels(logits, placed), digits(case["labels_nearest"]))


@pytest.mark.parametrize("case", POST["tta"], ids=lambda case: case["name"])
def test_mirrored_and_scaled_looks_averaged(case: dict):
    seed = POST["seed"]
    weight = torch.from_numpy(golden_recipe.parameter("stand_in.weight", (20, 3, 3, 3), seed, 1.0))
    looks = golden_recipe.uniform_input(case["name"], tuple(case["shape"]), case["low"], case["high"], seed)

    def stand_in(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, weight, stride=2, padding=1)

    size, pairs = tuple(case["size_hw"]), LEFT_RIGHT["lip"]
    logits = averaged_logits(stand_in, torch.from_numpy(looks), size, pairs, case["scales"])
    assert golden_recipe.error(case["logits"], logits.permute(1, 2, 0)) < 1e-5
    assert np.array_equal(logits.argmax(0), digits(case["labels"]))


def test_noise_picture_through_everything():
    """At the published size, by the folded network."""
    with torch.device("meta"):
        bare = build_schp_lip()
    golden = golden_recipe.load("schp_lip")
    golden |= {"seed": WHOLE["seed"], "gain": WHOLE["gain"]}
    bare.load_state_dict(golden_recipe.state_dict(golden), strict=True, assign=True)
    placed = placement(WHOLE)
    photo = noise("photo", WHOLE, WHOLE["seed"])
    fusion = fold(bare.eval())(normalised(warped(photo.flip(-1)[None], placed)))
    assert golden_recipe.error(WHOLE["fusion"], fusion) < 1e-5
    assert golden_recipe.error(WHOLE["logits"], on_picture(fusion[0], placed)) < 1e-5
    assert (labels_of(fusion, placed)[0, 0].numpy() != digits(WHOLE["labels"])).mean() < 1e-3


SIZES = [((9, 7), (24, 24)), ((1, 50), (33, 33)), ((50, 1), (33, 33)), ((2, 1), (16, 16)), ((131, 87), (48, 32)),
         ((300, 401), (97, 97)), ((64, 64), (64, 64)), ((640, 480), (473, 473))]  # fmt: skip


@pytest.mark.parametrize(("size", "input_size"), SIZES)
def test_as_opencv_warps_to_the_byte(size, input_size):
    placed = Placement(size, input_size)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = cv2.warpAffine(picture, placed.forward, input_size[::-1], flags=cv2.INTER_LINEAR)
    assert np.array_equal(warped(torch.from_numpy(picture)[None], placed)[0], expected)


@pytest.mark.parametrize(("size", "input_size"), SIZES)
def test_labels_as_opencv_warps_every_plane(size, input_size):
    placed = Placement(size, input_size)
    cells = [-(-length // 4) for length in input_size]
    logits = torch.from_numpy(golden_recipe.uniform_input("cells", (20, *cells), -4, 4))
    planes = resized(logits[None], input_size)[0].numpy()
    plain = np.stack([cv2.warpAffine(plane, placed.inverse, size[::-1], flags=cv2.INTER_LINEAR) for plane in planes])
    labels, confidence = labels_of(logits[None], placed)[0].numpy()
    assert np.allclose(on_picture(logits, placed).numpy().transpose(2, 0, 1), plain, atol=1e-5)
    assert (labels != plain.argmax(0)).sum() <= 1e-5 * labels.size  # none, but for ties that rounding breaks
    shares = np.exp(plain - plain.max(0))
    assert np.abs(confidence - 255 / shares.sum(0)).max() < 0.51


def test_bands_of_rows_join(monkeypatch: pytest.MonkeyPatch):
    """A photo is labelled some rows at a time; how many is nobody's business."""
    logits = torch.from_numpy(golden_recipe.uniform_input("bands", (2, 7, 12, 12), -4, 4))
    placed = Placement((57, 43), (45, 45))
    whole = labels_of(logits, placed)
    monkeypatch.setattr("infra.preprocess.human_parser.schp.warping._CACHED", 2 * 7 * 43 * 5)
    assert torch.equal(labels_of(logits, placed), whole)


def test_equal_logits_take_the_lower_label():
    assert not labels_of(torch.ones(1, 5, 6, 6), Placement((10, 8), (21, 21)))[0, 0].any()


def test_a_single_pixel_has_no_scale():
    with pytest.raises(ValueError, match="one pixel"):
        Placement((1, 1), (473, 473))
