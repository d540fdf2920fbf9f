"""The landmark networks of body, hand and face: each looks at one turned square of the picture.

All answer in pixels of the picture, pixel centres at integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.litert import LiteRTNetwork
from infra.preprocess.pose_estimation.blazepose import landmarks as names
from infra.preprocess.pose_estimation.blazepose.squares import (
    Square,
    cut,
    face_square,
    face_square_of_pose,
    hand_square,
    hand_square_of_pose,
    moved,
    person_square,
)  # fmt: skip

LEAST_PRESENCE = 0.5
LEAST_FIRST_FACE = 0.1  # a first look at a face only has to find the square of the second
HEAT_REACH, LEAST_HEAT = 4, 0.5  # cells on each side, probability: how BlazePose's points are refined
HAND_DEPTH = 0.4  # the hand network writes depth at this share of its scale
TWIN_HANDS = 0.5  # palms: two hands closer than this are one

# The pose and face networks answer half a pixel of their input too far right (not too low, and the hand network does
# not): found by running mirrored pictures, and confirmed by the rendered people's true joints (0.0262 -> 0.0247).
RIGHTWARD = np.array([0.5, 0.0])

# The heavy network's metric points lean: plain and mirrored runs of 17 people differ by twice this, alike for all of
# them (shoulders' height 0.032 +- 0.004 m). Metres, in the square's axes, of the nose and the left landmarks; the
# right ones have the same x and the opposite y and z. The full network has no such lean beyond its noise.
_HEAVY_LEAN_LEFT = {
    0: (-0.011, 0, 0), 1: (-0.003, 0.004, 0.006), 2: (-0.001, 0.004, 0.018), 3: (0.001, -0.003, 0.006),
    7: (0.002, -0.020, -0.002), 9: (0.009, -0.016, 0.013), 11: (0.014, 0.032, -0.025), 13: (0.021, -0.009, -0.003),
    15: (0.014, 0.004, 0.038), 17: (0.023, 0.005, 0.058), 19: (0.022, 0.021, 0.058), 21: (0.018, 0.018, 0.042),
    23: (0.001, 0.007, 0.025), 25: (0.019, 0.044, 0), 27: (0.003, 0.011, -0.002), 29: (-0.010, 0.011, 0.020),
    31: (-0.027, 0.016, 0.024),
}  # fmt: skip
HEAVY_LEAN = np.zeros((33, 3), np.float32)
for _left, _lean in _HEAVY_LEAN_LEFT.items():
    HEAVY_LEAN[names.MIRRORED[_left]] = np.multiply(_lean, (1, -1, -1))
    HEAVY_LEAN[_left] = _lean


@dataclass(frozen=True)
class Body:
    """What the pose network says of one person."""

    presence: float  # 0..1, that there is a person in the square
    landmarks: np.ndarray  # 33x5 float32: x, y, z pixels, visibility 0..1, presence in the picture 0..1
    world: np.ndarray  # 33x3 float32, metres: x right, y down, z away from the camera, middle of the hips at 0
    probability: np.ndarray  # uint8 256x256, person, in the square
    to_picture: np.ndarray  # 2x3, from pixels of `probability` to the picture's
    square: Square
    next_square: Square  # where a second look should be taken

    def probability_in(self, size: tuple[int, int]) -> np.ndarray:
        """The probability as uint8 of the picture's (height, width), 0 outside the square."""
        return cv2.warpAffine(self.probability, self.to_picture, size[::-1], flags=cv2.INTER_LINEAR)


@dataclass(frozen=True)
class Hand:
    points: np.ndarray  # 21x3 float32: x, y pixels, z in the scale of x, negative towards the camera; 0 is the wrist
    presence: float  # 0..1, that there is a hand at all
    rightness: float  # 0..1, that the picture shows a person's right hand (not mirrored)


@dataclass(frozen=True)
class Face:
    points: np.ndarray  # 468x3 float32: x, y pixels, z in the scale of x
    presence: float  # 0..1


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))


class PoseNetwork:
    """`pose_landmark_heavy` or `pose_landmark_full`.

    `shift` (2, input pixels) and `lean` (33x3 metres) are what is taken off its points and its metric points.
    """

    def __init__(self, network: LiteRTNetwork, shift: np.ndarray = RIGHTWARD, lean: np.ndarray | float = 0.0) -> None:
        self._network, self._shift, self._lean = network, shift, lean

    def __call__(self, picture: np.ndarray, square: Square, *, mirrored: bool = False) -> Body:
        """The person in a square around the hips that holds the whole body, whatever their presence.

        `mirrored` shows the network the square in a mirror; the answer is of the picture as it is all the same.
        """
        size = self._network.size
        to_picture = square.to_picture(size, mirrored)
        raw, presence, mask, heat, metres = self._network(cut(picture, to_picture, size))
        raw = raw.reshape(39, 5)  # 33 landmarks, hip middle, whole-body rim, and four more that nothing here needs
        flat = refine_from_heatmap(raw[:35, :2].astype(float), heat, size)
        points = moved(flat - self._shift, to_picture)
        depth = raw[:33, 2:3] * square.side / size
        landmarks = np.hstack([points[:33], depth, _sigmoid(raw[:33, 3:])]).astype(np.float32)
        world = metres.reshape(39, 3)[:33] - self._lean
        if mirrored:
            landmarks, world = landmarks[list(names.MIRRORED)], world[list(names.MIRRORED)] * (-1, 1, 1)
        sin, cos = np.sin(square.angle), np.cos(square.angle)
        world[:, :2] = world[:, :2] @ np.array([[cos, sin], [-sin, cos]])
        probability = np.rint(_sigmoid(mask[..., 0]) * 255).astype(np.uint8)
        return Body(
            float(presence[0]), landmarks, world.astype(np.float32), probability, to_picture, square,
            person_square(points[33:35]),
        )  # fmt: skip


