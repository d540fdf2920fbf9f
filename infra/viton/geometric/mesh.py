"""x."""

from __future__ import annotations

import cv2
import numpy as np


def mesh_map(source: np.ndarray, target: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Quad mesh (n, m, 2) in garment and in picture -> inverse map (H, W, 2) and coverage; later rows win."""
    h, w = shape
    full = np.full((h, w, 2), -1e4, np.float32)
    covered = np.zeros((h, w), np.uint8)
    n, m = source.shape[:2]
    for i in range(n - 1):
        for j in range(m - 1):
            for corners in (((i, j), (i, j + 1), (i + 1, j)), ((i + 1, j + 1), (i, j + 1), (i + 1, j))):
                t = np.float32([target[c] for c in corners])
                s = np.float32([source[c] for c in corners])
                x0, y0 = np.floor(t.min(0)).astype(int) - 1
                x1, y1 = np.ceil(t.max(0)).astype(int) + 2
                x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
                if x1 <= x0 or y1 <= y0 or abs((t[1, 0] - t[0, 0]) * (t[2, 1] - t[0, 1]) - (t[1, 1] - t[0, 1]) * (t[2, 0] - t[0, 0])) < 0.5:
                    continue
                affine = cv2.getAffineTransform(t, s)
                tile = np.zeros((y1 - y0, x1 - x0), np.uint8)
                cv2.fillConvexPoly(tile, np.rint((t - (x0, y0)) * 16).astype(np.int32), 255, cv2.LINE_8, 4)
                yy, xx = np.nonzero(tile)
                q = affine @ np.stack([xx + x0, yy + y0, np.ones_like(xx)])
                full[yy + y0, xx + x0] = q.T
                covered[yy + y0, xx + x0] = 255
    return full, covered


