"""Where a garment's torso goes on a body: its size, and control points for the thin-plate spline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.viton.geometric.body import Body, ray
from infra.viton.geometric.garment import Garment

# Of the body's widths: worn cloth goes round the body, and what is left over shows at the waist first.
CHEST_EASE, SHOULDER_EASE, WAIST_EASE = 1.06, 1.05, 1.18
WAIST_LEVEL = 0.6  # of the torso, from neck to hips
LONGEST_TOP = 1.24  # torsos below the neck: where long tops are made to end ...
MOST_SHORTENED = 0.8  # ... unless that takes more of their length than this leaves: tunics, and dresses sent as tops
WIDEST = 1.16  # spans that a garment's shoulders stand for when its length is told from its width
STRAPLESS_LEVEL = 0.22  # spans below the neck: the top of what hangs from no shoulder
ARMPIT_LEVEL = 0.26  # spans below the neck: no armhole ends higher
# Control points of the middle: an upright lattice that is a similarity, so that prints stay as they were drawn.
LATTICE_ROWS, LATTICE_COLUMNS = (0.15, 0.4, 0.7, 1.0), (-0.45, 0.0, 0.45)  # of neck to hem; of half the chest
LIFT = 0.08  # spans: what rises higher over the shoulder's line is hair
SHOULDER_SHARES = (0.3, 0.65)  # of the way from neck to shoulder
SIDE_ROWS = (2, 4, 6, 8, 10, 11)  # of a side's 12 points


@dataclass(frozen=True)
class TorsoFit:
    """Control points in garment and picture, both (n, 2), and picture pixels per garment pixel."""

    source: np.ndarray
    target: np.ndarray
    scale: float  # across
    lengthwise: float  # along: width grows with the wearer's girth, length follows the skeleton


def fit_torso(garment: Garment, body: Body) -> TorsoFit:
    """Fit the torso of an upper garment or dress."""
    scale = _scale(garment, body)
    source, target = _shoulder_line(garment, body, scale)
    necks = target[:: 2 + len(SHOULDER_SHARES)]
    top = float(np.mean((necks - body.neck) @ body.down))  # of the neck points, below body.neck (negative)
    neck_y, hem_y = float(garment.neck[:, 1].mean()), float(garment.sides[:, -1, 1].mean())
    armpit_y = float(garment.armpit[:, 1].mean())
    lengthwise = min(scale, WIDEST * body.span / garment.shoulders) if garment.sleeved else scale
    if garment.kind == "upper":
        longest = (LONGEST_TOP * body.torso - top) / max(hem_y - neck_y, 1)
        lengthwise = float(np.clip(longest, MOST_SHORTENED * lengthwise, lengthwise))
    lowered = max(ARMPIT_LEVEL * body.span - (top + (armpit_y - neck_y) * lengthwise), 0)

    def below(y: np.ndarray) -> np.ndarray:
        """Row of the garment -> distance below the neck on the body."""
        return top + (y - neck_y) * lengthwise + lowered * np.clip((y - neck_y) / max(armpit_y - neck_y, 1), 0, 1)

    for side, out in enumerate((-1, 1)):
        points = np.vstack([garment.armpit[side], garment.sides[side][list(SIDE_ROWS)]])
        levels = below(points[:, 1])
        own = np.abs(points[:, 0] - garment.axis) * scale
        width = _side_widths(own, levels, body.half_width(side, levels), garment.kind, body)
        source.extend(points)
        target.extend(body.neck + (out * width)[:, None] * body.right + levels[:, None] * body.down)
    across_scale = float(np.clip(scale, 0.94 * lengthwise, 1.06 * lengthwise))
    for row in LATTICE_ROWS:
        y = neck_y + row * (hem_y - neck_y)
        for column in LATTICE_COLUMNS:
            across = column * garment.chest / 2
            source.append(np.array([garment.axis + across, y]))
            target.append(body.at(across * across_scale, float(below(y))))
    return TorsoFit(np.array(source), np.array(target), scale, lengthwise)


def _scale(garment: Garment, body: Body) -> float:
    """Picture pixels per garment pixel across: the median of what chest, shoulders and waist say."""
    chest = float(body.half_width(0, body.levels[0]) + body.half_width(1, body.levels[0]))
    from_chest = CHEST_EASE * chest / garment.chest
    if not garment.sleeved:
        return from_chest
    tips = float((body.tip[1] - body.tip[0]) @ body.right)
    from_shoulders = max(tips, SHOULDER_EASE * body.span) / garment.shoulders
    level = WAIST_LEVEL * body.torso
    waist = float(body.half_width(0, level) + body.half_width(1, level))
    middle = max(float(garment.sides[1, 5, 0] - garment.sides[0, 5, 0]), 1.0)
    return float(np.median([from_chest, from_shoulders, WAIST_EASE * waist / middle]))


def _shoulder_line(garment: Garment, body: Body, scale: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Per side: neck point, shoulder point and `SHOULDER_SHARES` between."""
    source, target = [], []
    for side in (0, 1):
        neck, shoulder = garment.neck[side], garment.shoulder[side]
        shares = np.array(SHOULDER_SHARES)[:, None]
        source += [neck, shoulder, *(neck + shares * (shoulder - neck))]
        if garment.strapless:
            across = (np.array(source[-2 - len(shares) :])[:, 0] - garment.axis) * scale
            target += list(body.at(across, np.full(len(across), STRAPLESS_LEVEL * body.span)))
            continue
        tip_across = abs(float((body.tip[side] - body.neck) @ body.right))
        side_across = abs(float((body.neck_side[side] - body.neck) @ body.right))
        least, most = 1.02 * side_across, max(0.92 * tip_across, 1.02 * side_across)
        across = float(np.clip(abs(neck[0] - garment.axis) * scale, least, most))
        neck_target, tip = _on_shoulder(body, side, across), body.tip[side]
        if not garment.sleeved:  # straps and wide shoulders end where their width says
            want = np.clip(abs(shoulder[0] - garment.axis) * scale, across + 6, max(tip_across, across + 6))
            tip = _on_shoulder(body, side, float(want))
        tip = _lifted(body, tip, _rise(body, tip))
        between = neck_target + shares * (tip - neck_target)
        rises = [_rise(body, q) for q in between]
        # Beside the neck nothing shows how high the shoulder stands: as high as the point next to it.
        target += [_lifted(body, neck_target, rises[0]), tip, *map(_lifted, [body] * len(rises), between, rises)]
    return source, target


