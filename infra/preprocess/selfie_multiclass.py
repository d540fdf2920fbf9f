"""The multi-class selfie segmentation network: hair, skin, face, clothes and the rest, on whole bodies too.

Masking uses it to tell the chosen person and garments worn by people, the human parser to tell labels.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from infra.preprocess.litert import LiteRTNetwork

BACKGROUND, HAIR, BODY_SKIN, FACE_SKIN, CLOTHES, OTHERS = range(6)
SIZE = 256


class SelfieMulticlass:
    """`selfie_multiclass.tflite`; the file's metadata give mean 127.5 and deviation 127.5, so -1..1 goes in."""

    def __init__(self, path: Path, threads: int) -> None:
        self._network = LiteRTNetwork(path, threads, low=-1.0)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Logits float32 256x256x6 of uint8 HxWx3 RGB, which is squeezed to a square whatever its shape."""
        return self._network(cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))[0].copy()


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of logits float32 ...x6: shares of 1 across the classes."""
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)
