"""The front neckline of a flat garment: the curve below which cloth hangs before the chest, not behind the neck."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.garment_outline import first_row

POWERS = (1.0, 1.4, 2.0, 2.8)  # V, sweetheart, round, boat: the curve is 1 - |u|^p
DEEPEST = 2.4  # half widths of the neck
GOOD = 0.85  # of the best support: curves that may be the neckline ...
FAR, GOOD_FAR = 0.6, 0.97  # ... and so many half widths below the best one, where prints have edges too
RIB = (0.07, 0.42)  # half widths: how far above its lower seam a collar's own edge lies
ONE_EDGE = 0.2  # half widths: good curves closer than this follow one edge, the strongest best
COLLAR_CLOTH, SHOULDER_CLOTH = 14.0, 6.0  # Lab: as like the collar or the shoulders' cloth as this is the front
SHALLOW = 0.6  # half widths: higher front necklines are rare, and the back collar's seam lies there
BELOW_LABEL = 0.1  # half widths: an inner back's label ends this far above the front neckline
CREW_DEPTH = 0.42  # half widths: an average crew neck, where nothing is seen
COLUMNS = 41


def find_neckline(
    picture: np.ndarray, mask: np.ndarray, neck: np.ndarray, collar: bool, label: np.ndarray | None = None
) -> np.ndarray:  # fmt: skip
    """Front neckline (41, 2) between the two neck points (2, 2).

    y = line between the points + depth (1 - |u|^p), by edge support; each column then snaps to the edge.
    `picture` uint8 RGB, `mask` bool HxW; `label` (3, n): x, the row that the neckline passes below,
    and the lower edge, of a label on the inner back. Where no inner back is seen, the outline itself is the neckline.
    """
    half = max((neck[1, 0] - neck[0, 0]) / 2, 1.0)
    u = np.linspace(-1, 1, COLUMNS)
    x = neck.mean(0)[0] + u * half
    base = np.interp(u, [-1, 1], neck[:, 1])
    columns = np.clip(x.astype(int), 0, mask.shape[1] - 1)
    outline = np.array([first_row(mask[:, c]) for c in columns], float)
    bottom = int(min(base.max() + (DEEPEST + 0.6) * half, mask.shape[0]))
    lab = _log_lab(picture[:bottom])
    vertical = np.abs(cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=1 / 8)).sum(2)
    horizontal = np.abs(cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=1 / 8)).sum(2)
    middle = slice(COLUMNS // 2 - 4, COLUMNS // 2 + 5)
    dip = max(0.0, float(np.median((outline - base)[middle])))
    least = max(0.22 * half, dip + 0.16 * half)
    free = outline + 5  # the rows from which on edges are the garment's own
    if label is not None:
        least = max(least, label[1].max() - base[COLUMNS // 2] + BELOW_LABEL * half)
        beside = np.abs(x - label[0].mean()) < np.ptp(label[0]) / 2 + BELOW_LABEL * half
        free[beside] = np.maximum(free[beside], label[1].max() + BELOW_LABEL * half)
    depth, power, support = _curve_support(lab, vertical, horizontal, base, columns, free, half, least)
    outline_curve = np.stack([x, np.maximum(outline, base)], 1)
    if not len(depth):
        return outline_curve
    far = depth / half > depth[np.argmax(support)] / half + FAR
    good = support > np.maximum(np.where(far, GOOD_FAR, GOOD) * support.max(), 0.22)
    needed = 0.50 if dip > 0.35 * half else 0.24  # an open neckline need not have a back
    if support.max() < needed or not good.any():
        if label is None and (dip > 0.3 * half or collar):
            return outline_curve
        unseen = CREW_DEPTH * half if label is None else label[2].max() - base[COLUMNS // 2] + BELOW_LABEL * half
        return np.stack([x, base + unseen * (1 - u**2)], 1)
    front = _front_likeness(picture[:bottom], columns, base, outline, half)
    best = _front_edge(depth / half, support, good, front)
    y = base + depth[best] * (1 - np.abs(u) ** power[best])
    return np.stack([x, _snapped(y, columns, vertical + 0.7 * horizontal, free, 0.16 * half)], 1)


def _log_lab(picture: np.ndarray) -> np.ndarray:
    """float32 HxWx3: smoothed Lab; lightness is taken to the log, since on black cloth small steps count."""
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab[..., 0] = 34 * np.log1p(lab[..., 0] / 8)
    return lab


def _front_likeness(
    picture: np.ndarray, columns: np.ndarray, base: np.ndarray, outline: np.ndarray, half: float
) -> np.ndarray:
    """bool (n,), per 0.01 half widths down the middle: colour of collar or shoulders, not of the inner back."""
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    last = np.array(lab.shape[:2]) - 1
    middle = slice(COLUMNS // 2 - 4, COLUMNS // 2 + 5)
    down = np.clip((base[COLUMNS // 2] + half * np.arange(0, DEEPEST + 0.2, 0.01)).astype(int), 0, last[0])
    profile = np.median(lab[down[:, None], columns[None, middle]], axis=1)
    rows = np.clip((outline[middle] + max(3, 0.04 * half)).astype(int), 0, last[0])
    collar = np.median(lab[rows, columns[middle]], axis=0)
    alike = np.linalg.norm(profile - collar, axis=1) < COLLAR_CLOTH
    for end, out in ((0, -1), (-1, 1)):
        x = int(np.clip(columns[end] + 0.3 * out * half, 0, last[1]))
        y = int(np.clip(base[end] + 0.3 * half, 0, last[0]))
        alike |= np.linalg.norm(profile - lab[y, x], axis=1) < SHOULDER_CLOTH
    return alike


def _front_edge(depth: np.ndarray, support: np.ndarray, good: np.ndarray, front: np.ndarray) -> int:
    """Index of the front neckline among the good curves; `depth` (n,) in half widths.

    Above it lies the back collar's seam, below it the front collar's and perhaps a stripe: from the deepest good
    edge go up to the best supported one within a collar's width that has front cloth below it, at most twice.
    """
    best = _strongest(support, good & (depth > depth[good].max() - ONE_EDGE))
    for _ in range(2):
        above = np.flatnonzero(good & (depth < depth[best] - RIB[0]) & (depth > depth[best] - RIB[1]))
        for upper in above[np.argsort(-support[above])]:
            top, bottom = int(100 * depth[upper]) + 3, int(100 * depth[best]) - 2
            if front[top : max(top + 4, (top + bottom) // 2)].mean() > 0.5:
                best = int(upper)
                break
        else:
            break
    return best


def _strongest(support: np.ndarray, among: np.ndarray) -> int:
    return int(np.argmax(np.where(among, support, -np.inf)))


def _curve_support(
    lab: np.ndarray, vertical: np.ndarray, horizontal: np.ndarray, base: np.ndarray, columns: np.ndarray,
    free: np.ndarray, half: float, least: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """(depth, power, support 0 to 1) of every curve of the family.

    Support is the mean of g / (g + 2.5) along the curve, g the colour step across it, and is up to halved where
    the steps' colours do not agree: stripes and prints step to and fro, a neckline steps one way.
    Very high and very deep curves need more of it.
    """
    u = np.linspace(-1, 1, len(base))
    depths = np.arange(least, DEEPEST * half, max(1.5, 0.012 * half))
    inner = slice(4, -4)
    reach = max(3, int(0.05 * half))
    found = []
    for power in POWERS:
        shape = 1 - np.abs(u) ** power
        slope = np.abs(np.gradient(shape, u))[None] / half * depths[:, None]
        y = base[None] + depths[:, None] * shape[None]
        inside = y[:, len(u) // 2] < vertical.shape[0] - 1
        rows = np.clip(y.astype(int), 0, vertical.shape[0] - 1)
        step = (vertical[rows, columns[None]] + horizontal[rows, columns[None]] * slope) / np.hypot(1, slope)
        step = np.where(y > free[None], step, 0)[:, inner]
        below, above = (np.clip(rows + d, 0, vertical.shape[0] - 1)[:, inner] for d in (reach, -reach))
        change = lab[below, columns[None, inner]] - lab[above, columns[None, inner]]
        agreement = np.linalg.norm(change.mean(1), axis=1) / (np.linalg.norm(change, axis=2).mean(1) + 1.0)
        support = (step / (step + 2.5)).mean(1) * (0.5 + 0.5 * agreement)
        support -= 0.09 * np.maximum(depths / half - 0.9, 0) + 0.5 * np.maximum(SHALLOW - depths / half, 0)
        found.append(np.stack([depths, np.full_like(depths, power), support])[:, inside])
    depth, power, support = np.concatenate(found, 1)
    return depth, power, support


def _snapped(y: np.ndarray, columns: np.ndarray, edges: np.ndarray, free: np.ndarray, reach: float) -> np.ndarray:
    """Move each point of a curve up or down to the edge, neighbours together (Viterbi over the columns)."""
    offsets = np.linspace(-reach, reach, 33)
    rows = np.clip((y[:, None] + offsets).astype(int), 0, edges.shape[0] - 1)
    gain = edges[rows, columns[:, None]]
    gain = gain / (gain + 3.0) - 0.15 * np.abs(offsets / reach)
    gain[rows < free[:, None]] = -0.3
    jump = 0.9 * np.abs(offsets[:, None] - offsets[None]) / reach
    total, choices = np.where(np.abs(offsets) < 0.1 * reach, 0.0, -9.0), []
    for line in gain:
        options = total[None] - jump
        choices.append(options.argmax(1))
        total = options.max(1) + line
    k, moved = int(np.argmax(total - 3 * np.abs(offsets / reach))), []
    for pick in choices[::-1]:
        moved.append(offsets[k])
        k = int(pick[k])
    return y + np.convolve(np.pad(moved[::-1], 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
