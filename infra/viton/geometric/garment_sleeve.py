"""Sleeves of a flat garment: where one begins, how one that lies on the body is cut free, where its cuff is.

All functions see the left half of a garment; the right half comes mirrored.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.garment_outline import bays, chord_normal, furthest
from infra.viton.geometric.polyline import resample, unit
from infra.viton.geometric.strip import Strip

LEAST_BAY = 0.035  # of the garment's height: shallower bays of the outline are folds
NARROWEST = 0.23  # cuff over armhole; what is narrower is a spike of the outline
CORNER_SAMPLES = 64  # of the outline from armpit round the cuff to the shoulder


def find_armpit(path: np.ndarray, axis: float, height: float) -> int | None:
    """Index of the armpit on the half outline (n, 2), None for a sleeveless garment.

    It is the head of the deepest bay that opens outwards or downwards with cloth reaching out above it.
    """
    found, deepest = None, LEAST_BAY * height
    for start, end, depth in bays(path):
        normal = chord_normal(path[start], path[end])
        if normal[1] < -0.6 or depth < deepest:
            continue
        stretch = path[start : end + 1]
        if normal[1] > 0.8:  # opens downwards: hem and cuff side by side
            far = axis - stretch[:, 0] > 0.4 * (axis - path[:, 0].min())
            corner = start + int(np.argmax(np.where(far, (path[start] - stretch) @ normal, -np.inf)))
        elif depth > 2 * np.hypot(*(path[end] - path[start])):  # a slit
            corner = start + int(np.argmin(stretch[:, 1]))
        else:
            corner = start + furthest(stretch, tuple(np.array([0.82, -0.57]) - normal))
        # Low down only a notch between hem and cuff can be one: cloth hangs on both sides of it.
        low = path[corner, 1] > path[:, 1].min() + 0.62 * height
        if low and path[end, 1] < path[corner, 1] + 0.06 * height:
            continue
        tip = corner + int(np.argmin(path[corner:, 0]))
        reach, rise = path[corner, 0] - path[tip, 0], path[corner, 1] - path[tip, 1]
        # A bust above a waist also reaches out, but slowly; a sleeve reaches out at once.
        if corner > 4 and reach > max(0.13 * (axis - path[corner, 0]), 0.6 * rise):
            found, deepest = corner, depth
    return found


def crease_map(picture: np.ndarray) -> np.ndarray:
    """float32 HxW: level steps of brightness of an RGB picture, those of dark cloth lifted (CIE L*, log)."""
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.2)
    lightness = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32) / 2.55
    return np.abs(cv2.Sobel(34 * np.log1p(lightness / 8), cv2.CV_32F, 1, 0, scale=1 / 8))


def cut_free(creases: np.ndarray, mask: np.ndarray, notch: np.ndarray, top: float, reach: float) -> np.ndarray:
    """Cut a sleeve that lies against the body free: bool HxW with a slit from `notch` (x, y) up to the row `top`.

    The slit follows the strongest crease within `reach` pixels of the notch's column (dynamic programming).
    """
    x0, y0 = int(notch[0]), int(notch[1])
    rows = np.arange(y0, max(int(top), 2), -1)
    offsets = np.arange(-int(reach), int(reach) + 1)
    columns = np.clip(x0 + offsets, 0, mask.shape[1] - 1)
    strength = creases[rows][:, columns]
    gain = strength / (strength + 3.0) - 0.04 * np.abs(offsets)[None] / max(reach, 1)
    total, choice = np.full(len(offsets), -1e9), []
    total[len(offsets) // 2 - 2 : len(offsets) // 2 + 3] = 0
    for line in gain:
        moves = np.stack([np.roll(total, 1), total + 0.05, np.roll(total, -1)])
        moves[0, 0] = moves[2, -1] = -1e9
        pick = moves.argmax(0)
        choice.append(pick - 1)
        total = moves.max(0) + line
    k, points = int(total.argmax()), []
    for y, pick in zip(rows[::-1], choice[::-1]):
        points.append((int(columns[k]), int(y)))
        k = int(np.clip(k + pick[k], 0, len(offsets) - 1))
    cut = mask.astype(np.uint8)
    if points:
        line = np.pad([x for x, _ in points], 4, mode="edge")
        smooth = np.rint(np.convolve(line, np.ones(9) / 9, "valid")).astype(int).tolist()
        points = [(x, y) for x, (_, y) in zip(smooth, points)]
        cv2.polylines(cut, [np.int32(points)], False, 0, 3)
        cv2.line(cut, points[-1], (x0, min(y0 + 6, mask.shape[0] - 1)), 0, 3)
    return cut > 0


def sleeve_strip(path: np.ndarray, narrowest: float = NARROWEST, count: int = 16) -> Strip | None:
    """Outline (n, 2) from the armpit round the cuff to the shoulder -> the sleeve's two edges, None for a stub.

    Cuffs narrower than `narrowest` armholes are not likely.
    """
    if len(path) < 12:
        return None
    points = resample(path, CORNER_SAMPLES)
    inner, outer = _cuff_corners(points, narrowest)
    return Strip(outer=resample(points[outer:][::-1], count), inner=resample(points[: inner + 1], count))


def _cuff_corners(points: np.ndarray, narrowest: float) -> tuple[int, int]:
    """Indices of the cuff's inner and outer corner.

    Of all pairs: where the outline turns twice, the chord between is straight, square to the sleeve and far out.
    """
    n, window = len(points), max(3, len(points) // 13)
    padded = np.vstack([np.repeat(points[:1], window, 0), points, np.repeat(points[-1:], window, 0)])
    before, after = unit(points - padded[:n]), unit(padded[2 * window :] - points)
    turn = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(1))
    turn = np.clip(turn, 0, 1.75) / 1.57  # a right angle counts 1
    turn[:2] = turn[-window:] = 0
    i, j = np.triu_indices(n, 2)
    keep = (i > 1) & (j < n - 3)
    i, j = i[keep], j[keep]
    chord = points[j] - points[i]
    width = np.hypot(*chord.T)
    armhole = float(np.hypot(*(points[-1] - points[0])))
    middle = (points[i] + points[j]) / 2
    axis = middle - (points[0] + points[-1]) / 2
    far = np.hypot(*axis.T)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    bend = (along[j] - along[i]) / np.maximum(width, 1) - 1
    slant = np.abs((unit(chord) * unit(axis)).sum(1))
    share = width / max(armhole, 1)
    size = np.maximum(share - 1.1, 0) + np.maximum(narrowest - share, 0) * 10
    score = turn[i] + turn[j] - 2.0 * bend - 0.9 * slant - size + 0.9 * far / max(far.max(), 1)
    best = int(np.argmax(score))
    return int(i[best]), int(j[best])
