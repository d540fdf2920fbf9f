"""The inside of a flat garment that its neckline shows: the inner back, which is worn behind the neck."""

from __future__ import annotations

import cv2
import numpy as np

FLAP_DEPTH = 2.0  # half widths of the neck: how far below its curve a collar may stand open
FLAP_SEEDS = (0.12, 0.3, 0.45)  # half widths below the curve: where the inner back may be met
FLAP_AREA = (0.08, 2.0)  # squared half widths
INNER_CLOTH = (12, 6, 6)  # 8-bit Lab: how far the inner back's colour wanders from its middle
INNER_SHADE = 8  # 8-bit L: an inner back met below other cloth is darker than that by this


def inner_back(picture: np.ndarray, neckline: np.ndarray, collar: bool) -> np.ndarray:
    """uint8 HxW: what the neckline (41, 2) shows of the inside, up to the picture's top.

    `collar`: it stands up, and may stand open below the neckline's curve too.
    """
    region = np.zeros(picture.shape[:2], np.uint8)
    roof = np.array([[neckline[-1, 0], 0], [neckline[0, 0], 0]])
    cv2.fillPoly(region, [np.rint(np.vstack([neckline, roof]) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return np.maximum(region, _between_flaps(picture, neckline, region)) if collar else region


def _between_flaps(picture: np.ndarray, neckline: np.ndarray, above: np.ndarray) -> np.ndarray:
    """uint8 HxW: the inner back that goes on below the neckline's curve between the flaps of an open collar.

    It is what can be reached from under the curve's middle over cloth of one colour; empty where that has no end,
    as on a turtleneck or a buttoned shirt.
    """
    left, right = neckline[0, 0], neckline[-1, 0]
    half = max((right - left) / 2, 4.0)
    bottom = neckline[:, 1].max() + FLAP_DEPTH * half
    x0, x1 = int(max(left, 0)), int(min(right, above.shape[1] - 1)) + 1
    y0, y1 = int(max(neckline[:, 1].min(), 0)), int(min(bottom, above.shape[0]))
    region = np.zeros_like(above)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return region
    lab = cv2.cvtColor(cv2.GaussianBlur(picture[y0:y1, x0:x1], (0, 0), 1.0), cv2.COLOR_RGB2LAB)
    wall = above[y0:y1, x0:x1] > 127
    middle = neckline[len(neckline) // 2] - (x0, y0)
    shade = None
    for drop in FLAP_SEEDS:
        seed = int(middle[0]), int(middle[1] + drop * half)
        if not (0 <= seed[0] < x1 - x0 and 0 <= seed[1] < y1 - y0):
            continue
        light = int(lab[seed[1], seed[0], 0])
        if shade is not None and light > shade - INNER_SHADE:
            continue
        shade = light if shade is None else shade
        reached = _one_cloth(lab, wall, seed)
        area = reached.sum() / half**2
        ends = reached[-2:].any() or reached[:, :2].any() or reached[:, -2:].any()
        if not ends and FLAP_AREA[0] < area < FLAP_AREA[1]:
            # Flaps have straight edges: folds and labels within them, up to the neckline's curve, are inside too.
            inside = np.stack(np.nonzero(reached)[::-1], 1)
            curve = neckline - (x0, y0)
            curve = curve[(curve[:, 0] >= inside[:, 0].min()) & (curve[:, 0] <= inside[:, 0].max())]
            cv2.fillConvexPoly(reached, cv2.convexHull(np.vstack([inside, curve]).astype(np.int32)), 1)
            reached = cv2.dilate(reached, np.ones((5, 5), np.uint8))
            region[y0:y1, x0:x1] = cv2.GaussianBlur(reached * 255, (0, 0), 1.0)
            break
    return region


def _one_cloth(lab: np.ndarray, wall: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """uint8 HxW, 0 or 1: what can be reached from `seed` (x, y) over cloth of its colour without crossing `wall`."""
    canvas = np.pad(wall.astype(np.uint8), 1)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (2 << 8)
    cv2.floodFill(lab, canvas, seed, 0, INNER_CLOTH, INNER_CLOTH, flags)
    return cv2.medianBlur((canvas[1:-1, 1:-1] == 2).astype(np.uint8), 5)
