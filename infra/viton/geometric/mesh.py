"""Quad meshes: where each pixel of the picture lies in the garment."""

from __future__ import annotations

import cv2
import numpy as np

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom excluded

_SUBPIXEL = 4  # fractional bits of cv2.fillConvexPoly's coordinates


def box_around(points: np.ndarray, shape: tuple[int, int], margin: float = 2) -> Box:
    """The box of points (..., 2) within a picture of `shape` (height, width); may be empty."""
    low, high = points.reshape(-1, 2).min(0) - margin, points.reshape(-1, 2).max(0) + margin
    left, top = (int(np.clip(np.floor(v), 0, limit)) for v, limit in zip(low, shape[::-1]))
    right, bottom = (int(np.clip(np.ceil(v) + 1, 0, limit)) for v, limit in zip(high, shape[::-1]))
    return left, top, max(right, left), max(bottom, top)


def mesh_map(source: np.ndarray, target: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """A quad mesh (n, m, 2) in the garment and in the picture -> the inverse map over a box of the picture.

    Returns float32 HxWx2 garment coordinates and uint8 HxW coverage (0 or 255). Each quad is two triangles;
    where the mesh folds, later rows win.
    """
    left, top, right, bottom = box
    tags = np.zeros((bottom - top, right - left), np.int32)
    shifted = target - (left, top)
    affines = [np.zeros((2, 3))]
    for i in range(len(target) - 1):
        for j in range(target.shape[1] - 1):
            for corners in (((i, j), (i, j + 1), (i + 1, j)), ((i + 1, j + 1), (i, j + 1), (i + 1, j))):
                t = np.float32([shifted[c] for c in corners])
                if abs((t[1, 0] - t[0, 0]) * (t[2, 1] - t[0, 1]) - (t[1, 1] - t[0, 1]) * (t[2, 0] - t[0, 0])) < 0.5:
                    continue
                polygon = np.rint(t * (1 << _SUBPIXEL)).astype(np.int32)
                cv2.fillConvexPoly(tags, polygon, len(affines), cv2.LINE_8, _SUBPIXEL)
                affines.append(cv2.getAffineTransform(t, np.float32([source[c] for c in corners])))
    rows, columns = np.nonzero(tags)
    chosen = np.array(affines)[tags[rows, columns]]
    mapping = np.full((*tags.shape, 2), -1e4, np.float32)
    mapping[rows, columns] = (
        chosen[:, :, 0] * columns[:, None] + chosen[:, :, 1] * rows[:, None] + chosen[:, :, 2]
    )
    return mapping, np.where(tags > 0, 255, 0).astype(np.uint8)
