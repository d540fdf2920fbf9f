"""TRACER-B7, the published salient object network, with FBA matting where the settings ask for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from infra.imaging.frame import FRAME_HEIGHT, FRAME_WIDTH
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.masking.subjects.refusals import TOO_SMALL, holds_no_garment
from infra.preprocess.masking.tracer_b7.choice import chosen_subject, read_classes
from infra.preprocess.selfie_multiclass import SelfieMulticlass
from infra.serving.engine import EngineError, WeightsPath
from infra.serving.settings import Settings
from infra.serving.torch_engine import TorchEngine

if TYPE_CHECKING:
    from infra.serving.torch_runtime import TorchRuntime


class TracerB7(TorchEngine[MaskInput, Mask]):
    """TRACER tells what stands out; the embedded multi-class network tells who is who and whether clothes are worn."""

    name = "tracer_b7"
    weights = ("tracer_b7", "selfie_multiclass")
    wants = ("pose",)
    note = "Masks are seen at 640 x 640 pixels: in larger pictures edges are soft, and single hairs are averaged."

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if settings.tracer_matting != "off":
            self.weights = (*TracerB7.weights, "fba")
            self.note = "FBA matting decides about the mask's rim; what it gives less than 0.3 of is cut off."

    def build(self, weights: WeightsPath, runtime: TorchRuntime, threads: int) -> None:
        from infra.preprocess.masking.fba import folding as fba
        from infra.preprocess.masking.fba.matting import Matting
        from infra.preprocess.masking.tracer_b7 import folding as tracer
        from infra.preprocess.masking.tracer_b7.salience import Salience

        network = runtime.prepare(tracer.fold(runtime.open("tracer_b7", weights)))
        self.salience = Salience(network, runtime.device, runtime.dtype)
        self.matting = None
        if self.settings.tracer_matting != "off":
            network = runtime.prepare(fba.fold(runtime.open("fba", weights)))
            self.matting = Matting(network, runtime.device, carvekit=self.settings.tracer_matting == "carvekit")
        self._classes = SelfieMulticlass(weights("selfie_multiclass"), threads)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="classes")  # reads classes while TRACER runs

    def answer(self, batch: list[MaskInput]) -> list[Mask | EngineError]:
        results: list[Mask | EngineError] = [TOO_SMALL] * len(batch)
        large = [
            i for i, one in enumerate(batch) if one.subject == "person" or not holds_no_garment(one.picture.shape[:2])
        ]
        if large:
            for i, result in zip(large, self._masks([batch[i] for i in large])):
                results[i] = result
        return results

    def _masks(self, batch: list[MaskInput]) -> list[Mask | EngineError]:
        classes = [self._beside.submit(read_classes, one, self._classes) for one in batch]
        alphas = self.salience(batch)
        if self.matting is not None:
            alphas = self.matting([one.picture for one in batch], alphas)
        return [chosen_subject(one, alpha, each.result()) for one, alpha, each in zip(batch, alphas, classes)]

    def example(self) -> MaskInput:
        return MaskInput(np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 128, np.uint8))
