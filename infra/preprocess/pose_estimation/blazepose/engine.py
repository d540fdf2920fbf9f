"""BlazePose with hands and face mesh, as the pose service's embedded engine."""

from __future__ import annotations

import numpy as np

from infra.preprocess.litert import LiteRTNetwork
from infra.preprocess.pose_estimation.blazepose.detector import PersonDetector
from infra.preprocess.pose_estimation.blazepose.landmarks import body_25
from infra.preprocess.pose_estimation.blazepose.networks import RIGHTWARD, Body, FaceNetwork, Hand, HandNetwork, PoseNetwork
from infra.preprocess.pose_estimation.blazepose.squares import whole_square
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.engine import Engine, EngineError, WeightsPath


class BlazePose(Engine[PoseInput, Pose]):
    name = "blazepose"
    weights = ("pose_detection", "pose_landmark_heavy", "hand_landmark_full", "face_landmark")

    def __init__(self, *, heavy: bool = True, as_published: bool = False) -> None:
        self._landmarks = "pose_landmark_heavy" if heavy else "pose_landmark_full"
        self._shift = np.zeros(2) if as_published else RIGHTWARD
        self.weights = ("pose_detection", self._landmarks, "hand_landmark_full", "face_landmark")

    def load(self, weights: WeightsPath, threads: int) -> None:
        def network(name: str, low: float = 0.0) -> LiteRTNetwork:
            return LiteRTNetwork(weights(name), threads, low)

        self.detect = PersonDetector(network("pose_detection", -1.0))
        self.pose = PoseNetwork(network(self._landmarks), self._shift)
        self.hand = HandNetwork(network("hand_landmark_full"))
        self.face = FaceNetwork(network("face_landmark"), self._shift)

    def run(self, batch: list[PoseInput]) -> list[Pose | EngineError]:
        return [self._read(item) for item in batch]

    def _read(self, item: PoseInput) -> Pose | EngineError:
        picture = item.picture
        found = self.detect(picture, whole_square(picture))
        found.sort(key=lambda d: -d.square.side)
        bodies = [b for b in (self.pose(picture, d.square) for d in found) if b.presence >= 0.5]
        if not bodies:
            return EngineError("no_person", "Nobody is seen.")
        size = picture.shape[:2]
        hands = np.stack([hand_points(self.hand.of_pose(picture, b.landmarks, 2 if i == 0 else 1), size) for i, b in enumerate(bodies)])
        people = np.stack([body_25(b.landmarks, size, b.probability, b.to_picture) for b in bodies])
        chosen = bodies[0]
        face = self.face.of_pose(picture, chosen.landmarks)
        return Pose(people, hands, "front", chosen.landmarks, chosen.world, None if face is None else face.points, chosen.probability_in(size))


def hand_points(hands: dict[str, Hand], size: tuple[int, int]) -> np.ndarray:
    """2x21x3 float32 (x, y, confidence), left then right; unseen and outside the picture (0, 0, 0)."""
    points = np.zeros((2, 21, 3), np.float32)
    for index, side in enumerate(("left", "right")):
        if side in hands:
            points[index, :, :2] = hands[side].points[:, :2]
            points[index, :, 2] = hands[side].presence
    inside = ((points[..., :2] >= 0) & (points[..., :2] <= (size[1] - 1, size[0] - 1))).all(-1)
    points[~inside] = 0
    return points
