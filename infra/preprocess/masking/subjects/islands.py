"""Parts of a mask that are worth keeping."""

from __future__ import annotations

import cv2
import numpy as np


def keep_large(mask: np.ndarray, share: float) -> np.ndarray:
    """Parts of uint8 HxW (0, 1) that hold at least `share` of the largest one's area."""
    _, label, stats, _ = cv2.connectedComponentsWithStats(mask)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    return (area > max(64, share * area.max())).astype(np.uint8)[label]
