"""Body and hand key points: names, orders, limbs, and OpenPose's JSON.

Left and right are the person's own. Tables as OpenPose 1.7 publishes them; "limbs" are those that it draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

BODY_25 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip

BODY_25_LIMBS = (
    (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (8, 12), (12, 13), (13, 14),
    (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (14, 19), (19, 20), (14, 21), (11, 22), (22, 23), (11, 24),
)  # fmt: skip

# BODY_25 index of each COCO-18 key point: no middle of the hips, no feet.
BODY_25_OF_COCO_18 = (*range(8), *range(9, 19))
COCO_18 = tuple(BODY_25[index] for index in BODY_25_OF_COCO_18)

COCO_18_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip

HAND_FINGERS = ("thumb", "index", "middle", "ring", "little")
HAND = ("wrist", *(f"{finger}_{joint}" for finger in HAND_FINGERS for joint in range(1, 5)))
HAND_LIMBS = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21))

JSON_VERSION = 1.3


def coco_18(people: np.ndarray) -> np.ndarray:
    """...x25x3 in BODY_25 order -> ...x18x3 in COCO-18 order."""
    return people[..., BODY_25_OF_COCO_18, :]


def openpose_json(people: np.ndarray, hands: np.ndarray | None = None) -> str:
    """The text of OpenPose's `NAME_keypoints.json`: one line, people in the order given.

    `people` is Nx25x3 (or Nx18x3), `hands` Nx2x21x3, left then right; None leaves the hands' lists empty, as
    OpenPose does with its hand detector off.
    """
    written = []
    for index, person in enumerate(people):
        left, right = ((), ()) if hands is None else hands[index]
        lists = {
            "pose_keypoints_2d": person,
            "face_keypoints_2d": (),
            "hand_left_keypoints_2d": left,
            "hand_right_keypoints_2d": right,
            "pose_keypoints_3d": (),
            "face_keypoints_3d": (),
            "hand_left_keypoints_3d": (),
            "hand_right_keypoints_3d": (),
        }
        written.append(",".join(['"person_id":[-1]', *(f'"{key}":[{_numbers(v)}]' for key, v in lists.items())]))
    return f'{{"version":{JSON_VERSION},"people":[{",".join(f"{{{text}}}" for text in written)}]}}'


def _numbers(points: np.ndarray | Iterable) -> str:
    """As C prints a float32 with %.6g."""
    return ",".join(f"{value:.6g}" for value in np.asarray(points, np.float32).ravel())


def read_openpose_json(text: str) -> tuple[np.ndarray, np.ndarray]:
    """People Nx25x3 and hands Nx2x21x3, float32, of an OpenPose JSON of version 1.0 or later.

    COCO-18 becomes BODY_25 with the middle of the hips computed and the feet unseen. Raises ValueError for a text
    that is no such JSON.
    """
    try:
        found = json.loads(text)["people"]
        bodies = [person.get("pose_keypoints_2d", person.get("pose_keypoints")) for person in found]
        people = [body_25(np.reshape(np.asarray(numbers, np.float32), (-1, 3))) for numbers in bodies]
        hands = [
            [np.reshape(person.get(f"hand_{side}_keypoints_2d") or np.zeros(63), (21, 3)) for side in ("left", "right")]
            for person in found
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an OpenPose JSON: {error!r}") from error
    return (
        np.array(people, np.float32).reshape(-1, 25, 3),
        np.array(hands, np.float32).reshape(-1, 2, 21, 3),
    )


def body_25(points: np.ndarray) -> np.ndarray:
    """One person's 25x3 or 18x3 (COCO-18) -> 25x3, float32: the middle of the hips computed and the feet unseen.

    Raises ValueError for any other number of points.
    """
    if len(points) == len(BODY_25):
        return points.astype(np.float32)
    if len(points) != len(COCO_18):
        raise ValueError(f"{len(points)} key points: neither BODY_25 nor COCO-18")
    person = np.zeros((len(BODY_25), 3), np.float32)
    person[list(BODY_25_OF_COCO_18)] = points
    person[BODY_25.index("mid_hip")] = midpoint(
        person[BODY_25.index("right_hip")], person[BODY_25.index("left_hip")]
    )
    return person


def midpoint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The middle of two key points (x, y, confidence), as sure as the less sure one; unseen where either is."""
    confidence = min(a[2], b[2])
    if confidence <= 0:
        return np.zeros(3, np.float32)
    return np.array([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, confidence], np.float32)
