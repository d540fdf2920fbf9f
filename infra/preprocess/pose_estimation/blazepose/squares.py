"""Turned squares of the picture: what every network of the BlazePose family looks at.

A detector finds the first square, landmarks find a better one. Factors are MediaPipe's where not said otherwise.
Angles are radians, clockwise as seen in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.pose_estimation.blazepose import landmarks as names


@dataclass(frozen=True)
class Square:
    """A turned square; `angle` is how far its up is turned away from the picture's up."""

    x: float  # centre, pixels
    y: float
    side: float  # pixels
    angle: float = 0.0

    def scaled(self, factor: float, up: float = 0.0) -> Square:
        """The square grown by `factor` after its centre moved `up` sides towards its own top."""
        sin, cos = np.sin(self.angle), np.cos(self.angle)
        return Square(self.x + up * self.side * sin, self.y - up * self.side * cos, factor * self.side, self.angle)

    def to_picture(self, size: int, mirrored: bool = False) -> np.ndarray:
        """2x3 affine map from pixels of the `size` x `size` cut-out to pixels of the picture.

        Pixel 0 of the cut-out lies on the square's border, not half a pixel inside, as MediaPipe has it. `mirrored`
        is for a cut-out that shows the square as in a mirror.
        """
        sin, cos = np.sin(self.angle), np.cos(self.angle)
        turn = np.array([[cos, -sin], [sin, cos]]) * self.side / size
        if mirrored:
            turn[:, 0] *= -1
        centre = np.array([self.x, self.y]) - turn @ [size / 2, size / 2]
        return np.hstack([turn, centre[:, None]])


def cut(picture: np.ndarray, to_picture: np.ndarray, size: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """The cut-out that `to_picture` maps into the uint8 HxWx3 picture, uint8 size x size x 3.

    Plain bilinear, as MediaPipe shrinks; smoothing first changes little.
    """
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, to_picture, (size, size), flags=flags, borderMode=border)


def moved(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Nx2 points through a 2x3 affine map."""
    return points @ affine[:, :2].T + affine[:, 2]


def square_between(start: np.ndarray, end: np.ndarray, upright: float) -> Square:
    """A square around `start` that reaches to `end`, turned so that start -> end points along `upright`.

    `upright` is the angle, counted anticlockwise from the picture's right, that the line should have.
    """
    dx, dy = end - start
    return Square(float(start[0]), float(start[1]), 2 * float(np.hypot(dx, dy)), _turn(upright + np.arctan2(dy, dx)))


def square_of_box(box: np.ndarray, start: np.ndarray, end: np.ndarray, upright: float) -> Square:
    """A square around `box` (x0, y0, x1, y1) as long as its longer side, turned as `square_between` does."""
    dx, dy = end - start
    x0, y0, x1, y1 = (float(v) for v in box)
    return Square((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0), _turn(upright + np.arctan2(dy, dx)))


def _turn(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def whole_square(picture: np.ndarray) -> Square:
    height, width = picture.shape[:2]
    return Square(width / 2, height / 2, max(height, width))


def person_square(points: np.ndarray) -> Square:
    """Where a person is, from the middle of the hips and a point on the circle around the whole body (2x2 or more)."""
    return square_between(points[0], points[1], np.pi / 2).scaled(1.25)


def hand_square_of_pose(landmarks: np.ndarray, side: str) -> Square:
    """Where the hand should be, from the wrist and two knuckles of the pose (factors fitted to 67 hands of photos)."""
    wrist, little, index = (landmarks[i, :2].astype(float) for i in names.HAND[side])
    knuckles = (2 * index + little) / 3
    torso = np.hypot(*(_middle(landmarks, names.HIPS) - _middle(landmarks, names.SHOULDERS)))
    # The pose's knuckles are rough, and foreshortened hands are short: the torso says how large a hand is.
    length = float(2.9 * np.hypot(*(knuckles - wrist)) + 0.48 * torso) / 2
    turned = square_between(wrist, knuckles, np.pi / 2)
    return Square(turned.x, turned.y, length, turned.angle).scaled(1.0, up=0.39)


def _middle(landmarks: np.ndarray, indices: tuple[int, ...]) -> np.ndarray:
    return landmarks[list(indices), :2].mean(0).astype(float)


def hand_square(points: np.ndarray) -> Square:
    """Where a second look at a hand should be taken, from its 21 points: the palm and the first finger joints, twice
    as large, moved a little towards the finger tips."""
    wrist, knuckles = points[0, :2].astype(float), (points[5, :2] + 2 * points[9, :2] + points[13, :2]) / 4.0
    angle = square_between(wrist, knuckles, np.pi / 2).angle
    palm = points[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18], :2]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    upright = palm @ turn.T
    low, high = upright.min(0), upright.max(0)
    x, y = turn.T @ ((low + high) / 2)
    return Square(float(x), float(y), float(max(high - low)), angle).scaled(2.0, up=0.1)


def face_square_of_pose(landmarks: np.ndarray) -> Square:
    """Where the face should be, from the pose's eyes, ears and mouth (factors fitted to 36 faces of photos)."""
    left, right, mouth = (_middle(landmarks, i) for i in (names.LEFT_EYE, names.RIGHT_EYE, names.MOUTH))
    eyes, ears = (left + right) / 2, landmarks[names.EARS[0], :2] - landmarks[names.EARS[1], :2]
    length = max(3.6 * np.hypot(*(left - right)), 3.6 * np.hypot(*(mouth - eyes)), 1.9 * np.hypot(*ears))
    x, y = (eyes + mouth) / 2
    return Square(float(x), float(y), float(length), square_between(right, left, 0.0).angle)


def face_square(points: np.ndarray) -> Square:
    """Where a second look at a face should be taken, from its 468 points (33, 263: outer corners of the eyes)."""
    box = np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])
    return square_of_box(box, points[33, :2], points[263, :2], 0.0).scaled(1.5)
