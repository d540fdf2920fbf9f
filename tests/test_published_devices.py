"""Published networks on a device that is not the CPU, and in half precision, as far as that shows without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from infra import engines
from infra.preprocess.densepose.densepose import DensePoseInput
from infra.preprocess.human_parser.parse import ParseInput
from infra.preprocess.masking.mask import MaskInput
from infra.preprocess.pose_estimation.openpose.hands import HandInput
from infra.serving.engine import WeightsPath
from infra.serving.settings import Settings
from infra.serving.torch_runtime import TorchRuntime
from infra.weights.catalogue import CHECKPOINTS, build_network

Loaded = Callable[[str, str], Any]
PICTURE = np.full((512, 384, 3), 128, np.uint8)
IDS = {checkpoint.id for checkpoint in CHECKPOINTS}

PARTS: dict[str, tuple[str, str, str, Callable[[], Any], tuple[int, ...]]] = {
    "tracer_b7": ("masking", "tracer_b7", "salience", lambda: MaskInput(PICTURE), (2, 640, 640)),
    "schp": ("human_parser", "schp", "parser", lambda: ParseInput(PICTURE), (2, 20, 119, 119)),
    "openpose bodies": ("pose_estimation", "openpose", "bodies", lambda: PICTURE, (2, 78, 46, 34)),
    "openpose hands": (
        "pose_estimation", "openpose", "hands", lambda: HandInput(PICTURE, np.array([100.0, 100, 200]), 0), (2, 21, 3),
    ),
}  # fmt: skip


@pytest.fixture(params=[torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, weights: WeightsPath) -> Loaded:
    """Engines on torch's `meta` device, which computes shapes alone, and refuses tensors of other devices beside its
    own, as it refuses other types."""

    def opened(self: TorchRuntime, id: str, weights: WeightsPath) -> torch.nn.Module:
        with torch.device("meta"):
            return build_network(id).eval().requires_grad_(False)

    runtime = TorchRuntime(torch.device("meta"), request.param)
    monkeypatch.setattr(TorchRuntime, "open", opened)
    monkeypatch.setattr(TorchRuntime, "configured", lambda settings, threads: runtime)

    def loaded(service: str, name: str) -> Any:
        engine = engines.make(service, name, Settings(_env_file=None))
        engine.load(lambda id: Path(id) if id in IDS else weights(id), threads=1)
        return engine

    return loaded


@pytest.mark.parametrize("part", PARTS)
def test_no_step_mixes_devices_or_precisions(elsewhere: Loaded, part: str):
    service, name, attribute, item, shape = PARTS[part]
    step = getattr(elsewhere(service, name), attribute)
    with torch.inference_mode():
        raw = step.infer(step.pre([item(), item()]))
    values = raw[0].values if isinstance(raw, list) else raw
    assert values.device.type == "meta" and values.dtype == torch.float32 and tuple(values.shape) == shape


def test_no_layer_of_densepose_mixes_them(elsewhere: Loaded):
    """Which boxes there are hangs on values, which `meta` has not: its layers are run by themselves."""
    inference = elsewhere("densepose", "densepose_rcnn").inference
    network = inference.network
    with torch.inference_mode():
        (group,) = inference.pre([DensePoseInput(PICTURE)])
        pyramid, hidden = network.trunk(group.pictures)
        logits, deltas = zip(*(network.rpn_predictor(level) for level in hidden))
        boxes = network.box_predictor(network.box_head(pyramid[0].new_empty(5, 256, 7, 7)))
        decoded = network.decoder(pyramid[:4])
        charts = inference.charts(decoded.new_empty(2, 256, 28, 28))
    for exact in (*logits, *deltas, *boxes, charts):
        assert exact.device.type == "meta" and exact.dtype == torch.float32
    assert tuple(charts.shape) == (2, 77, 112, 112) and decoded.dtype == inference.dtype
