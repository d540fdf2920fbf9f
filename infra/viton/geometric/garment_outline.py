"""Outlines of flat garments: mirror axis, half outline, bays and support points."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.polyline import polyline_length, resample

TILTS = np.arange(-20, 21, 2)  # degrees that a garment may lie askew
LEAST_GAIN, SYMMETRIC = 0.03, 0.93  # overlap with the mirror image; flat garments reach 0.96, worn ones 0.9
TILT_SIZE = 96  # pixels: symmetry is judged on a mask this large
GAP_AREA, GAP_OFF = 0.003, 0.3  # of the cloth's area; of half the width: such holes part sleeve and body
DEEP_OPENING = 0.3  # of its own width
LEAST_OPENING = 0.12  # of the garment's width: smaller dips of the top edge are a collar's folds


def mirror_axis(mask: np.ndarray) -> float:
    """x about which the mask bool HxW agrees best with its mirror image."""
    step = max(1, mask.shape[1] // 128)
    small = mask[::step, ::step].astype(np.float32)
    columns = np.flatnonzero(small.any(0))
    middle = (columns[0] + columns[-1]) / 2
    best, best_score = middle, -1.0
    for candidate in np.arange(middle - 6, middle + 6.1, 0.5):
        matrix = np.float32([[-1, 0, 2 * candidate], [0, 1, 0]])
        mirrored = cv2.warpAffine(small, matrix, small.shape[::-1], flags=cv2.INTER_LINEAR)
        score = float((small * mirrored).sum())
        if score > best_score:
            best, best_score = candidate, score
    return float(best * step + (step - 1) / 2)


def tilt(mask: np.ndarray) -> float:
    """Degrees, counterclockwise, by which a garment must be turned to stand upright: to be its own mirror image.

    0 unless turning makes the mask bool HxW clearly more symmetric.
    """
    scale = TILT_SIZE / max(mask.shape)
    small = cv2.resize(mask.astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    ys, xs = np.nonzero(small > 0.5)
    centre = float(xs.mean()), float(ys.mean())
    scores = []
    for angle in TILTS:
        matrix = cv2.getRotationMatrix2D(centre, float(angle), 1.0)
        matrix[:, 2] += TILT_SIZE - np.array(centre)
        turned = cv2.warpAffine(small, matrix, (2 * TILT_SIZE, 2 * TILT_SIZE), flags=cv2.INTER_LINEAR)
        # Overlap with the mirror image about every axis at once: each row convolved with itself.
        spectrum = np.fft.rfft(turned, 4 * TILT_SIZE, axis=1)
        overlap = np.fft.irfft((spectrum**2).sum(0), 4 * TILT_SIZE).max() / max(float((turned**2).sum()), 1e-6)
        scores.append(overlap - 0.002 * abs(angle))
    best = int(np.argmax(scores))
    found = scores[best] > max(scores[len(TILTS) // 2] + LEAST_GAIN, SYMMETRIC)
    return float(TILTS[best]) if found else 0.0


def keep_large(mask: np.ndarray, share: float) -> np.ndarray:
    """bool HxW -> its components that hold at least `share` of the largest one's area."""
    _, tags, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return (areas >= max(share * areas.max(), 1))[tags]


def half_outline(mask: np.ndarray, axis: float) -> np.ndarray:
    """Left half of the outline (n, 2), from the hem's middle up the side to the neckline's middle, in steps of 2 px."""
    left = mask.astype(np.uint8)
    left[:, int(round(axis)) + 1 :] = 0
    contours, _ = cv2.findContours(left, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=cv2.contourArea)[:, 0].astype(np.float64)
    on_axis = outline[:, 0] >= outline[:, 0].max() - 2
    outline = np.roll(outline, -int(np.argmax(np.where(on_axis, outline[:, 1], -np.inf))), axis=0)
    on_axis = outline[:, 0] >= outline[:, 0].max() - 2
    high = int(np.argmin(np.where(on_axis, outline[:, 1], np.inf)))
    forward, backward = outline[: high + 1], np.vstack([outline[:1], outline[high:][::-1]])
    path = forward if forward[:, 0].mean() < backward[:, 0].mean() else backward
    return resample(path, max(60, int(polyline_length(path) / 2)))


