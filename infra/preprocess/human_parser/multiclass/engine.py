"""The embedded human parser: one small network, a skeleton and the person's alpha."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.multiclass.parsing import parse_person
from infra.preprocess.human_parser.multiclass.scene import SIDES, Body
from infra.preprocess.human_parser.multiclass.skeleton import landmarks_of_body_25, with_unseen_legs
from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.preprocess.pose_estimation.pose import Pose
from infra.preprocess.selfie_multiclass import BACKGROUND, SelfieMulticlass
from infra.serving.engine import Engine, EngineError, WeightsPath


class Multiclass(Engine[ParseInput, Parse]):
    """Six classes at 256x256 become CIHP labels at full size; see `parsing`."""

    name = "multiclass"
    weights = ("selfie_multiclass",)
    wants = ("pose", "mask")
    note = (
        "Labels come from a small network's six classes and the skeleton: gloves, sunglasses and jumpsuits are never "
        "given, and where top and bottom look alike the hem between them is a guess."
    )

    def load(self, weights: WeightsPath, threads: int) -> None:
        cv2.setNumThreads(threads)
        self._network = SelfieMulticlass(weights("selfie_multiclass"), threads)

    def warm_up(self) -> None:
        self._network(np.zeros((256, 192, 3), np.uint8))

    def run(self, batch: list[ParseInput]) -> list[Parse | EngineError]:
        return [self._parse(item) for item in batch]

    def _parse(self, item: ParseInput) -> Parse | EngineError:
        body = None if item.pose is None else _body(item.pose, len(item.picture))
        if body is None:
            return EngineError("no_person", "no skeleton with shoulders was found to tell the limbs apart")
        logits = None if item.mask is None else item.mask.class_logits
        if logits is None:
            logits = self._network(item.picture)
        alpha = _coverage(logits, item.picture.shape[:2]) if item.mask is None else item.mask.alpha
        return parse_person(item.picture, logits, alpha, body)


def _body(pose: Pose, height: int) -> Body | None:
    """The chosen person's key points in a picture of ``height``; None where not even the shoulders are known."""
    if pose.landmarks is None:
        points, seen = landmarks_of_body_25(pose.people[0]), np.ones(33, np.float32)
        if points is None:
            return None
    else:
        seen = pose.landmarks[:, 3].astype(np.float32)
        points = with_unseen_legs(pose.landmarks[:, :2].astype(np.float32), seen, height)
    hands = {side: hand[:, :2] for side, hand in zip(SIDES, pose.hands[0], strict=True) if (hand[:, 2] > 0).all()}
    face = None if pose.face is None else pose.face[:, :2].astype(np.float32)
    return Body(points, face, hands, seen)


def _coverage(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Alpha uint8 of ``size`` (height, width) from the network alone, where no masking service has been asked."""
    odds = np.logaddexp.reduce(logits[..., BACKGROUND + 1 :].astype(np.float32), axis=-1) - logits[..., BACKGROUND]
    share = 1 / (1 + np.exp(-cv2.resize(odds.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)))
    return (255 * share).astype(np.uint8)
