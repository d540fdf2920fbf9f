"""Colours of a cut-out freed of the ground that shone through its rim."""

from __future__ import annotations

import cv2
import numpy as np

_REACH = 3  # pixels inside a rim that may still hold some of the ground
_NEARBY = 4.0  # sigma of the averages, pixels
_AROUND = 8  # pixels beyond the rim that get the cut-out's colour, for those who sample between pixels


def freed_colours(picture: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """uint8 HxWx3: `picture` (uint8 HxWx3) where `alpha` (uint8 HxW) is whole, at its rim the cut-out's own colour.

    The estimate is the blur fusion of Forte (2021): the average colour of the cut-out nearby, corrected by what
    remains of the pixel once the averages of both sides, mixed by alpha, are taken away. Few pixels beyond the rim are
    coloured too; farther out the picture is unchanged.
    """
    core = cv2.erode((alpha > 250).astype(np.uint8), _disc(_REACH))
    reach = cv2.dilate((alpha > 4).astype(np.uint8), _disc(_AROUND))
    rows, columns = np.nonzero(reach & (1 - core))
    if not len(rows) or not core.any():
        return picture.copy()
    top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    box, at = np.s_[top:bottom, left:right], (rows - top, columns - left)
    colour = picture[box].astype(np.float32)
    inner, inner_weight = _average(colour, core[box])
    outer, outer_weight = _average(colour, (alpha[box] < 4).astype(np.uint8))
    own, share = colour[at], alpha[rows, columns, None].astype(np.float32) / 255
    inner = np.where(inner_weight[at][:, None] > 1e-3, inner[at], own)
    outer = np.where(outer_weight[at][:, None] > 1e-3, outer[at], inner)
    freed = inner + share * (own - share * inner - (1 - share) * outer)
    out = picture.copy()
    out[rows, columns] = np.clip(freed + 0.5, 0, 255)
    return out


def _average(colour: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian average of float32 HxWx3 over the pixels where uint8 `where` is 1, and its weight HxW."""
    weight = cv2.GaussianBlur(where.astype(np.float32), (0, 0), _NEARBY)
    total = cv2.GaussianBlur(cv2.bitwise_and(colour, colour, mask=where), (0, 0), _NEARBY)
    return total / (weight[..., None] + 1e-6), weight


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
