"""TRACER's networks against the golden numbers, plain and folded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from infra.preprocess.masking.tracer_b7.attention import (
    ChannelAttention,
    FrequencyEdge,
    ObjectAttention,
    UnionAttention,
    low_frequencies,
)
from infra.preprocess.masking.tracer_b7.folding import fold
from infra.preprocess.masking.tracer_b7.network import (
    Aggregation,
    ReceptiveField,
    Tracer,
    TracerEdge,
    build_tracer_b7,
    build_tracer_te7,
)
from tests import golden_recipe

TOLERANCE = 1e-4  # relative: float32 sums in another order; 2e-6 is reached, the mistakes known are 1e-3 and more
# At the golden file's own gain of 1.38, which is meant for its 64 x 96, larger maps grow past all measure: their
# logits come to a thousand, and rounding decides about channels that are dropped.
MILD_GAIN = 1.25


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


def filled(module: nn.Module, golden: dict) -> nn.Module:
    module.load_state_dict(golden_recipe.state_dict(golden), strict=True)
    return module.eval().requires_grad_(False)


def assert_close(golden: dict, outputs: dict[str, torch.Tensor]) -> None:
    errors = golden_recipe.errors(golden, {name: value.numpy() for name, value in outputs.items()})
    assert max(errors.values()) < TOLERANCE, errors


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    return filled(build_tracer_b7(), golden_recipe.load("tracer"))


@pytest.fixture(scope="module")
def mild() -> tuple[Tracer, nn.Module]:
    """A plain network and the same one folded."""
    plain = filled(build_tracer_b7(), golden_recipe.load("tracer") | {"gain": MILD_GAIN})
    return plain, fold(copy.deepcopy(plain))


def stages(network: nn.Module, image: torch.Tensor) -> dict[str, torch.Tensor]:
    features, _ = network.encoder(image)
    named = {f"feature{i}": each for i, each in enumerate(features)}
    fields = {f"rfb{i}": getattr(network, f"rfb{i}")(features[i - 1]) for i in (2, 3, 4)}
    maps = network.decoded(features)._asdict()
    return {"stem": network.encoder.stem(image)} | named | fields | maps | {"mask": network(image)}


def test_every_stage_gives_the_golden_numbers(tracer):
    golden = golden_recipe.load("tracer")
    assert_close(golden, stages(tracer, golden_recipe.inputs(golden)["image"]))


def test_folded_network_gives_the_golden_numbers(tracer):
    golden = golden_recipe.load("tracer")
    assert_close(golden, stages(fold(copy.deepcopy(tracer)), golden_recipe.inputs(golden)["image"]))


def test_blocks_of_every_padding_give_the_golden_numbers():
    golden = golden_recipe.load("tracer_blocks")
    blocks = build_tracer_b7().encoder._blocks
    chosen = filled(nn.ModuleDict({each["name"]: blocks[int(each["name"][5:])] for each in golden["inputs"]}), golden)
    assert_close(golden, {name: chosen[name](x) for name, x in golden_recipe.inputs(golden).items()})
    folded = fold(chosen)
    assert_close(golden, {name: folded[name](x) for name, x in golden_recipe.inputs(golden).items()})


def test_parts_of_the_decoder_give_the_golden_numbers():
    golden = golden_recipe.load("tracer_decoder")
    parts = {
        "rfb": ReceptiveField(80, 32), "agg": Aggregation(), "UAM": UnionAttention(64), "oa": ObjectAttention(48),
    }  # fmt: skip
    parts = filled(nn.ModuleDict(parts), golden)
    given = golden_recipe.inputs(golden)
    union, x = parts["UAM"], given["uam_in"]
    outputs = {
        "rfb_out": parts["rfb"](given["rfb_in"]),
        "agg_out": parts["agg"](given["agg_e4"], given["agg_e3"], given["agg_e2"]),
        "uam_channel_out": ChannelAttention.forward(union, x),
        "uam_attention": union.attention(x),
        "uam_masked": union.masked(x),
        "uam_out": union(x),
        "oa_out": parts["oa"](given["oa_map"], given["oa_feature"]),
    }
    assert_close(golden, outputs)


def test_edge_module_gives_the_golden_numbers():
    golden = golden_recipe.load("tracer_edge")
    module = filled(FrequencyEdge(48, radius=4), golden)  # the map is small
    x = golden_recipe.inputs(golden)["x"]
    high = module.high_frequencies(x)
    y, edge = module(x)
    mask = low_frequencies(*x.shape[-2:], 4, x.device).float()
    assert_close(
        golden, {"radial_mask": mask, "high_frequency": high, "traced": module.UAM(high), "y": y, "edge": edge}
    )


def test_release_with_edges_gives_the_golden_numbers():
    golden = golden_recipe.load("tracer_te7")
    network = filled(build_tracer_te7(), golden)
    for each in (network, fold(network)):
        traced = each(golden_recipe.inputs(golden)["image"])
        stages = {f"ds{i}": stage for i, stage in enumerate(traced.stages)}
        assert_close(golden, {"mask": traced.mask, "edge": traced.edge} | stages)


@pytest.mark.parametrize(
    ("name", "build", "kind"), [("tracer", build_tracer_b7, Tracer), ("tracer_te7", build_tracer_te7, TracerEdge)]
)
def test_bare_network_is_its_state_dict_and_nothing_else(name, build, kind):
    with torch.device("meta"):
        network = build()
    assert isinstance(network, kind)
    shapes = [(key, list(value.shape)) for key, value in network.state_dict().items()]
    assert shapes == list(golden_recipe.load(name)["state_dict"].items())  # in the checkpoints' order
    held = [*network.parameters(), *network.buffers()]
    assert len(held) == len(shapes) and all(tensor.is_meta for tensor in held)


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (2, 3, 96, 160), (1, 3, 224, 64)])
def test_folding_changes_nothing_but_rounding(mild, shape):
    plain, folded = mild
    image = torch.from_numpy(golden_recipe.uniform_input("image", shape, -2.1, 2.6))
    difference = (plain(image) - folded(image.contiguous(memory_format=torch.channels_last))).abs().max()
    assert difference < 1e-5


def test_a_batch_is_answered_like_its_pictures_alone(mild):
    _, folded = mild
    images = torch.from_numpy(golden_recipe.uniform_input("image", (3, 3, 64, 96), -2.1, 2.6))
    alone = torch.cat([folded(image[None]) for image in images])
    assert (folded(images) - alone).abs().max() < 1e-5


def test_no_norm_and_no_uneven_padding_is_left_in_the_encoder(mild):
    _, folded = mild
    kinds = {type(each) for each in folded.encoder.modules()}
    assert nn.BatchNorm2d not in kinds
    assert nn.Conv2d in kinds and not any("Padded" in kind.__name__ for kind in kinds)


def test_reduced_precision_stays_near(mild):
    plain, folded = mild
    image = torch.from_numpy(golden_recipe.uniform_input("image", (1, 3, 96, 96), -2.1, 2.6))
    reduced = copy.deepcopy(folded).to(torch.bfloat16)(image.to(torch.bfloat16))
    assert reduced.dtype == torch.float32
    # bfloat16 keeps 8 bits; with random weights the error grows over 55 blocks, yet most of the mask is the same.
    assert (reduced - plain(image)).abs().mean() < 0.05


@pytest.mark.slow
def test_folding_changes_nothing_at_the_published_size(mild):
    plain, folded = mild
    image = torch.from_numpy(golden_recipe.uniform_input("image", (1, 3, 640, 640), -2.1, 2.6))
    assert (plain(image) - folded(image)).abs().max() < 1e-5
