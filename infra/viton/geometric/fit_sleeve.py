"""x."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.body import Body, ray
from infra.viton.geometric.garment import Garment, Strip
from infra.viton.geometric.polyline import polyline_length, resample


def fit_sleeve(strip: Strip, body: Body, side: int, scale: float, root: np.ndarray, sleeve_length: float,
               columns: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Sleeve strip -> quad meshes in garment and picture.  `root` is (2, 2): shoulder point, armpit on the picture.

    The outer edge runs from the shoulder over the arm's outside, the inner one from the armpit along
    its inside; points of the two are paired as they are in the garment, so the cloth fans out over
    the shoulder as it does when worn.
    """
    n = 16
    outer, inner = resample(strip.outer, n), resample(strip.inner, n)
    arm = body.arms[side].astype(np.float64)
    upper_len, lower_len = np.hypot(*(arm[1] - arm[0])), np.hypot(*(arm[2] - arm[1]))
    bone = _rounded(arm[0], arm[1], arm[2] + (arm[2] - arm[1]) * 0.4)
    bone = resample(bone, 60)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(bone, axis=0).T))])
    tangent = np.gradient(bone, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-6)[:, None]
    across = np.stack([tangent[:, 1], -tangent[:, 0]], 1) * (-1 if side == 0 else 1)     # towards the outside
    reach = np.interp(along, [0, upper_len, upper_len + lower_len], body.arm_radius[side])
    # No skin may look out beside the sleeve: its outside follows the silhouette where that is arm-like.
    thickest = np.interp(along, [0, upper_len, upper_len + lower_len], [0.24, 0.16, 0.12]) * body.span
    seen = np.array([ray(body.outline, q, a, 0.26 * body.span) for q, a in zip(bone, across)])
    seen = np.minimum(seen, thickest)
    seen = np.convolve(np.pad(seen, 3, mode="edge"), np.ones(7) / 7, "valid") * 1.03 + 3
    width = np.hypot(*(outer - inner).T) / 2 * scale
    share = np.clip(along / max(sleeve_length - 0.5 * reach[0], 1), 0.35, 1)
    own = np.interp(share, np.linspace(0, 1, n), width)
    half = np.clip(own * 0.9, reach * 1.08 + 1.5, reach * 2.1)
    half_out = np.maximum(half, seen)

    top = root[0]
    # Over the shoulder: from its top round the deltoid, just outside the silhouette.
    fan = []
    rise = top - arm[0]
    begin = float(np.arctan2(rise @ across[0], -(rise @ tangent[0])))        # a raised arm leaves less to go round
    for angle in begin + (np.pi / 2 - begin) * np.array([0.3, 0.6, 0.85]) if begin < 1.3 else ():
        way = across[0] * np.sin(angle) - tangent[0] * np.cos(angle)
        flesh = min(ray(body.outline, arm[0], way, 0.3 * body.span), 0.24 * body.span) + 3
        fan.append(arm[0] + way * max(flesh, 0.75 * np.hypot(*(top - arm[0]))))
    first = int(np.searchsorted(along, 0.08 * upper_len))
    outside = np.vstack([top[None], *[q[None] for q in fan], (bone + across * half_out[:, None])[first:]])
    outside_at = np.concatenate([np.zeros(1 + len(fan)), along[first:]])
    pit_along = float(np.clip((root[1] - arm[0]) @ tangent[0], 0.1 * upper_len, 0.7 * upper_len))
    second = int(np.searchsorted(along, pit_along + 0.12 * upper_len))
    inside = np.vstack([root[1][None], (bone - across * half[:, None])[second:]])
    inside_at = np.concatenate([[pit_along], along[second:]])

    length_out = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(outside, axis=0).T))])
    whole = upper_len + lower_len
    end = float(np.interp(sleeve_length, length_out, outside_at))
    slender = polyline_length((outer + inner) / 2) / max(float(np.hypot(*(outer - inner).T)[n // 2:].mean()), 1)
    if end > 0.72 * whole and slender > 1.9:        # a full sleeve ends at the wrist
        end = 1.02 * whole
    elif slender < 1.7:                             # a short one above the elbow
        end = min(end, 0.92 * upper_len)
    end = max(end, pit_along + 0.10 * upper_len)
    cut = lambda line, at: resample(np.vstack([line[at < end], [[np.interp(end, at, line[:, k]) for k in (0, 1)]]]), n)
    outside, inside = cut(outside, outside_at), cut(inside, inside_at)

    u = np.linspace(-0.10, 1.10, columns + 2)
    mesh = lambda a, b: a[:, None] * (1 - u)[None, :, None] + b[:, None] * u[None, :, None]
    target, source = mesh(outside, inside), mesh(outer, inner)
    # One more row past the cuff for frills, and one under the torso against cracks.
    extend = lambda m: np.concatenate([(m[0] + (m[0] - m[1]) * 0.25)[None], m, (m[-1] + (m[-1] - m[-2]) * 0.8)[None]])
    return extend(source), extend(target)


def _rounded(a: np.ndarray, elbow: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Polyline a - elbow - b with the corner rounded."""
    cut = 0.25
    p, q = elbow + (a - elbow) * cut, elbow + (b - elbow) * cut
    t = np.linspace(0, 1, 12)[:, None]
    bend = (1 - t) ** 2 * p + 2 * t * (1 - t) * elbow + t ** 2 * q
    return np.vstack([a[None], bend, b[None]])


