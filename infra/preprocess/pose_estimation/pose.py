"""What the pose estimation service takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from infra.serving.arrays import spec


@dataclass(frozen=True)
class PoseInput:
    """`picture` uint8 HxWx3 RGB; `near`: the person nearest to this x, y (pixels) is put first, else the largest."""

    picture: spec("uint8", "H", "W", 3)
    near: spec("float32", 2) | None = None


@dataclass(frozen=True)
class Pose:
    """Everybody in a picture, the chosen person first. Coordinates are pixels, pixel centres at integers.

    A point that is hidden, outside the picture or unknown is (0, 0, 0), as OpenPose writes it.
    """

    # N >= 1 people, x, y, confidence 0..1, BODY_25 order
    people: spec("float32", "N", 25, 3)
    # the person's left hand, then the right, in OpenPose's hand order
    hands: spec("float32", "N", 2, 21, 3)
    # "front" or "back": which side of the chosen person the camera sees
    view: str
    # Of the chosen person, from engines that have them (BlazePose); None from the others.
    # x, y, z pixels, visibility, presence; joints beyond the picture are extrapolated and kept
    landmarks: spec("float32", 33, 5) | None = None
    # metres: x right, y down, z away from the camera, hips at 0
    world: spec("float32", 33, 3) | None = None
    # mesh: x, y, z pixels
    face: spec("float32", 468, 3) | None = None
    # 0 to 255: the pose network's own map of the chosen person
    probability: spec("uint8", "H", "W") | None = None

    def extent(self) -> np.ndarray:
        """Kx2 points of the chosen person that lie in the picture or would, for framing them."""
        if self.landmarks is not None:
            return self.landmarks[:, :2]
        return self.people[0][self.people[0, :, 2] > 0, :2]

    def moved(self, affine: np.ndarray, size: tuple[int, int]) -> Pose:
        """The same pose in another picture of `size` (height, width); `affine` 2x3 maps old to new pixels."""
        scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))

        def points(values: np.ndarray | None, depth: bool = False) -> np.ndarray | None:
            if values is None:
                return None
            out = values.astype(np.float32).copy()
            out[..., :2] = values[..., :2] @ affine[:, :2].T + affine[:, 2]
            if depth:
                out[..., 2] *= scale
            return out

        def key_points(values: np.ndarray) -> np.ndarray:
            out = points(values)
            height, width = size
            x, y = out[..., 0], out[..., 1]
            inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
            out[~(inside & (values[..., 2] > 0))] = 0
            return out

        probability = None
        if self.probability is not None:
            probability = cv2.warpAffine(self.probability, affine, size[::-1], flags=cv2.INTER_LINEAR)
        return replace(
            self, people=key_points(self.people), hands=key_points(self.hands), probability=probability,
            landmarks=points(self.landmarks, depth=True), face=points(self.face, depth=True),
        )  # fmt: skip
