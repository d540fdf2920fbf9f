"""Holes in a cut-out where something lay before the cloth: a wearer's hand, hair, a swing tag."""

from __future__ import annotations

import cv2
import numpy as np

LARGEST, SMALLEST = 0.15, 0.0004  # of the cloth's area
HIGHEST = 0.28  # of the cloth's height: what is open above is a neck, or the loop of a strap
BETWEEN = 0.3  # of half the width off the axis: upright holes there part sleeve and body
BRIDGE = 0.03  # of the width: a slit this narrow from a hole to the ground does not make it less of a hole
COARSE = 160  # pixels: the longer side of the picture in which the cloth is continued over a hole


def with_holes_filled(rgb: np.ndarray, alpha: np.ndarray, axis: float) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 HxWx3, uint8 HxW): colours and alpha with the cloth continued over holes in an upper garment's front."""
    holes = _holes(alpha > 127, axis)
    if not holes.any():
        return rgb, alpha
    zone = cv2.dilate(holes, np.ones((9, 9), np.uint8))  # with the rim, where what lay before the cloth still shows
    soft = cv2.GaussianBlur(zone * np.float32(255), (0, 0), 1.5)
    scale = COARSE / max(alpha.shape)
    small = cv2.resize(np.where(alpha[..., None] > 127, rgb, 0), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sure = ((alpha > 250) & (zone == 0)).astype(np.float32)
    whole = cv2.resize(sure, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    painted = cv2.inpaint(small, (whole < 0.99).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    cloth = cv2.resize(painted, alpha.shape[::-1], interpolation=cv2.INTER_CUBIC)
    share = soft[..., None] / 255
    filled = (rgb * (1 - share) + cloth * share + 0.5).astype(np.uint8)
    return filled, np.maximum(alpha, np.where(holes > 0, 255, soft * (alpha > 4)).astype(np.uint8))


def _holes(cloth: np.ndarray, axis: float) -> np.ndarray:
    """uint8 HxW, 1 in holes of a mask bool HxW through which something other than the ground shows."""
    rows, columns = np.flatnonzero(cloth.any(1)), np.flatnonzero(cloth.any(0))
    width, reach = columns[-1] - columns[0], float(np.abs(columns - axis).max())
    bridge = int(BRIDGE * width) | 1
    padded = np.pad(cloth.astype(np.uint8), bridge)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (bridge, bridge)))
    count, tags, stats, centres = cv2.connectedComponentsWithStats(1 - closed, connectivity=4)
    area, highest = float(cloth.sum()), rows[0] + bridge + HIGHEST * (rows[-1] - rows[0])
    found = np.zeros_like(closed)
    for hole in range(1, count):
        _, top, across, down, size = stats[hole]
        beside = down > across and abs(centres[hole][0] - bridge - axis) > BETWEEN * reach
        if hole != tags[0, 0] and not beside and top > highest and SMALLEST * area < size < LARGEST * area:
            found[tags == hole] = 1
    # What the closing took of a hole's rim belongs to it.
    rim = cv2.dilate(found, np.ones((bridge, bridge), np.uint8)) & closed
    return ((found | rim) & (1 - padded))[bridge:-bridge, bridge:-bridge]