def refine_from_heatmap(points: np.ndarray, heat: np.ndarray, size: int) -> np.ndarray:
    """Moves each point to the centre of mass of its heat map around it: the maps are finer than the regression.

    Nx2 pixels of a `size` input, gxgxM logits (M at least N) -> Nx2. Where no cell is above `LEAST_HEAT` the point
    stays.
    """
    grid = heat.shape[0]
    refined = points.copy()
    for index, (x, y) in enumerate(points * grid / size):
        column, row = int(x), int(y)
        if not (0 <= column < grid and 0 <= row < grid):
            continue
        rows = slice(max(row - HEAT_REACH, 0), row + HEAT_REACH + 1)
        columns = slice(max(column - HEAT_REACH, 0), column + HEAT_REACH + 1)
        mass = _sigmoid(heat[rows, columns, index])
        if mass.max() < LEAST_HEAT:
            continue
        total = mass.sum()
        refined[index] = (
            (mass.sum(0) @ np.arange(columns.start, columns.start + mass.shape[1])) / total * size / grid,
            (mass.sum(1) @ np.arange(rows.start, rows.start + mass.shape[0])) / total * size / grid,
        )
    return refined


class HandNetwork:
    """`hand_landmark_full`."""

    def __init__(self, network: LiteRTNetwork) -> None:
        self._network = network

    def __call__(self, picture: np.ndarray, square: Square) -> Hand | None:
        """The hand in a square whose up runs from wrist to fingers; None where there is none."""
        size = self._network.size
        to_picture = square.to_picture(size)
        raw, presence, right, _metres = self._network(cut(picture, to_picture, size))
        if presence[0] < LEAST_PRESENCE:
            return None
        raw = raw.reshape(21, 3)
        depth = raw[:, 2:] * square.side / size / HAND_DEPTH
        points = np.hstack([moved(raw[:, :2], to_picture), depth]).astype(np.float32)
        return Hand(points, float(presence[0]), float(right[0]))

    def of_pose(self, picture: np.ndarray, landmarks: np.ndarray, looks: int = 2) -> dict[str, Hand]:
        """The hands at the ends of a posed person's arms (33x2 or more, pixels): "left", "right", where seen.

        A second look, in the square of the first one's hand, is steadier; a third adds nothing.
        """
        hands = {}
        for side in names.HAND:
            hand = self(picture, hand_square_of_pose(landmarks, side))
            for _ in range(looks - 1):
                hand = hand and self(picture, hand_square(hand.points))
            if hand is not None:
                hands[side] = hand
        return without_twin(hands)


def without_twin(hands: dict[str, Hand]) -> dict[str, Hand]:
    """Drops one of two hands that are the same (one hand covers the other): the one that says it is the other."""
    if len(hands) < 2:
        return hands
    left, right = hands["left"], hands["right"]
    apart = np.hypot(*(left.points[:, :2] - right.points[:, :2]).T).mean()
    if apart > TWIN_HANDS * np.hypot(*(left.points[9, :2] - left.points[0, :2])):
        return hands
    return {"right": right} if left.rightness + right.rightness > 1 else {"left": left}


class FaceNetwork:
    """`face_landmark`; `shift` as for `PoseNetwork`."""

    def __init__(self, network: LiteRTNetwork, shift: np.ndarray = RIGHTWARD) -> None:
        self._network, self._shift = network, shift

    def __call__(self, picture: np.ndarray, square: Square) -> Face:
        """The mesh of the face in a square that holds it with a quarter of its length as margin on each side."""
        size = self._network.size
        to_picture = square.to_picture(size)
        raw, logit = self._network(cut(picture, to_picture, size))
        raw = raw.reshape(468, 3)
        points = np.hstack([moved(raw[:, :2] - self._shift, to_picture), raw[:, 2:] * square.side / size])
        return Face(points.astype(np.float32), float(_sigmoid(logit).ravel()[0]))

    def of_pose(self, picture: np.ndarray, landmarks: np.ndarray) -> Face | None:
        """The face of a posed person (33x2 or more, pixels), looked at twice; None where none is seen."""
        first = self(picture, face_square_of_pose(landmarks))
        if first.presence < LEAST_FIRST_FACE:
            return None
        face = self(picture, face_square(first.points))
        return face if face.presence >= LEAST_PRESENCE else None
