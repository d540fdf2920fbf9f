"""Labels sewn into the inner back of a garment: they tell where the back is, and none of them is worn outside."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.garment_outline import first_row

NOTCH_WIDTH, NOTCH_HEIGHT = 0.2, (0.02, 0.07)  # of the garment's width: a notch this large in the top edge's middle ...
NOTCH_SQUARE = 0.8  # ... is a white label that went with the ground, if near its floor it is this wide still
# A white label sewn into a dark back: 8-bit Lab lightness, its contrast to what surrounds it, and 8-bit colourfulness.
WHITE, WHITE_CONTRAST, WHITE_CHROMA = 170, 80, 14
WHITE_WIDTH, WHITE_ASPECT, WHITE_LOWEST = (0.25, 1.3), (1.2, 4.5), 1.7  # half widths; width over height; half widths
WHITE_SQUARE, WHITE_OFF = 0.7, 0.25  # of its box; half widths off the middle
LABEL_DROP, LABEL_COLUMNS = 0.14, 11  # half widths below the neckline; of its 41 columns to either side
LABEL_WIDTH, LABEL_OFF = 0.75, 0.15  # of the columns looked at: what is wider, or less in the middle, is a pattern
LABEL_CONTRAST = 22.0  # Lab


def with_label_filled(mask: np.ndarray, axis: float) -> tuple[np.ndarray, np.ndarray | None]:
    """The mask bool HxW without the square notch that a white label leaves in the inner back, and the notch's floor.

    The floor is (3, n), x, y and y once more; None where there is no such notch.
    """
    columns = np.arange(*np.flatnonzero(mask.any(0))[[0, -1]])
    width = len(columns)
    top = np.array([first_row(mask[:, x]) for x in columns], np.float32)
    across = np.ones((1, int(NOTCH_WIDTH * width) | 1), np.uint8)
    brim = cv2.morphologyEx(top[None], cv2.MORPH_OPEN, across, borderType=cv2.BORDER_REPLICATE)[0]
    depth = np.where(np.abs(columns - axis) < NOTCH_WIDTH * width, top - brim, 0)
    height = float(depth.max(initial=0))
    if not NOTCH_HEIGHT[0] * width < height < NOTCH_HEIGHT[1] * width:
        return mask, None
    notch = np.flatnonzero(depth > 0.5 * height)
    square = (depth > 0.8 * height).sum() > NOTCH_SQUARE * (notch[-1] - notch[0] + 1)
    if not square or abs(columns[notch].mean() - axis) > 0.25 * NOTCH_WIDTH * width:
        return mask, None
    filled = mask.copy()
    for k in np.flatnonzero(depth > 1):
        filled[int(brim[k]) : int(top[k]), columns[k]] = True
    return filled, np.stack([columns[notch], top[notch], top[notch]])


def white_label(picture: np.ndarray, neck: np.ndarray) -> np.ndarray | None:
    """(3, n) x, upper and lower y of a white label inside a dark garment, between and below its neck points.

    Its upper edge is sewn to the back; its lower may hang over the front.
    """
    half = max((neck[1, 0] - neck[0, 0]) / 2, 4.0)
    x, y = neck.mean(0)
    x0, x1 = int(max(x - half, 0)), int(min(x + half, picture.shape[1]))
    y0, y1 = int(max(y, 0)), int(min(y + WHITE_LOWEST * half, picture.shape[0]))
    if x1 - x0 < 8 or y1 - y0 < 8:
        return None
    lab = cv2.cvtColor(picture[y0:y1, x0:x1], cv2.COLOR_RGB2LAB).astype(np.int16)
    white = (lab[..., 0] > WHITE) & (np.abs(lab[..., 1:] - 128).max(2) < WHITE_CHROMA)
    white = cv2.morphologyEx(white.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, tags, stats, centres = cv2.connectedComponentsWithStats(white)
    for tag, (left, top, width, height, area) in enumerate(stats[1:], 1):
        fits = WHITE_WIDTH[0] < width / half < WHITE_WIDTH[1] and WHITE_ASPECT[0] < width / height < WHITE_ASPECT[1]
        central = abs(centres[tag][0] + x0 - x) < WHITE_OFF * half
        inside = top > 0 and top + height < y1 - y0
        if not (fits and central and inside and area > WHITE_SQUARE * width * height):
            continue
        own = tags == tag
        around = cv2.dilate(own.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        if np.median(lab[own, 0]) - np.median(lab[around & ~own, 0]) > WHITE_CONTRAST:
            columns = np.arange(left, left + width)
            edges = np.full(width, y0 + top), np.full(width, y0 + top + height)
            return np.stack([x0 + columns, *edges]).astype(np.float64)
    return None


def painted_over(rgb: np.ndarray, label: np.ndarray) -> np.ndarray:
    """uint8 HxWx3: the colours with a `white_label` replaced by what surrounds it, wherever the neckline cuts it."""
    grow = max(3, int(0.15 * np.ptp(label[1:])))
    left, right = int(label[0, 0]) - grow, int(label[0, -1]) + grow + 1
    top, bottom = int(label[1].min()) - grow, int(label[2].max()) + grow + 1
    margin = 2 * grow
    window = np.s_[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin]
    spot = np.zeros(rgb.shape[:2], np.uint8)
    spot[max(top, 0) : bottom, max(left, 0) : right] = 1
    out = rgb.copy()
    out[window] = cv2.inpaint(np.ascontiguousarray(rgb[window]), spot[window], 3, cv2.INPAINT_TELEA)
    return out


def without_label(rgb: np.ndarray, alpha: np.ndarray, neckline: np.ndarray) -> np.ndarray:
    """The colours with what hangs over the neckline's middle painted over: a label's lower end on the collar."""
    half = max((neckline[-1, 0] - neckline[0, 0]) / 2, 4.0)
    middle = neckline[len(neckline) // 2 - LABEL_COLUMNS : len(neckline) // 2 + LABEL_COLUMNS + 1]
    x0, x1 = (int(np.clip(middle[k, 0], 1, alpha.shape[1] - 2)) for k in (0, -1))
    y0 = int(max(middle[:, 1].min() - 0.1 * half, 0))
    y1 = int(min(middle[:, 1].max() + 2 * LABEL_DROP * half, alpha.shape[0]))
    if x1 - x0 < 6 or y1 - y0 < 4:
        return rgb
    window = np.s_[y0:y1, x0:x1]
    lab = cv2.cvtColor(rgb[window].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    line = np.interp(np.arange(x0, x1), middle[:, 0], middle[:, 1])
    below = np.arange(y0, y1)[:, None] - line
    collar = (below > 0) & (below < LABEL_DROP * half) & (alpha[window] > 250)
    if collar.sum() < 30:
        return rgb
    off = np.linalg.norm(lab - np.median(lab[collar], axis=0), axis=2) > LABEL_CONTRAST
    _, tags = cv2.connectedComponents((off & collar).astype(np.uint8))
    # A label comes over the line in its middle and ends to both sides; stripes and prints come anywhere or go on.
    over = np.setdiff1d(np.unique(tags[off & collar & (below < 3)]), np.unique(tags[:, [0, -1]]))
    if not len(over):
        return rgb
    odd = tags == over[np.argmax(np.bincount(tags.ravel())[over])]
    columns = np.flatnonzero(odd.any(0)) / (x1 - x0) - 0.5
    if columns[-1] - columns[0] > LABEL_WIDTH or abs(columns[[0, -1]].mean()) > LABEL_OFF:
        return rgb
    label = cv2.dilate(odd.astype(np.uint8), np.ones((5, 5), np.uint8))
    label[(below < -4) | (alpha[window] < 200)] = 0
    out = rgb.copy()
    # Only from below and beside: above the line lies the label itself.
    reach = np.where(below < 0, 1, label).astype(np.uint8)
    painted = cv2.inpaint(np.ascontiguousarray(rgb[window]), reach, 3, cv2.INPAINT_TELEA)
    out[window][label > 0] = painted[label > 0]
    return out
