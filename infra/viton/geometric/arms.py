"""Arms: where they are and how thick, bare or under their sleeves; rays and zones to measure limbs with."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import ARMS

# A slim adult's arm: half widths in spans at these places along it (0 shoulder, 1 elbow, 2 wrist, then the hand).
PLACES = (0.0, 0.35, 0.8, 1.0, 1.25, 1.6, 2.0, 2.15, 2.35)
HALF_WIDTHS = (0.135, 0.125, 0.105, 0.09, 0.094, 0.082, 0.060, 0.074, 0.085)
ARMPIT = 0.4  # place from which on an arm hangs in front of the torso's cloth
ARMHOLE = (0.08, 0.5)  # places between which a sleeveless top's edge crosses the arm, from its outside to its inside
STATIONS = 40  # along the arm, the last ones on the back of the hand
LIKELY = (0.65, 1.75)  # measured widths are believed within these multiples of the slim adult's
SLEEVE_SLACK = 0.96  # an arm is narrower than its sleeve by at least this
ROOM = 1.25  # how much stouter than expected an arm is believed to be because its sleeve is wide


@dataclass(frozen=True)
class Arm:
    """One arm as it would be bare, in pixels."""

    joints: np.ndarray  # (3, 2) shoulder, elbow, wrist
    line: np.ndarray  # (n, 2) its middle, from the shoulder to where the hand is seen
    half: np.ndarray  # (n,) half its width there
    place: np.ndarray  # (n,) 0 at the shoulder, 1 at the elbow, 2 at the wrist
    radius: np.ndarray  # (3,) half width at mid upper arm, elbow and wrist
    hem: float  # place down to which a sleeve hides it
    stoutness: float  # of its bare part against a slim adult's, 1 where none is seen

    def across(self) -> np.ndarray:
        """(n, 2) unit vectors across the line."""
        return _across(self.line)

    def zone(
        self, shape: tuple[int, int], grow: float = 1.0, start: float = 0.0, end: float = np.inf
    ) -> np.ndarray:  # fmt: skip
        """bool HxW: the bare arm between two places, `grow` times thicker; round at the shoulder, else cut straight."""
        first, last = np.searchsorted(self.place, (start, end))
        last = max(last, first + 2)
        canvas = np.zeros(shape, np.uint8)
        line, half = self.line[first:last], self.half[first:last] * grow
        across = _across(line) * half[:, None]
        strip = np.vstack([line + across, (line - across)[::-1]])
        cv2.fillPoly(canvas, [np.rint(strip * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
        elbow = int(np.searchsorted(self.place, 1.0)) - first  # a bent strip may leave its elbow out
        for at in {0 if first == 0 else elbow, elbow} & set(range(len(line))):
            cv2.circle(canvas, tuple(np.rint(line[at]).astype(int).tolist()), max(1, int(half[at])), 255, -1)
        return canvas > 0

    def past_armhole(self, shape: tuple[int, int], trunk: np.ndarray) -> np.ndarray:
        """bool HxW: the arm in front of a sleeveless top, whose edge crosses it in a curve from its outside down to its
        inside, the side where `trunk` (2,) lies."""
        across = self.across()
        inward = np.sign(((trunk - self.line) * across).sum(1)[self.place < 1].sum()) or 1.0
        opened = np.clip((self.place - ARMHOLE[0]) / (ARMHOLE[1] - ARMHOLE[0]), 0, 1)
        inner = self.line + across * (inward * self.half * (2 * np.sin(opened * np.pi / 2) - 1))[:, None]
        strip = np.vstack([inner, (self.line - across * (inward * self.half)[:, None])[::-1]])
        canvas = np.zeros(shape, np.uint8)
        cv2.fillPoly(canvas, [np.rint(strip * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
        return canvas > 0


def cuff_place(arm: Arm, sleeve: np.ndarray) -> float:
    """Place along the arm (0 shoulder, 2 wrist) where the sleeve ends, on its longest side."""
    height, width = sleeve.shape
    across = arm.across() * arm.half[:, None]
    places = [ARMPIT]
    for offset in (-0.6, 0.0, 0.6):
        x, y = np.clip(np.rint(arm.line + offset * across).astype(int), 0, (width - 1, height - 1)).T
        on = np.flatnonzero(sleeve[y, x] > 0.5)
        if len(on):  # a forearm folded up crosses its own sleeve a second time
            left = np.flatnonzero(np.diff(on) > STATIONS // 8)
            places.append(float(arm.place[on[left[0]] if len(left) else on[-1]]))
    return max(places)


def measure_arm(outline: np.ndarray, parse: np.ndarray, joints: np.ndarray, span: float, build: float) -> Arm:
    """Measure where the arm is bare, and carry the measure on under the sleeve.

    `outline` bool HxW, `parse` uint8 HxW, `joints` (3, 2), `span` pixels, `build` the person's stoutness around 1.
    """
    bare = np.isin(parse, ARMS)
    line, place = _stations(joints)
    across = _across(line)
    typical = np.interp(place, PLACES, HALF_WIDTHS) * span
    seen = _value_at(bare, line)
    limit = 0.36 * span
    reach = np.zeros((len(line), 2))
    for region, at in ((bare, seen), (outline, ~seen)):
        for k, sign in enumerate((1, -1)):
            reach[at, k] = rays(region, line[at], sign * across[at], limit)
    bounded = reach < limit - 1
    ratio = reach.mean(1) / typical
    sure = bounded.all(1) & _well_inside(seen, typical, line) & (ratio > LIKELY[0]) & (ratio < LIKELY[1])
    stoutness = float(np.median(ratio[sure])) if sure.sum() > 3 else 1.0
    ratio, offset = _carried_on(ratio, (reach[:, 0] - reach[:, 1]) / 2, place, sure, build)
    expected = np.maximum((typical * ratio)[:, None] + offset[:, None] * (1, -1), 0.5 * typical[:, None])
    # A sleeve that fits shows the arm's own outline; a bulky one shows nothing but that the arm is thinner.
    from_seen = np.abs(place[:, None] - place[seen][None]).min(1, initial=PLACES[-1])
    room = np.interp(from_seen, (0, 0.35), (1.0, ROOM))[:, None]
    sleeved = bounded & ~seen[:, None] & (reach.mean(1) > LIKELY[0] * typical)[:, None]
    hidden = np.minimum(np.where(sleeved, SLEEVE_SLACK * reach, expected), room * expected)
    sides = np.where(sure[:, None], reach, hidden)
    sides = np.stack([_smooth(sides[:, 0]), _smooth(sides[:, 1])], 1)
    half = sides.mean(1)
    middle = line + across * ((sides[:, 0] - sides[:, 1]) / 2)[:, None]
    hand = np.flatnonzero(sure & (place > 1.8))  # a cuff may cover the wrist: the arm goes on until the hand is seen
    upto = max(int(np.searchsorted(place, 2.0)), int(hand[0]) + 1 if len(hand) else 0) + 1
    upto = min(upto, len(place))  # the hand may be the last station
    if len(hand):  # ends inside the hand, which is there already
        half[upto - 2 : upto] *= (0.88, 0.7)
    hem = float(place[:upto][~seen[:upto]].max(initial=0.0))
    radius = np.interp((0.5, 0.95, 1.95), place, half)
    return Arm(joints, middle[:upto], half[:upto], place[:upto], radius, hem, stoutness)


def _well_inside(seen: np.ndarray, typical: np.ndarray, line: np.ndarray) -> np.ndarray:
    """bool (n,): stations that are seen and so far from a hem or cuff that a slanted one does not cut their rays."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    near = np.abs(along[:, None] - along[None]) < 0.6 * typical[:, None]
    return seen & ~(near & ~seen[None]).any(1)


