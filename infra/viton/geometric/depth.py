"""Which parts of the person lie in front of a new garment: arms, hands, hair and head, things held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import ARMS, Cihp
from infra.viton.geometric.arms import ARMPIT, cuff_place, limb_zone
from infra.viton.geometric.body import LIMBS, Body
from infra.viton.geometric.fill import local_mean
from infra.viton.geometric.scene import OldGarment, Scene

SLANT = 0.2  # places that a cuff's far side lies beyond its middle
SHRED = 0.025  # spans: half the width of what is no arm
FOREARM = 0.92  # place from which a bare forearm comes before its own sleeve
SLIVER = 0.05  # spans: half the width of what is too narrow for an arm before the cloth
FINGER = 0.025  # spans: half a finger's width
HAND = 0.65  # of the forearm: how far from the wrist the finger tips are
_LANDMARKS = {3: 14, 4: 16, 6: 13, 7: 15}  # BODY_25 elbows and wrists -> BlazePose landmarks


@dataclass(frozen=True)
class ArmInFront:
    """One arm against the garment. `side` 0 is left in the picture; maps are float32 HxW, 0 to 1."""

    side: int
    bare: np.ndarray  # of the undressed photo: arm that covers the torso's cloth
    forearm: np.ndarray  # of it what covers its own short sleeve as well: folded up, and nearer than the shoulder
    hand: np.ndarray  # visible hand, which covers every other sleeve
    beyond: np.ndarray  # past the wrist: no sleeve of its own
    behind: bool  # the forearm goes behind the torso
    depth: float  # of elbow and wrist, pixels; smaller is nearer


def arms_in_front(
    scene: Scene, body: Body, old: OldGarment, trunk: np.ndarray, sleeves: Sequence[np.ndarray | None]
) -> list[ArmInFront]:  # fmt: skip
    """Both arms, the farther one first. `sleeves`: the new garment's alphas, float32 HxW, None where it has none."""
    return sorted(
        (_arm(scene, body, old, trunk, sleeve, side) for side, sleeve in enumerate(sleeves)),
        key=lambda arm: -arm.depth,
    )


def _arm(
    scene: Scene, body: Body, old: OldGarment, trunk: np.ndarray, sleeve: np.ndarray | None, side: int
) -> ArmInFront:  # fmt: skip
    arm = body.bare_arms[side]
    radius = body.arm_radius[side]
    hand_zone = _hand_zone(scene, body, side)
    visible = _with_whole_hand(scene, hand_zone, body.span)
    beyond = _past_wrist(scene.shape, body, side) * hand_zone
    fingers = visible & ~np.isin(scene.parse, (*ARMS, Cihp.GLOVE))
    hand = visible & (beyond > 0.1) | fingers
    depth = _depth(scene, body, side)
    lower = arm.zone(scene.shape, start=1.0)
    inside = (lower & trunk).sum() / max(lower.sum(), 1)
    behind = bool(inside > 0.35 and hand.sum() < 0.3 * radius[2] ** 2 and (depth > 0 or not body.seen[side]))
    # Skin of an arm comes before the torso's cloth from the armpit on, in a sleeve from its cuff on.
    start = ARMPIT if sleeve is None else cuff_place(arm, sleeve)
    around = arm.zone(scene.shape, grow=1.7, start=min(start, 1.9))
    bare = _without_shreds(visible, around, body.span) | visible & hand_zone | fingers
    if sleeve is None:
        middle = body.at(0.0, 0.5 * body.torso)
        if not behind:
            bare |= arm.past_armhole(scene.shape, middle) & (visible | old.gone)
    elif not behind and arm.hem > start:
        bare |= arm.zone(scene.shape, start=min(start, 1.9), end=arm.hem + SLANT) & old.gone
    bare = _soft(bare)
    folded = start < 1 and depth <= 0 and body.seen[side] and scene.points[2, 0] <= scene.points[5, 0]
    forearm = bare * arm.zone(scene.shape, grow=1.7, start=FOREARM) if folded else np.zeros_like(bare)
    return ArmInFront(side, bare, forearm, _soft(hand), beyond, behind, depth)


