"""x."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.body import Body, ray
from infra.viton.geometric.garment import Garment, Strip


def garment_scale(garment: Garment, body: Body) -> float:
    """Picture pixels per garment pixel: the median of what shoulders, chest and middle say.

    A flat garment is half its girth wide; worn, cloth goes round the body and shows about 8 % less.
    """
    chest = garment.armpit[1, 0] - garment.armpit[0, 0]
    body_chest = float(body.half_width(0, body.levels[0]) + body.half_width(1, body.levels[0]))
    from_chest = 1.06 * body_chest / max(chest, 1)
    if garment.sleeves[0] is None:
        return from_chest
    shoulders = garment.shoulder[1, 0] - garment.shoulder[0, 0]
    tips = float((body.tip[1] - body.tip[0]) @ body.right)
    from_shoulders = max(tips, 1.05 * body.span) / max(shoulders, 1)
    middle = garment.sides[1, 5, 0] - garment.sides[0, 5, 0]
    waist = float(body.half_width(0, 0.6 * body.torso) + body.half_width(1, 0.6 * body.torso))
    from_middle = 1.18 * waist / max(middle, 1)
    return float(np.median([from_chest, from_shoulders, from_middle]))


def fit_torso(garment: Garment, body: Body, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Control points of the torso: garment positions and where they go."""
    source, target = [], []
    neck_y = float(garment.neck[:, 1].mean())
    shoulder_half = [abs(garment.shoulder[s, 0] - garment.axis) for s in (0, 1)]
    neck_half = [abs(garment.neck[s, 0] - garment.axis) for s in (0, 1)]
    origin = 0.0
    necks, tips = [], []
    for s, out in ((0, -1), (1, 1)):
        tip_across = abs((body.tip[s] - body.neck) @ body.right)
        side_across = abs((body.neck_side[s] - body.neck) @ body.right)
        neck_across = np.clip(neck_half[s] * scale, side_across * 1.02, tip_across * 0.92)
        tip_target = body.tip[s]
        if garment.sleeves[s] is None:                       # straps and wide shoulders end where their width says
            want = np.clip(shoulder_half[s] * scale, neck_across + 6, tip_across)
            tip_target = _on_shoulder(body, s, want)
        neck_target = _on_shoulder(body, s, neck_across)
        source += [garment.neck[s], garment.shoulder[s], (garment.neck[s] + garment.shoulder[s]) / 2]
        target += [neck_target, tip_target, (neck_target + tip_target) / 2]
        necks.append(neck_target)
        tips.append(tip_target)
    top = float(np.mean([(q - body.neck) @ body.down for q in necks]))      # neck points below body.neck (negative)
    bottom = float(garment.sides[:, -1, 1].mean())
    # Width grows with the wearer's girth, length does not: it follows the skeleton, and tops end at the hips.
    shoulders = garment.shoulder[1, 0] - garment.shoulder[0, 0]
    lengthwise = min(scale, 1.16 * body.span / max(shoulders, 1)) if garment.sleeves[0] is not None else scale
    if garment.kind == "upper":
        lengthwise = min(lengthwise, (1.24 * body.torso - top) / max(bottom - neck_y, 1))
    drop = lambda y: top + (y - neck_y) * lengthwise

    chest_low = max(drop(garment.armpit[:, 1].mean()), 0.26 * body.span + top * 0)
    shift = chest_low - drop(garment.armpit[:, 1].mean())
    below = lambda y: drop(y) + shift * np.clip((y - neck_y) / max(garment.armpit[:, 1].mean() - neck_y, 1), 0, 1)
    body_chest = [float(body.half_width(s, body.levels[0])) for s in (0, 1)]
    for s, out in ((0, -1), (1, 1)):
        side = np.vstack([garment.armpit[s], garment.sides[s][[2, 4, 6, 8, 10, 11]]])
        for q in side:
            level = float(below(q[1]))
            own = abs(q[0] - garment.axis) * scale
            flesh = float(body.half_width(s, level))
            if level > body.levels[-1] and garment.kind == "dress":
                flesh *= 0.9
            width = own if own > 1.08 * flesh else max(own, 1.03 * flesh) if garment.kind != "dress" or level < body.torso else max(own, 0.98 * flesh)
            width = min(width, 1.35 * flesh if level < 1.1 * body.torso else 2.5 * flesh)
            source.append(q)
            target.append(body.at(out * width, level))
    # The middle keeps the garment's own proportions, upright: prints stay as they were drawn.
    for f in (0.15, 0.4, 0.7, 1.0):
        y = neck_y + f * (bottom - neck_y)
        for u in (-0.3, 0.0, 0.3):
            chest = (garment.armpit[1, 0] - garment.armpit[0, 0]) / 2
            source.append(np.array([garment.axis + u * chest, y]))
            target.append(body.at(u * chest * scale, float(below(y))))
    return np.array(source), np.array(target)


def _on_shoulder(body: Body, side: int, across: float) -> np.ndarray:
    """Point of the shoulder line at a distance from the body's axis; beyond the neck the line goes on up a little."""
    a, b = body.neck_side[side], body.tip[side]
    xa, xb = abs((a - body.neck) @ body.right), abs((b - body.neck) @ body.right)
    t = (across - xa) / max(xb - xa, 1)
    return a + (b - a) * np.clip(t, -0.15, 1.05)


