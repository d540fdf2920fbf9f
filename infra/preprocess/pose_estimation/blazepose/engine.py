"""BlazePose with hands and face mesh, as the pose service's embedded engine."""

from __future__ import annotations

import numpy as np

from infra.preprocess.litert import LiteRTNetwork
from infra.preprocess.pose_estimation.blazepose.detector import PersonDetector
from infra.preprocess.pose_estimation.blazepose.landmarks import NOSE, body_25
from infra.preprocess.pose_estimation.blazepose.networks import (
    HEAVY_LEAN,
    LEAST_PRESENCE,
    RIGHTWARD,
    Body,
    Face,
    FaceNetwork,
    Hand,
    HandNetwork,
    PoseNetwork,
)
from infra.preprocess.pose_estimation.blazepose.search import Candidate, find_people
from infra.preprocess.pose_estimation.blazepose.sides import best_of, facing, hands_agree, shows_back, turned_round
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.engine import Engine, EngineError, WeightsPath
from infra.serving.settings import Settings

# A detector this sure was right on every unaltered photo; 16 of 18 wrong torsos of altered photos lie below.
SURE_SCORE = 0.75
NOBODY = (
    "Nobody is seen in this picture. The engine looks for a head and shoulders: a person should be at least a quarter "
    "of the picture high, upright, and not cut off above the neck."
)


class BlazePose(Engine[PoseInput, Pose]):
    """`heavy=False` takes the smaller landmark network: 20 ms less, about a pixel less exact.

    `as_published` leaves the landmarks of pose and face where MediaPipe has them, half an input pixel too far right,
    and the metric points as leaning as the network has them.
    """

    name = "blazepose"
    weights = ("pose_detection", "pose_landmark_heavy", "hand_landmark_full", "face_landmark")

    def __init__(self, *, heavy: bool = True, as_published: bool = False) -> None:
        self._landmarks = "pose_landmark_heavy" if heavy else "pose_landmark_full"
        self._shift = np.zeros(2) if as_published else RIGHTWARD
        self._lean = HEAVY_LEAN if heavy and not as_published else 0.0
        self.weights = ("pose_detection", self._landmarks, "hand_landmark_full", "face_landmark")

    @classmethod
    def configured(cls, settings: Settings) -> BlazePose:
        return cls(heavy=settings.blazepose_network == "heavy")

    def load(self, weights: WeightsPath, threads: int) -> None:
        def network(name: str, low: float = 0.0) -> LiteRTNetwork:
            return LiteRTNetwork(weights(name), threads, low)

        self.detect = PersonDetector(network("pose_detection", -1.0))
        self.pose = PoseNetwork(network(self._landmarks), self._shift, self._lean)
        self.hand = HandNetwork(network("hand_landmark_full"))
        self.face = FaceNetwork(network("face_landmark"), self._shift)

    def warm_up(self) -> None:
        self._read(PoseInput(np.zeros((64, 64, 3), np.uint8)))

    def run(self, batch: list[PoseInput]) -> list[Pose | EngineError]:
        return [self._read(item) for item in batch]

    def _read(self, item: PoseInput) -> Pose | EngineError:
        size = item.picture.shape[:2]
        picture, found = find_people(self.detect, self.pose, item.picture)
        if not found:
            return EngineError("no_person", NOBODY)
        found = _chosen_first(found, size, item.near)
        body, hands, face = self._look_well(picture, found[0])
        bodies = [body, *(other.body for other in found[1:])]
        all_hands = [hands, *(self.hand.of_pose(picture, other.landmarks, looks=1) for other in bodies[1:])]
        return Pose(
            people=np.stack([_key_points(each, size) for each in bodies]),
            hands=np.stack([_hand_points(each, size) for each in all_hands]),
            view="back" if shows_back(body) else "front",
            landmarks=body.landmarks,
            world=body.world,
            face=None if face is None else face.points,
            probability=body.probability_in(size),
        )

    def _look_well(self, picture: np.ndarray, candidate: Candidate) -> tuple[Body, dict[str, Hand], Face | None]:
        """The chosen person with hands and face, and with more looks where the first answer is doubtful."""
        body = candidate.body
        if candidate.small:
            second = self.pose(picture, body.next_square)
            body = second if second.presence >= LEAST_PRESENCE else body
        hands, face = self.hand.of_pose(picture, body.landmarks), self.face.of_pose(picture, body.landmarks)
        head_in_picture = _inside(body.landmarks[NOSE, :2], picture.shape[:2])
        if not self._doubtful(candidate, body, hands, face, head_in_picture):
            return body, hands, face
        best = best_of([body, *self._more_looks(picture, candidate, body)], hands.values())
        agree = hands_agree(best.landmarks, hands.values())
        # Without a head or a hand to tell, exchanged sides are more often the network's error than a back view.
        if shows_back(best) and (agree < 0 or (agree == 0 and not head_in_picture)):
            best = turned_round(best)
        if best is not body:
            body = best
            hands, face = self.hand.of_pose(picture, body.landmarks), self.face.of_pose(picture, body.landmarks)
        return body, hands, face

    def _doubtful(
        self, candidate: Candidate, body: Body, hands: dict[str, Hand], face: Face | None, head_in_picture: bool
    ) -> bool:
        return (
            candidate.detection.score < SURE_SCORE
            or min(facing(body.landmarks)) < 0
            or hands_agree(body.landmarks, hands.values()) < 0
            or (face is None and head_in_picture)
        )

    def _more_looks(self, picture: np.ndarray, candidate: Candidate, body: Body) -> list[Body]:
        """In a mirror, in the square that the landmarks ask for, and where the detector finds the mirrored person."""
        looks = [self.pose(picture, body.square, mirrored=True), self.pose(picture, body.next_square)]
        mirrored = self.detect(picture, candidate.region, mirrored=True)
        hips = candidate.detection.points[0]
        near = min(mirrored, key=lambda found: np.hypot(*(found.points[0] - hips)), default=None)
        if near is not None and np.hypot(*(near.points[0] - hips)) < candidate.detection.square.side / 4:
            looks.append(self.pose(picture, near.square, mirrored=True))
        return [look for look in looks if look.presence >= LEAST_PRESENCE]


