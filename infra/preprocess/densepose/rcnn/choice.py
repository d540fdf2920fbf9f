"""Which of the detected people is meant."""

from __future__ import annotations

import numpy as np

LEAST_INSIDE = 0.5  # of the key points' confidence: a box that holds less is somebody else's


def chosen_detection(boxes: np.ndarray, scores: np.ndarray, person: np.ndarray | None) -> int | None:
    """Index of the detection of the chosen person; None where none is theirs.

    `boxes` float32 Nx4 (x1, y1, x2, y2) and `scores` N, in the pixels of `person` Kx3 (x, y, confidence; 0 is unseen).
    Without a person, or with one of whom nothing is seen, it is the surest, of equally sure ones the largest: boxes in
    boxes can be of one person, and the published tools take the surest too.
    """
    if not len(boxes):
        return None
    sizes = boxes[:, 2:] - boxes[:, :2]
    surest = np.lexsort((sizes.prod(1), scores))[-1]
    seen = person[person[:, 2] > 0] if person is not None else np.empty((0, 3))
    if not len(seen):
        return int(surest)
    inside = _share_inside(boxes, seen)
    # Who stands behind the chosen person may hold all their points too, but fits them less well.
    fit = inside + _overlap(boxes, np.concatenate([seen[:, :2].min(0), seen[:, :2].max(0)]))
    best = int(np.lexsort((scores, fit))[-1])
    return best if inside[best] >= LEAST_INSIDE else None


def _share_inside(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float N: how much of the points' confidence lies in each box."""
    at, confidence = points[None, :, :2], points[:, 2]
    held = ((at >= boxes[:, None, :2]) & (at <= boxes[:, None, 2:])).all(-1)
    return held @ confidence / confidence.sum()


def _overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """float N: intersection over union of each box with one; 0 where neither has an area."""
    shared = np.maximum(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0).prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - shared
    return shared / np.maximum(union, 1e-9)
