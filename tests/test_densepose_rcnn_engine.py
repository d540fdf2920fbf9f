"""DensePose R-CNN from pictures to body surfaces: golden numbers, batches, and whom it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from infra.preprocess.densepose import parts
from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.preprocess.densepose.rcnn.boxes import pyramid_anchors, rescaled
from infra.preprocess.densepose.rcnn.charts import charts_in_box, iuv_picture, pixel_box
from infra.preprocess.densepose.rcnn.engine import WEIGHTS, DensePoseRcnn
from infra.preprocess.densepose.rcnn.inference import Inference
from infra.preprocess.densepose.rcnn.proposals import propose
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.engine import EngineError
from infra.serving.settings import Settings
from infra.serving.torch_runtime import TorchRuntime
from tests.golden_recipe import error, load, sample_indices, state_dict, uniform_input

GOLDEN = load("densepose")
SETTINGS = GOLDEN["settings"]
WHOLE = SETTINGS["whole"]
SUMMARIES = {each["name"]: each for each in GOLDEN["outputs"]}
BLOCK, END_TO_END = 1e-4, 1e-3  # relative; charts at the end have every stage's rounding in them


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory) -> Path:
    """The recipe's parameters, scaled so that three persons are seen in the golden picture."""
    tensors = state_dict(GOLDEN)
    for name, scale in SETTINGS["scale"].items():
        tensors[name] *= scale
    for name, shift in SETTINGS["shift"].items():
        tensors[name] += torch.tensor(shift)
    path = tmp_path_factory.mktemp("weights") / f"{WEIGHTS}.safetensors"
    save_file(tensors, path)
    return path


def small(**settings) -> Settings:
    """Settings for pictures as small as the golden one is resized, which is smaller than any user may ask for."""
    made = Settings(_env_file=None, device="cpu")
    return made.model_copy(update={"densepose_short_side": SETTINGS["min_size_test"], **settings})


def loaded(weights_file: Path, **settings) -> DensePoseRcnn:
    engine = DensePoseRcnn.configured(small(**settings))
    engine.load(lambda id: {WEIGHTS: weights_file}[id], 1)
    engine.inference.long_side = SETTINGS["max_size_test"]  # which need not be in the published proportion
    return engine


@pytest.fixture(scope="module")
def engine(weights_file) -> DensePoseRcnn:
    return loaded(weights_file)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """RGB."""
    small = np.floor(uniform_input("image", SETTINGS["image"]["small_shape"], 0, 256, GOLDEN["seed"]))
    times = SETTINGS["image"]["repeat"]
    return np.ascontiguousarray(small.astype(np.uint8).repeat(times, 0).repeat(times, 1)[..., ::-1])


