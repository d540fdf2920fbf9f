"""A person as clothes see one: shoulders, armpits, arms with their thickness, torso widths, legs.

Measured from the pose (BODY_25), the person's mask and the parse map. Lengths are taken in shoulder spans, the distance
of the two shoulder joints; the proportions named here are those of standing adults, measured on such photos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.preprocess.human_parser.labels import ARMS, Cihp
from infra.serving.engine import EngineError
from infra.viton.geometric.arms import Arm, limb_zone, measure_arm, ray, rays

__all__ = ["Body", "limb_zone", "measure_body", "ray", "rays"]

# BODY_25 (shoulder, elbow, wrist, hip, knee, ankle) of the person's right and left.
LIMBS = ((2, 3, 4, 9, 10, 11), (5, 6, 7, 12, 13, 14))

# Half widths of a slim adult's torso in spans, at these shares of the way from neck to hips.
TORSO_SHARES = (0.2, 0.35, 0.7, 1.0, 1.2, 1.35)
TORSO_HALF_WIDTHS = (0.50, 0.50, 0.42, 0.50, 0.54, 0.54)
# Measured widths are held to these multiples of the slim adult's, the upper limit to the cloth's share more than what
# is seen bare or in trousers.
SLIMMEST, WIDEST, CLOTH = 0.86, (1.2, 1.5), 1.2
HIPS = 0.95  # of the way from neck to hips: from here on trousers show how wide the hips are

NECK = 0.19  # spans: half the width of a slim adult's neck
NAKED_ROOM = 1.12  # widest naked torso, in slim adults of the same stoutness
UPPER_ARM, WHOLE_ARM = 0.68, 1.05  # of the torso's length: shoulder to elbow; more than that shows a whole arm
FOLDED = 0.25  # half a seen wrist's distance from the shoulder, in upper arms: nearer, the arm is folded up
LEAST_SKIN = 12  # pixels, at a quarter of the size, that tell where an arm is
LEAST_SPAN = 0.58  # of the torso's length: turned bodies show their shoulders shortened


@dataclass(frozen=True)
class Body:
    """Where clothes hang on this person, in pixels. Index 0 is the side that is left in the picture."""

    neck: np.ndarray  # (2,) middle of the neck's base
    down: np.ndarray  # (2,) unit vector from neck to hips
    right: np.ndarray  # (2,) unit vector across
    span: float  # distance of the shoulder joints, corrected for turned bodies
    torso: float  # neck to hips
    tip: np.ndarray  # (2, 2) top of the shoulder, flesh included
    neck_side: np.ndarray  # (2, 2) where neck and shoulder meet
    armpit: np.ndarray  # (2, 2)
    arms: list[np.ndarray]  # per side (3, 2): shoulder, elbow, wrist
    arm_radius: np.ndarray  # (2, 3) of the bare arm at mid upper arm, elbow and wrist
    bare_arms: list[Arm]  # per side, as they would be without sleeves
    outline: np.ndarray  # (H, W) bool: the person, to measure limbs against
    legs: list[np.ndarray]  # per side (3, 2): hip, knee, ankle
    levels: np.ndarray  # (k,) distances below the neck ...
    half: np.ndarray  # (2, k) ... and the torso's half widths there
    seen: tuple[bool, bool]  # whether the pose saw elbow and wrist of that side

    def at(self, across: float | np.ndarray, below: float | np.ndarray) -> np.ndarray:
        """Body coordinates (pixels across and below the neck) -> picture."""
        return self.neck + np.multiply.outer(across, self.right) + np.multiply.outer(below, self.down)

    def below(self, shape: tuple[int, int]) -> np.ndarray:
        """float32 HxW: how far below the neck each pixel lies."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        level = (x - self.neck[0]) * self.down[0] + (y - self.neck[1]) * self.down[1]
        return level.astype(np.float32)

    def half_width(self, side: int, below: np.ndarray | float) -> np.ndarray:
        """Half the torso's width on that side, `below` pixels under the neck."""
        return np.interp(below, self.levels, self.half[side])

    def naked_half(self, side: int) -> np.ndarray:
        """(k,) half widths of the naked torso on that side at `levels`.

        Loose cloth shows no waist: the torso is taken to be as stout as the bare arms are, and never wider than seen.
        """
        slim = np.interp(self.levels / self.torso, TORSO_SHARES, TORSO_HALF_WIDTHS) * self.span
        return np.minimum(self.half[side], slim * NAKED_ROOM * max(1.0, *(arm.stoutness for arm in self.bare_arms)))

    def trunk(self) -> np.ndarray:
        """The naked torso's outline as a polygon (n, 2), from the left neck side anticlockwise."""
        sides = [self.naked_half(side) for side in (0, 1)]
        left = [self.at(-width, level) for level, width in zip(self.levels, sides[0])]
        right = [self.at(width, level) for level, width in zip(self.levels, sides[1])]
        corners = [self.neck_side, self.tip, self.armpit]
        return np.vstack([*(c[0] for c in corners), left, right[::-1], *(c[1] for c in corners[::-1])])


