"""Which side of a person the camera sees."""

from __future__ import annotations

import numpy as np

from infra.preprocess.pose_estimation.keypoints import BODY_25

# How far apart shoulders and hips are in a view straight from the front, over the trunk's length
SHOULDERS_APART, HIPS_APART = 0.6, 0.35
# What each says at most for front or back: the trunk outvotes the head, which turns.
SHOULDERS_SAY, HIPS_SAY, FACE_SAYS = 2.0, 1.0, 1.0


def view_of(person: np.ndarray) -> str:
    """25x3 (BODY_25) -> "front" or "back".

    From the front the person's left side is on the right of the picture, and there is a face and not ears alone.
    """
    points = dict(zip(BODY_25, person))

    def apart(joint: str, whole: float) -> float:
        left, right = points[f"left_{joint}"], points[f"right_{joint}"]
        if not (left[2] > 0 and right[2] > 0):
            return 0.0
        return float(np.clip((left[0] - right[0]) / (whole * trunk), -1, 1))

    trunk = _trunk(points)
    says = SHOULDERS_SAY * apart("shoulder", SHOULDERS_APART) + HIPS_SAY * apart("hip", HIPS_APART)
    if any(points[name][2] > 0 for name in ("nose", "left_eye", "right_eye")):
        says += FACE_SAYS
    elif any(points[name][2] > 0 for name in ("left_ear", "right_ear")):
        says -= FACE_SAYS
    return "front" if says >= 0 else "back"


def _trunk(points: dict[str, np.ndarray]) -> float:
    """Its length in pixels; without hips, that of the shoulders' line, so that any line of them counts fully."""
    for a, b in (("neck", "mid_hip"), ("right_shoulder", "right_hip"), ("left_shoulder", "left_hip")):
        if points[a][2] > 0 and points[b][2] > 0:
            return max(float(np.hypot(*(points[a] - points[b])[:2])), 1.0)
    return max(float(np.hypot(*(points["left_shoulder"] - points["right_shoulder"])[:2])), 1.0)
