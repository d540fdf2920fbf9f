"""Upsampling of the maps to pixels, as one matrix for each axis.

Cubic upsampling, cropping, resizing and Gaussian smoothing are all linear, and separable: what they make together of a
map is R @ map @ C.T, with matrices R (pixels x cells) of the rows and C of the columns that are built once for a size.
Only a few neighbouring cells weigh in a pixel, so the matrices are asked for runs of pixels and the cells under them,
and a map is upsampled only where something is to be seen in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from infra.preprocess.pose_estimation.openpose.skeletons import CELL

STRIP = 32  # pixels of an axis that are upsampled together
CATMULL_ROM, OPENCV_CUBIC = -0.5, -0.75  # the parameter of Keys' cubic, of OpenPose's CUDA kernel and of OpenCV
SMOOTHING = 3.0  # sigma of the port's Gaussian, pixels
SMOOTHING_REACH = 4.0  # sigmas at which SciPy cuts a Gaussian off


@dataclass(frozen=True)
class Windows:
    """Runs of pixels as sums over cells: of run i, `weights[i]` (pixels x K) over the cells from `first[i]` on."""

    first: np.ndarray
    weights: np.ndarray

    def __getitem__(self, runs: np.ndarray) -> Windows:
        return Windows(self.first[runs], self.weights[runs])


@dataclass(frozen=True)
class Axis:
    """One axis of the upsampling: `matrix` is float32, pixels x cells."""

    matrix: np.ndarray

    @property
    def pixels(self) -> int:
        return len(self.matrix)

    @cached_property
    def taps(self) -> Windows:
        """Every single pixel."""
        return self.windows(np.arange(self.pixels), 1)

    @cached_property
    def strips(self) -> Windows:
        """Runs of STRIP pixels side by side, and a neighbour on either side of each."""
        return self.windows(np.arange(0, self.pixels, STRIP) - 1, STRIP + 2)

    @cached_property
    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last pixel in which each cell weighs."""
        weighs = self.matrix != 0
        return weighs.argmax(0), self.pixels - 1 - weighs[::-1].argmax(0)

    def windows(self, start: np.ndarray, length: int) -> Windows:
        """Runs of `length` pixels from `start` (N) on; pixels beyond the map are 0."""
        pixels, cells = self.matrix.shape
        low, high = self._extent
        first = low[np.clip(start, 0, pixels - 1)]
        last = high[np.clip(start + length - 1, 0, pixels - 1)]
        width = int((last - first).max(initial=0)) + 1
        first = np.minimum(first, cells - width)
        run = start[:, None] + np.arange(length)
        weights = self.matrix[np.clip(run, 0, pixels - 1)[..., None], (first[:, None] + np.arange(width))[:, None]]
        weights[(run < 0) | (run >= pixels)] = 0
        return Windows(first, weights)

    @cached_property
    def _extent(self) -> tuple[np.ndarray, np.ndarray]:
        """The first cell that weighs in each pixel or in a later one, and the last in it or in an earlier one."""
        weighs = self.matrix != 0
        first, last = weighs.argmax(1), self.matrix.shape[1] - 1 - weighs[:, ::-1].argmax(1)
        # A pixel on a cell's centre needs fewer cells than those beside it.
        return np.minimum.accumulate(first[::-1])[::-1], np.maximum.accumulate(last)


def patches(maps: np.ndarray, of: np.ndarray, rows: Windows, columns: Windows) -> np.ndarray:
    """The cells under window i of `rows` and of `columns` in map `of[i]` of `maps` (C x h x w): N x Kr x Kc."""
    _, height, width = maps.shape
    down, across = np.arange(rows.weights.shape[-1]), np.arange(columns.weights.shape[-1])
    first = (of * height + rows.first) * width + columns.first
    return np.ascontiguousarray(maps).reshape(-1)[first[:, None, None] + down[:, None] * width + across]


def upsampled(maps: np.ndarray, of: np.ndarray, rows: Windows, columns: Windows) -> np.ndarray:
    """The same places of the upsampled maps, N x pixels of a row window x pixels of a column window."""
    return rows.weights @ patches(maps, of, rows, columns) @ columns.weights.swapaxes(1, 2)


@lru_cache(64)
def openpose_axis(cells: int) -> Axis:
    """`cells` -> the net's pixels, as OpenPose's CUDA kernel upsamples."""
    return Axis(_catmull_rom(_centres(np.arange(cells * CELL), CELL), cells).astype(np.float32))


def resampled(maps: np.ndarray, scale: float, wanted: tuple[int, int], wanted_scale: float) -> np.ndarray:
    """Maps (C x h x w) of the picture at `scale` on the h x w grid that they have at `wanted_scale`."""
    sides = []
    for cells, wanted_cells in zip(maps.shape[1:], wanted):
        pixels = (np.arange(wanted_cells) + 0.5) * CELL - 0.5
        sides.append(_catmull_rom((pixels * scale / wanted_scale + 0.5) / CELL - 0.5, cells).astype(np.float32))
    return sides[0] @ maps @ sides[1].T


@dataclass(frozen=True)
class PortAxis:
    """The port's: peaks are searched in smoothed maps, scores and fields are read from `plain` ones."""

    plain: Axis
    smoothed: Axis


@lru_cache(16)
def port_axis(cells: int, net_input: int, pixels: int) -> PortAxis:
    """Cells -> net pixels (8 each), cropped to the picture's `net_input`, -> `pixels` of the picture."""
    in_net = _opencv_cubic(_centres(np.arange(net_input), CELL), np.eye(cells))
    return smoothed_axis(_opencv_cubic(_centres(np.arange(pixels), pixels / net_input), in_net))


def smoothed_axis(matrix: np.ndarray) -> PortAxis:
    """SciPy's gaussian_filter in its default mode, which mirrors a map at its border."""
    pixels = len(matrix)
    reach = int(SMOOTHING_REACH * SMOOTHING + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / SMOOTHING) ** 2)
    mirrored = (np.arange(pixels)[:, None] + offsets) % (2 * pixels)
    mirrored = np.minimum(mirrored, 2 * pixels - 1 - mirrored)
    smoothed = sum(weight * matrix[pixel] for weight, pixel in zip(weights / weights.sum(), mirrored.T))
    return PortAxis(Axis(matrix.astype(np.float32)), Axis(smoothed.astype(np.float32)))


def _centres(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Where the centres of upsampled pixels lie between those of the cells."""
    return (pixels + 0.5) / factor - 0.5


def _catmull_rom(places: np.ndarray, cells: int) -> np.ndarray:
    """Places x cells. Beyond the first and last cell's centre the kernel goes on from there, its cells held inside."""
    middle = np.clip(np.floor(places), 0, cells - 1).astype(int)
    return _cubic(middle, places - middle, np.eye(cells), CATMULL_ROM)


def _opencv_cubic(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`values` (cells x anything) at places between them, as cv2.resize does it: only the cells are held inside."""
    middle = np.floor(places).astype(int)
    return _cubic(middle, places - middle, values, OPENCV_CUBIC)


def _cubic(middle: np.ndarray, t: np.ndarray, values: np.ndarray, a: float) -> np.ndarray:
    """`values` at `t` after `middle`, of the cells middle - 1 to middle + 2 (Keys, 1981)."""

    def near(d: np.ndarray) -> np.ndarray:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: np.ndarray) -> np.ndarray:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    weights = far(1 + t), near(t), near(1 - t), far(2 - t)
    cells = (np.clip(middle + offset, 0, len(values) - 1) for offset in range(-1, 3))
    return sum(weight[:, None] * values[cell] for weight, cell in zip(weights, cells))