def measure_body(points: np.ndarray, mask: np.ndarray, parse: np.ndarray) -> Body:
    """Measure the person.

    `points` float 25x3 BODY_25, `mask` uint8 HxW alpha, `parse` uint8 HxW CIHP labels.
    Raises `EngineError("no_person")` when a shoulder is not seen: nothing tells then where clothes hang.
    """
    joints = _complete(points, parse)
    sides = LIMBS if joints[2, 0] <= joints[5, 0] else LIMBS[::-1]
    shoulders = joints[[sides[0][0], sides[1][0]]]
    neck, hips = shoulders.mean(0), joints[[9, 12]].mean(0)
    torso = max(float(np.hypot(*(hips - neck))), 1.0)
    down = (hips - neck) / torso * 0.75 + (0, 0.25)  # clothes hang: between the body's axis and plain down
    down /= max(float(np.hypot(*down)), 1e-3)
    right = np.array([down[1], -down[0]])
    span = max(float(np.hypot(*(shoulders[1] - shoulders[0]))), LEAST_SPAN * torso)
    outline = mask > 100
    tip = _shoulder_tips(outline, shoulders, right, down, span)
    neck_half = _neck_half_width(parse, neck, span)
    arms = [joints[list(side[:3])] for side in sides]
    build = neck_half / (NECK * span)
    measured = [measure_arm(outline, parse, arm, span, build) for arm in arms]
    levels = np.linspace(0.22, 1.35, 12) * torso
    half = _torso_half_widths(outline, parse, measured, neck, right, down, levels / torso, torso, span, build)
    armpit = [neck + right * out * half[side, 0] + down * 0.30 * span for side, out in enumerate((-1, 1))]
    return Body(
        neck=neck, down=down, right=right, span=span, torso=torso, tip=tip,
        neck_side=_neck_sides(outline, parse, tip, neck, right, neck_half, span), armpit=np.array(armpit),
        arms=arms, arm_radius=np.array([arm.radius for arm in measured]), bare_arms=measured,
        outline=outline, legs=[joints[list(side[3:])] for side in sides], levels=levels, half=half,
        seen=tuple(bool((points[list(side[1:3]), 2] > 0).all()) for side in sides),
    )  # fmt: skip


def _complete(pose: np.ndarray, parse: np.ndarray) -> np.ndarray:
    """BODY_25 points with the unseen ones (confidence 0) put where a standing person's would be, arms to their skin."""
    p, seen = pose[:, :2].astype(np.float64), pose[:, 2] > 0
    if not (seen[2] and seen[5]):
        raise EngineError(
            "no_person",
            "Both shoulders of the person must be visible, from the front or from the back, to be dressed.",
        )
    middle = (p[2] + p[5]) / 2
    span = max(float(np.hypot(*(p[2] - p[5]))), 1.0)
    hips = [p[i] for i in (9, 12) if seen[i]]
    torso = float(np.hypot(*(np.mean(hips, 0) - middle))) if hips else 1.5 * span
    down = np.array([0.0, 1.0])
    for shoulder, elbow, wrist, hip, knee, ankle in LIMBS:
        if not seen[hip]:
            p[hip] = middle + torso * down + 0.62 * (p[shoulder] - middle) * (1, 0)
        skin = _own_arm(parse, p[shoulder], p[7 - shoulder], torso)
        if not seen[elbow]:
            p[elbow] = _guessed_elbow(p[shoulder], middle, p[wrist] if seen[wrist] else None, skin, torso)
        if not seen[wrist]:
            p[wrist] = _guessed_wrist(p[shoulder], p[elbow], middle + 0.75 * torso * down, skin, parse.shape)
        else:
            p[wrist] = _wrist_at_hand(p[elbow], p[wrist], skin)
        if not seen[knee]:
            p[knee] = p[hip] + 0.85 * torso * down
        if not seen[ankle]:
            p[ankle] = p[knee] + (p[knee] - p[hip]) * 0.95
    return p


