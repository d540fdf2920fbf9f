"""x."""

from __future__ import annotations

import cv2
import numpy as np


def thin_plate(source: np.ndarray, target: np.ndarray, stiffness: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Smoothing thin-plate spline f(source) = target; coordinates are normalised inside."""
    scale = float(np.abs(source - source.mean(0)).max())
    s = source / scale
    n = len(s)
    kernel = _radial(s, s) + stiffness * np.eye(n)
    affine = np.hstack([np.ones((n, 1)), s])
    system = np.block([[kernel, affine], [affine.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.vstack([target, np.zeros((3, 2))]))
    return s, weights, scale


def _radial(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    square = ((a[:, None] - b[None]) ** 2).sum(2)
    return 0.5 * square * np.log(square + 1e-12)


def evaluate(spline: tuple[np.ndarray, np.ndarray, float], points: np.ndarray) -> np.ndarray:
    centres, weights, scale = spline
    q = points / scale
    return _radial(q, centres) @ weights[:-3] + weights[-3] + q @ weights[-2:]


def spline_map(spline, shape: tuple[int, int], step: int = 12) -> np.ndarray:
    """The spline at every pixel of a picture, evaluated on a coarse grid; (H, W, 2) float32."""
    h, w = shape
    ys, xs = np.arange(0, h + step, step), np.arange(0, w + step, step)
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2).astype(np.float64)
    coarse = evaluate(spline, grid).reshape(len(ys), len(xs), 2).astype(np.float32)
    fine_y, fine_x = np.mgrid[0:h, 0:w].astype(np.float32)
    return cv2.remap(coarse, fine_x / step, fine_y / step, cv2.INTER_LINEAR)


