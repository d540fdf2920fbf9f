"""Upper garments and dresses: both sides analysed and brought to agree, neckline, parts."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_neckline import find_neckline
from infra.viton.geometric.garment_outline import mirror_axis, neck_opening
from infra.viton.geometric.garment_side import ARMHOLE_DEPTH, LOW_ARMPIT, Side, analyse_side, armpit_depth
from infra.viton.geometric.garment_sleeve import crease_map
from infra.viton.geometric.strip import Strip

FLAP_DEPTH = 2.0  # half widths of the neck: how far below its curve a collar may stand open
INNER_CLOTH = (12, 6, 6)  # 8-bit Lab: how far the inner back's colour wanders from its middle
DISAGREE = 0.15  # chest widths between the two armpits' heights: one side is then misread


def analyse_upper(picture: np.ndarray, alpha: np.ndarray, rgb: np.ndarray, kind: str) -> Garment:
    """Structure of an upper garment or dress. `picture`, `rgb` uint8 HxWx3, `alpha` uint8 HxW."""
    mask = alpha > 127
    axis = mirror_axis(mask)
    left, right = _both_sides(mask, axis, crease_map(picture))
    width = mask.shape[1]

    def pair(name: str) -> np.ndarray:
        return np.stack([getattr(left, name), _mirrored(getattr(right, name), width)])

    collar = left.collar and right.collar
    neck_top = pair("neck_top")
    neck = pair("neck") if collar else neck_top
    neckline = find_neckline(picture, mask, neck_top, collar)
    back = _above(mask.shape, neckline)
    if collar:
        back = np.maximum(back, _between_flaps(picture, neckline, back))
    sleeves = (left.sleeve, None)
    if right.sleeve:
        sleeves = (left.sleeve, Strip(_mirrored(right.sleeve.outer, width), _mirrored(right.sleeve.inner, width)))
    shoulder, armpit, sides = pair("shoulder"), pair("armpit"), pair("side")
    return Garment(
        kind=kind, rgb=rgb, alpha=alpha, back=back, axis=axis, neck=neck,
        neckline=neckline, shoulder=shoulder, armpit=armpit, sides=sides, sleeves=sleeves, collar=collar,
    )  # fmt: skip


def _mirrored(points: np.ndarray, width: int) -> np.ndarray:
    return np.stack([width - 1 - points[..., 0], points[..., 1]], -1)


def _both_sides(mask: np.ndarray, axis: float, creases: np.ndarray) -> tuple[Side, Side]:
    """Left and right (mirrored) side. What only one side shows, the other gets from it: garments come in pairs."""
    width = mask.shape[1]
    views = ((mask, axis, creases), (np.ascontiguousarray(mask[:, ::-1]), width - 1 - axis, creases[:, ::-1]))
    opening = neck_opening(mask, axis)
    ends = (None, None) if opening is None else (opening[0], _mirrored(opening[1], width))
    depths = [depth for m, a, _ in views if (depth := armpit_depth(m, a)) is not None]
    cut = bool(depths) and float(np.mean(depths)) > ARMHOLE_DEPTH + LOW_ARMPIT
    sides = [analyse_side(m, a, c, cut, end) for (m, a, c), end in zip(views, ends)]
    has = [side.sleeve is not None for side in sides]
    worse = None
    if has[0] != has[1]:
        worse = 0 if has[1] else 1
    elif has[0]:
        chest = sum(a - side.armpit[0] for (_, a, _), side in zip(views, sides))
        depth = [(side.armpit[1] - side.shoulder[1]) / max(chest, 1) for side in sides]
        if abs(depth[0] - depth[1]) > DISAGREE:
            worse = int(np.argmax(np.abs(np.array(depth) - ARMHOLE_DEPTH)))
    if worse is not None:
        better = sides[1 - worse]
        sides[worse] = better.moved(views[worse][1] - views[1 - worse][1])
    return sides[0], sides[1]


def _above(shape: tuple[int, int], neckline: np.ndarray) -> np.ndarray:
    """uint8 HxW: everything between the neck points and above the front neckline."""
    region = np.zeros(shape, np.uint8)
    roof = np.array([[neckline[-1, 0], 0], [neckline[0, 0], 0]])
    cv2.fillPoly(region, [np.rint(np.vstack([neckline, roof]) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return region


def _between_flaps(picture: np.ndarray, neckline: np.ndarray, back: np.ndarray) -> np.ndarray:
    """uint8 HxW: the inner back that goes on below the neckline's curve between the flaps of an open collar.

    It is what can be reached from under the curve's middle over cloth of one colour; empty where that has no end,
    as on a turtleneck.
    """
    left, right = neckline[0, 0], neckline[-1, 0]
    half = max((right - left) / 2, 4.0)
    seed_x, seed_y = neckline[len(neckline) // 2] + (0, 0.12 * half)
    x0, x1 = int(max(left, 0)), int(min(right, back.shape[1] - 1)) + 1
    y0, y1 = int(max(neckline[:, 1].min(), 0)), int(min(seed_y + FLAP_DEPTH * half, back.shape[0]))
    region = np.zeros_like(back)
    seed = int(seed_x) - x0, int(seed_y) - y0
    if not (0 <= seed[0] < x1 - x0 and 0 <= seed[1] < y1 - y0):
        return region
    lab = cv2.cvtColor(cv2.GaussianBlur(picture[y0:y1, x0:x1], (0, 0), 1.0), cv2.COLOR_RGB2LAB)
    wall = np.zeros((y1 - y0 + 2, x1 - x0 + 2), np.uint8)
    wall[1:-1, 1:-1] = back[y0:y1, x0:x1] > 127
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (2 << 8)
    cv2.floodFill(lab, wall, seed, 0, INNER_CLOTH, INNER_CLOTH, flags)
    reached = (wall[1:-1, 1:-1] == 2).astype(np.uint8)
    area = cv2.medianBlur(reached, 5).sum() / half**2
    open_end = reached[-2:].any() or reached[:, :2].any() or reached[:, -2:].any()
    if open_end or not 0.08 < area < 2.0:
        return region
    # Flaps have straight edges: folds and labels within them, up to the neckline's curve, are inside too.
    inside = np.stack(np.nonzero(cv2.medianBlur(reached, 5))[::-1], 1)
    curve = neckline - (x0, y0)
    curve = curve[(curve[:, 0] >= inside[:, 0].min()) & (curve[:, 0] <= inside[:, 0].max())]
    hull = cv2.convexHull(np.vstack([inside, curve]).astype(np.int32))
    cv2.fillConvexPoly(reached, hull, 1)
    reached = cv2.dilate(reached, np.ones((5, 5), np.uint8))
    region[y0:y1, x0:x1] = cv2.GaussianBlur(reached * 255, (0, 0), 1.0)
    return region
