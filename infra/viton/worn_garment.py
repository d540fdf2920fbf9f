"""A garment taken off the photo of somebody who wears it, by the human parser's labels.

The try-on needs to see a garment whole and from the front. A wearer who turns away, folds the arms over it or is cut
off by the photo's border shows too little: such photos are refused, with what is wrong, instead of dressing somebody in
a scrap.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser import labels
from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.problems import Problem

# BODY_25 points: shoulders and hips around the trunk; elbow, wrist of either arm; knees.
_TRUNK, _ARMS, _KNEES = (2, 5, 12, 9), ((3, 4), (6, 7)), (10, 13)
# Shoulders over trunk length in the picture: 0.58 to 0.85 from the front, below 0.45 half turned away.
_LEAST_FRONT, _MOST_FRONT = 0.45, 0.95  # beyond the latter they bend or crouch
_LEAST_SEEN = 0.97  # of the trunk, by the photo's border
_MOST_HIDDEN = 0.13  # of the trunk, by arms, hands and hair; a hand on the belly hides 0.16
_LEAST_ON_TRUNK = 0.45  # of the trunk that the garment covers; a crop top has 0.6
_LEAST_ON_LEGS = 0.12  # of the wearer that a lower garment covers; shorts have 0.14
_DRESS_BELOW_HIPS = 0.4  # trunk lengths; what ends higher is a long top
_LEAST_UPPER = 0.1  # of all clothes; less is another garment's hem or a belt
_ARM_THICKNESS, _BITE = 0.22, 0.12  # of the shoulders' width: a forearm; what hair takes off an edge, to either side
_HELP = "Use a photo of the garment alone, or one that shows its wearer upright, from the front, arms beside the body."


def kind_worn(parse: np.ndarray, pose: Pose) -> str:
    """What somebody wears above all: "upper", "lower" or "dress". `parse` uint8 HxW, CIHP."""
    trunk = _trunk(pose)
    dress, upper, lower = (np.isin(parse, which) for which in (Cihp.DRESS, labels.UPPER, labels.LOWER))
    if dress.sum() > max(upper.sum(), lower.sum()):
        hips, length = trunk[2:, 1].mean(), _length(trunk)
        below = np.flatnonzero(dress.any(1))[-1] - hips
        return "dress" if below > _DRESS_BELOW_HIPS * length else "upper"
    clothes = np.isin(parse, labels.CLOTHES).sum()
    return "upper" if _seen(pose, _TRUNK[:2]) and upper.sum() > _LEAST_UPPER * clothes else "lower"


def taken_off(
    picture: np.ndarray, alpha: np.ndarray, parse: np.ndarray, pose: Pose, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """The picture (uint8 HxWx3) with the garment's small hidden parts drawn in, and the garment's alpha (uint8 HxW).

    `alpha` is the wearer's. Raises Problem("no_garment") where too little of the garment can be seen.
    """
    region = _region(parse, kind)
    hidden = _check_lower(region, alpha, pose) if kind == "lower" else _check_upper(region, parse, pose, kind)
    if hidden:
        raise Problem("no_garment", f"The garment's photo shows somebody wearing it, but {hidden}. {_HELP}")
    width = _width(_trunk(pose))
    bites = _bites(region, parse, width)
    if bites.any():
        picture = cv2.inpaint(picture, cv2.dilate(bites, np.ones((5, 5), np.uint8)), 3, cv2.INPAINT_TELEA)
    whole = cv2.GaussianBlur((region | bites) * np.uint8(255), (0, 0), 1.0)
    return picture, np.minimum(alpha, whole)


def _region(parse: np.ndarray, kind: str) -> np.ndarray:
    """uint8 HxW, 0 or 1: the garment's labels."""
    wanted = {"upper": labels.UPPER, "lower": labels.LOWER, "dress": labels.CLOTHES}[kind]
    if kind == "upper" and not np.isin(parse, labels.UPPER).any():
        wanted = (Cihp.DRESS,)
    return np.isin(parse, wanted).astype(np.uint8)


