from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from infra.preprocess.human_parser.schp import network as schp
from infra.preprocess.human_parser.schp.folding import FoldedSchp, fold
from tests import golden_recipe

WHOLE = ("schp_lip", "schp_atr", "schp_pascal")
LEAST_EXACT = 1e-4  # relative error; a faithful network is below 1e-6, and a plain batch norm at 2e-4
FOLDED = 1e-5  # of the largest logit; folding reorders float32 sums, which costs about 2e-6


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def filled(module: nn.Module, golden: dict) -> nn.Module:
    module.load_state_dict(golden_recipe.state_dict(golden), strict=True, assign=True)
    return module.eval().requires_grad_(False)


def bare(name: str) -> schp.AugmentedCe2p:
    with torch.device("meta"):
        module = getattr(schp, f"build_{name}")()
    return filled(module, golden_recipe.load(name))


@pytest.fixture(scope="module")
def lip() -> schp.AugmentedCe2p:
    return bare("schp_lip")


@pytest.fixture(scope="module")
def folded(lip: schp.AugmentedCe2p) -> FoldedSchp:
    return fold(lip)


def assert_golden(golden: dict, outputs: dict[str, torch.Tensor]) -> None:
    """The samples, and the moments, which cover every value."""
    assert {name: error for name, error in golden_recipe.errors(golden, outputs).items() if error > LEAST_EXACT} == {}
    for expected in golden["outputs"]:
        values = outputs[expected["name"]].double()
        tolerance = 1e-5 * expected["absmax"]
        assert float(values.mean()) == pytest.approx(expected["mean"], abs=tolerance)
        assert float(values.std(correction=0)) == pytest.approx(expected["std"], abs=tolerance)


@pytest.mark.parametrize("name", ["schp_cihp", *WHOLE])
def test_names_and_shapes_are_the_published_ones(name: str):
    with torch.device("meta"):
        built = getattr(schp, f"build_{name}")()
    published = golden_recipe.load("schp_lip" if name == "schp_cihp" else name)["state_dict"]
    assert [(key, list(value.shape)) for key, value in built.state_dict().items()] == list(published.items())
    assert len(published) == 603


def test_every_stage_of_the_lip_network(lip: schp.AugmentedCe2p):
    golden = golden_recipe.load("schp_lip")
    outputs: dict[str, torch.Tensor] = {}

    def kept(name: str, part: Callable = lambda out: out) -> Callable:
        return lambda module, args, out: outputs.__setitem__(name, part(out))

    hooks = [getattr(lip, name).register_forward_hook(kept(name)) for name in ("layer1", "layer2", "layer3", "layer4")]
    hooks += [
        lip.layer1.register_forward_pre_hook(lambda module, args: outputs.__setitem__("stem", args[0])),
        lip.context_encoding.register_forward_hook(kept("context")),
        lip.decoder.register_forward_hook(kept("decoder_features", lambda out: out[1])),
        lip.edge.register_forward_hook(kept("edge_features", lambda out: out[1])),
    ]
    outputs |= zip(("parsing", "fusion", "edge"), lip(golden_recipe.inputs(golden)["image"]))
    for hook in hooks:
        hook.remove()
    assert_golden(golden, outputs)


@pytest.mark.parametrize("name", WHOLE[1:])
def test_the_other_class_counts(name: str):
    golden = golden_recipe.load(name)
    network = bare(name)
    image = golden_recipe.inputs(golden)["image"]
    outputs = dict(zip(("parsing", "fusion", "edge"), network(image)))
    assert_golden(golden, outputs)
    difference = (fold(network)(image) - outputs["fusion"]).abs().max() / outputs["fusion"].abs().max()
    assert difference < FOLDED


