"""Large photos made smaller, with the way back."""

from __future__ import annotations

import cv2
import numpy as np

SEARCH_SIDE = 1280
"""Pixels of the longer side at which people are looked for: every caller looks at the same picture."""


def shrunk(picture: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture (HxW or HxWxC) with a longer side of `longest` at most, and 2x3 float64 from its pixels back."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture, np.eye(2, 3)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    x, y = width / size[0], height / size[1]
    return small, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])
