"""Landmarks and flat metric points for poses that come without: from BODY_25, with an average body's missing joints."""

from __future__ import annotations

import numpy as np

from infra.preprocess.densepose.skeleton import body as at
from infra.preprocess.pose_estimation.keypoints import BODY_25

# Landmark -> BODY_25 index.
_SEEN = {
    landmark: BODY_25.index(name)
    for landmark, name in {
        at.NOSE: "nose", at.EYE_L: "left_eye", at.EYE_R: "right_eye", at.EAR_L: "left_ear", at.EAR_R: "right_ear",
        at.SHOULDER_L: "left_shoulder", at.SHOULDER_R: "right_shoulder", at.ELBOW_L: "left_elbow",
        at.ELBOW_R: "right_elbow", at.WRIST_L: "left_wrist", at.WRIST_R: "right_wrist", at.HIP_L: "left_hip",
        at.HIP_R: "right_hip", at.KNEE_L: "left_knee", at.KNEE_R: "right_knee", at.ANKLE_L: "left_ankle",
        at.ANKLE_R: "right_ankle", at.HEEL_L: "left_heel", at.HEEL_R: "right_heel", at.TOE_L: "left_big_toe",
        at.TOE_R: "right_big_toe",
    }.items()
}  # fmt: skip

# An average body standing before the camera, metres right and down of the middle of the hips; the person's left.
_AVERAGE_LEFT = {
    at.EYE_L: (0.03, -0.70), at.EAR_L: (0.075, -0.68), at.MOUTH_L: (0.025, -0.62), at.SHOULDER_L: (0.17, -0.49),
    at.ELBOW_L: (0.23, -0.24), at.WRIST_L: (0.25, -0.01), at.PINKY_L: (0.27, 0.08), at.INDEX_L: (0.24, 0.08),
    at.HIP_L: (0.10, 0.0), at.KNEE_L: (0.11, 0.39), at.ANKLE_L: (0.12, 0.76), at.HEEL_L: (0.12, 0.80),
    at.TOE_L: (0.14, 0.83),
}  # fmt: skip
_AVERAGE = np.zeros((33, 2))
for _landmark, (_x, _y) in {at.NOSE: (0.0, -0.66), **_AVERAGE_LEFT}.items():
    _AVERAGE[_landmark] = _x, _y
    if _landmark != at.NOSE:
        _AVERAGE[_landmark + (3 if _landmark == at.EYE_L else 1)] = -_x, _y
_TORSO = 0.49  # metres of the average body, shoulders to hips

# Missing joints are hung on these, in this order.
_PARENT = {
    at.HIP_L: at.SHOULDER_L, at.HIP_R: at.SHOULDER_R,
    at.ELBOW_L: at.SHOULDER_L, at.ELBOW_R: at.SHOULDER_R, at.WRIST_L: at.ELBOW_L, at.WRIST_R: at.ELBOW_R,
    at.KNEE_L: at.HIP_L, at.KNEE_R: at.HIP_R, at.ANKLE_L: at.KNEE_L, at.ANKLE_R: at.KNEE_R,
    at.HEEL_L: at.ANKLE_L, at.HEEL_R: at.ANKLE_R, at.TOE_L: at.HEEL_L, at.TOE_R: at.HEEL_R,
    at.EYE_L: at.NOSE, at.EYE_R: at.NOSE, at.EAR_L: at.NOSE, at.EAR_R: at.NOSE,
    at.MOUTH_L: at.NOSE, at.MOUTH_R: at.NOSE,
}  # fmt: skip
_HAND_TURN = {at.ELBOW_L: (at.WRIST_L, at.INDEX_L, at.PINKY_L), at.ELBOW_R: (at.WRIST_R, at.INDEX_R, at.PINKY_R)}
_HAND_LENGTH, _HAND_WIDTH = 0.09, 0.03  # metres: wrist to knuckles, index to little finger's
_INDEX_KNUCKLE, _LITTLE_KNUCKLE = 5, 17  # of OpenPose's 21 hand points


def complete(person: np.ndarray, hands: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """33x2 landmarks (pixels) and 33x3 metric points (depth 0) of a BODY_25 person, 25x3, and hands, 2x21x3.

    None where the shoulders are not seen: then nothing tells where the body is.
    """
    points, seen = np.zeros((33, 2)), np.zeros(33, bool)
    for landmark, joint in _SEEN.items():
        points[landmark], seen[landmark] = person[joint, :2], person[joint, 2] > 0
    shoulders, hips = [at.SHOULDER_L, at.SHOULDER_R], [at.HIP_L, at.HIP_R]
    if not seen[shoulders].all():
        return None
    # Seen from behind, the average body is mirrored.
    way = np.array([np.sign(points[at.SHOULDER_L, 0] - points[at.SHOULDER_R, 0]) or 1.0, 1.0])
    width = float(np.hypot(*(points[at.SHOULDER_L] - points[at.SHOULDER_R])))
    scale = width / (2 * _AVERAGE[at.SHOULDER_L, 0])
    if seen[hips].all():
        scale = float(np.hypot(*(points[shoulders].mean(0) - points[hips].mean(0)))) / _TORSO
    if not seen[at.NOSE]:
        points[at.NOSE] = points[shoulders].mean(0) + (_AVERAGE[at.NOSE] - _AVERAGE[shoulders].mean(0)) * way * scale
    for landmark, parent in _PARENT.items():
        if not seen[landmark]:
            points[landmark] = points[parent] + (_AVERAGE[landmark] - _AVERAGE[parent]) * way * scale
    for index, (elbow, (wrist, first, little)) in enumerate(_HAND_TURN.items()):
        points[[first, little]] = _knuckles(points[elbow], points[wrist], hands[index], scale)
    world = np.zeros((33, 3))
    world[:, :2] = (points - points[hips].mean(0)) / max(scale, 1e-6)
    return points, world


def _knuckles(elbow: np.ndarray, wrist: np.ndarray, hand: np.ndarray, scale: float) -> np.ndarray:
    """Index and little finger's knuckles, 2x2: the hand's own where seen, else on along the forearm."""
    if (hand[[_INDEX_KNUCKLE, _LITTLE_KNUCKLE], 2] > 0).all():
        return hand[[_INDEX_KNUCKLE, _LITTLE_KNUCKLE], :2]
    along = at.unit(wrist - elbow)
    beside = np.array([-along[1], along[0]]) * _HAND_WIDTH / 2 * scale
    middle = wrist + along * _HAND_LENGTH * scale
    return np.array([middle + beside, middle - beside])
