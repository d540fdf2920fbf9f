"""Where a sleeve goes on an arm: it starts with the torso's cloth, follows both bones and keeps its own length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.viton.geometric.body import Body, ray
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.polyline import arc_lengths, hermite, interpolate, resample, unit
from infra.viton.geometric.strip import Strip
from infra.viton.geometric.thin_plate import ThinPlate

ROWS, COLUMNS = 16, 7
UPPER_ARM = 0.53  # of the arm's length, shoulder to wrist
# Sleeve index (`Garment.sleeve_index`) -> share of the arm that such sleeves cover, as they are worn.
INDEX = (0.0, 0.30, 0.45, 0.60, 0.80, 0.95, 1.10)
COVERED = (0.12, 0.24, 0.33, 0.40, 0.52, 0.75, 0.92)
LONG, WRIST = 1.10, 1.02  # from this index on sleeves end at the wrist
TAPERED = 0.4  # cuff over armhole: narrower ones close round a wrist
EASE = 3.0  # pixels between skin and cloth
VISIBLE = 0.85  # of a flat tube's width shows when it is worn
OUTSIDE = 0.3  # share of a wide sleeve's slack that stands off outwards; the rest hangs inside


@dataclass(frozen=True)
class _Bone:
    """The arm's middle line from shoulder past the wrist, its corner rounded."""

    points: np.ndarray  # (n, 2)
    along: np.ndarray  # (n,) pixels
    across: np.ndarray  # (n, 2) unit vectors towards the outside
    upper: float
    lower: float


def sleeve_share(garment: Garment, body: Body, lengthwise: float) -> float:
    """Share of the arm, shoulder to wrist, that the garment's sleeves cover: 1.02 is just past the wrist.

    Both sleeves together decide, from their shape and from their length on this body's skeleton.
    """
    index = garment.sleeve_index()
    by_shape = float(np.interp(index, INDEX, COVERED))
    upper = max(float(np.hypot(*(arm[1] - arm[0]))) for arm in body.arms)
    lower = max(float(np.hypot(*(arm[2] - arm[1]))) for arm in body.arms)
    arm = max(upper + lower, 0.95 * body.torso)
    by_length = (garment.sleeve_length() * lengthwise - 0.12 * body.span) / arm
    share = 0.6 * by_shape + 0.4 * float(np.clip(by_length, 0.75 * by_shape, 1.3 * by_shape))
    if index > LONG or (share > 0.8 and garment.sleeve_taper() < TAPERED):
        return WRIST
    return float(np.clip(share, 0.1, WRIST))