def _check_upper(region: np.ndarray, parse: np.ndarray, pose: Pose, kind: str) -> str | None:
    """What is wrong with an upper garment or a dress, in words."""
    if pose.view != "front":
        return "from behind"
    trunk = _trunk(pose)
    inside = _filled(region.shape, trunk)
    in_photo = np.count_nonzero(inside) >= _LEAST_SEEN * cv2.contourArea(trunk)
    hip_seen = any(_seen(pose, (hip,)) for hip in _TRUNK[2:])
    if not (in_photo and hip_seen and _seen(pose, _TRUNK[:2])):
        return "the photo's border cuts it off"
    if _width(trunk) < _LEAST_FRONT * _length(trunk):
        return "from the side"
    if _width(trunk) > _MOST_FRONT * _length(trunk):
        return "bent or crouching"
    arms = np.zeros_like(inside)
    thick = max(1, round(_ARM_THICKNESS * _width(trunk)))
    for arm in _ARMS:
        if _seen(pose, arm):
            cv2.polylines(arms, [np.round(pose.people[0][list(arm), :2]).astype(np.int32)], False, 1, thick)
    arms |= np.isin(parse, (*labels.ARMS, Cihp.HAIR)).astype(np.uint8)
    if np.count_nonzero(arms & inside) > _MOST_HIDDEN * np.count_nonzero(inside):
        return "arms, hands or hair hide too much of it"
    if np.count_nonzero(region & inside) < _LEAST_ON_TRUNK * np.count_nonzero(inside):
        return f"what they wear could not be told as {'a dress' if kind == 'dress' else 'an upper garment'}"
    return None


def _check_lower(region: np.ndarray, alpha: np.ndarray, pose: Pose) -> str | None:
    if not _seen(pose, (*_TRUNK[2:], *_KNEES)):
        return "the photo's border cuts it off"
    if np.count_nonzero(region) < _LEAST_ON_LEGS * np.count_nonzero(alpha > 127):
        return "what they wear could not be told as a lower garment"
    return None


def _bites(region: np.ndarray, parse: np.ndarray, width: float) -> np.ndarray:
    """uint8 HxW, 1 where hair, hands and what they hold lie before the garment, as far as it surrounds them."""
    radius = max(1, round(_BITE * width))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    closed = cv2.morphologyEx(np.pad(region, radius), cv2.MORPH_CLOSE, disc)[radius:-radius, radius:-radius]
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    solid = cv2.drawContours(np.zeros_like(closed), outlines, -1, 1, -1)
    before = np.isin(parse, (*labels.ARMS, Cihp.HAIR, Cihp.GLOVE, Cihp.SUNGLASSES, Cihp.SCARF))
    return (solid & before & ~region.astype(bool)).astype(np.uint8)


def _trunk(pose: Pose) -> np.ndarray:
    """float32 4x2: right shoulder, left shoulder, left hip, right hip; beyond the picture where landmarks tell."""
    if pose.landmarks is not None:
        return pose.landmarks[[12, 11, 23, 24], :2].astype(np.float32)
    return pose.people[0][list(_TRUNK), :2].astype(np.float32)


def _width(trunk: np.ndarray) -> float:
    return float(np.hypot(*(trunk[0] - trunk[1])))


def _length(trunk: np.ndarray) -> float:
    return float(np.hypot(*(trunk[:2].mean(0) - trunk[2:].mean(0))))


def _seen(pose: Pose, points: tuple[int, ...]) -> bool:
    return bool((pose.people[0][list(points), 2] > 0).all())


def _filled(size: tuple[int, int], corners: np.ndarray) -> np.ndarray:
    return cv2.fillConvexPoly(np.zeros(size, np.uint8), np.round(corners).astype(np.int32), 1)
