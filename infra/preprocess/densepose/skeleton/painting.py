"""Tubes to an IUV picture: hiding by depth, settling into the person's outline, then U and V."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.densepose.skeleton.charts import HEAD_RIGHT
from infra.preprocess.densepose.skeleton.tubes import Tube


def draw_tubes(tubes: list[Tube], shape: tuple[int, int]) -> np.ndarray:
    """Part index per pixel, the nearest surface's: uint8 of `shape`."""
    nearest = np.full(shape, np.inf, np.float32)
    parts = np.zeros(shape, np.uint8)
    for tube in tubes:
        box = _box(tube, shape)
        if box is None:
            continue
        y, x = np.ogrid[box]
        t, s, half = tube.coordinates(x.astype(np.float32), y.astype(np.float32))
        # Round ends close the joints of a bent limb; they yield to the neighbour's own surface.
        over = np.maximum(np.maximum(tube.t0 - t, t - tube.t1), 0) * tube.length / half
        rise = 1 - s * s - over * over
        inside = rise > 0
        if not tube.round_ends:
            inside &= over == 0
        if tube.outline is not None:
            inside = (inside & (t < tube.outline.from_t)) | tube.outline.inside(box[1].start, box[0].start, t.shape)
        first, last = (depth - nearer for depth, nearer in zip(tube.depth, tube.nearer, strict=True))
        depth = first + (last - first) * np.clip(t, 0, 1)
        depth += half * (0.5 * (over > 0) - tube.flatness * np.sqrt(np.maximum(rise, 0)))
        part = tube.charts.part(t, tube.phi(s))
        wins = inside & (part > 0) & (depth < nearest[box])
        nearest[box][wins] = depth[wins]
        parts[box][wins] = part[wins]
    return parts


def _box(tube: Tube, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    margin = float(max(tube.left.max(), tube.right.max())) + 2
    ends = np.array([tube.start + tube.axis * t for t in (tube.t0, tube.t1)])
    if tube.outline is not None:
        ends = np.vstack([ends, tube.outline.points])
    low, high = np.floor(ends.min(0) - margin), np.ceil(ends.max(0) + margin)
    (x0, x1), (y0, y1) = (np.clip((low[i], high[i]), 0, shape[1 - i]).astype(int) for i in (0, 1))
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def settle(
    drawn: np.ndarray, mask: np.ndarray, shape: tuple[int, int], factor: int, reach: float, sigma: float
) -> np.ndarray:
    """Parts at full size (`shape`), fitted to the mask.

    `drawn` and `mask` are `factor` times smaller. Uncovered mask narrower than 2 x `reach` (armpits, between the
    thighs) takes the part beside it; borders are smoothed with `sigma`; both in pixels of the small picture.
    """
    head = drawn >= HEAD_RIGHT
    covered = _closed((drawn > 0) & ~head, round(reach)) | head
    # Both outlines, the body's and the mask's, lose their ripples; the person ends where either does.
    both = [cv2.GaussianBlur(each.astype(np.float32), (0, 0), sigma) for each in (covered, mask / np.float32(255))]
    full = drawn.shape[1] * factor, drawn.shape[0] * factor
    inside = cv2.resize(np.minimum(*both), full, interpolation=cv2.INTER_LINEAR) > 0.5
    parts = _smooth_labels(_spread(drawn), factor, sigma)
    parts[~inside] = 0
    return np.ascontiguousarray(parts[: shape[0], : shape[1]])


def _closed(covered: np.ndarray, reach: int) -> np.ndarray:
    """Morphological closing by a disk, beyond an open border: else it would eat the body at the picture's edge."""
    pad = 2 * reach + 2
    padded = cv2.copyMakeBorder(covered.astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    grown = cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_5) <= reach
    return cv2.distanceTransform(grown.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)[pad:-pad, pad:-pad] > reach


def _spread(drawn: np.ndarray) -> np.ndarray:
    """Every pixel's nearest part."""
    _, nearest = cv2.distanceTransformWithLabels(
        (drawn == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    part_of_label = np.zeros(int(nearest.max()) + 1, np.uint8)
    part_of_label[nearest[drawn > 0]] = drawn[drawn > 0]
    return part_of_label[nearest]


def _smooth_labels(labels: np.ndarray, factor: int, sigma: float) -> np.ndarray:
    """`factor` times larger labels with borders smoothed by `sigma`: each label's blurred indicator, the largest."""
    height, width = labels.shape
    best = np.zeros((height * factor, width * factor), np.float32)
    parts = np.zeros(best.shape, np.uint8)
    pad = int(3 * sigma) + 2
    for part in np.flatnonzero(np.bincount(labels.ravel())):
        own = cv2.inRange(labels, int(part), int(part))
        x, y, w, h = cv2.boundingRect(own)
        rows, columns = slice(max(y - pad, 0), y + h + pad), slice(max(x - pad, 0), x + w + pad)
        score = cv2.GaussianBlur(own[rows, columns].astype(np.float32), (0, 0), sigma)
        score = cv2.resize(score, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        top, left = rows.start * factor, columns.start * factor
        rows, columns = slice(top, top + score.shape[0]), slice(left, left + score.shape[1])
        wins = (score > best[rows, columns]).view(np.uint8)
        cv2.copyTo(score, wins, best[rows, columns])
        parts[rows, columns][wins > 0] = part
    return parts


def surface_coordinates(tubes: list[Tube], parts: np.ndarray, factor: int) -> np.ndarray:
    """IUV, uint8 HxWx3: U and V of every pixel by its part's own tube, whichever tube had drawn it."""
    fields = np.zeros((*parts.shape, 2), np.uint8)
    present = np.bincount(parts.ravel(), minlength=25) > 0
    for tube in tubes:
        for part in tube.charts.parts:
            if not present[part]:
                continue
            own = cv2.inRange(parts, part, part)
            x, y, w, h = cv2.boundingRect(own)
            x0, y0, x1, y1 = x // factor, y // factor, -(-(x + w) // factor), -(-(y + h) // factor)
            row, column = np.ogrid[y0:y1, x0:x1]
            t, s, _ = tube.coordinates(column.astype(np.float32), row.astype(np.float32))
            field = np.stack(tube.charts.uv(part, t, tube.phi(s)), axis=-1)
            field = (np.clip(field, 0, 1) * 255).astype(np.uint8)
            field = cv2.resize(field, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
            field = np.ascontiguousarray(field[y - y0 * factor :, x - x0 * factor :][:h, :w])
            cv2.copyTo(field, own[y : y + h, x : x + w], fields[y : y + h, x : x + w])
    return cv2.merge([parts, *cv2.split(fields)])