def furthest(path: np.ndarray, direction: tuple[float, float]) -> int:
    """Index of the support point of `path` in a direction."""
    return int(np.argmax(path @ np.asarray(direction)))


def chord_normal(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Unit normal of a chord, outwards where the outline runs clockwise in the picture."""
    chord = end - start
    return np.array([chord[1], -chord[0]]) / max(float(np.hypot(*chord)), 1.0)


def bays(path: np.ndarray) -> list[tuple[int, int, float]]:
    """(start, end, depth) of each bay between the path and its convex hull.

    The depth of a narrow bay is half the way along its shores: a slit may run beside the outline.
    """
    hull = np.sort(cv2.convexHull(path.astype(np.float32)[:, None], returnPoints=False)[:, 0])
    found = []
    for start, end in zip(hull[:-1], hull[1:]):
        if end - start >= 4:
            stretch = path[start : end + 1]
            depth = float((-(stretch - path[start]) @ chord_normal(path[start], path[end])).max())
            slit = (polyline_length(stretch) - float(np.hypot(*(path[end] - path[start])))) / 2
            found.append((int(start), int(end), max(depth, slit)))
    return found


def first_row(column: np.ndarray) -> int:
    """Row of the first set pixel of a column; the last row where there is none."""
    return int(column.argmax()) if column.any() else len(column) - 1


def with_gaps_opened(mask: np.ndarray, axis: float) -> np.ndarray:
    """bool HxW: the mask with a cut from each gap between sleeve and body, where a cuff touches the body, outwards."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    count, tags, stats, centres = cv2.connectedComponentsWithStats(outside, connectivity=4)
    if count <= 2:
        return mask
    opened = mask.astype(np.uint8)
    open_y, open_x = np.nonzero((tags == tags[0, 0])[1:-1, 1:-1])
    reach = float(np.abs(np.flatnonzero(mask.any(0)) - axis).max())
    for gap in range(1, count):
        upright = stats[gap, cv2.CC_STAT_HEIGHT] > stats[gap, cv2.CC_STAT_WIDTH]
        beside = abs(centres[gap][0] - 1 - axis) > GAP_OFF * reach
        if gap == tags[0, 0] or not upright or not beside or stats[gap, cv2.CC_STAT_AREA] < GAP_AREA * mask.sum():
            continue
        rows, columns = np.nonzero(tags == gap)
        x, y = int(columns[rows.argmax()]) - 1, int(rows.max()) - 1
        below = open_y > y
        if below.any():
            nearest = int(np.argmin(np.where(below, (open_x - x) ** 2 + (open_y - y) ** 2, 1 << 40)))
            cv2.line(opened, (x, y), (int(open_x[nearest]), int(open_y[nearest])), 0, 3)
    return opened > 0


def neck_opening(mask: np.ndarray, axis: float) -> np.ndarray | None:
    """(2, 2) ends of the hull's edge over the neckline; None where the top does not dip there.

    The convex hull bridges a neckline from collar corner to collar corner, whatever the shoulders do.
    """
    ys, xs = np.nonzero(mask)
    hull = cv2.convexHull(np.stack([xs, ys], 1).astype(np.int32))[:, 0].astype(np.float64)
    middle = ys.mean()
    for a, b in zip(hull, np.roll(hull, -1, axis=0)):
        left, right = (a, b) if a[0] < b[0] else (b, a)
        if left[0] < axis < right[0] and max(a[1], b[1]) < middle:
            width = right[0] - left[0]
            columns = np.linspace(left[0], right[0], 15)[2:-2]
            outline = np.array([first_row(mask[:, int(x)]) for x in columns])
            dip = float((outline - np.interp(columns, [left[0], right[0]], [left[1], right[1]])).max())
            # A deep one may stand beside the axis: garments cut from a wearer who turns to the side.
            balanced = abs((left[0] + right[0]) / 2 - axis) < (0.2 if dip < DEEP_OPENING * width else 0.4) * width
            wide = width > LEAST_OPENING * (xs.max() - xs.min())
            return np.stack([left, right]) if balanced and wide and dip > 0.05 * width else None
    return None
