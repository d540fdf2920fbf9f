"""Splitting a cut-out into alphas: torso and sleeves, or hips and legs."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.strip import Strip

OVERLAP = 0.05  # of the chest's width: torso and sleeve share this much cloth beyond the armhole
FADE = 28  # rows over which the hips give way to the legs
FRILL = 0.03  # of the chest's width: cloth beyond a strip's edges and cuff that still belongs to it


def sleeve_alphas(
    alpha: np.ndarray, back: np.ndarray, axis: float, shoulder: np.ndarray, armpit: np.ndarray, sides: np.ndarray,
    sleeves: tuple[Strip | None, Strip | None],
) -> tuple[np.ndarray, tuple[np.ndarray | None, np.ndarray | None]]:  # fmt: skip
    """uint8 HxW alpha of the torso without the inner back, and of each sleeve.

    Both hold the cloth beside the armhole, `OVERLAP` wide: the sleeve lies on the torso's cloth there.
    """
    chest = max(float(armpit[1, 0] - armpit[0, 0]), 8.0)
    overlap = max(3.0, OVERLAP * chest)
    torso = alpha.astype(np.float32) * (1 - back.astype(np.float32) / 255)
    parts: list[np.ndarray | None] = [None, None]
    y, x = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
    for side, strip in enumerate(sleeves):
        if strip is None:
            continue
        beyond = _beyond_armhole(x, y, shoulder[side], armpit[side], 1 if side == 0 else -1)
        inner = _torso_zone(alpha.shape, axis, shoulder[side], armpit[side], sides[side])
        own = _filled(alpha.shape, np.vstack([strip.outer, strip.inner[::-1]]))
        zone = _sleeve_zone(own, strip, inner, max(3, int(FRILL * chest)), int(overlap))
        above = y <= armpit[side][1]  # a hanging sleeve crosses the armhole's line below the armpit
        fade = np.where(above, np.clip(1 + beyond / overlap, 0, 1), 1)
        parts[side] = (alpha * zone * fade * (1 - back / 255.0)).astype(np.uint8)
        # At its ends the overlap would stand out over the shoulder's slope and under a lifted arm.
        down = (y - shoulder[side][1]) / max(armpit[side][1] - shoulder[side][1], 1)
        reach = overlap * np.clip(3 * np.minimum(down, 1 - down), 0, 1)
        under = np.where(above, np.clip((reach - beyond) / (0.3 * overlap), 0, 1), 0) * zone
        wide = cv2.dilate(inner, np.ones((7, 7), np.uint8)) & (1 - (own & (1 - inner)))
        soft = cv2.GaussianBlur(wide.astype(np.float32), (0, 0), 1.5)
        half = x <= axis if side == 0 else x >= axis
        torso *= np.where(half, np.maximum(soft, under), 1)
    return np.clip(torso, 0, 255).astype(np.uint8), (parts[0], parts[1])


def _beyond_armhole(x: np.ndarray, y: np.ndarray, shoulder: np.ndarray, armpit: np.ndarray, out: int) -> np.ndarray:
    """float HxW: how far each pixel lies beyond the line from shoulder to armpit, on the sleeve's side."""
    line = armpit - shoulder
    length = max(float(np.hypot(*line)), 1.0)
    return out * ((x - shoulder[0]) * -line[1] + (y - shoulder[1]) * line[0]) / length


def _filled(shape: tuple[int, int], outline: np.ndarray) -> np.ndarray:
    """uint8 HxW, 1 inside a polygon (n, 2)."""
    return cv2.fillPoly(np.zeros(shape, np.uint8), [np.rint(outline).astype(np.int32)], 1)


def _sleeve_zone(own: np.ndarray, strip: Strip, torso: np.ndarray, frill: int, overlap: int) -> np.ndarray:
    """float32 HxW: the strip with what frills stand off it, and with the torso's cloth beside the armhole only."""
    wide = cv2.dilate(own, np.ones((2 * frill + 1, 2 * frill + 1), np.uint8)) & (1 - torso)
    root = np.rint(np.stack([strip.outer[0], strip.inner[0]])).astype(np.int32)
    seam = cv2.line(np.zeros_like(torso), *(tuple(p.tolist()) for p in root), 1, 2 * overlap)
    # Below the armpit the torso's cloth is not the sleeve's, however near it lies.
    seam[root[1, 1] :] &= 1 - torso[root[1, 1] :]
    return cv2.blur((own | wide | seam).astype(np.float32), (3, 3))


def _torso_zone(
    shape: tuple[int, int], axis: float, shoulder: np.ndarray, armpit: np.ndarray, side: np.ndarray
) -> np.ndarray:
    """uint8 HxW, 0 or 1: the torso's side of armhole and side seam."""
    low, tail = side[-1], 0.1 * shape[0]
    corners = [shoulder, armpit, *side, (low[0], low[1] + tail), (axis, low[1] + tail), (axis, 0), (shoulder[0], 0)]
    return _filled(shape, np.array(corners))


def leg_alphas(
    alpha: np.ndarray, axis: float, legs: tuple[Strip | None, Strip | None]
) -> tuple[np.ndarray, tuple[np.ndarray | None, np.ndarray | None]]:
    """uint8 HxW alpha of the hips, fading into the legs below, and of each leg with some cloth under that fade."""
    if legs[0] is None or legs[1] is None:
        return alpha, (None, None)
    seam = float(legs[0].outer[0, 1])
    ramp = np.clip((seam + 6 - np.arange(alpha.shape[0])) / FADE, 0, 1)
    hips = (alpha * ramp[:, None]).astype(np.uint8)
    middle, strips = int(round(axis)), []
    for side, leg in enumerate(legs):
        zone = 255 * _filled(alpha.shape, np.vstack([leg.outer, leg.inner[::-1]]))
        zone = cv2.dilate(zone, np.ones((7, 7), np.uint8))
        half = slice(None, middle) if side == 0 else slice(middle, None)
        zone[max(0, int(seam) - 2 * FADE) : int(seam), half] = 255
        strips.append(np.minimum(alpha, zone))
    return hips, (strips[0], strips[1])
