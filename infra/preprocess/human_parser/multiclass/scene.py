"""The person's pixels at working size, with what the network says of each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.selfie_multiclass import SIZE

WORKING_HEIGHT = 512  # two pixels a network cell: labels gain nothing from more, the edges are found at full size
Window = tuple[slice, slice]  # rows, columns
SIDES = ("left", "right")
SEEN = 0.5  # visibility from which on a joint is where the pose network says
HIPS, KNEES, ANKLES = (23, 24), (25, 26), (27, 28)  # left, right among BlazePose's landmarks


@dataclass(frozen=True)
class Body:
    """One person's key points, in pixels."""

    points: np.ndarray  # 33x2 float32, BlazePose's landmarks, joints below the rim included
    face: np.ndarray | None  # 468x2 mesh
    hands: dict[str, np.ndarray]  # side -> 21x2, where found
    seen: np.ndarray  # 33 float32, how visible the landmarks are, 0 to 1

    def moved(self, origin: tuple[float, float], scale: float) -> Body:
        """The same body in a picture cut at ``origin`` (x, y) and then resized by ``scale``."""

        def move(points: np.ndarray) -> np.ndarray:
            return ((points - np.float32(origin) + 0.5) * scale - 0.5).astype(np.float32)

        hands = {side: move(hand) for side, hand in self.hands.items()}
        return Body(move(self.points), None if self.face is None else move(self.face), hands, self.seen)

    @property
    def shoulder_width(self) -> float:
        """In pixels, as seen from the front: from the side the torso's length gives the scale."""
        p = self.points
        torso = np.hypot(*((p[11] + p[12] - p[23] - p[24]) / 2))
        return float(max(np.hypot(*(p[11] - p[12])), 0.6 * torso, 8.0))


@dataclass(frozen=True)
class Scene:
    """One photo at working size. ``row`` and ``column`` list the person's N pixels; every per-pixel array follows."""

    lab: np.ndarray  # HxWx3 float32, 8 bit scale
    inside: np.ndarray  # HxW bool
    row: np.ndarray
    column: np.ndarray
    share: np.ndarray  # Nx6 float32, the network's probabilities
    kind: np.ndarray  # N uint8, the likeliest class other than background; corrected as more is learnt
    body: Body
    unit: float  # shoulder width, pixels

    @classmethod
    def of(cls, picture: np.ndarray, logits: np.ndarray, alpha: np.ndarray, body: Body, window: Window) -> Scene:
        """``picture`` uint8 HxWx3 RGB, ``alpha`` uint8 HxW and 256x256x6 ``logits`` of the whole photo."""
        rows, columns = window
        origin, height = (columns.start, rows.start), rows.stop - rows.start
        # A person far off fills few rows; beyond half the photo's height there is nothing to gain.
        scale = WORKING_HEIGHT / min(len(alpha), 2 * height)
        size = (max(1, round((columns.stop - columns.start) * scale)), max(1, round(height * scale)))
        inside = cv2.resize(alpha[window], size, interpolation=cv2.INTER_AREA) > 127
        row, column = np.nonzero(inside)
        logit = _sampled(logits, alpha.shape, origin, scale, size)[inside]
        share = np.exp(logit - logit.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        small = cv2.resize(picture[window], size, interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
        kind = (logit[:, 1:].argmax(1) + 1).astype(np.uint8)
        body = body.moved(origin, scale)
        return cls(lab, inside, row, column, share, kind, body, body.shoulder_width)

    @property
    def colour(self) -> np.ndarray:
        """Nx3 Lab."""
        return self.lab[self.inside]

    def image(self, values: np.ndarray) -> np.ndarray:
        """HxW of per-pixel values; 0 off the person."""
        out = np.zeros(self.inside.shape, values.dtype)
        out[self.inside] = values
        return out

    def components(self, members: np.ndarray) -> tuple[int, np.ndarray]:
        """Number of connected regions of ``members`` (N bool) plus one, and each pixel's region (0: none)."""
        if not members.any():
            return 1, np.zeros(len(members), np.int32)
        count, label = cv2.connectedComponents(self.image(members.astype(np.uint8)), connectivity=8)
        return count, label[self.inside]


def _sampled(
    logits: np.ndarray, photo: tuple[int, int], origin: tuple[int, int], scale: float, size: tuple[int, int]
) -> np.ndarray:
    """The network's cells, bilinear, at the working pixels of the part of the photo that begins at ``origin``."""
    steps = SIZE / photo[1], SIZE / photo[0]
    to_cell = np.zeros((2, 3), np.float32)
    for axis in range(2):
        to_cell[axis, axis] = steps[axis] / scale
        to_cell[axis, 2] = (0.5 / scale + origin[axis]) * steps[axis] - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    logits = logits.astype(np.float32)
    halves = [logits[..., :3], logits[..., 3:]]  # OpenCV warps up to four channels
    warped = [
        cv2.warpAffine(np.ascontiguousarray(half), to_cell, size, None, flags, cv2.BORDER_REPLICATE) for half in halves
    ]
    return np.dstack(warped)
