"""A person's skeleton as areas of the picture: where the chosen person certainly is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.pose_estimation.pose import Pose

# Right arm, left arm, right leg, left leg; trunk's corners; head. Indices of BlazePose's 33 landmarks and of BODY_25.
_LANDMARKS = ((12, 14, 16, 20), (11, 13, 15, 19), (24, 26, 28, 32), (23, 25, 27, 31)), (11, 12, 24, 23), range(11)
_BODY_25 = ((2, 3, 4), (5, 6, 7), (9, 10, 11, 22), (12, 13, 14, 19)), (5, 2, 9, 12), (0, 15, 16, 17, 18)


@dataclass(frozen=True)
class Skeleton:
    """Points in pixels; parts of which nothing is known are empty."""

    limbs: list[np.ndarray]  # each nx2, from the trunk outwards
    trunk: np.ndarray  # up to 4x2: left and right shoulder, right and left hip
    head: np.ndarray  # nx2
    unit: float  # shoulder width as seen from the front, pixels

    @classmethod
    def of(cls, pose: Pose, person: int = 0) -> Skeleton:
        """The person's landmarks where the pose engine gave them (of the first person only), else BODY_25."""
        if person == 0 and pose.landmarks is not None:
            return cls._of(pose.landmarks[:, :2], np.ones(33, bool), *_LANDMARKS)
        points = pose.people[person]
        return cls._of(points[:, :2], points[:, 2] > 0, *_BODY_25)

    @classmethod
    def _of(
        cls,
        points: np.ndarray,
        known: np.ndarray,
        limbs: Sequence[Sequence[int]],
        trunk: Sequence[int],
        head: Sequence[int],
    ) -> Skeleton:
        def chosen(indices: Sequence[int]) -> np.ndarray:
            return points[[i for i in indices if known[i]]]

        corners = chosen(trunk)
        if len(corners) == 4:
            torso = np.hypot(*(corners[:2].mean(0) - corners[2:].mean(0)))
            # From the side the torso's length gives the scale.
            unit = max(np.hypot(*(corners[0] - corners[1])), 0.6 * torso)
        else:
            unit = 0.3 * np.ptp(points[known], 0).max(initial=0) if known.any() else 0
        limbs = [chosen(limb) for limb in limbs]
        if len(corners) == 4:  # thighs go on below the picture's rim, or where the knees are hidden
            down = corners[2:].mean(0) - corners[:2].mean(0)
            limbs = limbs[:2] + [np.vstack([leg, leg + down]) if len(leg) == 1 else leg for leg in limbs[2:]]
        return cls(limbs, corners, chosen(head), float(max(unit, 8.0)))

    def scaled(self, factor: float) -> Skeleton:
        """In the picture made `factor` times as large."""
        limbs = [limb * factor for limb in self.limbs]
        return Skeleton(limbs, self.trunk * factor, self.head * factor, max(self.unit * factor, 4.0))

    def drawn(self, size: tuple[int, int]) -> np.ndarray:
        """uint8 HxW, 1 along the limbs and in the trunk and head, well inside the body. `size` is (height, width)."""
        canvas, thick = np.zeros(size, np.uint8), max(1, round(0.06 * self.unit))

        def whole(points: np.ndarray) -> np.ndarray:
            return np.round(points).astype(np.int32)

        for limb in self.limbs:
            if len(limb) > 1:
                cv2.polylines(canvas, [whole(limb)], False, 1, thick)
        if len(self.trunk) == 4:
            middle = self.trunk.mean(0)
            cv2.fillConvexPoly(canvas, whole(middle + 0.85 * (self.trunk - middle)), 1)
        if len(self.head):
            cv2.circle(canvas, whole(self.head.mean(0)).tolist(), max(1, round(0.25 * self.unit)), 1, -1)
        return canvas
