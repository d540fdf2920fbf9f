"""A garment as it looks from behind: no front print, a high neckline."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from infra.viton.geometric.garment import Garment

BACK_DROP = 0.18  # depth of a back neckline, as a share of half its width


def back_of(garment: Garment) -> Garment:
    """The garment's back, made up from its front: the cloth beside the print goes on over it, and the neck closes."""
    mask = garment.alpha > 127
    neckline = _high_neckline(garment)
    open_neck = np.zeros(garment.alpha.shape, np.uint8)
    roof = np.array([[neckline[-1, 0], 0], [neckline[0, 0], 0]])
    cv2.fillPoly(open_neck, [np.rint(np.vstack([neckline, roof]) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    front_opening = (garment.back > 0) & (open_neck < 255)
    chest = _middle(garment)
    cloth = _plain_cloth(garment.rgb, mask & (garment.back == 0), chest)
    rgb = garment.rgb.copy()
    weight = cv2.GaussianBlur((chest | front_opening).astype(np.float32), (0, 0), 4)
    weight = np.maximum(weight, front_opening)[..., None]
    rgb = np.clip(rgb + (cloth - rgb) * weight, 0, 255).astype(np.uint8)
    alpha = np.where(front_opening, 255, garment.alpha).astype(np.uint8)
    return replace(garment, rgb=rgb, alpha=alpha, back=open_neck, neckline=neckline)


def _high_neckline(garment: Garment) -> np.ndarray:
    """(41, 2) shallow arc between the neck points."""
    left, right = garment.neck
    u = np.linspace(-1, 1, 41)
    x = (left[0] + right[0]) / 2 + u * (right[0] - left[0]) / 2
    y = np.interp(u, (-1, 1), (left[1], right[1])) + BACK_DROP * (right[0] - left[0]) / 2 * (1 - u**2)
    return np.stack([x, y], 1)


def _middle(garment: Garment) -> np.ndarray:
    """bool HxW: where prints, buttons and collars are: between the armholes, from the neck to near the hem."""
    hem = float(garment.sides[:, -1, 1].mean())
    top, bottom = float(garment.neck[:, 1].min()), hem
    left, right = garment.armpit[:, 0]
    y, x = np.mgrid[: garment.alpha.shape[0], : garment.alpha.shape[1]]
    margin = 0.10 * (right - left)
    return (x > left + margin) & (x < right - margin) & (y > top) & (y < top + 0.92 * (bottom - top))


def _plain_cloth(rgb: np.ndarray, cloth: np.ndarray, chest: np.ndarray) -> np.ndarray:
    """float32 HxWx3: each row's cloth from beside the chest carried across it, so that level stripes go on."""
    beside = (cloth & ~chest).astype(np.float32)
    weight = beside.sum(1)
    rows = (rgb * beside[..., None]).sum(1) / np.maximum(weight, 1)[:, None]
    known = weight > 12
    index = np.arange(len(rows))
    if known.sum() > 2:
        rows = np.stack([np.interp(index, index[known], rows[known, c]) for c in range(3)], 1)
    return np.repeat(rows[:, None].astype(np.float32), rgb.shape[1], 1)
