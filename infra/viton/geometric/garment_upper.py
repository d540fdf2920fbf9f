"""Upper garments and dresses: both sides analysed and brought to agree, neckline, parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_holes import with_holes_filled
from infra.viton.geometric.garment_inside import inner_back
from infra.viton.geometric.garment_labels import painted_over, white_label, with_label_filled, without_label
from infra.viton.geometric.garment_neckline import find_neckline
from infra.viton.geometric.garment_outline import mirror_axis, neck_opening, with_gaps_opened
from infra.viton.geometric.garment_side import (
    ARMHOLE_DEPTH,
    LOW_ARMPIT,
    Side,
    analyse_side,
    armpit_depth,
    freed_from_hem,
    is_flush,
)
from infra.viton.geometric.garment_sleeve import crease_map
from infra.viton.geometric.strip import Strip

HOOD = 0.42  # chest widths: what stands higher above the shoulders is no collar
CUFFS_ALIKE = 0.4  # a cuff is at least so much as wide as its counterpart
DISAGREE = 0.15  # chest widths between the two armpits' heights: one side is then misread


def analyse_upper(picture: np.ndarray, alpha: np.ndarray, rgb: np.ndarray, kind: str) -> Garment:
    """Structure of an upper garment or dress. `picture`, `rgb` uint8 HxWx3, `alpha` uint8 HxW."""
    axis = mirror_axis(alpha > 127)
    rgb, alpha = with_holes_filled(rgb, alpha, axis)
    mask = alpha > 127
    mask, label = with_label_filled(mask, axis)
    left, right = _both_sides(with_gaps_opened(mask, axis), axis, crease_map(picture), kind)
    width = mask.shape[1]

    def pair(name: str) -> np.ndarray:
        return np.stack([getattr(left, name), _mirrored(getattr(right, name), width)])

    collar = left.collar and right.collar
    neck, neck_top, armpit = pair("neck") if collar else pair("neck_top"), pair("neck_top"), pair("armpit")
    if collar and (neck - neck_top)[:, 1].mean() > HOOD * (armpit[1, 0] - armpit[0, 0]):
        neck_top, collar = neck, False  # worn down it would lie behind the neck
    if label is None and (label := white_label(picture, neck_top)) is not None:
        rgb = painted_over(rgb, label)
    neckline = find_neckline(picture, mask, neck_top, collar, label)
    rgb = without_label(rgb, alpha, neckline)
    back = inner_back(picture, neckline, collar)
    sleeves = (left.sleeve, None)
    if right.sleeve:
        sleeves = (left.sleeve, Strip(_mirrored(right.sleeve.outer, width), _mirrored(right.sleeve.inner, width)))
    shoulder, sides = pair("shoulder"), pair("side")
    return Garment(
        kind=kind, rgb=rgb, alpha=alpha, back=back, axis=axis, neck=neck,
        neckline=neckline, shoulder=shoulder, armpit=armpit, sides=sides, sleeves=sleeves, collar=collar,
    )  # fmt: skip


def on_cloth(side: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A left side (n, 2) moved in to the outline of a mask bool HxW where it stands outside."""
    rows = mask[np.clip(np.rint(side[:, 1]).astype(int), 0, mask.shape[0] - 1)]
    return np.stack([np.where(rows.any(1), np.maximum(side[:, 0], rows.argmax(1)), side[:, 0]), side[:, 1]], 1)


def _mirrored(points: np.ndarray, width: int) -> np.ndarray:
    return np.stack([width - 1 - points[..., 0], points[..., 1]], -1)


def _both_sides(mask: np.ndarray, axis: float, creases: np.ndarray, kind: str) -> tuple[Side, Side]:
    """Left and right (mirrored) side. What only one side shows, the other gets from it: garments come in pairs."""
    width = mask.shape[1]
    views = ((mask, axis, creases), (np.ascontiguousarray(mask[:, ::-1]), width - 1 - axis, creases[:, ::-1]))
    opening = neck_opening(mask, axis)
    ends = (None, None) if opening is None else (opening[0], _mirrored(opening[1], width))
    depths = [depth for m, a, _ in views if (depth := armpit_depth(m, a)) is not None]
    cut = bool(depths) and float(np.mean(depths)) > ARMHOLE_DEPTH + LOW_ARMPIT
    sides = [analyse_side(m, a, c, cut, end) for (m, a, c), end in zip(views, ends)]
    if kind == "upper" and all(s.sleeve is None and is_flush(m, a, s.neck_top) for (m, a, _), s in zip(views, sides)):
        views = tuple((freed_from_hem(m, a, c), a, c) for m, a, c in views)
        sides = [analyse_side(m, a, c, False, end) for (m, a, c), end in zip(views, ends)]
    has = [side.sleeve is not None for side in sides]
    if all(has):
        cuffs = [side.sleeve.widths[-1] / max(side.sleeve.widths[0], 1.0) for side in sides]
        odd = int(np.argmin(cuffs))
        if cuffs[odd] < CUFFS_ALIKE * cuffs[1 - odd]:  # a spike of the outline, not the cuff
            sides[odd] = analyse_side(*views[odd], cut, ends[odd], CUFFS_ALIKE * cuffs[1 - odd])
    worse = None
    if has[0] != has[1]:
        worse = 0 if has[1] else 1
    elif has[0]:
        chest = sum(a - side.armpit[0] for (_, a, _), side in zip(views, sides))
        depth = [(side.armpit[1] - side.shoulder[1]) / max(chest, 1) for side in sides]
        if abs(depth[0] - depth[1]) > DISAGREE:
            worse = int(np.argmax(np.abs(np.array(depth) - ARMHOLE_DEPTH)))
    else:  # a misread strap: the armpit lies next to its top
        chest = max(sum(a - side.armpit[0] for (_, a, _), side in zip(views, sides)), 1)
        depth = [(side.armpit[1] - side.shoulder[1]) / chest for side in sides]
        if abs(depth[0] - depth[1]) > DISAGREE:
            worse = int(np.argmin(depth))
    if worse is not None:
        better = sides[1 - worse]
        moved = better.moved(views[worse][1] - views[1 - worse][1])
        sides[worse] = replace(moved, side=on_cloth(moved.side, views[worse][0]))
    return sides[0], sides[1]
