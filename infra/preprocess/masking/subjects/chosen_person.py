"""The chosen person's alpha: the matte says how much is covered, classes and skeleton say by whom."""

from __future__ import annotations

import cv2
import numpy as np

from infra.imaging.shrink import shrunk
from infra.preprocess.masking.subjects.skeleton import Skeleton
from infra.preprocess.pose_estimation.pose import Pose
from infra.preprocess.selfie_multiclass import BACKGROUND, FACE_SKIN

Window = tuple[slice, slice]
"""Rows and columns of a picture."""

_WORKING = 512  # longer side that persons are told apart at; twice the network's own
_SOMEBODY_ELSE = 8.0  # log odds taken off where another person stands
_NEAR = 6  # pixels of that grid that hair and fingers may reach beyond the coarse alpha
_LEAST_ON_BONE = 0.3  # of a hole in the matte: the bones' lines fill about half of a limb's width


def coarse_alpha(picture: np.ndarray, logits: np.ndarray, pose: Pose | None) -> np.ndarray:
    """Coverage of the chosen person, uint8 hxw, on a grid of up to 512; wrong by a few pixels at the rim.

    `picture` uint8 HxWx3 RGB, `logits` 256x256x6 of the whole picture.
    """
    small, _ = shrunk(picture, _WORKING)
    return _soft(small, _log_odds(small, logits, pose, max(small.shape[:2]) / max(picture.shape[:2])))


def person_window(coarse: np.ndarray, size: tuple[int, int], margin: float = 0.06) -> Window | None:
    """The part of a picture of `size` (height, width) that holds the person, with room around; None without one."""
    rows, columns = np.flatnonzero((coarse > 60).any(1)), np.flatnonzero((coarse > 60).any(0))
    if not len(rows):
        return None
    room = margin * max(np.ptp(rows), np.ptp(columns))
    scale = np.divide(size, coarse.shape)
    bounds = [(i[0] - room, i[-1] + 1 + room) for i in (rows, columns)]
    return tuple(
        slice(max(0, int(low * k)), min(end, int(high * k) + 1))
        for (low, high), k, end in zip(bounds, scale, size, strict=True)
    )


