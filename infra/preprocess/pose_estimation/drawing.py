"""The skeleton picture: limbs and key points on black in OpenPose's colours, as its GPU renderer draws them.

Only limbs and points above a confidence are drawn: ellipses and discs laid over each other half transparent, so that
overlaps are brighter. This is the look of the `openpose_img` folders that try-on networks were trained on.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.pose_estimation.keypoints import BODY_25_LIMBS, BODY_25_OF_COCO_18, COCO_18_LIMBS, HAND_LIMBS

BODY_25_COLOURS = np.array([
    (255, 0, 85), (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
    (255, 0, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (255, 0, 170),
    (170, 0, 255), (255, 0, 255), (85, 0, 255), *[(0, 0, 255)] * 3, *[(0, 255, 255)] * 3,
], np.float32)  # RGB  # fmt: skip
COCO_18_COLOURS = BODY_25_COLOURS[list(BODY_25_OF_COCO_18)]
HAND_COLOURS = np.array([
    (100, 100, 100),
    (100, 0, 0), (150, 0, 0), (200, 0, 0), (255, 0, 0),
    (100, 100, 0), (150, 150, 0), (200, 200, 0), (255, 255, 0),
    (0, 100, 50), (0, 150, 75), (0, 200, 100), (0, 255, 125),
    (0, 50, 100), (0, 75, 150), (0, 100, 200), (0, 125, 255),
    (100, 0, 100), (150, 0, 150), (200, 0, 200), (255, 0, 255),
], np.float32)  # RGB  # fmt: skip

BODY_THRESHOLD, HAND_THRESHOLD = 0.05, 0.2  # OpenPose's render thresholds
ALPHA = 0.6  # of every limb and disc
# Over the picture's shorter side: half width of a limb, radius of a key point.
BODY_LINE, BODY_RADIUS = 1 / 120, 1 / 100
HAND_LINE, HAND_RADIUS = 1 / 80, 1 / 100
BOX_MARGIN = 50  # pixels around a person's key points, outside of which nothing of them is drawn


def skeleton_picture(people: np.ndarray, hands: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """uint8 HxWx3 RGB of `size` (height, width).

    `people` is Nx25x3 (BODY_25) or Nx18x3 (COCO-18), `hands` Nx2x21x3 or None; x, y pixels, confidence 0..1.
    """
    canvas = np.zeros((*size, 3), np.float32)
    limbs, colours = (BODY_25_LIMBS, BODY_25_COLOURS) if people.shape[1] == 25 else (COCO_18_LIMBS, COCO_18_COLOURS)
    for person in people:
        _draw(canvas, person, limbs, colours, BODY_LINE, BODY_RADIUS, BODY_THRESHOLD)
    if hands is not None:
        for hand in (*hands[:, 0], *hands[:, 1]):
            _draw(canvas, hand, HAND_LIMBS, HAND_COLOURS, HAND_LINE, HAND_RADIUS, HAND_THRESHOLD)
    return canvas.astype(np.uint8)


def _draw(
    canvas: np.ndarray, points: np.ndarray, limbs: tuple[tuple[int, int], ...], colours: np.ndarray,
    line: float, radius: float, threshold: float,
) -> None:  # fmt: skip
    seen = points[:, 2] > threshold
    if not seen.any():
        return
    height, width = canvas.shape[:2]
    low, high = points[seen, :2].min(0), points[seen, :2].max(0)
    scale = min(height, width) * float(np.clip((high - low).sum() / 400, 0.33, 1))
    x0, y0 = np.clip(np.floor(low - BOX_MARGIN), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(high + BOX_MARGIN) + 1, 0, (width, height)).astype(int)
    clip = canvas[y0:y1, x0:x1]
    places = points[:, :2] - (x0, y0)
    for a, b in limbs:
        if seen[a] and seen[b]:
            half = (places[b] - places[a]) / 2
            _blend_ellipse(clip, places[a] + half, half, line * scale, colours[b])
    for index in np.flatnonzero(seen):
        _blend_ellipse(clip, places[index], np.array([radius * scale, 0.0]), radius * scale, colours[index])


def _blend_ellipse(canvas: np.ndarray, centre: np.ndarray, half: np.ndarray, across: float, colour: np.ndarray) -> None:
    """Blends a filled ellipse in place: `half` is its half axis as a vector, `across` the length of the other."""
    along = float(np.hypot(*half))
    if along == 0 or across == 0:
        return
    cos, sin = half / along
    reach = np.hypot((along * cos, along * sin), (across * sin, across * cos))
    x0, y0 = np.maximum(np.floor(centre - reach), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(centre + reach) + 1, canvas.shape[1::-1]).astype(int)
    if x1 <= x0 or y1 <= y0:
        return
    x = np.arange(x0, x1) - centre[0]
    y = (np.arange(y0, y1) - centre[1])[:, None]
    inside = ((x * cos + y * sin) / along) ** 2 + ((y * cos - x * sin) / across) ** 2 <= 1
    region = canvas[y0:y1, x0:x1]
    cv2.copyTo((1 - ALPHA) * region + ALPHA * colour, inside.astype(np.uint8), region)
