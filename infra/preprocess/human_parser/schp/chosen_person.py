"""Which part of a picture to parse, and which labels are the chosen person's.

The networks label everybody they see, and see little of somebody small: the published networks are at their best on a
crop of one person, treated as a picture of its own. Pose and mask are used where they were handed over; without either
the whole picture is parsed, and everybody in it labelled.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.imaging.frame import MARGIN_BOTTOM, MARGIN_SIDE, MARGIN_TOP
from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.keypoints import BODY_25, BODY_25_LIMBS
from infra.preprocess.pose_estimation.pose import Pose

Box = tuple[slice, slice]
"""Rows and columns of a picture."""

GROWN = 1.2  # a person's box before it is parsed, as the published multi-person extension has it
WORTH_CROPPING = 0.9  # of the picture's longer side: a crop that is hardly shorter shows hardly more
UNSEEN_ARM = 0.4  # of the person's height, to either side: how far an arm may reach whose wrist nobody saw

# Longer side, at most, of the map of cells that are told apart by person; labels are seldom right to a pixel.
_COARSE = 256
_REACH = 0.06  # of a person's length: the label of somebody's own begins this near to their bones

_HEAD = [BODY_25.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear")]
_FEET = [[BODY_25.index(f"{side}_{joint}") for joint in ("ankle", "heel", "big_toe")] for side in ("left", "right")]
_WRISTS = [BODY_25.index("left_wrist"), BODY_25.index("right_wrist")]


def person_box(size: tuple[int, int], pose: Pose | None, mask: Mask | None) -> Box:
    """Where the chosen person is in a picture of `size` (height, width): all that pose and mask speak for.

    The whole picture where they say nothing, or where a crop would be little smaller.
    """
    whole = (slice(0, size[0]), slice(0, size[1]))
    corners = [box for box in (_posed(pose, size), _masked(mask)) if box is not None]
    if not corners:
        return whole
    low = np.maximum(np.floor(np.min([box[0] for box in corners], 0)), 0).astype(int)
    high = np.minimum(np.ceil(np.max([box[1] for box in corners], 0)) + 1, size[::-1]).astype(int)
    box = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    longest = max(part.stop - part.start for part in box)
    smallest = min(part.stop - part.start for part in box)
    return box if smallest > 0 and 1 < longest <= WORTH_CROPPING * max(size) else whole


def drop_others(labels: np.ndarray, pose: Pose | None, mask: Mask | None) -> None:
    """Writes background over labels (uint8 HxW) that are not the chosen person's.

    Theirs are those inside the mask; nearer to their bones than to anybody else's, in lengths of the person; and
    joined with what touches their bones.
    """
    if mask is not None:
        labels[mask.alpha <= 127] = 0
    if pose is None or not (pose.people[0, :, 2] > 0).any():
        return
    step = -(-max(labels.shape) // _COARSE)
    labelled = _any_of(labels, step)
    people = [person for person in pose.people if (person[:, 2] > 0).any()]
    own, *others = (_distance(person, labelled.shape, step) for person in people)
    kept = labelled.copy()
    for other in others:
        kept &= own <= other
    _, islands = cv2.connectedComponents(kept.astype(np.uint8), connectivity=8)
    touched = np.zeros(islands.max() + 1, bool)
    touched[islands[own <= _REACH]] = True
    dropped = labelled & ~(kept & touched[islands])
    if dropped.any():
        labels[dropped.repeat(step, 0).repeat(step, 1)[: labels.shape[0], : labels.shape[1]]] = 0


def _any_of(labels: np.ndarray, step: int) -> np.ndarray:
    """Whether any pixel of each cell of `step` x `step` has a label; bool."""
    largest = cv2.dilate(labels, np.ones((step, step), np.uint8), anchor=(0, 0))  # of the pixel and those below right
    return largest[::step, ::step] > 0


def _posed(pose: Pose | None, size: tuple[int, int]) -> np.ndarray | None:
    """Corners (2x2: x, y) of a box for the person of these key points; up to the picture's border where the head or
    the feet were not seen."""
    points = None if pose is None else pose.extent()
    if points is None or len(points) < 2:
        return None
    low, high = points.min(0), points.max(0)
    length = max(high[1] - low[1], high[0] - low[0])
    seen = pose.people[0, :, 2] > 0
    side = MARGIN_SIDE if pose.landmarks is not None or seen[_WRISTS].all() else UNSEEN_ARM
    low, high = low - (side * length, MARGIN_TOP * length), high + (side * length, MARGIN_BOTTOM * length)
    if pose.landmarks is None:
        if not seen[_HEAD].any():
            low[1] = 0
        if not all(seen[foot].any() for foot in _FEET):
            high[1] = size[0] - 1
    return np.stack([low, high])


def _masked(mask: Mask | None) -> np.ndarray | None:
    """Corners (2x2: x, y) of the mask's box, grown; None where the mask is empty."""
    if mask is None:
        return None
    x, y, width, height = cv2.boundingRect((mask.alpha > 127).astype(np.uint8))
    if not width:
        return None
    middle = np.array([x + (width - 1) / 2, y + (height - 1) / 2])
    reach = GROWN / 2 * np.array([width, height])
    return np.stack([middle - reach, middle + reach])


def _distance(person: np.ndarray, size: tuple[int, int], step: int) -> np.ndarray:
    """How far every cell is from a person's bones (25x3 key points), in lengths of the person; float32 of `size`."""
    points = np.rint(person[:, :2] / step * 16).astype(np.int32)
    seen = person[:, 2] > 0
    free = np.full(size, 255, np.uint8)
    for a, b in [*BODY_25_LIMBS, *((n, n) for n in range(len(person)))]:
        if seen[a] and seen[b]:
            cv2.line(free, points[a], points[b], 0, 1, cv2.LINE_8, 4)
    length = np.ptp(person[seen, :2], axis=0).max() / step
    return cv2.distanceTransform(free, cv2.DIST_L2, 3) / max(length, 1)
