"""Where a picture lies in the network's input, as the published extractor places and samples it.

OpenCV rounds the positions that `warpAffine` samples to 1/32 pixel. Network and picture differ by scale and shift
alone, so every sample is a weighted sum of two rows of two columns, and both ways can be told axis by axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# OpenCV 4, imgproc: positions are summed in 1/1024 pixel and sampled at 1/32.
_FIXED = 1024
_SUBPIXELS = 32

Size = tuple[int, int]
"""Height, width in pixels."""


@dataclass(frozen=True)
class Placement:
    """A picture of `size` centred in a network input of `input_size`, as large as it fits, corner on corner.

    Raises ValueError for a picture of 1x1 pixel, which has no scale.
    """

    size: Size
    input_size: Size

    def __post_init__(self) -> None:
        if max(self.size) < 2:
            raise ValueError("a picture of one pixel has no scale")

    @property
    def centre(self) -> tuple[float, float]:
        """x, y of the picture's middle."""
        return (self.size[1] - 1) / 2, (self.size[0] - 1) / 2

    @property
    def scale(self) -> tuple[np.float32, np.float32]:
        """Width and height of the box that is as wide for its height as the input, in picture pixels."""
        height, width = self.size[0] - 1, self.size[1] - 1
        aspect = self.input_size[1] / self.input_size[0]
        return np.float32(max(width, height * aspect)), np.float32(max(height, width / aspect))

    @property
    def forward(self) -> np.ndarray:
        """Picture to network, 2x3 float64. Height has no say in its scale: only the box's width enters."""
        k = (self.input_size[1] - 1) / float(self.scale[0])
        ends = zip(self.centre, reversed(self.input_size), strict=True)
        shift_x, shift_y = ((length - 1) / 2 - k * middle for middle, length in ends)
        return np.array([[k, 0, shift_x], [0, k, shift_y]])

    @property
    def inverse(self) -> np.ndarray:
        """Network to picture, 2x3 float64."""
        return cv2.invertAffineTransform(self.forward)

    def picture_samples(self) -> tuple[Samples, Samples]:
        """Rows and columns of the picture that the network's are made of."""
        back = cv2.invertAffineTransform(self.forward)
        return _samples(back, self.input_size, self.size)

    def network_samples(self) -> tuple[Samples, Samples]:
        """Rows and columns of the network's planes that the picture's are made of."""
        back = cv2.invertAffineTransform(self.inverse)
        return _samples(back, self.size, self.input_size)

    def nearest_in_network(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns (int64) of the network's planes next to the picture's; -1 where there is none."""
        back = cv2.invertAffineTransform(self.inverse)
        positions = zip(_positions(back, self.size), self.input_size, strict=True)
        rows, columns = ((fixed + _FIXED // 2) // _FIXED for fixed, _ in positions)
        return _or_nowhere(rows, self.input_size[0]), _or_nowhere(columns, self.input_size[1])


@dataclass(frozen=True)
class Samples:
    """Along one axis of `length` source pixels: sample i lies between the pixels at `first[i]` and the next.

    `share` (float32, steps of 1/32) is the next one's. Pixels outside the source count as 0.
    """

    first: np.ndarray
    share: np.ndarray
    length: int

    def taps(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the first and the next pixel: index (int64 2xN, inside the source) and weight (float32 2xN)."""
        index = np.stack([self.first, self.first + 1])
        weight = np.stack([1 - self.share, self.share])
        weight[(index < 0) | (index >= self.length)] = 0
        return index.clip(0, self.length - 1), weight

    def of_resized(self, cells: int) -> np.ndarray:
        """Weights (float32, samples x cells) where the source is a row of `cells` enlarged with aligned corners."""
        matrix = np.zeros((len(self.first), cells), np.float32)
        each = np.arange(len(self.first))
        step = np.float32(cells - 1) / np.float32(max(self.length - 1, 1))
        for index, weight in zip(*self.taps()):
            place = index.astype(np.float32) * step
            cell = np.minimum(place.astype(np.int64), cells - 1)
            beyond = place - cell
            matrix[each, cell] += weight * (1 - beyond)
            matrix[each, np.minimum(cell + 1, cells - 1)] += weight * beyond
        return matrix


def _positions(affine: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Source rows and columns of the `size`'s pixels in 1/1024 pixel (int64), rounded in OpenCV's order."""
    rows, columns = np.arange(size[0]), np.arange(size[1])
    y = np.rint((affine[1, 1] * rows + affine[1, 2]) * _FIXED)
    x = np.rint(affine[0, 0] * columns * _FIXED) + np.rint(affine[0, 2] * _FIXED)
    return y.astype(np.int64), x.astype(np.int64)


def _samples(affine: np.ndarray, size: Size, source: Size) -> tuple[Samples, Samples]:
    """How the `size`'s rows and columns are sampled from a source that `affine` leads to."""
    step = _FIXED // _SUBPIXELS
    found = []
    for fixed, length in zip(_positions(affine, size), source, strict=True):
        fine = (fixed + step // 2) // step
        found.append(Samples(fine // _SUBPIXELS, (fine % _SUBPIXELS / _SUBPIXELS).astype(np.float32), length))
    return found[0], found[1]


def _or_nowhere(index: np.ndarray, length: int) -> np.ndarray:
    return np.where((index >= 0) & (index < length), index, -1)
