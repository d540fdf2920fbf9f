"""A checkpoint's own labels as the fleet's CIHP, with what its label set lacks.

Neck: LIP's annotations leave it out, so that it comes out as background; ATR's count it as face. Nose and neck point
(the middle of the shoulders) of the pose give an axis; the chin lies halfway, as in a face seen from the front. ATR's
face below the chin becomes torso-skin. LIP's background becomes torso-skin in a trapezoid along that axis which is
within the neck and the neckline, and inside the mask where there is one. Without a pose, nose and neck point are told
from the face's own labels: it is as high above the nose, and as wide, as faces seen from the front are.

Sides: Pascal-Person-Part has no left and right. A pixel of an arm or a leg is of the side whose bones are nearer;
without a pose the person is taken to face the camera, their left on the picture's right.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import ARMS, LEGS, TO_CIHP, Cihp
from infra.preprocess.pose_estimation.keypoints import BODY_25

# In lengths of the axis from nose to neck point. Medians over six rendered people whose labels are known:
CHIN = 0.5  # 0.48 to 0.55
_FACE_TOP = 0.6  # above the nose: 0.54 to 0.63
_FACE_WIDTH = 0.8  # with ears where hair leaves them free: 0.68 to 0.86
# The trapezoid: where it begins and ends along the axis, and half its width there. Of what it marks there, 99 % is
# neck, and 75 % of the neck and of the skin in the neckline is marked.
_NECK_FROM, _NECK_TO = (0.4, 0.25), (1.1, 0.4)

_NOSE, _NECK = BODY_25.index("nose"), BODY_25.index("neck")
_SIDES = ("left", "right")


def to_fleet(labels: np.ndarray, scheme: str, person: np.ndarray | None, alpha: np.ndarray | None) -> np.ndarray:
    """A map (uint8 HxW) of a "cihp", "lip", "atr" or "pascal" checkpoint in CIHP labels, as the module says.

    `person` is the 25x3 key points of the chosen one in the map's pixels, `alpha` (uint8 HxW) their mask.
    """
    if scheme == "cihp":
        return labels
    out = cv2.LUT(labels, TO_CIHP[scheme])
    if scheme == "pascal":
        _divide_sides(out, ARMS, ("shoulder", "elbow", "wrist"), person)
        _divide_sides(out, LEGS, ("hip", "knee", "ankle"), person)
    else:
        axis = _head_axis(out, person)
        if axis is not None:
            (_divide_at_chin if scheme == "atr" else _fill_neck)(out, *axis, alpha)
    return out


def _head_axis(labels: np.ndarray, person: np.ndarray | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Nose and neck point (x, y); None without a face."""
    if person is not None and person[_NOSE, 2] > 0 and person[_NECK, 2] > 0:
        nose, neck = person[_NOSE, :2].astype(float), person[_NECK, :2].astype(float)
        return (nose, neck) if np.hypot(*(neck - nose)) >= 1 else None
    _, islands, stats, _ = cv2.connectedComponentsWithStats((labels == Cihp.FACE).astype(np.uint8))
    if len(stats) < 2:
        return None
    face = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, width, height, _ = stats[face]
    region = islands[top : top + (height + 1) // 2, left : left + width] == face  # no neck yet, even in ATR
    rows = region.sum(1)
    length = rows.max() / _FACE_WIDTH
    middle = left + np.flatnonzero(region[int(np.argmax(rows))]).mean()
    nose = np.array([middle, top + _FACE_TOP * length])
    return nose, nose + (0, length)


def _divide_at_chin(labels: np.ndarray, nose: np.ndarray, neck: np.ndarray, alpha: np.ndarray | None) -> None:
    """Writes torso-skin over the face beyond the chin."""
    rows, columns = np.nonzero(labels == Cihp.FACE)
    axis = neck - nose
    along = ((columns - nose[0]) * axis[0] + (rows - nose[1]) * axis[1]) / (axis @ axis)
    below = along > CHIN
    labels[rows[below], columns[below]] = Cihp.TORSO_SKIN


def _fill_neck(labels: np.ndarray, nose: np.ndarray, neck: np.ndarray, alpha: np.ndarray | None) -> None:
    """Writes torso-skin over the background in the neck's trapezoid."""
    axis = neck - nose
    across = np.array([-axis[1], axis[0]])
    (start, narrow), (end, wide) = _NECK_FROM, _NECK_TO
    corners = [
        nose + along * axis + share * across
        for along, share in ((start, -narrow), (start, narrow), (end, wide), (end, -wide))
    ]
    inside = np.zeros(labels.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(np.multiply(corners, 16)).astype(np.int32), 1, cv2.LINE_8, 4)
    free = (inside > 0) & (labels == Cihp.BACKGROUND)
    labels[free if alpha is None else free & (alpha > 127)] = Cihp.TORSO_SKIN


def _divide_sides(
    labels: np.ndarray, pair: tuple[Cihp, Cihp], joints: tuple[str, ...], person: np.ndarray | None
) -> None:
    """Gives the pixels of either label of the `pair` (left, right) to one by what the module says."""
    region = (labels == pair[0]) | (labels == pair[1])
    if not region.any():
        return
    bones = [[] if person is None else _seen(person, [f"{side}_{joint}" for joint in joints]) for side in _SIDES]
    if any(bones):
        left, right = (_distance_to(limb, labels.shape) for limb in bones)
        is_left = left <= right
    else:
        columns = np.flatnonzero(labels.any(0))
        is_left = np.broadcast_to(np.arange(labels.shape[1]) > columns.mean(), labels.shape)
    labels[region] = np.where(is_left[region], *pair)


def _seen(person: np.ndarray, names: list[str]) -> list[np.ndarray]:
    """x, y of those of the named key points that were seen."""
    points = [person[BODY_25.index(name)] for name in names]
    return [point[:2] for point in points if point[2] > 0]


def _distance_to(limb: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Of every pixel to a limb that bends at these points, float32; infinite where it has none."""
    if not limb:
        return np.full(size, np.inf, np.float32)
    free = np.full(size, 255, np.uint8)
    cv2.polylines(free, [np.rint(np.multiply(limb, 16)).astype(np.int32)], False, 0, 1, cv2.LINE_8, 4)
    return cv2.distanceTransform(free, cv2.DIST_L2, 3)
