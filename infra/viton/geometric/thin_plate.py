"""Smoothing thin-plate splines in the plane."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

STIFFNESS = 0.002  # by eye: folds of the control points are smoothed, corners of the cloth still reached
GRID = 12  # pixels between the points of a dense map that are really evaluated; coarser shows, finer does not


@dataclass(frozen=True)
class ThinPlate:
    """A map of the plane: affine part plus one radial kernel per control point (Bookstein 1989)."""

    centres: np.ndarray  # (n, 2), normalised
    weights: np.ndarray  # (n + 3, 2): kernels, constant, x and y
    origin: np.ndarray  # (2,) and
    scale: float  # ... normalise coordinates to about -1..1

    @classmethod
    def fit(cls, source: np.ndarray, target: np.ndarray, stiffness: float = STIFFNESS) -> ThinPlate:
        """The spline with f(source) = target, both (n, 2); `stiffness` 0 interpolates, more is smoother."""
        origin = source.mean(0)
        scale = max(float(np.abs(source - origin).max()), 1e-6)
        centres = (source - origin) / scale
        count = len(centres)
        affine = np.hstack([np.ones((count, 1)), centres])
        kernel = _kernel(centres, centres) + (stiffness + 1e-9) * np.eye(count)
        system = np.block([[kernel, affine], [affine.T, np.zeros((3, 3))]])
        right = np.vstack([target, np.zeros((3, 2))])
        try:
            weights = np.linalg.solve(system, right)
        except np.linalg.LinAlgError:  # control points on one line
            weights = np.linalg.lstsq(system, right, rcond=None)[0]
        return cls(centres, weights, origin, scale)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) -> (n, 2)."""
        q = (points - self.origin) / self.scale
        return _kernel(q, self.centres) @ self.weights[:-3] + self.weights[-3] + q @ self.weights[-2:]

    def dense(self, box: tuple[int, int, int, int], step: int = GRID) -> np.ndarray:
        """float32 HxWx2: the map at every pixel of a box (left, top, right, bottom), evaluated on a coarse grid."""
        left, top, right, bottom = box
        xs, ys = np.arange(left, right + step, step), np.arange(top, bottom + step, step)
        grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float64)
        coarse = self(grid).reshape(len(ys), len(xs), 2).astype(np.float32)
        # A grid point stands at the first pixel of its cell, hence the shift against cv2.resize's half pixels.
        matrix = np.float32([[1 / step, 0, 0], [0, 1 / step, 0]])
        size = (right - left, bottom - top)
        return cv2.warpAffine(
            coarse, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """r^2 log r between all pairs, (n, 2) and (m, 2) -> (n, m)."""
    square = ((a[:, None] - b[None]) ** 2).sum(2)
    return 0.5 * square * np.log(square + 1e-12)
