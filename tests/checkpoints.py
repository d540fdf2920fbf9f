"""Made-up checkpoints of the published networks, in real size and form, for tests and benchmarks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from infra.weights import tensor_file
from infra.weights.catalogue import CHECKPOINTS
from infra.weights.importing import wanted_by
from tests.golden_recipe import parameter

# What keeps activations of made-up networks in a sensible range
GAINS = {"tracer_b7": 1.2, "fba": 1.5, "openpose_body_25": 1.0, "openpose_coco": 1.4142, "openpose_hand": 1.4142}
OTHER_GAIN = 1.1
# DensePose: for pixels from 0 to 255
SCALE = {
    "densepose_rcnn_r50_fpn_s1x": {
        "backbone.bottom_up.stem.conv1.weight": 0.01,
        "proposal_generator.rpn_head.anchor_deltas.weight": 0.3,
        "roi_heads.box_predictor.cls_score.weight": 3.0,
    }
}
# Somebody is seen in some of DensePose's thousand places, and OpenPose's maps are not noise all over
SHIFT = {
    "densepose_rcnn_r50_fpn_s1x": {"roi_heads.box_predictor.cls_score.bias": (6.0, 0.0)},
    "openpose_body_25": {"Mconv7_stage1_L1.bias": (-0.7,)},
    "openpose_coco": {"Mconv7_stage6_L2.bias": (-1.5,)},
}

_BY_ID = {checkpoint.id: checkpoint for checkpoint in CHECKPOINTS}


def made_up(id: str, folder: Path, seed: int = 0, shift: Mapping[str, tuple[float, ...]] | None = None) -> Path:
    """The weights folder's file of a checkpoint, filled by the recipe; `shift` is added to the named tensors."""
    checkpoint = _BY_ID[id]
    wanted = wanted_by(checkpoint)
    scales, shifts = SCALE.get(id, {}), SHIFT.get(id, {}) | dict(shift or {})

    def values(name: str) -> Iterator[np.ndarray]:
        entry = wanted[name]
        filled = parameter(name, entry.shape, seed, GAINS.get(id, OTHER_GAIN)) * scales.get(name, 1)
        yield (filled + np.asarray(shifts.get(name, 0))).astype(entry.dtype).reshape(-1)

    path = folder / checkpoint.file_name
    with path.open("wb") as file:
        layout = {name: (entry.shape, entry.dtype) for name, entry in wanted.items()}
        tensor_file.write(file, layout, {"network": id, "source": "made up"}, values)
    return path


def with_embedded(folder: Path, embedded: Path) -> None:
    """Put the embedded networks that lie in `embedded` into the folder too, as links."""
    for file in itertools.chain(embedded.glob("*.tflite"), embedded.glob("*.onnx")):
        (folder / file.name).symlink_to(file.resolve())