def _own_arm(parse: np.ndarray, shoulder: np.ndarray, other: np.ndarray, torso: float) -> np.ndarray:
    """(n, 2) x and y of the skin that belongs to the arm of `shoulder`: nearer to it than to the `other` shoulder."""
    y, x = np.nonzero(np.isin(parse[::4, ::4], ARMS))
    skin = np.stack([x, y], 1) * 4.0
    away = np.hypot(*(skin - shoulder).T)
    return skin[(away < np.hypot(*(skin - other).T)) & (away < 1.5 * torso)]


def _guessed_elbow(
    shoulder: np.ndarray, middle: np.ndarray, wrist: np.ndarray | None, skin: np.ndarray, torso: float
) -> np.ndarray:  # fmt: skip
    """An elbow that is not seen: bent outwards from a seen wrist; at the end of the arm's skin; or straight down."""
    length = UPPER_ARM * torso
    half = np.zeros(2) if wrist is None else (wrist - shoulder) / 2
    reach = max(float(np.hypot(*half)), 1.0)
    if reach > FOLDED * length:
        aside = np.array([-half[1], half[0]]) / reach
        outwards = np.sign(shoulder[0] - middle[0])
        outwards = (outwards, 0.0) if wrist[1] < shoulder[1] else (0.5 * outwards, 1.0)
        aside *= 1 if aside @ outwards > 0 else -1
        bent = shoulder + half + aside * np.sqrt(max(length**2 - reach**2, 0.0))
        hand = skin[np.hypot(*(skin - wrist).T) < 0.6 * length]
        if len(hand) < LEAST_SKIN:
            return bent
        along = wrist - hand.mean(0)  # a hand goes on in its forearm's direction
        return (bent + wrist + along * 0.85 * length / max(float(np.hypot(*along)), 1.0)) / 2
    skin = skin if wrist is None else skin[skin[:, 1] > shoulder[1]]
    away = np.hypot(*(skin - shoulder).T)
    if len(skin) < LEAST_SKIN or away.max() < 0.6 * length:
        return shoulder + (0.0, length)
    end = skin[away > np.percentile(away, 90)].mean(0)
    return shoulder + (end - shoulder) * (0.5 if away.max() > WHOLE_ARM * torso else 1.0)


