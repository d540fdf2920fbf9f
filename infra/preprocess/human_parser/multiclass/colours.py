"""Colour models of regions, to tell two cloths apart."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.multiclass.scene import Scene

# Histogram of lightness and chroma (Lab, 8 bit scale, chroma around neutral): bins of 12 x 6 x 6 levels, smoothed.
_STEP = np.float32([12, 6, 6])
_LOWEST = np.float32([0, 92, 92])
_BINS = (22, 12, 12)
_FLOOR = 1e-4  # of the pixels: what was never seen is not impossible
_LIMIT = 2.0  # one pixel's say
_NEARBY = 7  # working pixels to average over: prints have colours of both cloths


class Colours:
    """The colour bin of each of the scene's pixels."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        bins = ((scene.colour - _LOWEST) / _STEP).round().astype(np.int32).clip(0, np.int32(_BINS) - 1)
        self._code = (bins[:, 0] * _BINS[1] + bins[:, 1]) * _BINS[2] + bins[:, 2]

    def log_ratio(self, one: np.ndarray, other: np.ndarray, nearby: int = _NEARBY) -> np.ndarray:
        """Log likelihood (N float32, -2 to 2) of the colours of ``one`` over those of ``other`` (N bool each),
        averaged over the person's pixels of a square ``nearby`` wide."""
        ratio = np.clip(self._log_share(one) - self._log_share(other), -_LIMIT, _LIMIT)[self._code]
        area = cv2.blur(self._scene.inside.astype(np.float32), (nearby, nearby))
        average = cv2.blur(self._scene.image(ratio.astype(np.float32)), (nearby, nearby))
        return average[self._scene.inside] / np.maximum(area[self._scene.inside], 1e-3)

    def differ(self, one: np.ndarray, other: np.ndarray, distinct: float) -> bool:
        """Whether both regions (N bool each) are there and their colours are further apart than ``distinct``."""
        if not (one.any() and other.any()):
            return False
        return separation(self.log_ratio(one, other), one, other) > distinct

    def _log_share(self, members: np.ndarray) -> np.ndarray:
        count = np.bincount(self._code[members], minlength=int(np.prod(_BINS))).reshape(_BINS).astype(np.float32)
        for axis in range(3):
            count = _blurred(count, axis)
        return np.log(count.ravel() / max(float(count.sum()), 1) + _FLOOR)


def separation(ratio: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """How far two regions' colours are apart by their log ratio (N), 0: alike, 1: nothing in common."""
    return float(ratio[one].mean() - ratio[other].mean()) / (2 * _LIMIT)


def _blurred(count: np.ndarray, axis: int) -> np.ndarray:
    """1-2-1 along an axis, the ends repeated."""
    padded = np.concatenate([np.take(count, [0], axis), count, np.take(count, [-1], axis)], axis)
    low, middle, high = (np.take(padded, np.arange(count.shape[axis]) + i, axis) for i in range(3))
    return 0.25 * low + 0.5 * middle + 0.25 * high