def _carried_on(
    ratio: np.ndarray, offset: np.ndarray, place: np.ndarray, sure: np.ndarray, build: float
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) stoutness against a slim adult, and offset from the bone in pixels, carried on from the sure stations."""
    build = float(np.clip(build, 0.9, 1.2))
    if sure.sum() < 2:
        return np.full(len(place), build), np.zeros(len(place))
    known = place[sure]
    distance = np.abs(place[:, None] - known[None]).min(1)
    trust = 0.5 + 0.5 * np.exp(-distance / 0.8)
    return (
        np.interp(place, known, ratio[sure]) * trust + build * (1 - trust),
        np.interp(place, known, offset[sure]) * np.exp(-distance / 0.4),
    )


def _stations(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) along shoulder, elbow, wrist and a little on, the elbow rounded, and their places."""
    place = np.linspace(0, PLACES[-1], STATIONS)
    points = np.vstack([joints, joints[2] + (joints[2] - joints[1])])
    line = np.stack([np.interp(place, range(4), points[:, k]) for k in (0, 1)], 1)
    bend = np.abs(place - 1) < 0.3
    rounded = np.stack([np.convolve(np.pad(line[:, k], 4, mode="edge"), np.ones(9) / 9, "valid") for k in (0, 1)], 1)
    line[bend] = rounded[bend]
    return line, place