def _chosen_first(found: list[Candidate], size: tuple[int, int], near: np.ndarray | None) -> list[Candidate]:
    """The one nearest to `near` first, then the others by how much of the picture they take."""
    points = [_key_points(candidate.body, size) for candidate in found]
    seen = [each[each[:, 2] > 0, :2] for each in points]
    order = sorted(range(len(found)), key=lambda i: -np.ptp(seen[i], axis=0).prod() if len(seen[i]) else 0.0)
    if near is not None:
        apart = [np.hypot(*(each - near).T).min() if len(each) else np.inf for each in seen]
        order.sort(key=lambda i: i != int(np.argmin(apart)))
    return [found[i] for i in order]


def _key_points(body: Body, size: tuple[int, int]) -> np.ndarray:
    return body_25(body.landmarks, size, body.probability, body.to_picture)


def _hand_points(hands: dict[str, Hand], size: tuple[int, int]) -> np.ndarray:
    """2x21x3 float32 (x, y, confidence), left then right; unseen and outside the picture (0, 0, 0)."""
    points = np.zeros((2, 21, 3), np.float32)
    for index, side in enumerate(("left", "right")):
        if side in hands:
            points[index, :, :2] = hands[side].points[:, :2]
            points[index, :, 2] = hands[side].presence
    points[~_inside(points[..., :2], size)] = 0
    return points


def _inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether ...x2 points lie in a picture of (height, width)."""
    return ((points >= 0) & (points <= (size[1] - 1, size[0] - 1))).all(-1)