def fit_sleeve(
    garment: Garment, body: Body, side: int, scale: float, share: float, torso: ThinPlate, back: ThinPlate
) -> tuple[np.ndarray, np.ndarray]:
    """Quad meshes (rows, columns, 2) of one sleeve in the garment and in the picture, from its root to its cuff.

    `torso` maps garment to picture, `back` picture to garment: at the root the sleeve is where the torso's cloth is.
    """
    strip = garment.sleeves[side]
    outer, inner = resample(strip.outer, ROWS), resample(strip.inner, ROWS)
    bone = _bone(body, side)
    root = torso(np.array([outer[0], inner[0]]))
    outside, inside = _edges(Strip(outer, inner), body, side, bone, root, scale, share)
    u = np.linspace(-0.1, 1.1, COLUMNS)
    target, source = _between(outside, inside, u), _between(outer, inner, u)
    # The armhole's line and some cloth before it lie as the torso's own cloth does.
    inward = (source[0] - source[1]).mean(0)
    first = torso(source[0])
    bend = first - target[0]
    fade = np.linspace(1, 0, ROWS // 2)[1:] ** 2
    target[0] = first
    target[1 : len(fade) + 1] += fade[:, None, None] * bend
    before = torso(source[0] + inward)
    target = np.concatenate([before[None], target, _next_row(target)])
    source = np.concatenate([back(before)[None], back(first)[None], source[1:], _next_row(source)])
    return source, target


def _between(outer: np.ndarray, inner: np.ndarray, u: np.ndarray) -> np.ndarray:
    """(n, 2) twice -> (n, len(u), 2)."""
    return outer[:, None] * (1 - u)[None, :, None] + inner[:, None] * u[None, :, None]


def _next_row(mesh: np.ndarray) -> np.ndarray:
    """One more row past the cuff, for frills."""
    return (mesh[-1] + (mesh[-1] - mesh[-2]) * 0.8)[None]


def _bone(body: Body, side: int) -> _Bone:
    shoulder, elbow, wrist = body.arms[side].astype(np.float64)
    upper, lower = (max(float(np.hypot(*v)), 1.0) for v in (elbow - shoulder, wrist - elbow))
    hand = wrist + (wrist - elbow) * 0.4
    t = np.linspace(0, 1, 12)[:, None]
    before, after = elbow + (shoulder - elbow) * 0.25, elbow + (hand - elbow) * 0.25
    bend = (1 - t) ** 2 * before + 2 * t * (1 - t) * elbow + t**2 * after
    points = resample(np.vstack([shoulder[None], bend, hand[None]]), 60)
    tangent = unit(np.gradient(points, axis=0))
    across = np.stack([tangent[:, 1], -tangent[:, 0]], 1) * (-1 if side == 0 else 1)
    return _Bone(points, arc_lengths(points), across, upper, lower)


def _edges(
    strip: Strip, body: Body, side: int, bone: _Bone, root: np.ndarray, scale: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """The sleeve's outside and inside on the picture, (ROWS, 2) each, paired across the arm."""
    joints = [0, bone.upper, bone.upper + bone.lower]
    if share <= UPPER_ARM:
        end = share / UPPER_ARM * bone.upper
    else:
        end = bone.upper + (share - UPPER_ARM) / (1 - UPPER_ARM) * bone.lower
    flesh = np.interp(bone.along, joints, body.arm_radius[side])
    seen = np.array([ray(body.outline, q, a, 1.5 * f) for q, a, f in zip(bone.points, bone.across, flesh)])
    seen = np.convolve(np.pad(np.minimum(seen, 1.3 * flesh), 3, mode="edge"), np.ones(7) / 7, "valid")
    pit = float(np.clip((root[1] - bone.points[0]) @ unit(bone.points[1] - bone.points[0]), 0.1 * bone.upper, end))
    end = max(end, pit + 0.12 * bone.upper)
    own = np.interp(bone.along / end, np.linspace(0, 1, len(strip.widths)), strip.widths) * scale / 2 * VISIBLE
    slack = np.clip(own - flesh - EASE, 0, 1.2 * flesh)
    outside = bone.points + bone.across * (np.maximum(seen, flesh) + EASE + OUTSIDE * slack)[:, None]
    inside = bone.points - bone.across * (flesh + EASE + (2 - OUTSIDE) * slack)[:, None]
    over = _over_the_shoulder(bone, body, side, root[0], outside)
    under = _joined(bone, root[1], inside, pit)
    outer_at = np.linspace(0, end, ROWS)
    inner_at = np.linspace(pit, end, ROWS)
    return interpolate(outer_at, bone.along, over), interpolate(inner_at, bone.along, under)


def _over_the_shoulder(bone: _Bone, body: Body, side: int, top: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The outside with its start led from the shoulder's top along the shoulder's own slope round the deltoid."""
    meet = int(np.searchsorted(bone.along, 0.42 * bone.upper))
    leaving = unit(body.tip[side] - body.neck_side[side])
    arriving = unit(outside[meet + 1] - outside[meet])
    leaving = unit(leaving + 0.6 * arriving)
    curve = hermite(top, leaving, outside[meet], arriving, 24)
    return np.vstack([resample(curve, meet + 1), outside[meet + 1 :]])


def _joined(bone: _Bone, armpit: np.ndarray, inside: np.ndarray, pit: float) -> np.ndarray:
    """The inside with its start led from the armpit."""
    first = int(np.searchsorted(bone.along, pit))
    meet = min(int(np.searchsorted(bone.along, pit + 0.35 * bone.upper)), len(inside) - 3)
    share = np.clip((np.arange(len(inside)) - first) / max(meet - first, 1), 0, 1)[:, None]
    share = share * share * (3 - 2 * share)
    led = armpit + (bone.points - interpolate(pit, bone.along, bone.points))
    return led * (1 - share) + inside * share
