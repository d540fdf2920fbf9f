"""The person detector: a one-class SSD that finds heads and, from them, where the body stands."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.litert import LiteRTNetwork
from infra.preprocess.pose_estimation.blazepose.squares import Square, cut, moved, person_square

# (stride, anchors per cell) of `pose_detection`; every anchor has size 1, so a cell's anchors are equal.
GRID = ((8, 2), (16, 2), (32, 6))
LEAST_SCORE = 0.5  # MediaPipe's
OVERLAP = 0.3  # of boxes (intersection over union) that count as one person


@dataclass(frozen=True)
class Detection:
    """One person, in pixels of the picture."""

    score: float  # 0..1
    # 4x2: middle of the hips, rim of a circle around the whole body, middle of the shoulders, rim around the upper body
    points: np.ndarray

    @property
    def square(self) -> Square:
        return person_square(self.points)


class PersonDetector:
    def __init__(self, network: LiteRTNetwork) -> None:
        self._network = network
        self._anchors = np.concatenate([_cell_centres(network.size, stride, count) for stride, count in GRID])

    def __call__(
        self, picture: np.ndarray, region: Square, least_score: float = LEAST_SCORE, *, mirrored: bool = False,
        border: int = cv2.BORDER_CONSTANT,
    ) -> list[Detection]:  # fmt: skip
        """People in a square region of uint8 HxWx3, best first. `mirrored` shows the network the region in a mirror."""
        size = self._network.size
        to_picture = region.to_picture(size, mirrored)
        raw, logit = self._network(cut(picture, to_picture, size, border))
        score = 1 / (1 + np.exp(-np.clip(logit[:, 0].astype(float), -80, 80)))
        likely = score >= least_score
        # Pairs: box centre, box size, then the points; all but the size are counted from the anchor.
        pairs = raw[likely].reshape(-1, raw.shape[1] // 2, 2).astype(float)
        pairs[:, [0, *range(2, pairs.shape[1])]] += self._anchors[likely, None]
        half = pairs[:, 1] / 2
        boxes = np.hstack([pairs[:, 0] - half, pairs[:, 0] + half])
        found = weighted_suppression(score[likely], boxes, pairs[:, 2:], OVERLAP)
        return [Detection(score, moved(points, to_picture)) for score, points in found]


def _cell_centres(size: int, stride: int, count: int) -> np.ndarray:
    cells = size // stride
    y, x = np.mgrid[:cells, :cells]
    return np.repeat((np.stack([x.ravel(), y.ravel()], 1) + 0.5) * stride, count, 0)


def weighted_suppression(
    scores: np.ndarray, boxes: np.ndarray, points: np.ndarray, overlap: float
) -> list[tuple[float, np.ndarray]]:
    """Non-maximum suppression that averages (Bazarevsky et al. 2019, BlazeFace, section 3.3).

    The best box takes all that overlap it by more than `overlap` (IoU), and its points become their mean, weighted by
    score. N, Nx4 (x0, y0, x1, y1), NxKx2 -> (score, Kx2), best first.
    """
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        near = _overlaps(boxes[order[0]], boxes[order]) > overlap
        near[0] = True
        group = order[near]
        weight = scores[group] / scores[group].sum()
        kept.append((float(scores[order[0]]), np.einsum("n,nkd->kd", weight, points[group])))
        order = order[~near]
    return kept


def _overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with N, as x0, y0, x1, y1."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.prod(np.maximum(sides, 0), 1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], 1) - common
    return common / np.maximum(union, 1e-9)
