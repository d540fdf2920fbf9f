"""What the catalogue says of each checkpoint's names, held against the golden names and shapes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from infra.weights.catalogue import CHECKPOINTS, entry_of
from infra.weights.importing import wanted_by
from infra.weights.names import Match, match
from infra.weights.readers import Stored
from tests import golden_recipe
from tests.weights_checkpoints import GOLDEN


@pytest.mark.parametrize("id", GOLDEN)
def test_every_network_has_the_published_names_and_shapes(id: str) -> None:
    wanted = {name: list(entry.shape) for name, entry in wanted_by(entry_of(id)).items()}
    assert wanted == golden_recipe.load(GOLDEN[id])["state_dict"]


def test_every_checkpoint_of_the_catalogue_is_held_against_golden_names() -> None:
    assert {each.id for each in CHECKPOINTS} == set(GOLDEN)


def published(id: str) -> dict[str, Stored]:
    """The golden names and shapes, as a reader gives them; nothing is ever read of them."""
    shapes = golden_recipe.load(GOLDEN[id])["state_dict"]
    counters = {name for name in shapes if name.endswith("num_batches_tracked")}
    return {name: stored(shape, "int64" if name in counters else "float32") for name, shape in shapes.items()}


def stored(shape: list[int], dtype: str = "float32", values: object = None) -> Stored:
    return Stored(tuple(shape), dtype, lambda: np.float32(values))


def matched(id: str, tensors: Mapping[str, Stored], drops_unknown: bool = False) -> Match:
    made = entry_of(id)
    return match(tensors, wanted_by(made), made.names, drops_unknown)


@pytest.mark.parametrize("id", GOLDEN)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_published_names_are_accepted_bare_and_as_data_parallel_saves_them(id: str, prefix: str) -> None:
    found = matched(id, {prefix + name: tensor for name, tensor in published(id).items()})
    assert not found.faults and not found.left_out and not found.filled


@pytest.mark.parametrize("id", GOLDEN)
def test_one_wrong_name_is_told_of_every_checkpoint(id: str) -> None:
    tensors = published(id)
    name = next(iter(tensors))
    tensors[f"other.{name}"] = tensors.pop(name)
    assert matched(id, tensors).faults == [f"1 missing: {name}", f"1 unknown to the network: other.{name}"]


@pytest.mark.parametrize("id", ["schp_cihp", "schp_lip", "schp_atr", "schp_pascal"])
def test_the_first_public_form_of_schp_is_accepted(id: str) -> None:
    """Flat, with counters, and the norms before a leaky ReLU one level deeper."""
    tensors, ours = {}, published(id)
    for name, tensor in ours.items():
        layer, _, leaf = name.rpartition(".")
        norm = f"{layer}.running_mean" in ours
        deeper = norm and layer.startswith(("context_encoding", "decoder", "edge", "fushion"))
        tensors[f"module.{layer}.bn.{leaf}" if deeper else f"module.{name}"] = tensor
        if leaf == "running_mean":
            tensors[f"module.{layer}{'.bn' if deeper else ''}.num_batches_tracked"] = stored([], "int64")
    assert "module.context_encoding.stages.0.2.bn.weight" in tensors and "module.bn1.weight" in tensors
    found = matched(id, tensors)
    assert not found.faults and len(found.left_out) == 119


def test_the_edge_module_that_tracer_b7_does_not_have_is_left_out_and_told() -> None:
    extra = {f"encoder.Frequency_Edge_Module1.{name}": stored([1]) for name in ("conv.weight", "bn.bias")}
    found = matched("tracer_b7", {**published("tracer_b7"), **extra})
    assert not found.faults and found.left_out == list(extra)


def test_the_authors_own_tracer_is_refused_by_name() -> None:
    theirs = {name.replace("encoder.", "module.model.", 1): tensor for name, tensor in published("tracer_b7").items()}
    assert "the authors' own TRACER" in matched("tracer_b7", theirs).faults[0]


def test_the_ports_own_names_are_accepted() -> None:
    ours = published("openpose_coco")
    theirs = {f"model{1 + number % 3}_1.{name}": tensor for number, (name, tensor) in enumerate(ours.items())}
    assert not matched("openpose_coco", theirs).faults
    theirs = {f"model0.{name}": tensor for name, tensor in published("openpose_hand").items()}
    assert not matched("openpose_hand", theirs).faults


def test_layers_that_openpose_lacks_are_left_out_of_a_caffe_model_alone() -> None:
    tensors = {**published("openpose_hand"), "loss.weight": stored([3])}
    assert matched("openpose_hand", tensors, drops_unknown=True).left_out == ["loss.weight"]
    assert matched("openpose_hand", tensors).faults == ["1 unknown to the network: loss.weight"]


def test_what_older_detectron2_files_carry_is_left_out() -> None:
    anchors = {f"proposal_generator.anchor_generator.cell_anchors.{level}": stored([3, 4]) for level in range(5)}
    mean = stored([3, 1, 1], values=[[[103.53]], [[116.28]], [[123.675]]])
    constants = {"pixel_mean": mean, "pixel_std": stored([3, 1, 1], values=[1, 1, 1])}
    found = matched("densepose_rcnn_r50_fpn_s1x", {**published("densepose_rcnn_r50_fpn_s1x"), **anchors, **constants})
    assert not found.faults and len(found.left_out) == 7


def test_another_normalisation_than_the_networks_is_refused() -> None:
    other = {"pixel_std": stored([3, 1, 1], values=[57.375, 57.12, 58.395])}
    found = matched("densepose_rcnn_r50_fpn_s1x", {**published("densepose_rcnn_r50_fpn_s1x"), **other})
    assert found.faults == ["1 unknown to the network: pixel_std"]


def test_frozen_norms_without_statistics_get_those_that_change_nothing() -> None:
    id = "densepose_rcnn_r50_fpn_s1x"
    tensors = {name: tensor for name, tensor in published(id).items() if ".running_" not in name}
    found = matched(id, tensors)
    assert not found.faults and set(found.filled.values()) == {0.0, 1.0}
    assert found.filled["backbone.bottom_up.stem.conv1.norm.running_var"] == 1.0


def test_another_densepose_model_is_named() -> None:
    id = "densepose_rcnn_r50_fpn_s1x"
    extra = {"roi_heads.densepose_predictor.sigma_2_lowres.weight": stored([512, 25, 4, 4])}
    assert "estimates confidences" in matched(id, {**published(id), **extra}).faults[0]


def test_a_constant_in_a_type_that_numpy_lacks_is_not_read() -> None:
    names = published("densepose_rcnn_r50_fpn_s1x")
    odd = Stored((3,), "float8_e4m3fn", lambda: pytest.fail("it was read"))
    assert matched("densepose_rcnn_r50_fpn_s1x", {**names, "pixel_mean": odd}).faults
