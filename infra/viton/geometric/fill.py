"""Filling holes in a photo from what surrounds them: smooth colour, background with its texture, grain."""

from __future__ import annotations

import cv2
import numpy as np

# Offsets at which a textured background may be copied, as shares of the picture's width and height; the background's
# own periods are tried as well.
_SHIFTS = [
    (dx, dy)
    for dy in (0.0, -0.06, 0.06, -0.15, 0.15)
    for dx in (-0.36, -0.26, -0.17, -0.09, 0.0, 0.09, 0.17, 0.26, 0.36)
    if (dx, dy) != (0.0, 0.0)
]
FLATTEST = 35  # percentile of the detail seen that is grain; the rest is texture
_PERIODS = 10  # how many of the background's periods are tried
_DOUBT = 90.0  # mismatch, in grey levels summed over the colours, of a shift that nothing speaks for
_RELIT = 12.0  # grey levels by which a copy's brightness follows the place where it lands
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
    if known.sum() < 200:
        return np.zeros(known.shape, np.float32)
    tile = cv2.GaussianBlur(np.random.default_rng(7).standard_normal((256, 256)).astype(np.float32), (0, 0), 0.7)
    green = photo[..., 1].astype(np.float32)
    level = np.percentile(np.abs(green - cv2.blur(green, (3, 3)))[known], FLATTEST)
    tile *= level / np.percentile(np.abs(tile - cv2.blur(tile, (3, 3))), 50)
    height, width = known.shape
    return np.tile(tile, (height // 256 + 1, width // 256 + 1))[:height, :width]


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
    """float32 HxWx3: `photo` copied from the translation that fits best around each part of the hole."""
    height, width = hole.shape
    step = 4
    size = (width // step, height // step)
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    seen = (cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99).astype(np.uint8)
    ring = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    ring = (cv2.dilate(ring, np.ones((9, 9), np.uint8)) & seen).astype(np.float32)
    best = np.full(seen.shape, np.inf, np.float32)
    choice = np.zeros(seen.shape, np.uint8)
    shifts = [(round(dx * size[0]), round(dy * size[1])) for dx, dy in _SHIFTS] + _periods(small, seen)
    for k, (dx, dy) in enumerate(shifts):
        move = np.float32([[1, 0, dx], [0, 1, dy]])
        shifted = cv2.warpAffine(small, move, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        there = cv2.warpAffine(seen, move, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        weight = ring * there
        off = cv2.absdiff(shifted, small).sum(2) * weight
        near, near_weight = cv2.GaussianBlur(off, (0, 0), 5), cv2.GaussianBlur(weight, (0, 0), 5)
        cost = (near + _DOUBT * 2e-3) / (near_weight + 2e-3) + 0.05 * np.hypot(dx, dy) + 1e4 * (there == 0)
        better = cost < best
        best[better] = cost[better]
        choice[better] = k
    chosen = np.float32(shifts)[cv2.medianBlur(choice, 5)] * step
    offset = cv2.resize(chosen, (width, height), interpolation=cv2.INTER_NEAREST)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    source_x, source_y = x + offset[..., 0], y + offset[..., 1]
    copied = cv2.remap(photo, source_x, source_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    base = cv2.remap(smooth, source_x, source_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    reachable = cv2.resize((best < 1e3).astype(np.float32), (width, height))[..., None]
    relit = copied + np.clip(smooth - base, -_RELIT, _RELIT)
    return smooth + (relit - smooth) * reachable


def _periods(small: np.ndarray, seen: np.ndarray) -> list[tuple[int, int]]:
    """Shifts x, y under which the seen part of float32 HxWx3 repeats itself best: peaks of its autocorrelation."""
    grey = small.mean(2)
    grey = (grey - cv2.blur(grey * seen, (25, 25)) / (cv2.blur(seen.astype(np.float32), (25, 25)) + 1e-3)) * seen
    power, count = (np.fft.irfft2(np.abs(np.fft.rfft2(v)) ** 2, v.shape) for v in (grey, seen.astype(np.float32)))
    height, width = seen.shape
    score = np.where(count > 0.15 * seen.sum(), power / np.maximum(count, 1), -np.inf)
    score = np.fft.fftshift(score)
    centre_y, centre_x = height // 2, width // 2
    peaks = []
    cv2.circle(score, (centre_x, centre_y), 6, -np.inf, -1)
    for _ in range(_PERIODS):
        y, x = np.unravel_index(int(score.argmax()), score.shape)
        if not np.isfinite(score[y, x]):
            break
        peaks.append((int(x) - centre_x, int(y) - centre_y))
        cv2.circle(score, (int(x), int(y)), 3, -np.inf, -1)
    return peaks