def _guessed_wrist(
    shoulder: np.ndarray, elbow: np.ndarray, belly: np.ndarray, skin: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:  # fmt: skip
    """A wrist that is not seen: straight on, or before the belly where no skin shows a hand that would be in sight."""
    upper = elbow - shoulder
    straight = elbow + 0.85 * upper
    height, width = shape
    out_of_sight = not (0 <= straight[0] < width and 0 <= straight[1] < height)
    near = 0.5 * max(float(np.hypot(*upper)), 1.0)
    if out_of_sight or upper[1] < 0 or (np.hypot(*(skin - straight).T) < near).any():
        return straight
    return elbow + (belly - elbow) * 0.85 * np.hypot(*upper) / max(float(np.hypot(*(belly - elbow))), 1.0)


def _wrist_at_hand(elbow: np.ndarray, wrist: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """A seen wrist, moved on to where the hand's skin begins if a sleeve ends farther on than the joint was put."""
    forearm = wrist - elbow
    length = max(float(np.hypot(*forearm)), 1.0)
    hand = skin[np.hypot(*(skin - wrist).T) < 0.6 * length]
    if len(hand) < LEAST_SKIN:
        return wrist
    begins = float(np.percentile((hand - wrist) @ forearm / length, 10))
    return wrist + forearm * np.clip(begins / length - 0.1, 0, 0.35)


def _shoulder_tips(
    outline: np.ndarray, shoulders: np.ndarray, right: np.ndarray, down: np.ndarray, span: float
) -> np.ndarray:
    """Top of each shoulder: from the joint outwards and up through the flesh."""
    tips = []
    for out, joint in zip((-1, 1), shoulders):
        direction = right * out * 0.5 - down * 0.87
        reach = ray(outline, joint, direction, 0.30 * span)
        tips.append(joint + direction * np.clip(reach, 0.13 * span, 0.21 * span))
    return np.array(tips)


def _neck_half_width(parse: np.ndarray, neck: np.ndarray, span: float) -> float:
    """Half the neck's width, from bare skin a little under the chin where it can be seen."""
    rows = np.linspace(neck[1] - 0.32 * span, neck[1] - 0.18 * span, 6).astype(int)
    widths = []
    for y in rows[(rows > 0) & (rows < parse.shape[0])]:
        on = np.flatnonzero(np.isin(parse[y], (Cihp.TORSO_SKIN, Cihp.FACE)))
        on = on[np.abs(on - neck[0]) < 0.4 * span]
        if len(on):
            widths.append((on[-1] - on[0]) / 2)
    value = float(np.median(widths)) if widths else 0.2 * span
    return float(np.clip(value, 0.165 * span, 0.24 * span))


def _neck_sides(
    outline: np.ndarray, parse: np.ndarray, tip: np.ndarray, neck: np.ndarray, right: np.ndarray, neck_half: float,
    span: float,
) -> np.ndarray:  # fmt: skip
    """Where neck and shoulder meet: up the shoulder's slope, which the silhouette tells where no hair hangs."""
    free = outline & ~np.isin(parse, (Cihp.HAIR, Cihp.FACE, Cihp.HAT, Cihp.SCARF))
    height, width = parse.shape
    result = []
    for side, out in enumerate((-1, 1)):
        base_x = (neck + right * out * neck_half)[0]
        slope, rises = 0.40, []
        y0, y1 = int(max(tip[side, 1] - 0.5 * span, 0)), int(min(tip[side, 1] + 0.1 * span, height - 1))
        for share in np.linspace(0.2, 0.8, 9):
            x = int(np.clip(base_x * (1 - share) + tip[side, 0] * share, 0, width - 1))
            filled = np.flatnonzero(free[y0 : y1 + 1, x])
            above = parse[y0 : y1 + 1, x][: filled[0]] if len(filled) else ()
            if len(filled) and not np.isin(above, (Cihp.HAIR, Cihp.FACE)).any():
                rises.append((tip[side, 1] - (y0 + filled[0])) / max(abs(tip[side, 0] - x), 4))
        if len(rises) >= 3:
            slope = float(np.clip(np.median(rises), 0.22, 0.62))
        x = neck[0] + out * neck_half
        result.append([x, tip[side, 1] - slope * abs(tip[side, 0] - x)])
    return np.array(result)


def _torso_half_widths(
    outline: np.ndarray, parse: np.ndarray, arms: list[Arm], neck: np.ndarray, right: np.ndarray,
    down: np.ndarray, shares: np.ndarray, torso: float, span: float, build: float,
) -> np.ndarray:  # fmt: skip
    """(2, k) half widths by rays from the body's axis through the mask without the arms.

    An open jacket or a coat is wider than its wearer by more than cloth should be: trousers, or else bare arms, tell.
    """
    typical = np.interp(shares, TORSO_SHARES, TORSO_HALF_WIDTHS) * span
    starts = neck + np.multiply.outer(shares * torso, down)
    inside = outline & ~np.isin(parse, ARMS)
    for arm in arms:
        inside &= ~arm.zone(outline.shape, 0.9)

    def reach(region: np.ndarray) -> np.ndarray:
        aside = (np.broadcast_to(right * out, starts.shape) for out in (-1, 1))
        return np.stack([rays(region, starts, direction, 0.9 * span) for direction in aside])

    half = reach(inside)
    hips = reach(outline & (parse == Cihp.PANTS)).mean(0)
    hips = (hips / typical)[(shares > HIPS) & (hips > 0.5 * typical)]
    known = [float(np.median(hips))] if len(hips) else [arm.stoutness for arm in arms if arm.stoutness != 1.0]
    widest = float(np.clip(CLOTH * max(known, default=WIDEST[1]) * max(build, 1.0), *WIDEST))
    half = np.clip(half, SLIMMEST * typical, widest * typical)
    return np.stack([np.convolve(np.pad(side, 1, mode="edge"), [0.25, 0.5, 0.25], "valid") for side in half])
