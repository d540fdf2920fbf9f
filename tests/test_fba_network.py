"""FBA's network against the golden numbers, plain and folded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from infra.preprocess.masking.fba.folding import fold
from infra.preprocess.masking.fba.network import (
    FBA,
    Bottleneck,
    StandardConv,
    build_fba,
    fused,
)
from tests import golden_recipe

# Relative. The published network's float32 differs from its float64 by 3e-5, and an order of sums by as much: group
# norms over few values and the fusion's quotient enlarge rounding.
TOLERANCE = 5e-4
TOLERANCE_OF_PARTS = 1e-4


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def network() -> FBA:
    network = build_fba()
    network.load_state_dict(golden_recipe.state_dict(golden_recipe.load("fba")))
    return network.eval().requires_grad_(False)


def given() -> tuple[torch.Tensor, ...]:
    inputs = golden_recipe.inputs(golden_recipe.load("fba"))
    return tuple(inputs[name] for name in ("image", "trimap", "image_n", "trimap_transformed"))


def errors(name: str, outputs: dict[str, torch.Tensor]) -> dict[str, float]:
    return golden_recipe.errors(golden_recipe.load(name), {key: value.numpy() for key, value in outputs.items()})


def recorded(network: nn.Module) -> dict[str, torch.Tensor]:
    """The stages that the golden file names, as they pass through the network's own forward."""
    encoder, decoder, seen = network.encoder, network.decoder, {}
    watched = {
        "layer1": encoder.layer1, "layer2": encoder.layer2, "layer3": encoder.layer3, "layer4": encoder.layer4,
        "up1": decoder.conv_up1, "up2": decoder.conv_up2, "up3": decoder.conv_up3, "raw": decoder.conv_up4,
    }  # fmt: skip
    hooks = [
        module.register_forward_hook(lambda _, given, out, name=name: seen.update({name: out.clone()}))
        for name, module in watched.items()
    ]
    hooks.append(encoder.register_forward_hook(lambda _, given, out: seen.update(conv1=out[0].clone())))
    hooks.append(decoder.conv_up1.register_forward_pre_hook(lambda _, given: seen.update(ppm=given[0].clone())))
    seen["output"] = network(*given())
    for hook in hooks:
        hook.remove()
    return seen


def test_every_stage_gives_the_golden_numbers(network):
    for each in (network, fold(copy.deepcopy(network))):
        found = errors("fba", recorded(each))
        assert max(found.values()) < TOLERANCE, found


def test_parts_give_the_golden_numbers():
    golden = golden_recipe.load("fba_parts")
    parts = nn.ModuleDict(
        {"ws": StandardConv(6, 8, 3, padding=1), "bottleneck": Bottleneck(64, 32, 128, stride=2, project=True)}
    )
    parts.load_state_dict(golden_recipe.state_dict(golden))
    inputs = golden_recipe.inputs(golden)
    for each in (parts, fold(copy.deepcopy(parts))):
        outputs = {"ws_out": each["ws"](inputs["ws_in"]), "bottleneck_out": each["bottleneck"](inputs["bottleneck_in"])}
        fusion = fused(*(inputs[name] for name in ("alpha", "img", "F", "B")))
        outputs |= dict(zip(("fused_alpha", "fused_F", "fused_B"), fusion))
        found = errors("fba_parts", outputs)
        assert max(found.values()) < TOLERANCE_OF_PARTS, found


def test_bare_network_is_its_state_dict_and_nothing_else():
    with torch.device("meta"):
        network = build_fba()
    shapes = [(key, list(value.shape)) for key, value in network.state_dict().items()]
    assert shapes == list(golden_recipe.load("fba")["state_dict"].items())  # in the checkpoints' order
    assert all(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))


@pytest.mark.parametrize("size", [(8, 8), (40, 56), (72, 24)])
def test_sizes_are_kept_and_batches_answered_like_single_pictures(network, size):
    folded = fold(copy.deepcopy(network))
    arguments = [
        torch.from_numpy(golden_recipe.uniform_input(name, (2, channels, *size), 0, 1))
        for name, channels in (("image", 3), ("trimap", 2), ("image_n", 3), ("trimap_transformed", 6))
    ]
    both = folded(*arguments)
    assert both.shape == (2, 7, *size) and 0 <= both.min() and both.max() <= 1
    alone = torch.cat([folded(*(each[i : i + 1] for each in arguments)) for i in range(2)])
    # 0.01: the recipe's network enlarges rounding, see TOLERANCE; another picture's numbers differ by 0.3.
    assert (both - alone).abs().max() < 0.01


def test_reduced_precision_fuses_in_float32(network):
    reduced = fold(copy.deepcopy(network)).to(torch.bfloat16)
    assert reduced(*given()).dtype == torch.float32
