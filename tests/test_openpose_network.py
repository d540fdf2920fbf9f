"""The published networks: names, shapes and numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from infra.preprocess.pose_estimation.openpose.folding import split
from infra.preprocess.pose_estimation.openpose.network import (
    CaffeNetwork,
    build_openpose_body_25,
    build_openpose_coco,
    build_openpose_face,
    build_openpose_hand,
)
from tests import golden_recipe

NETWORKS: dict[str, Callable[[], CaffeNetwork]] = {
    "body25": build_openpose_body_25,
    "coco18": build_openpose_coco,
    "hand": build_openpose_hand,
    "face": build_openpose_face,
}
# Where the golden numbers' names are outputs of a layer: its name, and whether they were taken after a ReLU.
STAGES = range(1, 7)
LAYERS = {
    "body25": {
        "relu4_1": ("conv4_1", True), "conv4_2": ("prelu4_2", False), "features": ("prelu4_4_CPM", False),
        "paf0_conv6": ("Mprelu6_stage0_L2", False), "heat_stage0": ("Mconv7_stage0_L1", False),
        "heat_stage1": ("Mconv7_stage1_L1", False),
        **{f"paf_stage{stage}": (f"Mconv7_stage{stage}_L2", False) for stage in range(4)},
    },
    "coco18": {
        "conv3_4": ("conv3_4", True), "features": ("conv4_4_CPM", True), "stage1_paf": ("conv5_5_CPM_L1", False),
        "stage1_heat": ("conv5_5_CPM_L2", False), "stage2_L1_conv1": ("Mconv1_stage2_L1", True),
        **{f"stage{stage}_paf": (f"Mconv7_stage{stage}_L1", False) for stage in STAGES[1:]},
        **{f"stage{stage}_heat": (f"Mconv7_stage{stage}_L2", stage == 6) for stage in STAGES[1:]},
        "stage6_heat_linear": ("Mconv7_stage6_L2", False),
    },
    "hand": {
        "conv4_4": ("conv4_4", True), "features": ("conv5_3_CPM", True), "stage1": ("conv6_2_CPM", False),
        **{f"stage{stage}": (f"Mconv7_stage{stage}", False) for stage in STAGES[1:]},
    },
}  # fmt: skip
LAYERS["face"] = LAYERS["hand"]


def filled(name: str) -> tuple[CaffeNetwork, dict]:
    golden = golden_recipe.load(f"openpose_{name}")
    with torch.device("meta"):
        network = NETWORKS[name]()
    network.load_state_dict(golden_recipe.state_dict(golden), assign=True)
    return network.eval().requires_grad_(False), golden


def kept(network: nn.Module) -> dict[str, torch.Tensor]:
    """Fills, as the network runs, with what each layer gave, before anything changes it in place."""
    outputs: dict[str, torch.Tensor] = {}
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output.clone()}))
    return outputs


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_are_the_published_ones_in_their_order(name):
    with torch.device("meta"):
        state = NETWORKS[name]().state_dict()
    published = golden_recipe.load(f"openpose_{name}")["state_dict"]
    assert [(key, list(value.shape)) for key, value in state.items()] == list(published.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_numbers_are_the_published_ones_at_every_stage(name):
    network, golden = filled(name)
    layers = kept(network)
    with torch.inference_mode():
        maps = network(golden_recipe.inputs(golden)["image"])
    checked = 0
    for output in golden["outputs"]:
        if output["name"] == "net_output":
            values = maps
        elif output["name"] in LAYERS[name]:
            layer, after_relu = LAYERS[name][output["name"]]
            values = layers[layer].relu() if after_relu else layers[layer]
        else:
            continue
        # The spread of float32 sums over other orders of addition was 3.4e-6.
        assert golden_recipe.error(output, values) < 2e-5, output["name"]
        checked += 1
    # What is no layer's output is two concatenations' (both within the next stage's input), or a pooling's.
    assert checked >= len(golden["outputs"]) - 3


def test_heat_maps_come_first_and_fields_after_them():
    network, golden = filled("coco18")
    with torch.inference_mode():
        maps = network(golden_recipe.inputs(golden)["image"])
    recorded = {each["name"]: each for each in golden["outputs"]}
    assert golden_recipe.error(recorded["stage6_heat_linear"], maps[:, :19]) < 2e-5
    assert golden_recipe.error(recorded["stage6_paf"], maps[:, 19:]) < 2e-5


@pytest.mark.parametrize("name", ["body25", "hand"])
def test_both_parts_together_are_the_network_and_the_last_stays_float32(name):
    network, golden = filled(name)
    image = golden_recipe.inputs(golden)["image"]
    with torch.inference_mode():
        whole = network(image)
        hidden, last = split(network)
        torch.testing.assert_close(last(*hidden(image)), whole, rtol=0, atol=1e-6)
        hidden.to(torch.bfloat16)
        reduced = last(*(each.float() for each in hidden(image.to(torch.bfloat16))))
    assert reduced.dtype == torch.float32
    # bfloat16 has 8 bits; 50 layers add up to a few percent.
    assert float((reduced - whole).norm() / whole.norm()) < 0.1


def test_a_picture_whose_sides_the_maps_cannot_halve_thrice_is_refused():
    network = build_openpose_hand()
    with pytest.raises(ValueError, match="multiples of 8"):
        network(torch.zeros(1, 3, 44, 48))


def test_any_multiple_of_8_is_taken_in_batches():
    network, _ = filled("body25")
    images = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3, 24, 40)).astype(np.float32))
    with torch.inference_mode():
        both = network(images)
        assert both.shape == (2, 78, 3, 5)
        torch.testing.assert_close(network(images[1:]), both[1:], rtol=1e-4, atol=1e-5)
