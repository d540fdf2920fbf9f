"""OpenPose's published networks as an engine of the pose service: bodies by BODY_25 or COCO-18, and hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infra.imaging.frame import FRAME_HEIGHT, FRAME_WIDTH
from infra.preprocess.pose_estimation.drawing import HAND_THRESHOLD
from infra.preprocess.pose_estimation.keypoints import body_25
from infra.preprocess.pose_estimation.openpose.hands import HAND_POINTS, LEFT, HandInput, hand_squares, worth_a_look
from infra.preprocess.pose_estimation.openpose.people import People
from infra.preprocess.pose_estimation.openpose.presets import OpenPosePreset, PortPreset, Preset
from infra.preprocess.pose_estimation.openpose.skeletons import BODY_25, COCO_18
from infra.preprocess.pose_estimation.openpose.view import view_of
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.engine import EngineError, WeightsPath
from infra.serving.settings import Settings
from infra.serving.torch_engine import TorchEngine

if TYPE_CHECKING:
    from infra.serving.torch_runtime import TorchRuntime

SKELETONS = {"body_25": BODY_25, "coco": COCO_18}
NOBODY = (
    "Nobody is seen in this picture. The network looks at it {height} pixels high; to find small people in a large "
    "scene, raise EVERYWEAR_OPENPOSE_NET_HEIGHT."
)


class OpenPose(TorchEngine[PoseInput, Pose]):
    """Bodies of a batch go through the network together where their inputs are of one size, then all of its hands."""

    name = "openpose"
    note = "The networks are published for noncommercial research alone; feet come with the body_25 checkpoint only."

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        hands = () if settings.openpose_hands == "nobody" else ("openpose_hand",)
        self.weights = (f"openpose_{settings.openpose_body}", *hands)

    @property
    def preset(self) -> Preset:
        """How pictures go in and people come out, by the settings."""
        skeleton, height = SKELETONS[self.settings.openpose_body], self.settings.openpose_net_height
        if self.settings.openpose_rules == "port":
            return PortPreset(skeleton, height)
        return OpenPosePreset(skeleton, height, self.settings.openpose_scales)

    def build(self, weights: WeightsPath, runtime: TorchRuntime, threads: int) -> None:
        from infra.preprocess.pose_estimation.openpose.passes import BodyPass, HandPass, MapNetwork

        body, *hands = (MapNetwork(id, weights, runtime) for id in self.weights)
        self.bodies = BodyPass(body, self.preset)
        self.hands = HandPass(*hands) if hands else None

    def example(self) -> PoseInput:
        return PoseInput(np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), 128, np.uint8))

    def warm_up(self) -> None:
        super().warm_up()
        if self.hands is not None:  # the example shows nobody, and so no hand
            somewhere = HandInput(self.example().picture, np.array((0.0, 0.0, 100.0)), LEFT)
            self.runtime.run(self._look, [somewhere, somewhere])

    def answer(self, batch: list[PoseInput]) -> list[Pose | EngineError]:
        pictures = [item.picture for item in batch]
        found = self.bodies.post(self.bodies.infer(self.bodies.pre(pictures)), pictures)
        people = [chosen_first(each, item.near, item.picture.shape[:2]) for each, item in zip(found, batch)]
        hands = self._hands(pictures, people)
        nobody = EngineError("no_person", NOBODY.format(height=self.settings.openpose_net_height))
        return [
            Pose(people=each, hands=theirs, view=view_of(each[0])) if len(each) else nobody
            for each, theirs in zip(people, hands)
        ]

    def _hands(self, pictures: list[np.ndarray], people: list[np.ndarray]) -> list[np.ndarray]:
        """Of each picture N x 2 x 21 x 3, of everybody or the first person; 0 where no hand was looked for.

        Points that are too unsure for OpenPose to draw become 0: even of a hidden hand the network guesses every one.
        """
        points = [np.zeros((len(each), 2, HAND_POINTS, 3), np.float32) for each in people]
        if self.hands is None:
            return points
        first = 1 if self.settings.openpose_hands == "chosen" else None
        wanted: dict[tuple[int, int, int], HandInput] = {}
        for index, picture in enumerate(pictures):
            for person, squares in enumerate(hand_squares(people[index][:first])):
                for hand, square in enumerate(squares):
                    if worth_a_look(square):
                        wanted[index, person, hand] = HandInput(picture, square, hand)
        if wanted:
            for (index, *place), each in zip(wanted, self._look(list(wanted.values()))):
                each[each[:, 2] <= HAND_THRESHOLD] = 0
                points[index][tuple(place)] = _inside(each, pictures[index].shape[:2])
        return points

    def _look(self, hands: list[HandInput]) -> list[np.ndarray]:
        return self.hands.post(self.hands.infer(self.hands.pre(hands)), hands)


def chosen_first(people: People, near: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """N x 25 x 3 (BODY_25): whoever is nearest to `near` (x, y) first, then the others by how large they are.

    Whoever has no key point inside the picture, of `size` (height, width), is left out.
    """
    order = np.argsort(-people.sizes(), kind="stable")
    bodies = [_inside(body_25(people.key_points[index]), size) for index in order]
    bodies = [body for body in bodies if body[:, 2].any()]
    if near is not None and bodies:
        apart = [np.hypot(*(body[body[:, 2] > 0, :2] - near).T).min() for body in bodies]
        bodies.insert(0, bodies.pop(int(np.argmin(apart))))
    return np.stack(bodies) if bodies else np.zeros((0, 25, 3), np.float32)


def _inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """N x 3 with scores from 0 to 1, and 0 where a point is beyond a picture of (height, width)."""
    places = points[:, :2]
    inside = ((places >= 0) & (places <= (size[1] - 1, size[0] - 1))).all(1) & (points[:, 2] > 0)
    return np.where(inside[:, None], np.minimum(points, (np.inf, np.inf, 1)), 0).astype(np.float32)
