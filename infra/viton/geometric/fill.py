"""Filling holes in a photo from what surrounds them: smooth colour, background with its texture, grain."""

from __future__ import annotations

import cv2
import numpy as np

# Offsets tried when a textured background is copied, as shares of the picture's width and height.
_SHIFTS = [
    (dx, dy)
    for dy in (-0.25, -0.14, -0.07, 0.0, 0.07, 0.14, 0.25)
    for dx in (-0.34, -0.24, -0.16, -0.1, -0.06, 0.0, 0.06, 0.1, 0.16, 0.24, 0.34)
    if (dx, dy) != (0.0, 0.0)
]
_TEXTURED = 3.2  # grey levels: spread about the local mean above which a background is more than a gradient and grain


def local_mean(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of `values` (H, W, C) near each pixel where `weight` > 0, however far that is; float32.

    Normalised convolution at an eighth of the size; wider windows count only where narrower see nothing.
    """
    height, width = weight.shape
    size = (max(1, width // 8), max(1, height // 8))
    coarse_weight = np.ascontiguousarray(weight[::2, ::2], np.float32)
    total = cv2.resize(coarse_weight, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(values[::2, ::2] * coarse_weight[..., None], size, interpolation=cv2.INTER_AREA)
    out, out_weight = np.zeros_like(sums), np.zeros_like(total)
    for k in range(3):
        share = 1e-3**k
        s = max(sigma / 8, 0.6)
        grown, grown_weight = cv2.GaussianBlur(sums, (0, 0), s), cv2.GaussianBlur(total, (0, 0), s)
        out += share * cv2.resize(grown, size)
        out_weight += share * cv2.resize(grown_weight, size)
        quarter = (max(1, sums.shape[1] // 4), max(1, sums.shape[0] // 4))
        sums, total = (cv2.resize(x, quarter, interpolation=cv2.INTER_AREA) for x in (grown, grown_weight))
    return cv2.resize(out / (out_weight[..., None] + 1e-12), (width, height))


def grain(photo: np.ndarray, known: np.ndarray) -> np.ndarray:
    """float32 HxW brightness noise as strong as the photo's where `known`: what a smooth fill lacks."""
    detail = photo[..., 1].astype(np.int16) - cv2.blur(photo[..., 1], (3, 3))
    level = np.median(np.abs(detail[known])) if known.sum() > 200 else 0.0
    rng = np.random.default_rng(7)
    tile = cv2.GaussianBlur(rng.standard_normal((256, 256)).astype(np.float32), (0, 0), 0.7)
    height, width = known.shape
    repeats = (height // 256 + 1, width // 256 + 1)
    return np.tile(tile * (2.0 * float(level)), repeats)[:height, :width]


def fill_background(photo: np.ndarray, known: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """float32 HxWx3: the background carried on into `hole`; right only there.

    Smooth backgrounds are interpolated; textured ones are copied from beside, so that what joins at the hole's rim
    fits best ("shift map": each pixel takes one of a few translations, He and Sun 2012, chosen by the rim's mismatch).
    """
    smooth = local_mean(photo, known.astype(np.float32), 14)
    if not hole.any():
        return smooth
    around = cv2.dilate(hole.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
    ring = around & known
    if ring.sum() < 400:
        return smooth
    spread = np.abs(photo[ring].astype(np.float32) - smooth[ring]).mean()
    if spread < _TEXTURED:
        return smooth + grain(photo, ring)[..., None]
    return _shifted(photo, known, hole, smooth)


def _shifted(photo: np.ndarray, known: np.ndarray, hole: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    height, width = hole.shape
    step = 4
    small = cv2.resize(photo, (width // step, height // step), interpolation=cv2.INTER_AREA).astype(np.float32)
    size = small.shape[1::-1]
    seen = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99
    ring = (cv2.dilate(hole[::step, ::step].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)[: size[1], : size[0]]
    ring = (ring & seen).astype(np.float32)
    best = np.full(seen.shape, np.inf, np.float32)
    choice = np.zeros((*seen.shape, 2), np.float32)
    for dx, dy in _SHIFTS:
        move = np.float32([[1, 0, round(dx * size[0])], [0, 1, round(dy * size[1])]])
        shifted = cv2.warpAffine(small, move, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        there = cv2.warpAffine(seen.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        weight = ring * there
        off = np.abs(shifted - small).sum(2) * weight
        near, near_weight = cv2.GaussianBlur(off, (0, 0), 6), cv2.GaussianBlur(weight, (0, 0), 6)
        cost = (near + 1e-3) / (near_weight + 1e-4) + 0.05 * abs(dx * size[0]) + 1e4 * (there == 0)
        better = cost < best
        best[better] = cost[better]
        choice[better] = move[:, 2]
    offset = cv2.resize(choice, (width, height), interpolation=cv2.INTER_NEAREST) * step
    y, x = np.mgrid[:height, :width].astype(np.float32)
    source_x, source_y = x + offset[..., 0], y + offset[..., 1]
    copied = cv2.remap(photo, source_x, source_y, cv2.INTER_NEAREST).astype(np.float32)
    base = cv2.remap(smooth, source_x, source_y, cv2.INTER_NEAREST)
    reachable = cv2.resize((best < 1e3).astype(np.float32), (width, height))[..., None]
    # The copy keeps its detail and takes the brightness of where it lands.
    return smooth + (copied - base) * reachable