def blocks() -> dict[str, tuple[nn.Module, Callable[[nn.Module, dict], dict]]]:
    def y(module: nn.Module, inputs: dict) -> dict:
        return {"y": module(inputs["x"])}

    def context(module: schp.PyramidPooling, inputs: dict) -> dict:
        x = inputs["x"]
        return y(module, inputs) | {"stage0": module.stages[0](x), "stage3": module.stages[3](x)}

    def decoder(module: schp.Decoder, inputs: dict) -> dict:
        return dict(zip(("parsing", "features"), module(inputs["context"], inputs["low"])))

    def edge(module: schp.EdgeHead, inputs: dict) -> dict:
        return dict(zip(("edge", "features"), module(inputs["x1"], inputs["x2"], inputs["x3"])))

    return {
        "schp_block_stride": (schp.build_schp_lip().layer2[0], y),
        "schp_block_dilated": (schp.build_schp_lip().layer4[0], y),
        "schp_context": (schp.PyramidPooling(), context),
        "schp_decoder": (schp.Decoder(20), decoder),
        "schp_edge": (schp.EdgeHead(), edge),
        "schp_fusion": (schp.build_schp_lip().fushion, y),
    }


@pytest.mark.parametrize("name", [
    "schp_block_stride", "schp_block_dilated", "schp_context", "schp_decoder", "schp_edge", "schp_fusion",
])  # fmt: skip
def test_block(name: str):
    golden = golden_recipe.load(name)
    with torch.device("meta"):
        module, run = blocks()[name]
    assert_golden(golden, run(filled(module, golden), golden_recipe.inputs(golden)))


@pytest.mark.parametrize("leaky", [True, False])
def test_norm_with_negative_and_zero_scales(leaky: bool):
    golden = golden_recipe.load("schp_abn")
    norm = schp.ActivatedNorm(len(golden["state_dict"]["weight"]), leaky=leaky)
    norm.load_state_dict({name: torch.tensor(values) for name, values in golden["state_dict"].items()})
    given = golden["x"]
    x = golden_recipe.uniform_input(given["name"], tuple(given["shape"]), given["low"], given["high"], golden["seed"])
    expected = torch.tensor(golden["outputs"]["leaky_relu" if leaky else "none"])
    assert ((norm(torch.from_numpy(x)) - expected).abs() <= 1e-5 * (1 + expected.abs())).all()


@pytest.mark.parametrize("size", [(97, 81), (33, 120), (100, 17), (1, 1)])
def test_folded_network_computes_the_same_at_any_size(lip: schp.AugmentedCe2p, folded: FoldedSchp, size):
    picture = torch.from_numpy(golden_recipe.uniform_input(f"picture{size}", (2, 3, *size), -2, 2.5))
    fusion = lip(picture)[1]
    difference = (folded(picture) - fusion).abs().max() / fusion.abs().max()
    assert difference < FOLDED


def test_folding_leaves_the_bare_network_alone(lip: schp.AugmentedCe2p, folded: FoldedSchp):
    golden = golden_recipe.load("schp_lip")
    assert {key: list(value.shape) for key, value in lip.state_dict().items()} == golden["state_dict"]
    assert golden_recipe.errors(golden | {"outputs": [o for o in golden["outputs"] if o["name"] == "fusion"]}, {
        "fusion": lip(golden_recipe.inputs(golden)["image"])[1],
    })["fusion"] < LEAST_EXACT  # fmt: skip
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_folding_saves_an_eighth_of_the_work():
    """Counted without computing: dead heads, convolutions before enlarging and the pyramid's pooled maps."""
    with torch.device("meta"):
        plain, picture = schp.build_schp_lip().eval(), torch.empty(1, 3, 473, 473)
    work = []
    for network in (plain, fold(plain).to("meta")):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(picture)
        work.append(counter.get_total_flops() / 2)
    assert work[0] == pytest.approx(76.5e9, rel=0.01)  # multiplications, as published for this size
    assert work[1] < 0.875 * work[0]


def test_labels_hang_on_float32_whatever_the_trunk_runs_in(lip: schp.AugmentedCe2p):
    network = fold(lip)
    picture = torch.from_numpy(golden_recipe.uniform_input("half", (1, 3, 97, 81), -2, 2.5))
    exact = network(picture)
    network.trunk.to(torch.bfloat16)
    logits = network(picture.to(torch.bfloat16))
    assert logits.dtype == network.classifier.weight.dtype == torch.float32
    assert (logits - exact).norm() / exact.norm() < 0.03  # 0.009 is what bfloat16 costs at the published size
