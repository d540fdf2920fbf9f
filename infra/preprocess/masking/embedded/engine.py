"""The embedded default: two small networks on OpenCV's runtime and one on LiteRT, no GPU and no torch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from infra.preprocess.masking.embedded.garment_cutout import backed_alpha, studio_cutout
from infra.preprocess.masking.embedded.matting import Matting
from infra.preprocess.masking.embedded.saliency import FULL, Saliency
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.masking.subjects.chosen_person import bones, coarse_alpha, joined, person_window
from infra.preprocess.masking.subjects.edge_cut import cut
from infra.preprocess.masking.subjects.garment_check import LEAST_EVIDENCE, evidence, kinds
from infra.preprocess.masking.subjects.refusals import (
    GARMENT_SIDE,
    NO_GARMENT,
    NO_PERSON,
    TOO_SMALL,
    holds_no_garment,
)
from infra.preprocess.masking.subjects.worn import is_worn, worn_alpha
from infra.preprocess.selfie_multiclass import SelfieMulticlass, probabilities
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
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="cutout")  # works on colours while networks run

    def warm_up(self) -> None:
        grey = np.full((64, 48, 3), 128, np.uint8)
        self._classes(grey)
        self._matting(grey, np.s_[:, :])
        self._saliency(grey)

    def run(self, batch: list[MaskInput]) -> list[Mask | EngineError]:
        return [self._person(one) if one.subject == "person" else self._garment(one) for one in batch]

    def _person(self, one: MaskInput) -> Mask | EngineError:
        size = one.picture.shape[:2]
        logits = self._classes(one.picture)
        coarse = coarse_alpha(one.picture, logits, one.pose)
        window = person_window(coarse, size)
        if window is None:
            return NO_PERSON
        matte = self._matting(one.picture, window)
        alpha = joined(matte, window, coarse, bones(coarse, one.pose, size), size)
        if not (alpha > 127).any():
            return NO_PERSON
        return Mask(alpha, class_logits=logits.astype(np.float16))

    def _garment(self, one: MaskInput) -> Mask | EngineError:
        whole = one.picture
        if holds_no_garment(whole.shape[:2]):
            return TOO_SMALL
        scale = GARMENT_SIDE / max(whole.shape[:2])
        picture = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else whole
        by_colour = self._beside.submit(studio_cutout, picture)
        logits, salient = self._classes(picture), self._saliency(picture)
        studio = by_colour.result()
        alpha = backed_alpha(studio, salient) if studio else None
        if alpha is None:
            # Two sizes see different things: their mean loses a garment on a busy ground less often than either.
            salient = (cv2.resize(salient, (FULL, FULL)) + self._saliency(picture, FULL)) / 2
            alpha = backed_alpha(studio, salient) if studio else None
        on_studio = alpha is not None
        if alpha is None:
            alpha = cut(picture, salient)
        classes = probabilities(logits)
        found = evidence(salient, classes, alpha, on_studio)
        if found < LEAST_EVIDENCE:
            return NO_GARMENT
        worn = is_worn(alpha, classes)
        if worn and one.subject == "garment":
            alpha = worn_alpha(picture, classes)
        if scale < 1:
            alpha = cv2.resize(alpha, whole.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        return Mask(alpha, logits.astype(np.float16), kinds(alpha), found, worn)