def _across(line: np.ndarray) -> np.ndarray:
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-6)[:, None]
    return np.stack([tangent[:, 1], -tangent[:, 0]], 1)


def _value_at(region: np.ndarray, points: np.ndarray) -> np.ndarray:
    height, width = region.shape
    x, y = np.rint(points).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return inside & region[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]


def _smooth(values: np.ndarray) -> np.ndarray:
    return np.convolve(np.pad(values, 2, mode="edge"), (0.1, 0.2, 0.4, 0.2, 0.1), "valid")


def rays(inside: np.ndarray, starts: np.ndarray, directions: np.ndarray, limit: float) -> np.ndarray:
    """(n,) distances from `starts` (n, 2) along `directions` to the first pixel outside of bool HxW, at most `limit`.

    Gaps under 4 px are jumped.
    """
    steps = np.arange(0, max(limit, 1))
    q = np.rint(starts[:, None] + steps[:, None] * directions[:, None]).astype(int)
    height, width = inside.shape
    ok = (q[..., 0] >= 0) & (q[..., 0] < width) & (q[..., 1] >= 0) & (q[..., 1] < height)
    out = ~(ok & inside[np.clip(q[..., 1], 0, height - 1), np.clip(q[..., 0], 0, width - 1)])
    if out.shape[1] > 4:
        run = out.copy()
        for shift in (1, 2, 3):
            run[:, :-shift] &= out[:, shift:]
            run[:, -shift:] = False
        out = run
    first = out.argmax(1)
    return np.where(out.any(1), steps[first], float(limit))


def ray(inside: np.ndarray, start: np.ndarray, direction: np.ndarray, limit: float) -> float:
    """`rays` for one start."""
    return float(rays(inside, np.asarray(start)[None], np.asarray(direction)[None], limit)[0])


def limb_zone(shape: tuple[int, int], limbs: list[np.ndarray], radius: np.ndarray) -> np.ndarray:
    """bool HxW: everything within `radius` (per limb and joint) of the limbs' (n, 2) polylines."""
    zone = np.zeros(shape, np.uint8)
    for points, radii in zip(limbs, radius):
        for k in range(len(points) - 1):
            _draw_cone(zone, points[k], points[k + 1], radii[k], radii[k + 1])
    return zone > 0


def _draw_cone(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> None:
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
    side = np.array([-along[1], along[0]])
    quad = np.array([a + side * ra, b + side * rb, b - side * rb, a - side * ra])
    cv2.fillConvexPoly(canvas, np.rint(quad).astype(np.int32), 255)
    for centre, r in ((a, ra), (b, rb)):
        cv2.circle(canvas, tuple(np.rint(centre).astype(int).tolist()), max(1, int(r)), 255, -1)
