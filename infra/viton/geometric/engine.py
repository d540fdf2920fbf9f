"""The embedded try-on: geometry and light, no weights."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import ClassVar

import cv2
import numpy as np

from infra.serving.engine import Engine, EngineError, WeightsPath
from infra.viton.geometric.compose import dress
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_analysis import analyse_garment
from infra.viton.tryon import TryOn, TryOnInput

GARMENTS = 32  # analysed garments kept, the last used ones: about 8 MB each


class Geometric(Engine[TryOnInput, TryOn]):
    """Warps the garment's parts onto the body and carries the photo's light over."""

    name: ClassVar[str] = "geometric"
    weights: ClassVar[tuple[str, ...]] = ()
    note: ClassVar[str] = "Geometry and light, no learned synthesis: cloth is moved and shaded, not imagined."

    def __init__(self, garments: int = GARMENTS) -> None:
        self._limit = garments
        self._garments: OrderedDict[bytes, Garment] = OrderedDict()

    def load(self, weights: WeightsPath, threads: int) -> None:
        """Nothing to open; OpenCV is told its share of the cores."""
        cv2.setNumThreads(threads)

    def run(self, batch: list[TryOnInput]) -> list[TryOn | EngineError]:
        answers: list[TryOn | EngineError] = []
        for inputs in batch:
            try:
                answers.append(dress(inputs, self.analysed(inputs)))
            except EngineError as error:
                answers.append(error)
        return answers

    def __len__(self) -> int:
        """Garments remembered."""
        return len(self._garments)

    def analysed(self, inputs: TryOnInput) -> Garment:
        """The garment's structure, remembered by the content of its picture.

        Raises `EngineError("no_garment")` where there is none.
        """
        key = content_digest(inputs.garment, inputs.garment_mask, inputs.kind)
        garment = self._garments.get(key)
        if garment is None:
            garment = analyse_garment(inputs.garment, inputs.garment_mask, inputs.kind)
            self._garments[key] = garment
            while len(self._garments) > self._limit:
                self._garments.popitem(last=False)
        self._garments.move_to_end(key)
        return garment


def content_digest(picture: np.ndarray, alpha: np.ndarray, kind: str) -> bytes:
    """A key of picture, alpha and kind together."""
    digest = hashlib.blake2b(f"{kind}{picture.shape}{alpha.shape}".encode(), digest_size=16)
    for array in (picture, alpha):
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
