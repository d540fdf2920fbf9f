"""Trousers, shorts and skirts: waist, hips, crotch and two legs; a skirt has no crotch and no legs."""

from __future__ import annotations

import numpy as np

from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_outline import mirror_axis
from infra.viton.geometric.strip import Strip

RISE = 0.33  # waist to crotch over the whole length, for long trousers whose legs touch all the way down
SIDE_POINTS, LEG_POINTS = 12, 16


def analyse_lower(alpha: np.ndarray, rgb: np.ndarray) -> Garment:
    """Structure of a lower garment. `rgb` uint8 HxWx3, `alpha` uint8 HxW."""
    mask = alpha > 127
    rows = np.flatnonzero(mask.sum(1) > 3)
    top, bottom = int(rows[0]), int(rows[-1])
    height = max(bottom - top, 1)
    axis = mirror_axis(mask)
    split = _crotch(mask, axis, top, bottom)
    waist_y = top + 0.012 * height
    corners = np.stack([[x, waist_y] for x in _ends(mask, int(waist_y) + 2)])
    levels = np.linspace(waist_y + 2, split if split is not None else _hem_corner(mask, axis), SIDE_POINTS)
    ends = np.array([_ends(mask, int(y)) for y in levels])
    sides = np.stack([np.stack([ends[:, side], levels], 1) for side in (0, 1)])
    legs: tuple[Strip | None, Strip | None] = (None, None)
    if split is not None:
        legs = _legs(mask, axis, np.linspace(split + 2, bottom - 3, LEG_POINTS))
    return Garment(
        kind="lower", rgb=rgb, alpha=alpha, back=np.zeros_like(alpha), axis=axis,
        neck=corners, neckline=corners, shoulder=corners, armpit=corners, sides=sides, sleeves=legs, collar=False,
    )  # fmt: skip


def _ends(mask: np.ndarray, row: int) -> tuple[float, float]:
    """First and last column of cloth in a row, or in the nearest row that has any."""
    for away in range(mask.shape[0]):
        for y in (row - away, row + away):
            if 0 <= y < mask.shape[0] and mask[y].any():
                on = np.flatnonzero(mask[y])
                return float(on[0]), float(on[-1])
    return 0.0, float(mask.shape[1] - 1)


def _hem_corner(mask: np.ndarray, axis: float) -> float:
    """Row of the hem's corners, mean of both sides: the hem itself may hang lower in the middle."""
    ys, xs = np.nonzero(mask)
    return float(np.mean([ys[np.argmax(out * (xs - axis) * 0.6 + ys)] for out in (-1, 1)])) - 2


def _crotch(mask: np.ndarray, axis: float, top: int, bottom: int) -> float | None:
    """Row where two legs part; None for a skirt."""
    height = bottom - top
    gaps = [y for y in range(int(top + 0.25 * height), bottom - 2) if _widest_gap(mask[y], axis) is not None]
    if len(gaps) > 0.08 * height:
        return float(gaps[0])
    left, right = _ends(mask, int(top + 0.5 * height))
    slender = height > 1.7 * (right - left)
    narrow_hem = mask[int(top + 0.9 * height)].sum() < 0.62 * height
    return top + RISE * height if slender and narrow_hem and height > 2.2 * (right - left) else None


def _widest_gap(row: np.ndarray, axis: float) -> tuple[float, float] | None:
    """Background run near the axis with cloth on both sides."""
    on = np.flatnonzero(row)
    breaks = np.flatnonzero(np.diff(on) > 2)
    if not len(breaks):
        return None
    starts, ends = on[breaks], on[breaks + 1]
    away = np.abs((starts + ends) / 2 - axis)
    best = int(np.argmax(ends - starts - away))
    return (float(starts[best]), float(ends[best])) if away[best] <= 0.25 * (on[-1] - on[0]) else None


def _legs(mask: np.ndarray, axis: float, levels: np.ndarray) -> tuple[Strip, Strip]:
    lines = []
    for y in levels:
        left, right = _ends(mask, int(y))
        middle = (left + right) / 2
        lines.append((left, *(_widest_gap(mask[int(y)], axis) or (middle, middle)), right))
    x = np.array(lines)
    edges = [np.stack([x[:, k], levels], 1) for k in range(4)]
    return Strip(edges[0], edges[1]), Strip(edges[3], edges[2])