def joined(
    matte: np.ndarray, window: Window, coarse: np.ndarray, bones: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The matte (float32, 0 to 255, of the window) near the chosen person only, without holes in limbs -> uint8 HxW.

    The matte takes everybody, and now and then loses a shoe or a hand. The coarse alpha is sure of those, but just as
    sure of the gaps between arm and body: what a bone (uint8 hxw, 1) runs through is a limb, the rest is a gap.
    """
    near = cv2.resize(cv2.dilate((coarse > 60).astype(np.float32), _disc(_NEAR)), size[::-1])
    seen = np.zeros(size, np.float32)
    seen[window] = matte
    seen *= near
    small = cv2.resize(seen, coarse.shape[::-1], interpolation=cv2.INTER_AREA)
    inside = cv2.erode((coarse > 200).astype(np.uint8), _disc(2))
    count, label = cv2.connectedComponents(((small < 128) & (inside > 0)).astype(np.uint8))
    if count > 1:
        on_bone = np.bincount(label.ravel(), weights=bones.ravel(), minlength=count) / np.bincount(label.ravel())
        on_bone[0] = 0
        lost = (on_bone > _LEAST_ON_BONE)[label].astype(np.float32)
        lost = cv2.dilate(lost, _disc(2)) * (coarse > 127)
        seen = np.maximum(seen, 255 * cv2.resize(lost, size[::-1], interpolation=cv2.INTER_LINEAR))
    return _without_islands(np.round(seen).astype(np.uint8), coarse)


def _without_islands(alpha: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Only what hangs together with the person's inside."""
    _, label = cv2.connectedComponents((alpha > 24).astype(np.uint8))
    inside = cv2.resize(cv2.erode(coarse, _disc(2)), alpha.shape[::-1], interpolation=cv2.INTER_NEAREST) > 200
    mine = np.zeros(label.max() + 1, bool)
    mine[label[inside]] = True
    mine[0] = True
    return np.where(mine[label], alpha, 0).astype(np.uint8)


def bones(coarse: np.ndarray, pose: Pose | None, size: tuple[int, int]) -> np.ndarray:
    """uint8 like `coarse`, 1 along the chosen person's bones; `pose` belongs to a picture of `size`."""
    if pose is None:
        return np.zeros_like(coarse)
    return Skeleton.of(pose).scaled(coarse.shape[0] / size[0]).drawn(coarse.shape)


def _log_odds(picture: np.ndarray, logits: np.ndarray, pose: Pose | None, scale: float) -> np.ndarray:
    """Log odds of "the chosen person", float32 hxw: any class but background, where the skeleton is near."""
    size = picture.shape[:2]
    person = np.logaddexp.reduce(logits[..., 1:], axis=-1) - logits[..., BACKGROUND]
    odds = cv2.resize(person, size[::-1], interpolation=cv2.INTER_LINEAR)
    if pose is None:
        return odds
    skeleton = Skeleton.of(pose).scaled(scale)
    bones = skeleton.drawn(size)
    near, reach = bones, 1.3 * skeleton.unit
    if pose.probability is not None:
        # The pose network's map knows which of several people is meant; clipped at log odds of 4.
        small = cv2.resize(pose.probability, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
        probability = np.clip(small / 255, 0.018, 0.982)
        odds += 0.5 * np.log(probability / (1 - probability))
        near, reach = (probability > 0.5).astype(np.uint8), 0.35 * skeleton.unit
    odds -= _SOMEBODY_ELSE * np.clip(_distance(near) / reach - 1, 0, 1)
    others = _other_people(logits, person, pose, scale, bones, skeleton.unit)
    if others is not None:
        odds[_neighbours(picture, odds, bones, others, skeleton.unit)] -= _SOMEBODY_ELSE
    return odds


def _other_people(
    logits: np.ndarray, person: np.ndarray, pose: Pose, scale: float, bones: np.ndarray, unit: float
) -> np.ndarray | None:
    """uint8 hxw, 1 where somebody else certainly is: their skeletons, and faces away from this one; None if nobody."""
    away = _distance(bones)
    others = np.zeros(bones.shape, np.uint8)
    for other in range(1, len(pose.people)):
        drawn = Skeleton.of(pose, other).scaled(scale).drawn(bones.shape)
        if drawn.any() and np.median(away[drawn > 0]) > 0.3 * unit:  # else the same person, found twice
            others |= drawn
    faces = (logits[..., 1:].argmax(-1) + 1 == FACE_SKIN) & (person > 0)
    faces = cv2.resize(faces.astype(np.uint8), bones.shape[::-1], interpolation=cv2.INTER_NEAREST)
    faces[away <= 0.4 * unit] = 0
    if faces.sum() > 0.01 * unit * unit:
        others |= faces
    return others if others.any() else None


def _neighbours(
    picture: np.ndarray, odds: np.ndarray, bones: np.ndarray, others: np.ndarray, unit: float
) -> np.ndarray:
    """bool hxw: people who touch part along the picture's edges, flooded from the skeletons and what is nearer to the
    others' than to this one."""
    seeds = np.where(odds < -2, 1, 0).astype(np.int32)
    away = _distance(bones)
    seeds[(odds > -2) & (away > 0.42 * unit) & (away > _distance(others))] = 2
    seeds[others > 0] = 2
    seeds[bones > 0] = 3
    return cv2.watershed(cv2.bilateralFilter(picture, 5, 20, 3), seeds) == 2


def _distance(region: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform(1 - region, cv2.DIST_L2, 3)


def _soft(picture: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Coverage uint8 hxw from log odds: filtered along the picture's edges, islands off the body removed."""
    radius = max(2, round(0.008 * len(odds)))
    guided = cv2.ximgproc.guidedFilter(picture, np.tanh(odds / 2), radius, (0.01 * 255) ** 2)
    alpha = np.clip(128 + 2.5 * 127 * guided, 0, 255).astype(np.uint8)
    count, label, stats, _ = cv2.connectedComponentsWithStats((alpha > 127).astype(np.uint8), connectivity=4)
    if count > 2:
        small = stats[:, cv2.CC_STAT_AREA] < 0.03 * stats[1:, cv2.CC_STAT_AREA].max()
        alpha[small[label] & (label > 0)] = 0
    return alpha


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
