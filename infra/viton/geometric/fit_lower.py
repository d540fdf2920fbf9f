"""Where trousers and skirts go on a body: waist, hips and legs."""

from __future__ import annotations

import numpy as np

from infra.preprocess.human_parser.labels import Cihp
from infra.viton.geometric.body import Body, ray
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.polyline import arc_lengths, interpolate, resample, unit
from infra.viton.geometric.strip import Strip

HIP_EASE = 1.05  # of the body's width
HIP_LEVEL, HIP_ROW = 1.05, 8  # in torsos below the neck; of a side's 12 points
CROTCH_LEVEL = 1.20  # torsos below the neck
WAIST_LEVELS, USUAL_WAIST = (0.66, 0.92), 0.78  # torsos below the neck
LEG_ROWS, LEG_COLUMNS = 24, 4
LEG_RADIUS = (0.30, 0.20, 0.13)  # spans at hip, knee and ankle: the most that is taken for leg
FULL_LENGTH = 0.78  # of the leg: longer trousers end at the ankle


def waist_level(parse: np.ndarray, body: Body) -> float:
    """Where the lower garment begins on this person, in pixels below the neck. `parse` uint8 HxW CIHP."""
    levels = np.linspace(0.6, 1.05, 40) * body.torso
    x, y = np.rint(body.at(np.zeros(len(levels)), levels)).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < parse.shape[1]) & (y < parse.shape[0])
    labels = np.where(inside, parse[y.clip(0, parse.shape[0] - 1), x.clip(0, parse.shape[1] - 1)], Cihp.BACKGROUND)
    found = np.flatnonzero(np.isin(labels, (Cihp.PANTS, Cihp.SKIRT)))
    if not len(found):
        return USUAL_WAIST * body.torso
    return float(np.clip(levels[found[0]], *(share * body.torso for share in WAIST_LEVELS)))


def fit_hips(garment: Garment, body: Body, waist: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Control points (n, 2) of the hips (of a whole skirt) in garment and picture, and the scale across."""
    row = garment.sides[:, HIP_ROW, 0]
    level = HIP_LEVEL * body.torso
    scale = HIP_EASE * float(body.half_width(0, level) + body.half_width(1, level)) / max(float(row[1] - row[0]), 1)
    top, bottom = float(garment.sides[0, 0, 1]), float(garment.sides[:, -1, 1].mean())
    stretch = (CROTCH_LEVEL * body.torso - waist) / max(bottom - top, 1) if garment.sleeved else scale
    source, target = [], []
    for side, out in enumerate((-1, 1)):
        points = garment.sides[side]
        levels = waist + (points[:, 1] - top) * stretch
        hips = levels < 1.15 * body.torso
        flesh = body.half_width(side, levels) * np.where(hips, 1.02, 1.0)
        own = np.abs(points[:, 0] - garment.axis) * scale
        width = np.where(hips, np.clip(own, flesh, 1.12 * flesh), np.maximum(own, 0.9 * flesh))
        source.extend(points)
        target.extend(body.neck + (out * width)[:, None] * body.right + levels[:, None] * body.down)
    for share in (0.0, 0.35, 0.7, 1.0):
        y = top + share * (bottom - top)
        source.append(np.array([garment.axis, y]))
        target.append(body.at(0.0, waist + (y - top) * stretch))
    return np.array(source), np.array(target), scale


def fit_leg(
    strip: Strip, body: Body, side: int, scale: float, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Quad meshes (rows, columns, 2) of one leg in garment and picture; `root` (2, 2) is its top outside and inside."""
    outer, inner = resample(strip.outer, LEG_ROWS), resample(strip.inner, LEG_ROWS)
    _, knee, ankle = body.legs[side].astype(np.float64)
    start = root.mean(0)
    bone = resample(np.vstack([start, knee, ankle + (ankle - knee) * 0.25]), 80)
    whole = max(float(np.hypot(*(knee - start)) + np.hypot(*(ankle - knee))), 1.0)
    length = strip.length * scale
    if length > FULL_LENGTH * whole:
        length = 1.03 * whole
    at = np.linspace(0, length, LEG_ROWS)
    centre = interpolate(at, arc_lengths(bone), bone)
    smooth = np.stack([np.convolve(np.pad(c, 4, mode="edge"), np.ones(9) / 9, "valid") for c in centre.T], 1)
    tangent = unit(np.gradient(smooth, axis=0))
    across = np.stack([tangent[:, 1], -tangent[:, 0]], 1) * (-1 if side == 0 else 1)
    limits = np.interp(at / whole, [0, 0.5, 1], LEG_RADIUS) * body.span
    seen = np.array([min(ray(body.outline, q, a, 0.4 * body.span), m) for q, a, m in zip(centre, across, limits)])
    own = np.hypot(*(outer - inner).T) / 2 * scale
    half_out = np.maximum(np.minimum(own, 1.6 * limits), seen + 2)
    half_in = np.minimum(np.maximum(own, 0.75 * seen), 1.5 * limits)
    here, other = body.legs[side], body.legs[1 - side]
    order = np.argsort(here[:, 1])  # legs hang beside each other: half the way between them is room for one
    between = np.interp(centre[:, 1], here[order, 1], np.abs(here[order, 0] - other[order, 0]) / 2)
    half_in = np.minimum(half_in, np.maximum(between, 0.5 * limits) * 1.02)
    blend = np.clip(at / (0.25 * whole), 0, 1)[:, None]
    outside = (root[0] + centre - start) * (1 - blend) + (centre + across * half_out[:, None]) * blend
    inside = (root[1] + centre - start) * (1 - blend) + (centre - across * half_in[:, None]) * blend
    u = np.linspace(-0.08, 1.08, LEG_COLUMNS)[None, :, None]
    return _lengthened(outer[:, None] * (1 - u) + inner[:, None] * u), _lengthened(
        outside[:, None] * (1 - u) + inside[:, None] * u
    )


def _lengthened(mesh: np.ndarray) -> np.ndarray:
    """A row more above, under the hips' fading edge, and one below for the hem."""
    return np.concatenate([(mesh[0] + (mesh[0] - mesh[1]) * 1.5)[None], mesh, (mesh[-1] * 1.8 - mesh[-2] * 0.8)[None]])
