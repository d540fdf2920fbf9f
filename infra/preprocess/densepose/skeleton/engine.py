"""The embedded DensePose engine: an average body in the person's pose, cut to the person's outline."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.preprocess.densepose.skeleton.body import pose_body
from infra.preprocess.densepose.skeleton.completion import complete
from infra.preprocess.densepose.skeleton.limbs import arm_tubes, leg_tubes
from infra.preprocess.densepose.skeleton.painting import draw_tubes, settle, surface_coordinates
from infra.preprocess.densepose.skeleton.trunk import head_tube, torso_tube
from infra.serving.engine import Engine, EngineError, WeightsPath

SMALLEST_SCALE = 10  # pixels per metre: a person under about 17 pixels, or points fallen together
WORKING_SCALE = 320  # pixels per metre at which tubes are drawn; outlines are full size
GAP_REACH = 0.07  # metres: gaps in the mask up to twice as wide are filled
BORDER_BLUR, LEAST_BLUR = 0.012, 0.8  # metres, pixels


class Skeleton(Engine[DensePoseInput, DensePose]):
    name = "skeleton"
    wants = ("pose", "mask")
    note = "An approximation drawn from the pose's landmarks inside the person's outline; it sees no skin and no cloth."

    def load(self, weights: WeightsPath, threads: int) -> None:
        """No networks."""

    def run(self, batch: list[DensePoseInput]) -> list[DensePose | EngineError]:
        return [self._answer(item) for item in batch]

    def _answer(self, item: DensePoseInput) -> DensePose | EngineError:
        if item.pose is None or item.mask is None:
            return EngineError("no_person", "This engine draws on a pose and the person's mask, and was given none.")
        landmarks, world = item.pose.landmarks, item.pose.world
        if landmarks is None or world is None:
            completed = complete(item.pose.people[0], item.pose.hands[0])
            if completed is None:
                return EngineError("no_person", "The pose does not show both shoulders: the body cannot be placed.")
            landmarks, world = completed
        return DensePose(skeleton_iuv(landmarks, world, item.pose.hands[0], item.mask.alpha))


def skeleton_iuv(landmarks: np.ndarray, world: np.ndarray, hands: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """IUV, uint8 HxWx3: part 0..24, U, V. Empty where the mask is, or where the person is too small.

    `landmarks` 33 x (x, y, ...) pixels, `world` 33x3 metres, `hands` 2x21x3 (x, y, confidence) left then right, of one
    person; `mask` uint8 HxW, that person's alpha.
    """
    points, metres = np.asarray(landmarks, np.float64)[:, :2], np.asarray(world, np.float64)
    scale = pose_body(points, metres, hands).scale
    if scale < SMALLEST_SCALE:
        return np.zeros((*mask.shape, 3), np.uint8)
    factor = max(1, round(scale / WORKING_SCALE))
    small = _shrunk(mask, factor)
    small_hands = np.concatenate([(hands[..., :2] + 0.5) / factor - 0.5, hands[..., 2:]], axis=-1)
    body = pose_body((points + 0.5) / factor - 0.5, metres, small_hands)
    tubes = [torso_tube(body, small), head_tube(body, small)]
    for side in (+1, -1):
        tubes += arm_tubes(body, small, side) + leg_tubes(body, small, side)
    drawn = draw_tubes(tubes, small.shape)
    if not drawn.any():
        return np.zeros((*mask.shape, 3), np.uint8)
    sigma = max(BORDER_BLUR * body.scale, LEAST_BLUR)
    parts = settle(drawn, small, mask.shape, factor, GAP_REACH * body.scale, sigma)
    return surface_coordinates(tubes, parts, factor)


def _shrunk(mask: np.ndarray, factor: int) -> np.ndarray:
    height, width = mask.shape
    padded = cv2.copyMakeBorder(mask, 0, -height % factor, 0, -width % factor, cv2.BORDER_REPLICATE)
    return cv2.resize(padded, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
