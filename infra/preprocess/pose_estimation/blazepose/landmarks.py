"""BlazePose's 33 landmarks: names, and their view as BODY_25. Left and right are the person's."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.pose_estimation.keypoints import midpoint

NOSE = 0
LEFT_EYE, RIGHT_EYE = (1, 2, 3), (4, 5, 6)  # inner corner, middle, outer corner
EARS, MOUTH, SHOULDERS, HIPS = (7, 8), (9, 10), (11, 12), (23, 24)  # left, right
TORSO = (*SHOULDERS, *HIPS)
HAND = {"left": (15, 17, 19), "right": (16, 18, 20)}  # wrist, little and index finger's knuckle

# The landmark of the other side, for mirrored pictures.
MIRRORED = (0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 - 2 * (i % 2 == 0) for i in range(11, 33)))

# BODY_25 index -> landmark; neck, middle of the hips and small toes are computed.
_LANDMARK = {
    0: 0, 2: 12, 3: 14, 4: 16, 5: 11, 6: 13, 7: 15, 9: 24, 10: 26, 11: 28, 12: 23, 13: 25, 14: 27,
    15: 5, 16: 2, 17: 8, 18: 7, 19: 31, 21: 29, 22: 32, 24: 30,
}  # fmt: skip

# Below this visibility a joint is a guess from the others, which OpenPose would not report at all.
LEAST_VISIBILITY = 0.3
# Joints farther than this off the person's probability map (over its side, that is, over 1.25 body circles; 2 % of a
# full-length picture's height) are doubted: the network always answers with a whole body, and a guessed leg usually
# lies on the background.
OFF_BODY = 0.02


def torso_length(landmarks: np.ndarray) -> float:
    """Middle of the shoulders to middle of the hips, in pixels; at least one."""
    middles = (landmarks[list(pair), :2].astype(float).mean(0) for pair in (SHOULDERS, HIPS))
    return max(float(np.hypot(*np.subtract(*middles))), 1.0)


def body_25(
    landmarks: np.ndarray, size: tuple[int, int], probability: np.ndarray, to_picture: np.ndarray
) -> np.ndarray:
    """33x5 landmarks (pixels: x, y, z, visibility, presence) to BODY_25, 25x3 float32 (x, y, confidence).

    `size` is the picture's (height, width). `probability`, uint8 SxS, is the network's map of the person in its own
    square, which the 2x3 `to_picture` maps into the picture. A joint outside the picture, or that the network does
    not believe it sees, becomes (0, 0, 0); one well off the person gets half its confidence.
    """
    points = np.zeros((25, 3), np.float32)
    for joint, landmark in _LANDMARK.items():
        points[joint] = landmarks[landmark, [0, 1, 3]]
    points[1] = midpoint(points[2], points[5])
    points[8] = midpoint(points[9], points[12])
    lateral = float(points[12, 0] - points[9, 0])
    for small, big, heel, outward in ((20, 19, 21, lateral), (23, 22, 24, -lateral)):
        points[small] = _small_toe(points[big], points[heel], outward)
    points[_off_body(points, probability, to_picture), 2] *= 0.5
    height, width = size
    x, y = points[:, 0], points[:, 1]
    seen = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1) & (points[:, 2] >= LEAST_VISIBILITY / 2)
    visible = np.ones(25, bool)
    visible[list(_LANDMARK)] = landmarks[list(_LANDMARK.values()), 3] >= LEAST_VISIBILITY
    points[~(seen & visible)] = 0
    return points


def _off_body(points: np.ndarray, probability: np.ndarray, to_picture: np.ndarray) -> np.ndarray:
    """Which points lie well off the person. A point outside the network's square counts as off."""
    side = len(probability)
    reach = max(1, round(OFF_BODY * side))
    near = cv2.dilate((probability > 127).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    column, row = np.rint(cv2.transform(points[:, None, :2], cv2.invertAffineTransform(to_picture))[:, 0].T).astype(int)
    inside = (column >= 0) & (row >= 0) & (column < side) & (row < side)
    return ~(inside & (near[row.clip(0, side - 1), column.clip(0, side - 1)] > 0))


def _small_toe(big: np.ndarray, heel: np.ndarray, outward: float) -> np.ndarray:
    """The network has one toe point: the small toe sits beside it, 0.3 foot lengths to the foot's outer side
    (the sign of `outward`, in the picture), and a little less far from the heel."""
    length = float(np.hypot(*(big[:2] - heel[:2])))
    return np.array([big[0] + np.copysign(0.3 * length, outward), big[1] - 0.1 * length, 0.8 * big[2]], np.float32)
