"""The posed body: image points, metric points, and which way the trunk faces.

Camera axes are x right, y down, z away from the camera; left and right are the person's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The landmarks of MediaPipe's 33 that are used here.
NOSE, EYE_L, EYE_R, EAR_L, EAR_R, MOUTH_L, MOUTH_R = 0, 2, 5, 7, 8, 9, 10
SHOULDER_L, SHOULDER_R, ELBOW_L, ELBOW_R, WRIST_L, WRIST_R = 11, 12, 13, 14, 15, 16
PINKY_L, PINKY_R, INDEX_L, INDEX_R = 17, 18, 19, 20
HIP_L, HIP_R, KNEE_L, KNEE_R, ANKLE_L, ANKLE_R = 23, 24, 25, 26, 27, 28
HEEL_L, HEEL_R, TOE_L, TOE_R = 29, 30, 31, 32

# Bones whose image and metric lengths give the scale: long ones, of the trunk and next to it.
_SCALE_BONES = np.array([
    (11, 12), (11, 23), (12, 24), (23, 24), (11, 24), (12, 23), (11, 13), (12, 14), (23, 25), (24, 26),
])  # fmt: skip
# Smaller turns of the trunk are within the landmarks' noise.
_DEAD_YAW = np.radians(12)


@dataclass(frozen=True)
class Body:
    """The posed person: image points in pixels, metric points, and the scale between them."""

    image: np.ndarray  # 33x2, pixels
    world: np.ndarray  # 33x3, metres
    scale: float  # pixels per metre
    left: np.ndarray  # unit vectors of the trunk in camera axes
    up: np.ndarray
    forward: np.ndarray
    yaw: float  # 0 faces the camera, +pi/2 faces the image's right, pi shows the back
    hands: np.ndarray  # 2x21x3, left then right: x, y pixels, confidence

    def depth(self, *landmarks: int) -> float:
        """Mean depth of the landmarks, pixels away from the camera."""
        return float(self.world[list(landmarks), 2].mean()) * self.scale

    def middle(self, a: int, b: int) -> np.ndarray:
        return (self.image[a] + self.image[b]) / 2


def pose_body(image: np.ndarray, world: np.ndarray, hands: np.ndarray) -> Body:
    """`image` 33x2 pixels, `world` 33x3 metres; `hands` 2x21x3, left then right, pixels and confidence."""
    a, b = _SCALE_BONES.T
    flat = np.hypot(*(world[a] - world[b]).T[:2])
    seen = np.hypot(*(image[a] - image[b]).T)
    scale = float((flat * seen).sum() / max((flat**2).sum(), 1e-6))
    left = unit((world[SHOULDER_L] - world[SHOULDER_R]) + (world[HIP_L] - world[HIP_R]))
    up = world[SHOULDER_L] + world[SHOULDER_R] - world[HIP_L] - world[HIP_R]
    up = unit(up - left * (up @ left))
    yaw = float(np.arctan2(left[2], left[0]))
    return Body(image, world, scale, left, up, np.cross(left, up), _deaden(yaw), hands)


def _deaden(yaw: float) -> float:
    """Small turns count as facing the camera or showing the back; larger ones grow smoothly from there."""
    turned = np.pi if abs(yaw) > np.pi / 2 else 0.0
    off = wrap(yaw - turned)
    return turned + np.sign(off) * max(abs(off) - _DEAD_YAW, 0.0) * (np.pi / 2) / (np.pi / 2 - _DEAD_YAW)


def wrap(angle: float) -> float:
    """The angle in -pi..pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.linalg.norm(v)), 1e-9)


def across(v: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The part of v at right angles to the axis (not normalised: its length says how certain)."""
    return v - axis * (v @ axis)


def limb_frame(axis: np.ndarray, hints: list[tuple[float, np.ndarray]], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Front and lateral directions of a limb, from weighted hints of where its front looks.

    `side` is +1 for left, -1 for right. A hint along the bone says nothing and drops out by its short length.
    """
    axis = unit(axis)
    front = unit(sum(weight * across(unit(hint), axis) for weight, hint in hints))
    return front, np.cross(front, axis) * side
