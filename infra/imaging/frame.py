"""The working frame: the part of a photo around the chosen person, at the size that the engines work at."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FRAME_WIDTH, FRAME_HEIGHT = 768, 1024
"""Pixels; the size of VITON-HD and of the try-on networks trained on it."""

TILE = 256
"""Frame pixels along one unit: the frame is 3 x 4 of them."""

MARGIN_TOP, MARGIN_BOTTOM, MARGIN_SIDE = 0.25, 0.08, 0.15
"""Of the points' height: key points end at the eyes, the ankles and the wrists; hair and hats, feet, and wide sleeves
and skirts lie beyond them."""

WORTH_CUTTING = 1.4
"""A cut must show the person larger than the whole photo would by this factor. With the margins that is a person of
less than 0.54 of the photo's height."""

WORTH_CUTTING_SMALL = 2.0
"""The same for a photo that is little larger than the frame: there a cut gains no detail, it only enlarges."""

LITTLE_LARGER = 1.25

MOST_ENLARGED = 4
"""Frame pixels per photo pixel: beyond this the engines see nothing but blur."""

SEAM = 12
"""Frame pixels over which a change fades out where the frame cuts through the photo."""

REPLACED, KEPT = 20, 6
"""Levels of change: from `REPLACED` on the photo's fine detail belonged to what is gone; up to `KEPT` it stays."""

CLOSED = 9
"""Frame pixels: a spot of old detail narrower than this inside a replaced region is replaced with it."""