def pose_in(box: list[float]) -> Pose:
    """Somebody whose key points lie all over a box (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = box
    people = np.zeros((1, 25, 3), np.float32)
    at = np.random.default_rng(0).uniform(0.02, 0.98, (25, 2))
    people[0] = np.column_stack([x1 + at[:, 0] * (x2 - x1), y1 + at[:, 1] * (y2 - y1), np.full(25, 0.8)])
    return Pose(people, np.zeros((1, 2, 21, 3), np.float32), "front")


def beside(picture: np.ndarray) -> Pose:
    """Somebody right of the picture, whom no box holds."""
    width = picture.shape[1]
    return pose_in([width + 5, 0, width + 25, 40])


def assert_like(name: str, values, tolerance: float) -> None:
    assert error(SUMMARIES[name], np.asarray(values)) <= tolerance, name


def test_the_long_side_follows_the_short_one():
    cpu = torch.device("cpu")
    sides = [Inference(torch.nn.Module(), cpu, torch.float32, short_side=side).long_side for side in (800, 400)]
    assert sides == [1333, 666]


@torch.inference_mode()
def test_golden_picture(engine, picture):
    inference: Inference = engine.inference
    count = SETTINGS["expected_detections"]
    (group,) = inference.pre([DensePoseInput(picture)])
    pyramid, found = inference.detections(group)
    assert_like("tensor", group.pictures, 1e-6)
    for level, features in enumerate(pyramid, start=2):
        assert_like(f"p{level}", features, BLOCK)
    assert torch.isfinite(found.scores).sum() == count
    raw, scores = found.boxes[0, :count], found.scores[0, :count]
    np.testing.assert_allclose(scores, WHOLE["scores"], rtol=1e-4)
    np.testing.assert_allclose(raw, WHOLE["raw_boxes"], rtol=1e-4, atol=1e-2)
    assert_like("raw_boxes", raw, BLOCK)
    boxes, visible = rescaled(raw, group.sizes[0], group.photo_sizes[0])
    assert visible.all()
    assert_like("boxes", boxes, BLOCK)
    assert [list(pixel_box(box)) for box in boxes] == WHOLE["int_boxes_xywh"]

    charts = inference.charts(inference.decoded_under(pyramid[:4], [0] * count, raw))
    for name, some in zip(("coarse_segm", "fine_segm", "u", "v"), charts.split([2, 25, 25, 25], 1)):
        assert_like(name, some, END_TO_END)
    everybody, black = parts.grey(picture), np.zeros_like(picture)
    for index, box in enumerate(boxes):
        labels, uv = charts_in_box(charts[index], *(max(side, 1) for side in pixel_box(box)[2:]))
        assert_like(f"uv_{index}", uv, END_TO_END)
        counts = np.bincount(labels.flatten(), minlength=25)
        # Where the two best parts of a pixel are within a float's rounding, either may win: so in one of the last.
        assert np.abs(counts - WHOLE["label_counts"][index]).sum() <= 2
        iuv = iuv_picture(charts[index], box, picture.shape[:2]).numpy()
        everybody, black = parts.overlay(everybody, iuv), parts.overlay(black, iuv, alpha=1)
    assert_like("show_dp_segm_default_bgr", everybody[..., ::-1], END_TO_END)
    assert_like("segm_black_bgr", black[..., ::-1], END_TO_END)


@torch.inference_mode()
def test_golden_proposals(engine, picture):
    """All of them, in their order, but for neighbours whose logits are equal to a float's rounding."""
    (group,) = engine.inference.pre([DensePoseInput(picture)])
    network = engine.inference.network
    _, hidden = network.trunk(group.pictures)
    anchors = pyramid_anchors(*group.pictures.shape[2:], torch.device("cpu"))
    found = propose(*zip(*map(network.rpn_predictor, hidden)), anchors, torch.tensor(group.sizes))
    there = torch.isfinite(found.scores)
    assert there.sum() == WHOLE["proposal_count"]
    boxes, logits = found.boxes[there].numpy(), found.scores[there].numpy()
    assert_like("proposal_logits", logits, BLOCK)
    recorded = SUMMARIES["proposals"]
    assert recorded["shape"] == list(boxes.shape)
    rows, columns = np.divmod(sample_indices("proposals", boxes.size, len(recorded["samples"])), 4)
    near = np.abs(logits[:, None] - logits[rows]) < BLOCK
    apart = np.abs(boxes[:, columns] - recorded["samples"])
    assert np.where(near, apart, np.inf).min(0).max() < BLOCK * boxes.max()


def test_the_surest_is_drawn_where_no_pose_says_whom(engine, picture):
    (result,) = engine.run([DensePoseInput(picture)])
    assert result.iuv.dtype == np.uint8 and result.iuv.flags.c_contiguous
    assert_like("labels_canvas", result.iuv[..., 0], END_TO_END)
    assert_like("iuv_canvas", result.iuv, END_TO_END)


@pytest.mark.parametrize("index", range(SETTINGS["expected_detections"]))
def test_the_person_of_the_pose_is_drawn(engine, picture, index):
    (result,) = engine.run([DensePoseInput(picture, pose_in(WHOLE["boxes"][index]))])
    x, y, width, height = WHOLE["int_boxes_xywh"][index]
    inside = result.iuv[y : y + height, x : x + width, 0]
    assert np.abs(np.bincount(inside.ravel(), minlength=25) - WHOLE["label_counts"][index]).sum() <= 2
    assert np.count_nonzero(result.iuv[..., 0]) == np.count_nonzero(inside)


