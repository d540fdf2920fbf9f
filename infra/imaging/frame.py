"""The working frame: the part of a photo around the chosen person, at the size that the engines work at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

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

CROPPED = 0.03
"""Of the photo's side: points this near to its border belong to a person who goes on beyond it."""

MOST_ENLARGED = 4
"""Frame pixels per photo pixel: beyond this the engines see nothing but blur."""

SEAM = 12
"""Frame pixels over which a change fades out where the frame cuts through the photo."""

REPLACED, KEPT = 20, 6
"""Levels of change: from `REPLACED` on the photo's fine detail belonged to what is gone; up to `KEPT` it stays."""

CLOSED, RIM = 9, 3
"""Frame pixels: a spot of old detail narrower than `CLOSED` inside a replaced region is replaced with it, and so is a
rim of width `RIM` // 2 around, where half a pixel of the old edge shows."""

CRISPNESS = 0.4
"""Unsharp masking (sigma 1 frame pixel) of what is enlarged twofold or more, less of what is enlarged less: against the
softness that averaging into pixels brings."""

Box = tuple[slice, slice]


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

        Points at its border or beyond say that the photo crops the person. As much of the photo is shown as fits
        without repeating its border, unless the person would come out much smaller than in a cut around them.
        """
        height, width = photo_size
        ends = np.clip([points[:, :2].min(0), points[:, :2].max(0)], 0, (width - 1, height - 1))
        reach = ends[1, 1] - ends[0, 1]
        low = np.maximum(ends[0] - np.multiply(reach, (MARGIN_SIDE, MARGIN_TOP)), 0)
        high = np.minimum(ends[1] + 1 + np.multiply(reach, (MARGIN_SIDE, MARGIN_BOTTOM)), (width, height))
        needed = max((high - low) / (3, 4))
        whole, filled = max(width / 3, height / 4), min(width / 3, height / 4)
        worth = WORTH_CUTTING_SMALL if whole <= LITTLE_LARGER * TILE else WORTH_CUTTING
        unit = max(needed, filled) if whole <= worth * needed else max(needed, min(TILE / MOST_ENLARGED, filled))
        unit = int(np.ceil(unit))
        middle = (low + high) / 2
        left, top = (_placed(middle[i], ends[:, i], (3, 4)[i] * unit, photo_size[1 - i]) for i in (0, 1))
        return cls(left, top, unit)

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

    def shows_most_of(self, photo_size: tuple[int, int]) -> bool:
        """Whether the photo itself shows the person hardly smaller than the frame."""
        height, width = photo_size
        return max(width / 3, height / 4) <= WORTH_CUTTING * self.unit

    def points_to_frame(self, points: np.ndarray) -> np.ndarray:
        """x, y of the last axis moved to the frame; what else stands there (confidence) is kept."""
        return _moved(points, self.affine)

    def points_to_photo(self, points: np.ndarray) -> np.ndarray:
        """x, y of the last axis moved to the photo; what else stands there (confidence) is kept."""
        return _moved(points, self.inverse)

    def cut(self, photo: np.ndarray) -> np.ndarray:
        """uint8 HxW or HxWxC photo -> the frame, 1024x768 or 1024x768xC, averaged over areas where it shrinks."""
        return np.ascontiguousarray(_scaled(self._rectangle(photo), (FRAME_HEIGHT, FRAME_WIDTH)))

    def cut_mask(self, mask: np.ndarray) -> np.ndarray:
        """uint8 HxW mask of the photo -> 1024x768."""
        return self.cut(mask)

    def mask_to_photo(self, mask: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """uint8 1024x768 mask of the frame -> HxW; 0 outside the frame."""
        return self._placed_in(_scaled(mask, self._size), photo_size)

    def labels_to_photo(self, labels: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """1024x768 or 1024x768xC labels of the frame -> HxW or HxWxC, each pixel its nearest; 0 outside the frame."""
        near = cv2.resize(labels, self._size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return self._placed_in(near, photo_size)

    def put_back(self, photo: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The photo with what changed from `before` (this frame as cut) to `after`, at the photo's own resolution.

        All uint8 RGB. Pixels that nothing changed within a frame pixel of stay the photo's own. In a photo with more
        detail than the frame, slightly changed pixels (a shadow on skin) keep that detail and take the difference;
        pixels of something new take the enlarged frame.
        """
        if (self.left, self.top, self.unit) == (0, 0, TILE) and photo.shape == after.shape:
            return after.copy()
        out = photo.copy()
        change = reduce(cv2.max, cv2.split(cv2.absdiff(before, after)))
        weight = self._weight(change, photo.shape[:2])
        box = _bounding_box(weight, self._overlap(photo.shape[:2]))
        if box is None:
            return out
        gone = _scaled(_replaced(change), self._size, cv2.INTER_LINEAR)
        if self.unit > TILE:
            amount = CRISPNESS * min(self.unit / TILE - 1, 1)
            before, after = _crisp(before, amount), _crisp(after, amount)
        before, after = (_scaled(picture, self._size)[box] for picture in (before, after))
        there = self._in_photo(box)
        out[there] = _merged(photo[there], before, after, weight[box], gone[box])
        return out

    @property
    def _size(self) -> tuple[int, int]:
        return 4 * self.unit, 3 * self.unit

    def _overlap(self, photo_size: tuple[int, int]) -> Box:
        """Rows and columns of the rectangle that lie in the photo."""
        return tuple(
            slice(max(-start, 0), min(length, limit - start))
            for start, length, limit in zip((self.top, self.left), self._size, photo_size, strict=True)
        )

    def _in_photo(self, box: Box) -> Box:
        """The photo's rows and columns for those of the rectangle."""
        return tuple(
            slice(part.start + start, part.stop + start) for part, start in zip(box, (self.top, self.left), strict=True)
        )

    def _rectangle(self, photo: np.ndarray) -> np.ndarray:
        rows, columns = box = self._overlap(photo.shape[:2])
        inside = photo[self._in_photo(box)]
        beyond = (rows.start, 4 * self.unit - rows.stop, columns.start, 3 * self.unit - columns.stop)
        return cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE) if any(beyond) else inside

    def _placed_in(self, rectangle: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        out = np.zeros(photo_size + rectangle.shape[2:], rectangle.dtype)
        box = self._overlap(photo_size)
        out[self._in_photo(box)] = rectangle[box]
        return out

    def _weight(self, change: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """uint8 of the rectangle's size: 255 where the frame's pixels are taken, 0 where the photo's are."""
        touched = np.where(change > 0, 255, 0).astype(np.uint8)
        # All of a touched frame pixel is new (twice the weight at its edge is 1), and so is every photo pixel that a
        # whole one went into.
        alpha = 2 * max(self.scale, 1) ** 2
        weight = cv2.convertScaleAbs(_scaled(touched, self._size, cv2.INTER_LINEAR), alpha=alpha)
        seam = -(-SEAM * self.unit // TILE)
        ramp = np.arange(seam) / seam
        starts = self.top, self.left
        for along, start, length, limit in zip((weight, weight.T), starts, self._size, photo_size, strict=True):
            if start > 0:
                along[:seam] = along[:seam] * ramp[:, None]
            if start + length < limit:
                along[-seam:] = along[-seam:] * ramp[::-1, None]
        return weight


def _placed(middle: float, ends: np.ndarray, length: int, limit: int) -> int:
    """Where `length` pixels start that show somebody from `ends[0]` to `ends[1]` around `middle` of `limit` pixels.

    Inside the photo as far as they fit. What is longer than the photo lies flush with the side at which the person is
    cropped: repeating that border would give them legs of streaks.
    """
    if length <= limit:
        return int(np.clip(round(middle - length / 2), 0, limit - length))
    cropped_first, cropped_last = ends[0] < CROPPED * limit, ends[1] > (1 - CROPPED) * limit
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
    """uint8 HxW levels of change -> uint8 HxW, 255 where something new stands, 0 where the old was only shaded."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSED, CLOSED))
    closed = cv2.dilate(cv2.morphologyEx(change, cv2.MORPH_CLOSE, kernel), np.ones((RIM, RIM), np.uint8))
    levels = np.arange(256)
    return cv2.LUT(closed, (255 * np.clip((levels - KEPT) / (REPLACED - KEPT), 0, 1)).astype(np.uint8))


def _merged(old: np.ndarray, before: np.ndarray, after: np.ndarray, weight: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """`after` over `old` by `weight`, with the detail that `before` lacks where it is not `gone`; all uint8."""
    new = after.copy()
    detailed = np.nonzero((weight > 0) & (gone < 255))
    kept = (255 - gone[detailed].astype(np.float32))[:, None] / 255
    detail = old[detailed].astype(np.float32) - before[detailed]
    new[detailed] = np.clip(np.rint(new[detailed] + kept * detail), 0, 255).astype(np.uint8)
    share = weight.astype(np.float32) / 255
    return cv2.blendLinear(new, np.ascontiguousarray(old), share, 1 - share)


def _crisp(picture: np.ndarray, amount: float) -> np.ndarray:
    """Unsharp masking that stays within what the neighbours hold, so that edges get no halo."""
    sharp = cv2.addWeighted(picture, 1 + amount, cv2.GaussianBlur(picture, (0, 0), 1), -amount, 0)
    near = np.ones((3, 3), np.uint8)
    return cv2.max(cv2.min(sharp, cv2.dilate(picture, near)), cv2.erode(picture, near))


def _bounding_box(weight: np.ndarray, within: Box) -> Box | None:
    """Rows and columns of what is not 0 in that part; None where nothing is."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(weight[within]))
    top, left = y + within[0].start, x + within[1].start
    return (slice(top, top + height), slice(left, left + width)) if width else None