def _with_whole_hand(scene: Scene, hand_zone: np.ndarray, span: float) -> np.ndarray:
    """bool HxW: bare arms; in the zone of a hand also fingers that the parser took for a neck, and narrow gaps."""
    visible = np.isin(scene.parse, (*ARMS, Cihp.GLOVE))
    if not hand_zone.any():
        return visible
    x, y, width, height = cv2.boundingRect(hand_zone.astype(np.uint8))
    margin = round(0.2 * span)
    at = np.s_[max(y - margin, 0) : y + height + margin, max(x - margin, 0) : x + width + margin]
    arm, person = visible[at], (scene.mask[at] > 127) & hand_zone[at]
    skin = np.isin(scene.parse[at], (Cihp.TORSO_SKIN, Cihp.FACE)) & (scene.mask[at] > 127)
    if (skin & hand_zone[at]).any():
        _, tags, stats, _ = cv2.connectedComponentsWithStats(skin.astype(np.uint8))
        inside = np.bincount(tags[hand_zone[at]], minlength=len(stats))
        beside = cv2.dilate(arm.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        touching = np.bincount(tags[beside], minlength=len(stats))
        fingers = (inside > 0.6 * stats[:, cv2.CC_STAT_AREA]) & (touching > 0) & (inside < (arm & person).sum())
        goes_on = (*tags[[0, -1]].ravel(), *tags[:, [0, -1]].ravel())  # a neck, a midriff
        fingers[[0, *set(goes_on)]] = False
        arm |= fingers[tags]
    size = 2 * max(1, round(FINGER * span)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    closed = cv2.morphologyEx((arm & person).astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0
    arm |= closed & person & ~scene.head[at]
    return visible


def _without_shreds(visible: np.ndarray, around: np.ndarray, span: float) -> np.ndarray:
    """bool HxW: what is visible in the zone `around` an arm, without slips of shadow beside it that the parser took for
    skin: they are thinner than any arm."""
    size = 2 * max(1, round(SHRED * span)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    x, y, width, height = cv2.boundingRect(around.astype(np.uint8))
    at = np.s_[max(y - size, 0) : y + height + size, max(x - size, 0) : x + width + size]
    arm = np.zeros(visible.shape, bool)
    if width:
        arm[at] = cv2.morphologyEx(visible[at].astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
    return arm & around


def _hand_zone(scene: Scene, body: Body, side: int) -> np.ndarray:
    """bool HxW: as far round the wrist as a hand reaches, bent or not, and the hand's 21 points where they are seen."""
    shoulder, elbow, wrist = body.arms[side]
    reach = max(HAND * float(np.hypot(*(wrist - elbow))), 0.3 * body.span)
    canvas = np.zeros(scene.shape, np.uint8)
    cv2.circle(canvas, tuple(np.rint(wrist).astype(int).tolist()), int(reach), 1, -1)
    upper_arm = limb_zone(scene.shape, [np.stack([shoulder, elbow])], body.arm_radius[side][None, :2] * 1.5)
    canvas[upper_arm] = 0
    for points in scene.hands:
        if (points[:, 2] > 0).sum() >= 10 and np.hypot(*(points[0, :2] - wrist)) < 0.3 * body.span:
            hull = cv2.convexHull(points[points[:, 2] > 0, :2].astype(np.float32))
            cv2.fillConvexPoly(canvas, np.rint(hull).astype(np.int32), 1)
    return canvas > 0


def _past_wrist(shape: tuple[int, int], body: Body, side: int) -> np.ndarray:
    """float32 HxW: 1 on the far side of the wrist's line across the forearm, 4 px soft."""
    _, elbow, wrist = body.arms[side]
    along = (wrist - elbow) / max(float(np.hypot(*(wrist - elbow))), 1.0)
    y, x = np.ogrid[: shape[0], : shape[1]]
    past = (x - wrist[0]) * along[0] + (y - wrist[1]) * along[1]
    return np.clip((past - 0.01 * body.span) / 4 + 0.5, 0, 1).astype(np.float32)


def _depth(scene: Scene, body: Body, side: int) -> float:
    """Mean z of elbow and wrist against the shoulder's; 0 where the pose has no depth."""
    if scene.depth is None:
        return 0.0
    left_in_picture = scene.points[2, 0] <= scene.points[5, 0]
    joints = LIMBS[side if left_in_picture else 1 - side][:3]
    shoulder = scene.depth[12 if joints[0] == 2 else 11]
    return float(np.mean([scene.depth[_LANDMARKS[j]] for j in joints[1:]]) - shoulder)


def _soft(region: np.ndarray) -> np.ndarray:
    """float32 0..1, smooth and within the region: just outside lies what the old garment covered."""
    return np.clip(cv2.GaussianBlur(region.astype(np.float32), (0, 0), 1.3) * 1.8 - 0.6, 0, 1)


def without_slivers(bare: np.ndarray, cloth: np.ndarray, span: float) -> np.ndarray:
    """float32 HxW: `bare` without strips over the `cloth` that are narrower than an arm: there the cloth's edge is
    before the arm that hangs beside it. Worked out at half the size."""
    region = (np.minimum(bare[::2, ::2], cloth[::2, ::2]) > 0.3).astype(np.uint8)
    if not region.any():
        return bare
    size = 2 * max(1, round(SLIVER * span / 2)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    limb = cv2.dilate(cv2.morphologyEx(region, cv2.MORPH_OPEN, disc), np.ones((5, 5), np.uint8))
    narrow = cv2.GaussianBlur((region & ~limb & 1).astype(np.float32), (0, 0), 0.8)
    return bare * (1 - np.minimum(1.3 * cv2.resize(narrow, bare.shape[::-1]), 1) * cloth)


def hair_and_head(scene: Scene, old: OldGarment) -> tuple[np.ndarray, np.ndarray]:
    """The head in front of the garment: coverage float32 HxW and colours uint8 HxWx3 free of the old garment's.

    The interior is the photo's own. In a band along the old garment strands of hair are mixed with it: there coverage
    is where the pixel lies between the cloth's and the hair's colour nearby.
    """
    head = scene.head.astype(np.uint8)
    coverage = np.clip(cv2.GaussianBlur(head.astype(np.float32), (0, 0), 1.2) * 1.6 - 0.3, 0, 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    core, wide = cv2.erode(head, disc), cv2.dilate(head, disc)
    cloth = cv2.erode((old.gone & (head == 0)).astype(np.uint8), disc)
    near_cloth = cv2.dilate(cloth, np.ones((25, 25), np.uint8))
    hair = cv2.dilate((scene.parse == Cihp.HAIR).astype(np.uint8), disc)
    band = (wide & near_cloth & hair & (core == 0)) > 0
    if band.sum() < 50:
        return coverage, scene.photo
    photo = scene.photo.astype(np.float32)
    inner, outer = (local_mean(photo, part.astype(np.float32), 8)[band] for part in (core, cloth))
    span = inner - outer
    strength = (span**2).sum(1)
    share = np.clip(((photo[band] - outer) * span).sum(1) / (strength + 1e-3), 0, 1)
    trust = np.clip(strength / 60.0**2 - 0.3, 0, 1)
    plain = coverage[band]
    mixed = np.clip(share * 1.25 - 0.2, 0, 1) * trust + plain * (1 - trust)
    coverage[band] = mixed
    colours = scene.photo.copy()
    freed = photo[band] * share[:, None] + inner * (1 - share[:, None])
    colours[band] = np.clip(photo[band] + (freed - photo[band]) * trust[:, None], 0, 255)
    return coverage, colours
