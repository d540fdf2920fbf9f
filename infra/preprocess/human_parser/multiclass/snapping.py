"""Borders between labels, a network cell wide, move to the picture's edges."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import SKIN, Cihp

_KERNEL = np.ones((3, 3), np.uint8)
_OUTSIDE = 99
_REACH = 4  # pixels at full size that a border may move


def snapped(picture: np.ndarray, labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Labels (uint8 HxW) certain away from every border and flooded from there to the edges of ``picture``.

    Parts of skin meet without an edge: between them the skeleton's border stays. 0 outside ``inside`` (bool HxW).
    """
    is_skin = np.isin(labels, SKIN)
    matter = np.where(is_skin, np.uint8(Cihp.TORSO_SKIN), labels)
    seeds = np.where(inside, matter, 0).astype(np.int32)
    seeds[cv2.dilate(matter, _KERNEL, iterations=_REACH) != cv2.erode(matter, _KERNEL, iterations=_REACH)] = 0
    seeds[~inside] = _OUTSIDE
    flooded = cv2.watershed(cv2.bilateralFilter(picture, 5, 20, 3), seeds)
    out = np.where((flooded > 0) & (flooded < _OUTSIDE), flooded, 0).astype(np.uint8)
    for _ in range(3):
        out = np.where((out == 0) & inside, cv2.dilate(out, _KERNEL), out)
    out = cv2.medianBlur(out, 5)
    part = np.where(is_skin, labels, 0).astype(np.uint8)
    for _ in range(2 * _REACH):
        part = np.where(part == 0, cv2.dilate(part, _KERNEL), part)
    return np.where(inside, np.where((out == Cihp.TORSO_SKIN) & (part > 0), part, out), 0).astype(np.uint8)