@dataclass(frozen=True)
class Frame:
    """A rectangle of 3 `unit` x 4 `unit` whole photo pixels, its top left pixel at `left`, `top`.

    Photo and frame pixels line up at the rectangle's edges, so that all maps are exact and of one scale. The rectangle
    may reach beyond the photo, whose border pixels are then repeated. Sizes are (height, width); points are x, y with
    pixel centres at integers.
    """

    left: int
    top: int
    unit: int

    @classmethod
    def around(cls, points: np.ndarray, photo_size: tuple[int, int]) -> Frame:
        """The frame for the person with these `points`: Nx2 or more columns, key points or two corners of a box.

        Points beyond the photo say that its border crops the person. As much of the photo is shown as fits without
        repeating its border, unless the person would come out much smaller than in a cut around them.
        """
        height, width = photo_size
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        reach = high[1] - low[1]
        low = np.maximum(low - np.multiply(reach, (MARGIN_SIDE, MARGIN_TOP)), 0)
        high = np.minimum(high + 1 + np.multiply(reach, (MARGIN_SIDE, MARGIN_BOTTOM)), (width, height))
        needed = max((high - low) / (3, 4))
        whole, filled = max(width / 3, height / 4), min(width / 3, height / 4)
        worth = WORTH_CUTTING_SMALL if whole <= LITTLE_LARGER * TILE else WORTH_CUTTING
        unit = max(needed, filled) if whole <= worth * needed else max(needed, min(TILE / MOST_ENLARGED, filled))
        unit = int(np.ceil(unit))
        return cls(_placed(low[0], high[0], 3 * unit, width), _placed(low[1], high[1], 4 * unit, height), unit)

    @classmethod
    def whole(cls, photo_size: tuple[int, int]) -> Frame:
        """The whole photo, centred."""
        height, width = photo_size
        unit = max(-(-width // 3), -(-height // 4))
        return cls((width - 3 * unit) // 2, (height - 4 * unit) // 2, unit)

    @property
    def scale(self) -> float:
        """Frame pixels per photo pixel."""
        return TILE / self.unit

    @property
    def affine(self) -> np.ndarray:
        """Photo to frame, 2x3 float64."""
        offset = (np.array([0.5, 0.5]) - (self.left, self.top)) * self.scale - 0.5
        return np.column_stack([np.eye(2) * self.scale, offset])

    @property
    def inverse(self) -> np.ndarray:
        """Frame to photo, 2x3 float64."""
        return cv2.invertAffineTransform(self.affine)

    def points_to_frame(self, points: np.ndarray) -> np.ndarray:
        """x, y of the last axis moved to the frame; what else stands there (confidence) is kept."""
        return _moved(points, self.affine)

    def points_to_photo(self, points: np.ndarray) -> np.ndarray:
        """x, y of the last axis moved to the photo; what else stands there (confidence) is kept."""
        return _moved(points, self.inverse)

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """uint8 HxW or HxWxC photo -> the frame, 1024x768 or 1024x768xC, averaged over areas where it shrinks."""
        return _scaled(self._rectangle(photo), (FRAME_HEIGHT, FRAME_WIDTH))

    def cut_mask(self, mask: np.ndarray) -> np.ndarray:
        """uint8 HxW mask of the photo -> 1024x768."""
        return self.cut(mask)

    def mask_to_photo(self, mask: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """uint8 1024x768 mask of the frame -> HxW; 0 outside the frame."""
        return self._placed_in(_scaled(mask, (4 * self.unit, 3 * self.unit)), photo_size)

    def labels_to_photo(self, labels: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """1024x768 labels of the frame -> HxW, each pixel its nearest label; 0 outside the frame."""
        near = cv2.resize(labels, (3 * self.unit, 4 * self.unit), interpolation=cv2.INTER_NEAREST_EXACT)
        return self._placed_in(near, photo_size)

    def put_back(self, photo: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The photo with what changed from `before` (this frame as cut) to `after`, at the photo's own resolution.

        All uint8 RGB. Pixels that nothing changed within a frame pixel of stay the photo's own. In a photo with more
        detail than the frame, slightly changed pixels (a shadow on skin) keep that detail and take the difference;
        pixels of something new take the enlarged frame.
        """
        if (self.left, self.top, self.unit) == (0, 0, TILE) and photo.shape == after.shape:
            return after.copy()
        outer, inner = self._overlap(photo.shape[:2])
        out = photo.copy()
        change = cv2.absdiff(before, after).max(2)
        if not change.any():
            return out
        part = out[outer]
        size = (4 * self.unit, 3 * self.unit)
        touched = (change > 0) * self._fade(photo.shape[:2])
        weight = _scaled(touched.astype(np.float32), size, cv2.INTER_LINEAR)[inner]
        rows, columns = (slice(*_extent(weight.any(axis))) for axis in (1, 0))
        part, weight = part[rows, columns], weight[rows, columns]
        inner = (slice(inner[0].start + rows.start, inner[0].start + rows.stop),
                 slice(inner[1].start + columns.start, inner[1].start + columns.stop))  # fmt: skip
        new = _scaled(after, size)[inner]
        gone = _scaled(_replaced(change), size, cv2.INTER_LINEAR)[inner]
        detailed = np.nonzero((weight > 0) & (gone < 1))
        if len(detailed[0]):
            detail = part[detailed].astype(np.float32) - _scaled(before, size)[inner][detailed]
            kept = new[detailed] + (1 - gone[detailed])[:, None] * detail
            new = np.ascontiguousarray(new)
            new[detailed] = np.clip(np.rint(kept), 0, 255).astype(np.uint8)
        part[:] = cv2.blendLinear(np.ascontiguousarray(new), np.ascontiguousarray(part), weight.copy(), 1 - weight)
        return out

    def _overlap(self, photo_size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where rectangle and photo overlap: rows and columns of the photo, and of the rectangle."""
        height, width = photo_size
        top, bottom = max(self.top, 0), min(self.top + 4 * self.unit, height)
        left, right = max(self.left, 0), min(self.left + 3 * self.unit, width)
        outer = (slice(top, bottom), slice(left, right))
        return outer, (slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left))

    def _rectangle(self, photo: np.ndarray) -> np.ndarray:
        outer, (rows, columns) = self._overlap(photo.shape[:2])
        beyond = (rows.start, 4 * self.unit - rows.stop, columns.start, 3 * self.unit - columns.stop)
        return cv2.copyMakeBorder(photo[outer], *beyond, cv2.BORDER_REPLICATE) if any(beyond) else photo[outer]

    def _placed_in(self, rectangle: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        outer, inner = self._overlap(photo_size)
        out = np.zeros((*photo_size, *rectangle.shape[2:]), rectangle.dtype)
        out[outer] = rectangle[inner]
        return out

    def _fade(self, photo_size: tuple[int, int]) -> np.ndarray:
        """1024x768 float32: 1, falling to 0 at those sides of the frame where the photo goes on."""
        height, width = photo_size

        def ramp(length: int, starts_inside: bool, ends_inside: bool) -> np.ndarray:
            distance = np.arange(length, dtype=np.float32)
            first = distance / SEAM if starts_inside else 1
            last = distance[::-1] / SEAM if ends_inside else 1
            return np.ones(length, np.float32) * np.clip(np.minimum(first, last), 0, 1)

        rows = ramp(FRAME_HEIGHT, self.top > 0, self.top + 4 * self.unit < height)
        columns = ramp(FRAME_WIDTH, self.left > 0, self.left + 3 * self.unit < width)
        return rows[:, None] * columns


def _placed(low: float, high: float, length: int, limit: int) -> int:
    """Where `length` pixels start that show `low` to `high` of `limit`: centred on them, inside as far as they fit.

    What is longer than the photo lies flush with the side at which the person is cropped: repeating that border would
    give them legs of streaks.
    """
    if length <= limit:
        return int(np.clip(round((low + high - length) / 2), 0, limit - length))
    cropped_first, cropped_last = low <= 0, high >= limit
    if cropped_first == cropped_last:
        return (limit - length) // 2
    return 0 if cropped_first else limit - length


def _moved(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    out = np.array(points, dtype=np.result_type(points, np.float32))
    out[..., :2] = points[..., :2] @ affine[:, :2].T + affine[:, 2]
    return out


def _scaled(values: np.ndarray, size: tuple[int, int], enlarging: int = cv2.INTER_CUBIC) -> np.ndarray:
    """Resized to (height, width): averaged over areas where that shrinks, else interpolated."""
    if values.shape[:2] == size:
        return values
    shrinks = size[0] < values.shape[0]
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA if shrinks else enlarging)


def _replaced(change: np.ndarray) -> np.ndarray:
    """uint8 HxW levels of change -> float32 HxW, 1 where something new stands, 0 where the old was only shaded."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSED, CLOSED))
    closed = cv2.morphologyEx(change, cv2.MORPH_CLOSE, kernel).astype(np.float32)
    return np.clip((closed - KEPT) / (REPLACED - KEPT), 0, 1)


def _extent(row: np.ndarray) -> tuple[int, int]:
    """First and last-but-one index of what is true."""
    found = np.flatnonzero(row)
    return int(found[0]), int(found[-1]) + 1
