"""Where a body's hands are, and the picture of each as the hand network sees it.

As OpenPose 1.7 does it with its default settings: one square for each arm, seen at one scale. The network knows right
hands, so the left one's picture is mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.pose_estimation.keypoints import BODY_25

NET_SIDE = 368  # --hand_net_resolution
HAND_POINTS = 21
ARM_SEEN = 0.03  # least score of wrist, elbow and shoulder
BEYOND_WRIST = 0.33  # of the forearm: how far beyond the wrist the middle of the hand is
SIDE, UPPER_ARM_SHARE = 1.5, 0.9
LEAST_SIDE = np.sqrt(10)  # pixels: OpenPose leaves out squares of a side up to 1 or an area up to 10
LEFT, RIGHT = 0, 1

_ARMS = [[BODY_25.index(f"{side}_{joint}") for joint in ("wrist", "elbow", "shoulder")] for side in ("left", "right")]


@dataclass(frozen=True)
class HandInput:
    """A hand of a picture (uint8 RGB HxWx3), LEFT or RIGHT, in a square: left x, top y, side."""

    picture: np.ndarray
    square: np.ndarray
    hand: int


def hand_squares(people: np.ndarray) -> np.ndarray:
    """People (N x 25 x 3, BODY_25; COCO-18 has the same arms) -> N x 2 x 3: left x, top y, side; the left hand first.

    Pixels, also beyond the picture. 0, 0, 0 where an arm is not seen.
    """
    arms = people[:, _ARMS]
    wrist, elbow, shoulder = (arms[:, :, joint, :2] for joint in range(3))
    forearm, upper_arm = (np.linalg.norm(a - b, axis=-1) for a, b in ((wrist, elbow), (elbow, shoulder)))
    side = SIDE * np.maximum(forearm, UPPER_ARM_SHARE * upper_arm)
    corner = wrist + BEYOND_WRIST * (wrist - elbow) - side[..., None] / 2
    squares = np.concatenate([corner, side[..., None]], -1)
    squares[(arms[..., 2] <= ARM_SEEN).any(-1)] = 0
    return squares


def worth_a_look(square: np.ndarray) -> bool:
    """Whether the square (left x, top y, side) is one that OpenPose gives its network."""
    return bool(square[2] > LEAST_SIDE)


def hand_crop(picture: np.ndarray, square: np.ndarray, hand: int, net_side: int = NET_SIDE) -> np.ndarray:
    """uint8 net_side x net_side x 3: the square of the picture, black beyond it; a LEFT hand is mirrored."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, _to_picture(square, hand, net_side), (net_side, net_side), flags=flags)


def in_picture(points: np.ndarray, square: np.ndarray, hand: int, net_side: int = NET_SIDE) -> np.ndarray:
    """Points (N x 3: x, y, score) of a crop, in the picture."""
    affine = _to_picture(square, hand, net_side)
    return np.concatenate([points[:, :2] @ affine[:, :2].T + affine[:, 2], points[:, 2:]], 1)


def _to_picture(square: np.ndarray, hand: int, net_side: int) -> np.ndarray:
    x, y, side = (float(value) for value in square)
    scale = side / net_side
    return np.array([[-scale, 0, x + side] if hand == LEFT else [scale, 0, x], [0, scale, y]])
