"""What surrounds TRACER and FBA: pictures in, masks, trimaps and alphas out, and the whole chain."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import PIL
import pytest
import torch

from infra.preprocess.masking.fba import on_device
from infra.preprocess.masking.fba import trimap as trimaps
from infra.preprocess.masking.fba.folding import fold as folded_matting
from infra.preprocess.masking.fba.matting import Matting
from infra.preprocess.masking.fba.network import FBA, build_fba
from infra.preprocess.masking.fba.pictures import alpha_of, matting_input, tensors
from infra.preprocess.masking.mask import MaskInput
from infra.preprocess.masking.tracer_b7.network import build_tracer_b7
from infra.preprocess.masking.tracer_b7.pictures import mask_of, normalised, over_grey, resized_on_device, squeezed
from infra.preprocess.masking.tracer_b7.salience import Salience
from tests import golden_recipe

CPU = torch.device("cpu")
POST, PIPELINE = golden_recipe.load("tracer_post"), golden_recipe.load("tracer_pipeline")

Arrays = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


def array(told: dict, seed: int) -> np.ndarray:
    """An array of a golden file: drawn by the recipe, or compressed bytes."""
    if "recipe" in told:
        top = 256 if told["dtype"] == "uint8" else 1
        return golden_recipe.uniform_input(told["recipe"], tuple(told["shape"]), 0, top, seed).astype(told["dtype"])
    data = zlib.decompress(base64.b64decode(told["zlib_base64"]))
    return np.frombuffer(data, told["dtype"]).reshape(told["shape"])


def matting_tensors(picture: np.ndarray, trimap: np.ndarray, params: dict) -> tuple[torch.Tensor, ...]:
    read = matting_input(picture, trimap, params["input_tensor_size"], square=params["batch_size"] > 1)
    return tensors([read], CPU)


def read_picture(given: Arrays, params: dict) -> Arrays:
    blue_first = given["image"][..., ::-1]
    image, _, normalised, _ = matting_tensors(blue_first, np.zeros(blue_first.shape[:2], np.uint8), params)
    return {"image": image.numpy(), "image_n": normalised.numpy()}


def read_trimap(given: Arrays, params: dict) -> Arrays:
    black = np.zeros((*given["trimap"].shape, 3), np.uint8)
    _, known, _, near = matting_tensors(black, given["trimap"], params)
    return {"trimap": known.numpy(), "trimap_transformed": near.numpy()}


FUNCTIONS: dict[str, Callable[[Arrays, dict[str, Any]], Arrays]] = {
    "tracer_preprocess": lambda given, p: {
        "tensor": normalised(squeezed(given["image"], CPU, tuple(p["size_hw"]))).numpy()
    },
    "tracer_postprocess": lambda given, p: {"mask": mask_of(torch.tensor(given["probability"][0]), tuple(p["out_hw"]))},
    "prob_filter": lambda given, p: {"mask": trimaps.certain(given["mask"], p["prob_threshold"])},
    "cv2_trimap": lambda given, p: {"trimap": trimaps.banded(given["mask"], p["kernel_size"], p["erosion_iters"])},
    "prob_as_unknown_area": lambda given, p: {
        "trimap": trimaps.doubted(given["trimap"], given["mask"], p["prob_threshold"])
    },
    "post_erosion": lambda given, p: {"trimap": trimaps.eroded_inside(given["trimap"], p["erosion_iters"])},
    "trimap": lambda given, p: {
        "trimap": trimaps.trimap(given["mask"], p["prob_threshold"], p["kernel_size"], p["erosion_iters"])
    },
    "fba_preprocess_image": read_picture,
    "fba_preprocess_trimap": read_trimap,
    "fba_postprocess": lambda given, p: {"alpha": alpha_of(given["prediction"][0], given["trimap"])},
    "apply_mask": lambda given, p: {"rgba": over_grey(given["image"], given["mask"])},
}


@pytest.mark.parametrize("case", POST["cases"], ids=lambda case: case["name"])
def test_functions_around_the_networks_give_the_golden_numbers(case):
    if case["name"].endswith("_square") and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 resizes in another order, a level off here and there")
    given = {name: array(told, POST["seed"]) for name, told in case["inputs"].items()}
    before = {name: each.copy() for name, each in given.items()}
    outputs = FUNCTIONS[case["function"]](given, case["params"])
    assert outputs
    for name, found in outputs.items():
        wanted = case["outputs"][name]
        if "samples" in wanted:
            assert golden_recipe.error(wanted, found) < 1e-6  # float32 sums in another order
        else:
            np.testing.assert_array_equal(found, array(wanted, POST["seed"]))
            assert found.dtype == np.uint8
    for name, each in given.items():
        np.testing.assert_array_equal(each, before[name])


@pytest.mark.parametrize("threshold", [0, 100, 254])
def test_trimap_of_any_mask_is_one(threshold):
    mask = golden_recipe.uniform_input("mask", (37, 53), 0, 256).astype(np.uint8)
    values = set(np.unique(trimaps.trimap(mask, threshold, 2, 1)).tolist())
    assert values <= {trimaps.BACKGROUND, trimaps.UNKNOWN, trimaps.FOREGROUND}


def test_a_large_photo_is_squeezed_in_strips_as_if_it_were_whole(monkeypatch):
    picture = golden_recipe.uniform_input("photo", (203, 151, 3), 0, 256).astype(np.uint8)
    picture.setflags(write=False)
    whole = squeezed(picture, CPU, (64, 96))
    monkeypatch.setattr("infra.preprocess.masking.tracer_b7.pictures._STRIP", 1000)
    torch.testing.assert_close(squeezed(picture, CPU, (64, 96)), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(90, 70), (640, 640), (1000, 333), (1, 1)])
def test_a_mask_resized_on_a_device_differs_by_a_grey_level_at_most(size):
    blurred = cv2.GaussianBlur(golden_recipe.uniform_input("mask", (640, 640), 0, 1), (0, 0), 3)
    probability = torch.from_numpy((blurred - blurred.min()) / np.ptp(blurred))
    exact, near = mask_of(probability, size), resized_on_device(probability, size).numpy()
    assert near.dtype == np.uint8 and near.shape == exact.shape == size
    assert np.abs(exact.astype(int) - near).max() <= 1


def filled(network: torch.nn.Module, name: str) -> torch.nn.Module:
    """With the parameters that the chain was recorded with; `name` is "tracer" or "fba"."""
    golden = golden_recipe.load(name) | {key: PIPELINE[name][key] for key in ("seed", "gain")}
    network.load_state_dict(golden_recipe.state_dict(golden))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def matting_network() -> FBA:
    return filled(build_fba(), "fba")


CASES = [{name: array(told, PIPELINE["seed"]) for name, told in case.items()} for case in PIPELINE["cases"]]


def test_pictures_of_two_sizes_in_one_batch_give_the_golden_masks():
    network = filled(build_tracer_b7(), "tracer")
    size = tuple(PIPELINE["tracer"]["size_hw"])
    images = torch.cat([squeezed(case["image"], CPU, size) for case in CASES])
    for probability, case in zip(network(normalised(images))[:, 0], CASES):
        found = mask_of(probability, case["image"].shape[:2])
        # A probability on the border between two levels may fall to either side.
        difference = np.abs(found.astype(int) - case["mask"])
        assert difference.max() <= 1 and (difference > 0).mean() < 0.001


@pytest.mark.parametrize("case", CASES, ids=lambda case: "x".join(map(str, case["mask"].shape)))
def test_each_step_of_the_chain_gives_the_golden_bytes(case, matting_network):
    """From the recorded result of the step before: one pixel of the trimap changes half of these alphas."""
    p = PIPELINE["trimap"]
    found = trimaps.trimap(case["mask"], p["prob_threshold"], p["kernel_size"], p["erosion_iters"])
    np.testing.assert_array_equal(found, case["trimap"])
    read = matting_tensors(case["image"][..., ::-1], case["trimap"], PIPELINE["fba"])
    alpha = alpha_of(matting_network(*read)[0, 0].numpy(), case["trimap"])
    difference = np.abs(alpha.astype(int) - case["alpha"])
    assert (difference > 1).mean() < 0.001 and (difference > 0).mean() < 0.01
    # Recorded in a run of its own, whose alpha it carries.
    np.testing.assert_array_equal(over_grey(case["image"], case["rgba"][..., 3]), case["rgba"])
    np.testing.assert_array_equal(over_grey(case["image"], case["mask"]), case["rgba_without_matting"])


def blob(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 3, height // 3), 0, 0, 360, 255, -1)
    return cv2.GaussianBlur(mask, (0, 0), 1.5)


def colours(name: str, height: int, width: int) -> np.ndarray:
    return golden_recipe.uniform_input(name, (height, width, 3), 0, 256).astype(np.uint8)


def test_matting_answers_a_batch_of_several_sizes_like_single_pictures(matting_network):
    sizes = [(90, 70), (33, 140), (90, 70), (1, 1), (5, 64)]
    pictures = [colours(f"picture {i}", *size) for i, size in enumerate(sizes)]
    masks = [blob(*size) for size in sizes]
    matting = Matting(matting_network, CPU)
    for picture, mask, alpha in zip(pictures, masks, matting(pictures, masks)):
        (alone,) = matting([picture], [mask])
        assert alpha.shape == mask.shape and alpha.dtype == np.uint8
        # The recipe's network enlarges rounding, which may carry an alpha over the least that counts.
        assert (np.abs(alpha.astype(int) - alone) > 2).mean() < 0.01


@pytest.mark.parametrize("name", [case["name"] for case in POST["cases"] if case["function"] == "trimap"])
def test_trimaps_on_a_device_are_the_golden_bytes_too(name):
    (case,) = (case for case in POST["cases"] if case["name"] == name)
    mask, p = torch.from_numpy(array(case["inputs"]["mask"], POST["seed"]).copy()), case["params"]
    found = on_device.trimap(mask, p["prob_threshold"], p["kernel_size"], p["erosion_iters"]).numpy()
    np.testing.assert_array_equal(found, array(case["outputs"]["trimap"], POST["seed"]))


@pytest.mark.parametrize("share", [0, 0.0005, 0.02, 0.9])
def test_distances_on_a_device_are_those_of_opencv(share, monkeypatch):
    monkeypatch.setattr(on_device, "_PAIRS_AT_ONCE", 10_000)
    known = golden_recipe.uniform_input("known", (97, 61), 0, 1) < share
    found = on_device.distance(torch.from_numpy(known)).numpy()
    if not known.any():
        assert np.isinf(found).all()
        return
    exact = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


def test_matting_elsewhere_gives_what_it_gives_on_a_cpu(matting_network, monkeypatch):
    """All of it can be computed on a CPU as well; one of the sizes is read as it is, the others are stretched."""
    pictures = [colours(f"picture {i}", *size) for i, size in enumerate([(96, 72), (61, 83)])]
    masks = [blob(96, 72), blob(61, 83)]
    here, elsewhere = Matting(matting_network, CPU), Matting(matting_network, CPU)
    monkeypatch.setattr(elsewhere, "_elsewhere", True)
    for ours, theirs in zip(here(pictures, masks), elsewhere(pictures, masks)):
        assert ours.dtype == theirs.dtype == np.uint8
        assert (np.abs(ours.astype(int) - theirs) > 1).mean() < 0.01  # the recipe's network enlarges rounding
    first, second = (matting.pre([(pictures[0], masks[0])])[0] for matting in (here, elsewhere))
    torch.testing.assert_close(first.trimap, second.trimap, rtol=0, atol=0)
    for name in ("image", "trimap", "distances"):
        torch.testing.assert_close(getattr(first.read, name), getattr(second.read, name), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_matting_elsewhere_mixes_no_devices_and_no_precisions(dtype):
    """torch's `meta` device computes shapes alone, and refuses tensors of other devices or types beside its own."""
    network = folded_matting(build_fba().eval()).to("meta", dtype)
    matting = Matting(network, torch.device("meta"))
    prepared = matting.pre([(colours(str(size), *size), blob(*size)) for size in ((64, 48), (61, 83))])
    alphas = matting.infer(prepared)
    assert all(each.is_meta and each.dtype == torch.float32 for each in alphas)
    assert [tuple(each.shape) for each in alphas] == [(64, 48), (64, 88)]
    assert on_device.alpha_of(alphas[1], prepared[1].trimap).shape == (61, 83)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trimap_and_distances_on_cuda_are_those_on_the_cpu():
    mask = torch.from_numpy(blob(300, 200))
    regions = on_device.trimap(mask.cuda())
    np.testing.assert_array_equal(regions.cpu().numpy(), trimaps.trimap(mask.numpy()))
    known = regions == trimaps.BACKGROUND
    torch.testing.assert_close(on_device.distance(known).cpu(), on_device.distance(known.cpu()))


