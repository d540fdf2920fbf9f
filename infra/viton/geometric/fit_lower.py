"""x."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.body import Body, ray
from infra.viton.geometric.garment import Garment, Strip
from infra.viton.geometric.polyline import polyline_length, resample


PANTS, SKIRT = 9, 12
def waist_level(parse: np.ndarray, body: Body) -> float:
    """Where the lower garment begins on this person, as a distance below the neck."""
    levels = np.linspace(0.6, 1.05, 40) * body.torso
    points = np.rint(body.at(np.zeros(len(levels)), levels)).astype(int)
    ok = (points[:, 1] >= 0) & (points[:, 1] < parse.shape[0]) & (points[:, 0] >= 0) & (points[:, 0] < parse.shape[1])
    found = [level for level, q, o in zip(levels, points, ok) if o and parse[q[1], q[0]] in (PANTS, SKIRT)]
    return float(np.clip(found[0], 0.66 * body.torso, 0.92 * body.torso)) if found else 0.78 * body.torso


def fit_leg(strip: Strip, body: Body, side: int, scale: float, root: np.ndarray, columns: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Trouser leg -> meshes; trousers of about full length end at the ankle."""
    n = 24
    outer, inner = resample(strip.outer, n), resample(strip.inner, n)
    hip, knee, ankle = body.legs[side].astype(np.float64)
    start = root.mean(0)
    bone = resample(np.vstack([start, knee, ankle + (ankle - knee) * 0.25]), 80)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(bone, axis=0).T))])
    whole = np.hypot(*(knee - start)) + np.hypot(*(ankle - knee))
    length = strip.length * scale
    if length > 0.78 * whole:
        length = 1.03 * whole
    at = np.linspace(0, length, n)
    centre = np.stack([np.interp(at, along, bone[:, k]) for k in (0, 1)], 1)
    tangent = np.gradient(cv2.GaussianBlur(centre, (1, 9), 2), axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-6)[:, None]
    across = np.stack([tangent[:, 1], -tangent[:, 0]], 1) * (-1 if side == 0 else 1)
    limits = np.interp(at / whole, [0, 0.5, 1], [0.30, 0.20, 0.13]) * body.span
    seen = np.array([min(ray(body.outline, q, a, 0.4 * body.span), m) for q, a, m in zip(centre, across, limits)])
    own = np.hypot(*(outer - inner).T) / 2 * scale
    half_out = np.maximum(np.minimum(own, 1.6 * limits), seen + 2)
    half_in = np.minimum(np.maximum(own, 0.75 * seen), 1.5 * limits)
    outside, inside = centre + across * half_out[:, None], centre - across * half_in[:, None]
    other = body.legs[1 - side]
    between = np.interp(centre[:, 1], [q[1] for q in body.legs[side]], [abs(a[0] - b[0]) / 2 for a, b in zip(body.legs[side], other)])
    half_in = np.minimum(half_in, np.maximum(between, 0.5 * limits) * 1.02)          # legs hang beside each other
    blend = np.clip(at / (0.25 * whole), 0, 1)[:, None]
    outside = (root[0] + (centre - start)) * (1 - blend) + outside * blend
    inside = (root[1] + (centre - start)) * (1 - blend) + inside * blend
    u = np.linspace(-0.08, 1.08, columns + 2)
    mesh = lambda a, b: a[:, None] * (1 - u)[None, :, None] + b[:, None] * u[None, :, None]
    extend = lambda m: np.concatenate([(m[0] + (m[0] - m[1]) * 1.5)[None], m, (m[-1] + (m[-1] - m[-2]) * 0.8)[None]])
    return extend(mesh(outer, inner)), extend(mesh(outside, inside))


