"""One side of an upper garment or dress: neck, shoulder, armpit, side and sleeve. The other side comes mirrored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from infra.viton.geometric.garment_outline import chord_normal, first_row, furthest, half_outline, keep_large
from infra.viton.geometric.garment_sleeve import NARROWEST, cut_free, find_armpit, sleeve_strip
from infra.viton.geometric.polyline import resample
from infra.viton.geometric.strip import Strip

ARMHOLE_DEPTH = 0.42  # of the chest's width; shirts and dresses lying flat
LOW_ARMPIT = 0.24  # chest widths below that: a sleeve lies on the body
CREASE_REACH = 0.035  # chest widths to either side of the notch in which the crease is looked for
FLUSH_CHEST = 0.62  # of the whole width: the chest between sleeves that lie beside it
FLUSH_REACH, FLUSH_BULGE = 0.35, 0.015  # of the whole width: how far the outline bulges, so far down an arm
FLUSH_SHOULDER = 3.2  # of the neck's width; sleeveless tops have 1.5 to 2.6
SIDE_POINTS = 12
LEAST_ARMHOLE = 0.25  # of the width between the straps: no armhole is shallower
STRAP_REACHES = (1.9, 2.6)  # half chest widths from the strap down to the chord's foot: about the waist


@dataclass(frozen=True)
class Side:
    """The left side; for the right one in mirrored coordinates."""

    neck: np.ndarray  # where the neckline meets the shoulder, at a collar's foot
    neck_top: np.ndarray  # the same at a collar's top
    shoulder: np.ndarray
    armpit: np.ndarray
    side: np.ndarray  # (12, 2) armpit to hem
    sleeve: Strip | None
    collar: bool

    def moved(self, x: float) -> Side:
        """Shifted sideways."""
        shift = np.array([x, 0.0])
        sleeve = Strip(self.sleeve.outer + shift, self.sleeve.inner + shift) if self.sleeve else None
        moved = {name: getattr(self, name) + shift for name in ("neck", "neck_top", "shoulder", "armpit", "side")}
        return replace(self, sleeve=sleeve, **moved)


def armpit_depth(mask: np.ndarray, axis: float) -> float | None:
    """How deep the armpit lies below the outline above it, in chest widths; None for a sleeveless side."""
    rows = np.flatnonzero(mask.any(1))
    path = half_outline(mask, axis)
    armpit = find_armpit(path, axis, rows[-1] - rows[0])
    if armpit is None:
        return None
    chest = max(2 * (axis - path[armpit, 0]), 1)
    return float(path[armpit, 1] - _row_above(mask, path[armpit], chest)) / chest


def _row_above(mask: np.ndarray, corner: np.ndarray, chest: float) -> int:
    column = int(np.clip(corner[0] + 0.1 * chest, 0, mask.shape[1] - 1))
    return first_row(mask[:, column])


def analyse_side(
    mask: np.ndarray, axis: float, creases: np.ndarray, cut: bool, opening: np.ndarray | None,
    narrowest: float = NARROWEST,
) -> Side:
    """Structure of the left half of a mask bool HxW.

    `cut`: free the sleeve from the body first; `opening` (2,): the neckline's end, where the outline shows it;
    `narrowest`: cuffs narrower than so many armholes are not likely.
    """
    rows = np.flatnonzero(mask.any(1))
    height = rows[-1] - rows[0]
    path = half_outline(mask, axis)
    armpit = find_armpit(path, axis, height)
    if armpit is not None and cut:
        corner = path[armpit]
        chest = 2 * (axis - corner[0])
        top = _row_above(mask, corner, chest) + ARMHOLE_DEPTH * chest
        if corner[1] > top + 0.1 * chest:
            freed = keep_large(cut_free(creases, mask, corner, top, CREASE_REACH * chest), 0.05)
            freed_path = half_outline(freed, axis)
            freed_armpit = find_armpit(freed_path, axis, height)
            if freed_armpit is not None:
                path, armpit = freed_path, freed_armpit
    if armpit is not None:
        hem = furthest(path[:armpit], (-0.6, 1.0))
        shoulder = _armhole_top(path, armpit, axis)
        sleeve = sleeve_strip(path[armpit : shoulder + 1], narrowest)
    else:
        hem = furthest(path[: int(len(path) * 0.6)], (-0.6, 1.0))
        shoulder, armpit = _strap(path, hem, axis, rows[0], height)
        sleeve = None
    chest = axis - path[armpit, 0]
    neck = _neck_point(path, shoulder, opening)
    foot = _collar_foot(path, shoulder, neck, chest)
    side = path[hem : armpit + 1][::-1] if armpit - hem > 2 else np.repeat(path[armpit][None], 2, 0)
    return Side(
        neck=path[neck if foot is None else foot], neck_top=path[neck], shoulder=path[shoulder], armpit=path[armpit],
        side=resample(side, SIDE_POINTS), sleeve=sleeve, collar=foot is not None,
    )  # fmt: skip


def is_flush(mask: np.ndarray, axis: float, neck: np.ndarray) -> bool:
    """Whether what passes for a sleeveless left side has its sleeve flush with the body, as coats and wearers do.

    Below the shoulder an armhole is cut inwards, and an arm's outline bulges; and shoulders far wider than the neck
    (its left point (2,)) are the sleeves'.
    """
    path = half_outline(mask, axis)
    columns = np.flatnonzero(mask.any(0))
    width = columns[-1] - columns[0]
    tip = furthest(path, (-1.0, -1.0))
    if axis - path[tip, 0] > FLUSH_SHOULDER * max(axis - neck[0], 0.1 * width):
        return True
    below = np.flatnonzero(path[:tip, 1] > path[tip, 1] + FLUSH_REACH * width)
    if not len(below) or tip - below[-1] < 8:
        return False
    foot = int(below[-1])
    off = (path[foot : tip + 1] - path[foot]) @ chord_normal(path[foot], path[tip])
    return bool(off.max() > max(FLUSH_BULGE * width, -2 * off.min()))


def freed_from_hem(mask: np.ndarray, axis: float, creases: np.ndarray) -> np.ndarray:
    """bool HxW: the left sleeve of a garment that shows none cut free, from the hem up to where an armpit would be."""
    columns = np.flatnonzero(mask.any(0))
    chest = FLUSH_CHEST * (columns[-1] - columns[0])
    x = int(np.clip(axis - chest / 2, 0, mask.shape[1] - 1))
    top = _row_above(mask, np.array([x, 0]), chest) + ARMHOLE_DEPTH * chest
    notch = np.array([x, np.flatnonzero(mask[:, x])[-1]])
    return keep_large(cut_free(creases, mask, notch, top, CREASE_REACH * chest), 0.05)


def _armhole_top(path: np.ndarray, armpit: int, axis: float) -> int:
    """Where the outline turns from shoulder to sleeve (45 degrees), held to about above the armpit."""
    chest = axis - path[armpit, 0]
    over = armpit + furthest(path[armpit:], (-1.0, -0.15))
    turn = path[over + furthest(path[over:], (-0.72, -0.69)), 0]
    column = np.clip(turn, path[armpit, 0] - 0.12 * chest, path[armpit, 0] + 0.12 * chest)
    beyond = np.flatnonzero(path[over:, 0] >= column)
    return over + int(beyond[0]) if len(beyond) else len(path) - 2


def _strap(path: np.ndarray, hem: int, axis: float, top: int, height: int) -> tuple[int, int]:
    """Sleeveless: (outer end of the strap or shoulder, armpit); the armpit deviates most from the chord below it."""
    above = hem + np.flatnonzero(path[hem:, 1] < top + 0.6 * height)
    if not len(above):
        return len(path) - 2, hem
    tip = int(above[0]) + furthest(path[above[0] :], (-0.45, -1.0))
    half = axis - path[tip, 0]  # of the straps or shoulders; the chest is up to 1.6 times as wide
    wide = float(np.clip(axis - path[:, 0].min(), half, 1.6 * half))
    lowest = path[tip, 1] + LEAST_ARMHOLE * 2 * half
    best, armpit = -np.inf, hem
    for reach in STRAP_REACHES:
        below = np.flatnonzero(path[hem:tip, 1] < path[tip, 1] + reach * wide)
        start = hem + int(below[0]) if len(below) else hem
        stretch = path[start : tip + 1]
        # Of a side that runs straight down from the armhole the upper end counts.
        deviation = (stretch - path[start]) @ (chord_normal(path[start], path[tip]) + (0, -0.12))
        deviation[stretch[:, 1] < min(lowest, path[start, 1])] = -np.inf
        if deviation.max() > best:
            best, armpit = float(deviation.max()), start + int(np.argmax(deviation))
    return tip, armpit


def _neck_point(path: np.ndarray, shoulder: int, opening: np.ndarray | None) -> int:
    """Index of the neck point: the end of the neckline's opening, else the support point of the shoulder's top."""
    upper = path[shoulder:]
    if opening is not None:
        distance = np.hypot(*(upper - opening).T)
        if distance.min() < 4:
            return shoulder + int(distance.argmin())
    neck, slope = shoulder, 0.25
    for _ in range(3):  # a line half as steep as the shoulder
        neck = shoulder + furthest(upper, (-slope, -1.0))
        run = path[neck, 0] - path[shoulder, 0]
        if run < 8:
            break
        slope = float(np.clip((path[shoulder, 1] - path[neck, 1]) / run * 0.5, 0.06, 0.5))
    return neck


def _collar_foot(path: np.ndarray, shoulder: int, neck: int, chest: float) -> int | None:
    """Index of the bay between shoulder and neck point under a collar that stands up."""
    if neck - shoulder <= 6:
        return None
    sag = -((path[shoulder : neck + 1] - path[shoulder]) @ chord_normal(path[shoulder], path[neck]))
    return shoulder + int(np.argmax(sag)) if sag.max() > 0.07 * chest else None
