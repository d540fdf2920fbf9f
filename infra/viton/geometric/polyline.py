"""Polylines: float arrays (n, 2) of x, y in pixels."""

from __future__ import annotations

import numpy as np


def arc_lengths(points: np.ndarray) -> np.ndarray:
    """(n,) distance travelled from the first point to each point."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def polyline_length(points: np.ndarray) -> float:
    return float(arc_lengths(points)[-1])


def interpolate(at: np.ndarray | float, where: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 2) known at increasing parameters `where` (n,) -> points at the parameters `at`."""
    return np.stack([np.interp(at, where, points[:, 0]), np.interp(at, where, points[:, 1])], -1)


def resample(points: np.ndarray, count: int) -> np.ndarray:
    """`count` points evenly spaced along a polyline."""
    along = arc_lengths(points)
    return interpolate(np.linspace(0, along[-1], count), along, points)


def hermite(start: np.ndarray, leaving: np.ndarray, end: np.ndarray, arriving: np.ndarray, count: int) -> np.ndarray:
    """Cubic Hermite curve (count, 2) between two points with the unit directions it leaves and arrives in."""
    reach = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, count)[:, None]
    return (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * reach * leaving
        + (3 * t**2 - 2 * t**3) * end
        + (t**3 - t**2) * reach * arriving
    )


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector (..., 2) at length 1; 0 stays 0."""
    return vector / np.maximum(np.hypot(vector[..., 0], vector[..., 1]), 1e-6)[..., None]