def test_a_pose_of_somebody_unseen_is_nobody(engine, picture):
    (result,) = engine.run([DensePoseInput(picture, beside(picture))])
    assert isinstance(result, EngineError) and result.code == "no_person" and "pose" in result.detail


def test_nobody_seen(weights_file, picture):
    engine = loaded(weights_file)
    with torch.no_grad():
        engine.inference.network.box_predictor.bias[0] -= 5  # nobody reaches 0.8
    results = engine.run([DensePoseInput(picture), DensePoseInput(picture, pose_in(WHOLE["boxes"][0]))])
    assert [each.code for each in results] == ["no_person"] * 2
    assert "0.8" in results[0].detail


@pytest.mark.slow
def test_a_batch_of_several_sizes_equals_its_pictures_alone(engine, picture):
    wide = np.ascontiguousarray(picture[40:130].transpose(1, 0, 2))
    batch = [
        DensePoseInput(picture, pose_in(WHOLE["boxes"][-1])),
        DensePoseInput(wide),
        DensePoseInput(picture, beside(picture)),  # nobody, in between
        DensePoseInput(picture, pose_in(WHOLE["boxes"][0])),
    ]
    together = engine.run(batch)
    drawn = 0
    for item, result in zip(batch, together):
        (alone,) = engine.run([item])
        assert type(alone) is type(result)
        if isinstance(result, DensePose):
            drawn += 1
            assert result.iuv.shape == item.picture.shape
            # batches are multiplied in another order: a border pixel may go to its neighbour, u and v be one off
            assert (alone.iuv[..., 0] == result.iuv[..., 0]).mean() > 0.999
            assert (np.abs(alone.iuv.astype(int) - result.iuv) <= 1).mean() > 0.998
    assert drawn >= 2 and isinstance(together[2], EngineError)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (37, 200)])
def test_tiny_and_flat_pictures_get_an_answer(engine, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    (result,) = engine.run([DensePoseInput(picture)])
    if isinstance(result, EngineError):
        assert result.code == "no_person"
    else:
        assert result.iuv.shape == picture.shape and result.iuv[..., 0].max() <= 24


def test_fewer_proposals(weights_file, picture):
    """A setting that trades people for time: fewer boxes reach the box head."""
    engine = loaded(weights_file, densepose_proposals=7)
    seen = []
    engine.inference.network.box_head.register_forward_hook(lambda module, given, out: seen.append(len(out)))
    engine.run([DensePoseInput(picture)])
    assert seen == [7]


def test_warming_up_runs_every_layer(weights_file):
    engine = loaded(weights_file)
    ran = set()
    for name, module in engine.inference.network.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: ran.add(name))
    engine.warm_up()
    assert engine.max_batch == 1
    modules = engine.inference.network.named_modules()
    layers = {name for name, module in modules if list(module.parameters(recurse=False))}
    assert layers <= ran
    assert engine.inference.sure == 0.8


def test_half_precision_keeps_boxes_and_labels_in_float32(weights_file, picture):
    """bfloat16 on the CPU: slow, but what a GPU does by default. Detections stay where they are."""
    engine = loaded(weights_file, dtype="bfloat16")
    network = engine.inference.network
    assert network.decoder.predictor.weight.dtype == network.box_head.fc1.weight.dtype == torch.bfloat16
    for part in network.EXACT:
        assert {p.dtype for p in getattr(network, part).parameters()} == {torch.float32}
    with torch.inference_mode():
        (group,) = engine.inference.pre([DensePoseInput(picture)])
        _, found = engine.inference.detections(group)
    assert found.boxes.dtype == torch.float32
    np.testing.assert_allclose(found.scores[0, 0], WHOLE["scores"][0], atol=0.05)
    (result,) = engine.run([DensePoseInput(picture)])
    assert isinstance(result, DensePose)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_a_gpu_draws_the_same(weights_file, picture, dtype):
    settings = small(device="cuda", dtype=dtype)
    engine = DensePoseRcnn.configured(settings)
    engine.load(lambda id: weights_file, 1)
    (result,) = engine.run([DensePoseInput(picture)])
    assert (error(SUMMARIES["labels_canvas"], result.iuv[..., 0]) < END_TO_END) or dtype == "auto"
    assert TorchRuntime.configured(settings, 1).device.type == "cuda"
