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
FLATTEST = 10, 15  # percentiles of the detail seen and of the noise made that are set equal: the rest is texture
GRAINIEST = 3.0  # grey levels, mean: a fill is never grainier
_PERIODS = 10  # how many of the background's periods are tried
_DOUBT = 90.0  # mismatch, in grey levels summed over the colours, of a shift that nothing speaks for
_PATCHES = 6  # different translations that one hole is filled from, at most
_WIDER = 0.1  # weight of the rim up to 120 pixels away against that within 20
_UNREACHABLE = 1e3
_MISFIT = 110.0, 190.0  # mismatch from which copies give way to smooth colour, and where nothing of them is left
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
    level = np.percentile(np.abs(green - cv2.blur(green, (3, 3)))[known], FLATTEST[0])
    level /= np.percentile(np.abs(tile - cv2.blur(tile, (3, 3))), FLATTEST[1])
    tile *= min(level, GRAINIEST / float(np.abs(tile).mean()))
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
    shifts = [(round(dx * size[0]), round(dy * size[1])) for dx, dy in _SHIFTS] + _periods(small, seen)
    costs = np.stack([_mismatch(small, seen, ring, shift) for shift in shifts])
    target = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    used = np.bincount(costs.argmin(0)[target], minlength=len(shifts))
    used = np.argsort(-used)[: min(_PATCHES, int((used > 0).sum()))]
    if not len(used):
        return smooth
    choice, best = costs[used].argmin(0), costs[used].min(0)
    y, x = np.nonzero(hole)
    copied, total = np.zeros((len(y), 3), np.float32), np.full((len(y), 1), 1e-6, np.float32)
    for k, shift in enumerate(used):
        share = cv2.GaussianBlur(((choice == k) & (best < _UNREACHABLE)).astype(np.float32), (0, 0), 1.5)
        share = cv2.resize(share, (width, height))[y, x]
        from_x, from_y = x + shifts[shift][0] * step, y + shifts[shift][1] * step
        at = (share > 0.02) & (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
        at[at] = known[from_y[at], from_x[at]]
        at, from_x, from_y = np.flatnonzero(at), from_x[at], from_y[at]
        relit = photo[from_y, from_x] + np.clip(smooth[y[at], x[at]] - smooth[from_y, from_x], -_RELIT, _RELIT)
        copied[at] += share[at, None] * relit
        total[at] += share[at, None]
    fits = np.clip((_MISFIT[1] - best) / (_MISFIT[1] - _MISFIT[0]), 0, 1).astype(np.float32)
    trust = cv2.resize(cv2.GaussianBlur(fits, (0, 0), 2), (width, height))[y, x, None] * np.minimum(total, 1)
    filled = smooth.copy()
    filled[y, x] += (copied / total - smooth[y, x]) * trust
    return filled


def _mismatch(small: np.ndarray, seen: np.ndarray, ring: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """float32 HxW: how badly `small`, copied from `shift` (x, y) away, continues the hole's rim near each pixel."""
    move = np.float32([[1, 0, shift[0]], [0, 1, shift[1]]])
    size = seen.shape[::-1]
    shifted = cv2.warpAffine(small, move, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    there = cv2.warpAffine(seen, move, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    weight = ring * there
    off = cv2.transform(cv2.absdiff(shifted, small), np.ones((1, 3), np.float32)) * weight
    near, near_weight = cv2.GaussianBlur(off, (0, 0), 5), cv2.GaussianBlur(weight, (0, 0), 5)
    near += _WIDER * cv2.blur(off, (61, 61))
    near_weight += _WIDER * cv2.blur(weight, (61, 61))
    return (near + _DOUBT * 2e-3) / (near_weight + 2e-3) + 0.05 * np.hypot(*shift) + _UNREACHABLE * 10 * (there == 0)


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