def test_matting_runs_no_more_at_once_than_memory_is_meant_for(matting_network, monkeypatch):
    runs = []

    def network(image: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        runs.append(tuple(image.shape))
        return matting_network(image, *more)

    monkeypatch.setattr("infra.preprocess.masking.fba.matting._MOST_AT_ONCE", 2 * 64 * 48)
    matting = Matting(network, CPU)
    matting([colours(str(i), 64, 48) for i in range(3)], [blob(64, 48)] * 3)
    assert runs == [(2, 3, 64, 48), (1, 3, 64, 48)]


def test_matting_gives_the_network_red_first_or_as_carvekit_blue_first(matting_network):
    seen = []

    def network(image: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        seen.append(image[0].mean((1, 2)))
        return matting_network(image, *more)

    reddish = np.full((48, 40, 3), (255, 127, 0), np.uint8)
    for carvekit in (False, True):
        Matting(network, CPU, carvekit=carvekit)([reddish], [blob(48, 40)])
    torch.testing.assert_close(seen[0], seen[1].flip(0))
    assert seen[0][0] > seen[0][2]


def test_nothing_salient_is_nothing_after_matting(matting_network):
    empty = np.zeros((64, 48), np.uint8)
    (alpha,) = Matting(matting_network, CPU)([colours("empty", 64, 48)], [empty])
    assert not alpha.any()


def test_salience_has_every_picture_s_own_size():
    sizes = [(120, 90), (1, 1), (7, 300)]
    seen = []

    def network(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape))
        return images[:, :1].float().sigmoid()

    masks = Salience(network, CPU, torch.bfloat16)([MaskInput(colours(str(s), *s)) for s in sizes])
    assert [mask.shape for mask in masks] == sizes and seen == [(3, 3, 640, 640)]
