"""The embedded default: two small networks on OpenCV's runtime and one on LiteRT, no GPU and no torch."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.masking.embedded.chosen_person import bones, coarse_alpha, joined, person_window
from infra.preprocess.masking.embedded.garment_check import LEAST_EVIDENCE, evidence, kinds
from infra.preprocess.masking.embedded.garment_cutout import garment_alpha, is_worn, worn_alpha
from infra.preprocess.masking.embedded.matting import Matting
from infra.preprocess.masking.embedded.saliency import Saliency
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.selfie_multiclass import SelfieMulticlass
from infra.serving.engine import Engine, EngineError, WeightsPath


class Embedded(Engine[MaskInput, Mask]):
    """MODNet for the person's alpha, U2-Net-P and colours for garments, the multi-class network to tell who is who."""

    name = "embedded"
    weights = ("selfie_multiclass", "modnet", "u2netp")
    wants = ("pose",)
    note = "Soft edges come from small networks: single hairs, lace and see-through cloth are approximate."

    def load(self, weights: WeightsPath, threads: int) -> None:
        cv2.setNumThreads(threads)
        self._classes = SelfieMulticlass(weights("selfie_multiclass"), threads)
        self._matting = Matting(weights("modnet"))
        self._saliency = Saliency(weights("u2netp"))

    def warm_up(self) -> None:
        grey = np.full((64, 48, 3), 128, np.uint8)
        self._classes(grey)
        self._matting(grey, np.s_[:, :])
        self._saliency(grey)

    def run(self, batch: list[MaskInput]) -> list[Mask | EngineError]:
        return [self._garment(one.picture) if one.subject == "garment" else self._person(one) for one in batch]

    def _person(self, one: MaskInput) -> Mask | EngineError:
        size = one.picture.shape[:2]
        logits = self._classes(one.picture)
        coarse = coarse_alpha(one.picture, logits, one.pose)
        window = person_window(coarse, size)
        if window is None:
            return EngineError("no_person", "Nobody was found in the picture. Use a photo that shows one person clearly.")
        matte = self._matting(one.picture, window)
        alpha = joined(matte, window, coarse, bones(coarse, one.pose, size), size)
        return Mask(alpha, class_logits=logits.astype(np.float16))

    def _garment(self, picture: np.ndarray) -> Mask | EngineError:
        logits, salient = self._classes(picture), self._saliency(picture)
        classes = np.exp(logits - logits.max(-1, keepdims=True))
        classes /= classes.sum(-1, keepdims=True)
        alpha = garment_alpha(picture, salient)
        worn = is_worn(alpha, classes)
        if worn:
            alpha = worn_alpha(picture, classes)
        found = evidence(salient, classes, alpha)
        if found < LEAST_EVIDENCE:
            return EngineError(
                "no_garment",
                "No garment was found in the picture. Use a photo of one garment, laid flat, on a hanger or worn, "
                "that fills a good part of the picture.",
            )
        return Mask(alpha, logits.astype(np.float16), kinds(alpha), found, worn)
