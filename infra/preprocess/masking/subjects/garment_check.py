"""Is a cut-out a garment at all, and which kind? By saliency, the multi-class network and the silhouette."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from infra.preprocess.masking.subjects.islands import keep_large

# Below it `no_garment`: 2 % of 114 garment photos lie there, and half of 84 pictures of other things.
LEAST_EVIDENCE = -1.0
_LEAST_AREA = 0.01  # of the picture
# Overlap with the ellipse of the same moments: 39 garments at most 0.90; cups, plates, balls, watches 0.94 and more.
_ROUND = 0.925
_PAIR = 0.5  # of the larger part's area that a second one beside it has: shoes, gloves, front and back


def evidence(salient: np.ndarray, classes: np.ndarray, alpha: np.ndarray, on_studio: bool) -> float:
    """How much speaks for a garment: it stands out as one large, sharply bounded thing and looks like clothes.

    `salient` float32 (0 to 1) and `classes` float32 x6 (probabilities) of any size; `alpha` uint8 HxW. The formula
    was set on 50 product shots, 64 photos from phones and 84 pictures of other things. On a studio's ground the
    outline is certain by colour: there saliency may waver inside it, as it does around prints and stripes.
    """
    if (alpha > 127).mean() < _LEAST_AREA or _no_garments_shape(alpha):
        return -9.0
    thing = cv2.resize(alpha, salient.shape[::-1], interpolation=cv2.INTER_AREA) > 127
    wavering = (salient > 0.16) & (salient < 0.84)
    if on_studio:
        wavering &= ~thing
    undecided = wavering.sum() / max(thing.sum(), 1)
    _, hair, skin, _, clothes, others = _cutout_classes(classes, alpha)
    return float(
        2 * min(clothes, 0.7)
        - np.log2(max(undecided, 0.03) / 0.06)
        + 2 * min(thing.mean(), 0.35)
        - 2 * max(skin + hair - 0.1, 0)
        - 1.5 * max(others - 0.15, 0)
    )


def _no_garments_shape(alpha: np.ndarray) -> bool:
    """Whether the cut-out is round, or two things side by side."""
    scale = 256 / max(alpha.shape)
    mask = (cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    parts = sorted(stats[1:], key=lambda part: -part[cv2.CC_STAT_AREA])
    if not parts:
        return True
    if len(parts) > 1 and parts[1][cv2.CC_STAT_AREA] > _PAIR * parts[0][cv2.CC_STAT_AREA]:
        left, right = sorted(parts[:2], key=lambda part: part[cv2.CC_STAT_LEFT])
        if left[cv2.CC_STAT_LEFT] + left[cv2.CC_STAT_WIDTH] <= right[cv2.CC_STAT_LEFT]:
            return True
    return _ellipse_overlap(mask) > _ROUND


def _ellipse_overlap(mask: np.ndarray) -> float:
    """Intersection over union of uint8 hxw (0, 1) and the ellipse that has its first and second moments."""
    moments = cv2.moments(mask, binaryImage=True)
    area = moments["m00"]
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    x, y = x - moments["m10"] / area, y - moments["m01"] / area
    xx, yy, xy = (moments[name] / area for name in ("mu20", "mu02", "mu11"))
    ellipse = yy * x * x - 2 * xy * x * y + xx * y * y <= 4 * (xx * yy - xy * xy)
    return float((ellipse & (mask > 0)).sum() / (ellipse | (mask > 0)).sum())


def _cutout_classes(classes: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Mean float32 (6,) of class probabilities hxwx6 inside an alpha uint8 HxW."""
    inside = cv2.resize(alpha, classes.shape[1::-1], interpolation=cv2.INTER_AREA) > 127
    return classes[inside].mean(0) if inside.any() else np.zeros(classes.shape[2], np.float32)


def kinds(alpha: np.ndarray) -> np.ndarray:
    """float32 (3,), shares of 1 over `mask.KINDS`: a linear classifier of the silhouette in alpha uint8 HxW.

    It was fitted on 310 phone photos (CC0). Unseen: 0.91 of 160 phone photos and 0.75 of 40 product shots; sleeveless
    tops pass for skirts and dresses.
    """
    if not (alpha > 127).any():
        return np.full(3, 1 / 3, np.float32)
    shapes = _shapes()
    numbers = np.clip((_silhouette(alpha) - shapes["mean"]) / shapes["spread"], -4, 4)
    score = np.append(numbers, 1) @ shapes["weights"]
    odds = np.exp(score - score.max())
    return (odds / odds.sum()).astype(np.float32)


@cache
def _shapes() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "garment_shapes.npz") as file:
        return dict(file)


def _silhouette(alpha: np.ndarray) -> np.ndarray:
    """79 numbers: the left half of the mirror-averaged outline on a 12 x 12 grid (-1 to 1), and proportions."""
    scale = 320 / max(alpha.shape)
    mask = (cv2.resize(alpha, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)
    mask = keep_large(np.pad(mask, 1), 0.08)
    x, y, w, h = cv2.boundingRect(mask)
    grid = cv2.resize(mask[y : y + h, x : x + w].astype(np.float32), (24, 24), interpolation=cv2.INTER_AREA)
    grid = ((grid + grid[:, ::-1]) / 2)[:, :12].reshape(12, 2, 6, 2).mean((1, 3))
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=cv2.contourArea)
    slender, filled = np.log(h / w), mask.sum() / (w * h)
    solid = cv2.contourArea(outline) / max(cv2.contourArea(cv2.convexHull(outline)), 1)
    winding = np.log(max(cv2.arcLength(outline, True), 4) ** 2 / max(mask.sum(), 1))
    proportions = [slender, filled, solid, winding, slender**2, filled**2, slender * filled]
    return np.concatenate([2 * grid.ravel() - 1, proportions])
