"""DensePose R-CNN as an engine: what the published network sees of the chosen person's body surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infra.imaging.frame import FRAME_HEIGHT, FRAME_WIDTH
from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.serving.engine import EngineError, WeightsPath
from infra.serving.torch_engine import TorchEngine

if TYPE_CHECKING:
    from infra.serving.torch_runtime import TorchRuntime

WEIGHTS = "densepose_rcnn_r50_fpn_s1x"


class DensePoseRcnn(TorchEngine[DensePoseInput, DensePose]):
    """Draws the person whose pose is handed over, else the surest detection.

    The network needs no pose, but a frame may show neighbours, and all services must speak of the same person. In the
    fleet the pose is known before the frame is cut, so that wanting it costs no waiting.
    """

    name = "densepose_rcnn"
    weights = (WEIGHTS,)
    wants = ("pose",)
    note = "Charts have 112 cells along each side of the person's box: outlines are coarse, and do not serve as masks."

    def build(self, weights: WeightsPath, runtime: TorchRuntime, threads: int) -> None:
        from infra.preprocess.densepose.rcnn.folding import fold
        from infra.preprocess.densepose.rcnn.inference import Inference

        network = fold(runtime.open(WEIGHTS, weights))
        for name, part in network.named_children():
            setattr(network, name, part.to(runtime.device) if name in network.EXACT else runtime.prepare(part))
        self.inference = Inference(
            network, runtime.device, runtime.dtype,
            proposals=self.settings.densepose_proposals, short_side=self.settings.densepose_short_side,
        )  # fmt: skip

    def warm_up(self) -> None:
        """On the likeliest person of an example that shows nobody, so that the layers behind detection run as well."""
        asked, self.inference.sure = self.inference.sure, 0.0
        try:
            super().warm_up()
        finally:
            self.inference.sure = asked

    def answer(self, batch: list[DensePoseInput]) -> list[DensePose | EngineError]:
        """A picture in which the chosen person is not seen is answered by `no_person`."""
        inference = self.inference
        return inference.post(inference.infer(inference.pre(batch)), batch)

    def example(self) -> DensePoseInput:
        return DensePoseInput(np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 128, np.uint8))