def _rise(body: Body, point: np.ndarray) -> float:
    """Pixels from a point of the shoulder's line up to the silhouette's edge: no skin may look out above the cloth."""
    rise = ray(body.outline, point, -body.down, 2 * LIFT * body.span)
    return rise + 1 if 0 < rise < LIFT * body.span else 0.0


def _lifted(body: Body, point: np.ndarray, rise: float) -> np.ndarray:
    return point - body.down * rise


def _on_shoulder(body: Body, side: int, across: float) -> np.ndarray:
    """Point of the shoulder's line at a distance from the body's axis; past the neck the line goes on up a little."""
    inner, outer = body.neck_side[side], body.tip[side]
    inner_across, outer_across = (abs(float((q - body.neck) @ body.right)) for q in (inner, outer))
    share = (across - inner_across) / max(outer_across - inner_across, 1)
    return inner + (outer - inner) * np.clip(share, -0.15, 1.05)


def _side_widths(own: np.ndarray, levels: np.ndarray, flesh: np.ndarray, kind: str, body: Body) -> np.ndarray:
    """Half widths at the sides: the garment's own where it is wider than the body, else the body's."""
    skirt = (kind == "dress") & (levels >= body.torso)
    flesh = np.where((kind == "dress") & (levels > body.levels[-1]), 0.9 * flesh, flesh)
    tight = np.maximum(own, np.where(skirt, 0.98, 1.03) * flesh)
    width = np.where(own > 1.08 * flesh, own, tight)
    return np.minimum(width, np.where(levels < 1.1 * body.torso, 1.35, 2.5) * flesh)
