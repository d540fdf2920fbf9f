"""A region cut along the picture's edges (GrabCut, Rother et al. 2004), for grounds that colour alone cannot tell."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.masking.subjects.islands import keep_large

_SIZE = 512  # longer side of the first, free cut
_REACH = 6  # pixels either side of it that the second cut, at full size, may move
_MARGIN = 0.02  # of the longer side: how far the certain areas keep off the probability's border
_SURE, _NEVER = 0.97, 0.03


def cut(picture: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Alpha uint8 HxW of uint8 HxWx3 RGB from a rough probability, float32 0 to 1 of any size."""
    height, width = picture.shape[:2]
    rough = _first_cut(picture, probability)
    if not rough.any():
        full = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.round(255 * np.clip(full, 0, 1)).astype(np.uint8)
    first = cv2.resize(rough.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    first = (first > 0.5).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(first)
    window = np.s_[max(y - 24, 0) : y + h + 24, max(x - 24, 0) : x + w + 24]
    part = np.ascontiguousarray(picture[window])
    second = keep_large(_grab_cut(part, _trimap(first[window] > 0, first[window], first[window], _REACH), 1), 0.02)
    guided = cv2.ximgproc.guidedFilter(part, second.astype(np.float32), 4, 1e-4 * 255**2)
    alpha = np.zeros((height, width), np.uint8)
    alpha[window] = np.round(255 * np.clip(1.5 * guided - 0.25, 0, 1))
    return alpha


def _first_cut(picture: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """uint8 hxw, 0 or 1, longer side 512."""
    scale = _SIZE / max(picture.shape[:2])
    size = tuple(max(8, round(side * scale)) for side in picture.shape[1::-1])
    rough = cv2.resize(probability, size, interpolation=cv2.INTER_AREA)
    sure, possible = ((rough > least).astype(np.uint8) for least in (_SURE, _NEVER))
    trimap = _trimap(rough > 0.5, sure, possible, round(_MARGIN * _SIZE))
    return _grab_cut(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), trimap, 3)


def _trimap(likely: np.ndarray, sure: np.ndarray, possible: np.ndarray, margin: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    trimap = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[cv2.erode(sure, disc) > 0] = cv2.GC_FGD
    trimap[cv2.dilate(possible, disc) == 0] = cv2.GC_BGD
    return trimap


def _grab_cut(picture: np.ndarray, trimap: np.ndarray, rounds: int) -> np.ndarray:
    """GrabCut of a prepared trimap -> uint8, 0 or 1; the trimap's own guess where one side is missing."""
    if (trimap == cv2.GC_FGD).any() and (trimap == cv2.GC_BGD).any():
        cv2.setRNGSeed(0)  # its colour models start at random
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(picture, trimap, None, *models, rounds, cv2.GC_INIT_WITH_MASK)
    return trimap & 1
