"""Peaks of the heat maps: where a key point may be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from infra.preprocess.pose_estimation.openpose.maps import STRIP, Axis, upsampled

MOST_PEAKS = 127  # of one part, as OpenPose's buffers hold them; later ones are left out
CENTROID_REACH = 3  # net pixels: OpenPose takes the centroid of the 7x7 around a peak
# Neighbours of a pixel (down, across) besides those above and below it
_FOUR = ((0, -1), (0, 1))
_EIGHT = (*_FOUR, (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Peaks:
    """N peaks, sorted by part, then by row and column: `part` (int) of `parts`, `x` and `y` in pixels of the upsampled
    map (int, or float32 once moved to centroids), `score` the map's value there (float32)."""

    part: np.ndarray
    x: np.ndarray
    y: np.ndarray
    score: np.ndarray
    parts: int

    @cached_property
    def starts(self) -> np.ndarray:
        """Of each part its first peak, and then the number of all."""
        return np.searchsorted(self.part, np.arange(self.parts + 1))


def strict_peaks(heat: np.ndarray, rows: Axis, columns: Axis, threshold: float) -> Peaks:
    """Pixels above the threshold and above all eight neighbours, none on the map's border: OpenPose on CUDA."""
    return _peaks(heat, rows, columns, threshold, strict=True)


def flat_peaks(heat: np.ndarray, rows: Axis, columns: Axis, threshold: float) -> Peaks:
    """Pixels above the threshold and not below any of four neighbours, which are 0 outside: OpenPose's port."""
    return _peaks(heat, rows, columns, threshold, strict=False)


def _peaks(heat: np.ndarray, rows: Axis, columns: Axis, threshold: float, strict: bool) -> Peaks:
    """`heat` is float32, parts x h x w."""
    wide = heat @ columns.matrix.T
    nothing = np.zeros(0, int)
    found = [(nothing, nothing, nothing, np.zeros(0, np.float32))]
    room = [MOST_PEAKS] * len(heat)
    for part, *strip in _promising(heat, rows, columns, threshold):  # part by part and from the top
        if room[part]:
            y, x, value = (each[: room[part]] for each in _peaks_of_strip(wide[part], rows, *strip, threshold, strict))
            room[part] -= len(y)
            found.append((np.full(len(y), part), y, x, value))
    part, y, x, score = (np.concatenate(each) for each in zip(*found))
    return Peaks(part, x, y, score, len(heat))


def _promising(heat: np.ndarray, rows: Axis, columns: Axis, threshold: float) -> list[tuple[int, int, int, int]]:
    """Part, strip of rows, and the columns (first, end) beyond which no value of the strip is above the threshold.

    A value is a weighted sum of few cells, so that one of them must be large.
    """
    least = threshold / (np.abs(rows.matrix).sum(1).max() * np.abs(columns.matrix).sum(1).max())
    large = np.abs(heat) > least
    cells = rows.strips.first[:, None] + np.arange(rows.strips.weights.shape[-1])
    hot = large[:, cells].any(2)
    part, strip = np.nonzero(hot.any(2))
    first = columns.reach[0][hot[part, strip].argmax(1)]
    end = columns.reach[1][heat.shape[2] - 1 - hot[part, strip, ::-1].argmax(1)] + 1
    return list(zip(*(each.tolist() for each in (part, strip, first, end))))


def _peaks_of_strip(
    wide: np.ndarray, rows: Axis, strip: int, first: int, end: int, threshold: float, strict: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, x and value of the peaks, by rows."""
    left, right = max(first - 1, 0), min(end + 1, wide.shape[1])
    weights, cell = rows.strips.weights[strip], rows.strips.first[strip]
    # A column of zeros more on either side; above and below the map the weights make such rows.
    values = np.zeros((len(weights), right - left + 2), np.float32)
    np.matmul(weights, wide[cell : cell + weights.shape[1], left:right], out=values[:, 1:-1])
    exceeds = np.greater if strict else np.greater_equal
    here = values[1:-1]
    stride = values.shape[1]
    index = np.flatnonzero((here > threshold) & exceeds(here, values[:-2]) & exceeds(here, values[2:])) + stride
    flat = values.reshape(-1)
    beside = [down * stride + across for down, across in (_EIGHT if strict else _FOUR)]
    index = index[exceeds(flat[index, None], flat[index[:, None] + beside]).all(1)]
    y, x, value = index // stride + strip * STRIP - 1, index % stride + left - 1, flat[index]
    rim = 1 if strict else 0
    inside = (y >= rim) & (x >= rim) & (y < rows.pixels - rim) & (x < wide.shape[1] - rim)
    return y[inside], x[inside], value[inside]


def centroids(heat: np.ndarray, rows: Axis, columns: Axis, peaks: Peaks) -> Peaks:
    """The peaks moved to the centroid, below the pixel, of the map's positive values around them."""
    length = 2 * CENTROID_REACH + 1
    offsets = np.arange(-CENTROID_REACH, CENTROID_REACH + 1, dtype=np.float32)
    down = rows.windows(peaks.y - CENTROID_REACH, length)
    across = columns.windows(peaks.x - CENTROID_REACH, length)
    around = np.maximum(upsampled(heat, peaks.part, down, across), 0)
    total = around.sum((1, 2))
    x = peaks.x + around.sum(1) @ offsets / total
    y = peaks.y + around.sum(2) @ offsets / total
    return Peaks(peaks.part, x.astype(np.float32), y.astype(np.float32), peaks.score, peaks.parts)


def scored_by(heat: np.ndarray, rows: Axis, columns: Axis, peaks: Peaks) -> Peaks:
    """The peaks of one map (smoothed) with the values of another (plain) as their scores."""
    score = upsampled(heat, peaks.part, rows.taps[peaks.y], columns.taps[peaks.x])[:, 0, 0]
    return Peaks(peaks.part, peaks.x, peaks.y, score, peaks.parts)
