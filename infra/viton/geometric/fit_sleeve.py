"""Where a sleeve goes on an arm: it starts with the torso's cloth, follows both bones and keeps its own length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.viton.geometric.body import Body, ray
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_parts import OVERLAP
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
PIT = (0.1, 0.75)  # of the upper arm: where an armpit's cloth may begin on it
LEAST_INSIDE = 0.12  # of the upper arm: the shortest inside of a sleeve
DELTOID = 0.42  # of the upper arm: from here on the outside follows the arm
OUTSIDE, INSIDE = 0.3, 1.1  # shares of a wide sleeve's slack per side: it rests on the arm and hangs below it
PAIR = 0.8  # of the other arm's half width: an arm is no thinner
ROOM = 1.3  # of the bare arm's half width: how far out the silhouette may pull a sleeve


@dataclass(frozen=True)
class _Bone:
    """The arm's middle line from the shoulder to past the wrist."""

    points: np.ndarray  # (n, 2)
    place: np.ndarray  # (n,) 0 at the shoulder, 1 at the elbow, 2 at the wrist
    across: np.ndarray  # (n, 2) unit vectors towards the outside
    flesh: np.ndarray  # (n,) half the bare arm's width


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
    outside, inside = _edges(Strip(outer, inner), body, bone, side, root, scale, share)
    u = np.linspace(-0.1, 1.1, COLUMNS)
    target, source = _between(outside, inside, u), _between(outer, inner, u)
    # The armhole's line and the cloth before it that both parts hold lie as the torso's own cloth does.
    line = inner[0] - outer[0]
    inward = unit(np.array([-line[1], line[0]])) * (1 if side == 1 else -1)
    inward = inward * (1.2 * OVERLAP * garment.chest)
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
    arm = body.bare_arms[side]
    step = arm.line[-1] - arm.line[-4]
    line = np.vstack([arm.line, arm.line[-1] + step, arm.line[-1] + 2 * step])
    pace = arm.place[-1] - arm.place[-4]
    place = np.concatenate([arm.place, arm.place[-1] + pace * np.array([1.0, 2.0])])
    other = body.bare_arms[1 - side]
    half = np.maximum(arm.half, PAIR * np.interp(arm.place, other.place, other.half))
    half = np.concatenate([half, half[[-1, -1]]])
    along = arc_lengths(line)
    at = np.linspace(0, along[-1], 64)
    points = _smooth(interpolate(at, along, line), 5)
    tangent = unit(np.gradient(_smooth(points, 3), axis=0))
    across = np.stack([tangent[:, 1], -tangent[:, 0]], 1) * (-1 if side == 0 else 1)
    flesh = np.interp(at, along, half)
    flesh = np.maximum(np.convolve(np.pad(flesh, 4, mode="edge"), np.ones(9) / 9, "valid"), 0.9 * flesh)
    return _Bone(points, np.interp(at, along, place), across, flesh)


def _smooth(points: np.ndarray, reach: int) -> np.ndarray:
    """Moving average along a polyline whose ends stay."""
    ends = 2 * points[[0, -1]]
    padded = np.vstack([ends[0] - points[reach:0:-1], points, ends[1] - points[-2 : -reach - 2 : -1]])
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    return np.stack([np.convolve(padded[:, k], kernel, "valid") for k in (0, 1)], 1)


def _edges(
    strip: Strip, body: Body, bone: _Bone, side: int, root: np.ndarray, scale: float, share: float
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The sleeve's outside and inside on the picture, (ROWS, 2) each, paired across the arm."""
    end = share / UPPER_ARM if share <= UPPER_ARM else 1 + (share - UPPER_ARM) / (1 - UPPER_ARM)
    upper_arm = body.arms[side][1] - body.arms[side][0]
    length = max(float(np.hypot(*upper_arm)), 1.0)
    pit = float(np.clip((root[1] - bone.points[0]) @ upper_arm / length**2, *PIT))
    inner_end = max(end, pit + LEAST_INSIDE)
    widths = np.interp(bone.place / end, np.linspace(0, 1, len(strip.widths)), strip.widths)
    # Round a sharp bend the smoothed middle passes inside the elbow: its outer side must come out again.
    elbow = body.arms[side][1] - interpolate(1.0, bone.place, bone.points)
    corner = np.exp(-(((bone.place - 1) / 0.3) ** 2)) * float(elbow @ interpolate(1.0, bone.place, bone.across))
    slack = np.clip(widths * scale / 2 * VISIBLE - bone.flesh - EASE, 0, bone.flesh)
    # Cloth that the silhouette shows a little farther out is covered too: flesh is measured a bit too thin at times.
    seen = np.array([ray(body.outline, q, a, 1.5 * f) for q, a, f in zip(bone.points, bone.across, bone.flesh)])
    seen = np.convolve(np.pad(np.minimum(seen, ROOM * bone.flesh), 3, mode="edge"), np.ones(7) / 7, "valid")
    standing = np.maximum(bone.flesh, seen) + EASE + OUTSIDE * slack + np.maximum(corner, 0)
    outside = bone.points + bone.across * standing[:, None]
    hanging = bone.flesh + EASE + INSIDE * slack + np.maximum(-corner, 0)
    inside = bone.points - bone.across * hanging[:, None]
    over = _over_the_shoulder(bone, body, side, root[0], outside)
    under = _joined(bone, root[1], _beside_the_body(inside, INSIDE * slack, bone, body, side, root[1]), pit)
    return (
        interpolate(np.linspace(0, end, ROWS), bone.place, over),
        interpolate(np.linspace(pit, inner_end, ROWS), bone.place, under),
    )


def _over_the_shoulder(bone: _Bone, body: Body, side: int, top: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The outside with its start led from the shoulder's top along the shoulder's own slope round the deltoid."""
    meet = int(np.searchsorted(bone.place, DELTOID))
    arriving = unit(outside[meet + 1] - outside[meet])
    leaving = unit(unit(body.tip[side] - body.neck_side[side]) + 0.6 * arriving)
    curve = resample(hermite(top, leaving, outside[meet], arriving, 24), meet + 1)
    joint = body.arms[side][0]
    away = curve - joint
    far = np.hypot(*away.T)
    seen = np.array([ray(body.outline, joint, way, 0.4 * body.span) for way in unit(away)])
    bare = np.clip(seen + EASE - far, 0, 0.1 * body.span) * np.sin(np.linspace(0, np.pi, len(curve))) ** 0.5
    curve = _smooth(curve + unit(away) * bare[:, None], 2)
    return np.vstack([curve, outside[meet + 1 :]])


def _joined(bone: _Bone, armpit: np.ndarray, inside: np.ndarray, pit: float) -> np.ndarray:
    """The inside with its start led from the armpit."""
    share = np.clip((bone.place - pit) / 0.35, 0, 1)[:, None]
    share = share * share * (3 - 2 * share)
    led = armpit + (bone.points - interpolate(pit, bone.place, bone.points))
    return led * (1 - share) + inside * share


def _beside_the_body(
    inside: np.ndarray, slack: np.ndarray, bone: _Bone, body: Body, side: int, armpit: np.ndarray
) -> np.ndarray:  # fmt: skip
    """The upper arm's slack hangs beside the torso, not before it: no farther in than the armpit."""
    out = body.right * (1 if side == 1 else -1)
    too_far = np.clip((armpit - inside) @ out, 0, slack) * np.clip((1.1 - bone.place) / 0.3, 0, 1)
    return inside + too_far[:, None] * out
