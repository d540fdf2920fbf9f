"""U2-Net-P (Qin et al. 2020): what stands out in a picture, on OpenCV's own runtime."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FULL, QUICK = 320, 224  # the size it was trained on; one that costs less than half and is as good on plain grounds
# ImageNet's mean and deviation of pixels scaled to 0..1.
_MEAN, _DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
_FUSED = "1959"  # name of the output d0, the fused map, after its sigmoid


class Saliency:
    """`u2netp.onnx`. A change of size costs 80 ms for new buffers; a second network would hold 190 MB."""

    def __init__(self, path: Path) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(path))

    def __call__(self, picture: np.ndarray, size: int = QUICK) -> np.ndarray:
        """Probability float32 size x size, 0 to 1, of uint8 HxWx3 RGB, which is squeezed whatever its shape.

        `size` is a multiple of 32.
        """
        small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
        # The brightest value becomes 1, as in the training's ToTensorLab.
        small = (small / max(float(small.max()), 1.0) - _MEAN) / _DEVIATION
        self._network.setInput(cv2.dnn.blobFromImage(small))
        return self._network.forward(_FUSED)[0, 0].copy()
