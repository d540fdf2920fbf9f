"""The picture as the network wants it: resized as Pillow does it, less the mean, padded."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SHORT_SIDE, LONG_SIDE = 800, 1333  # published test size: the short side's, unless the long one gets longer than that
DIVISOR = 32  # stride of the coarsest stage
PIXEL_MEAN = (103.530, 116.280, 123.675)  # B, G, R; the standard deviation in force is 1

_BITS = 22  # of the fraction of Pillow's weights for 8-bit pictures


def network_size(size: tuple[int, int], short_side: int = SHORT_SIDE, long_side: int = LONG_SIDE) -> tuple[int, int]:
    """(height, width) that a picture of that size is resized to: each rounded, at least 1."""
    scale = short_side / min(size)
    resized = [float(short_side) if side == min(size) else side * scale for side in size]
    if max(resized) > long_side:
        resized = [side * (long_side / max(resized)) for side in resized]
    height, width = (max(1, int(side + 0.5)) for side in resized)
    return height, width


def resize_bilinear(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 HxWxC -> uint8 of (height, width), every byte as Pillow's `Image.resize` with `BILINEAR` gives it.

    A triangle filter, as wide as the picture shrinks: first along rows, then along columns, each in 22-bit fixed point
    and rounded to bytes. `F.interpolate` and OpenCV give other bytes. (Pillow 13 takes columns first for what shrinks
    much more in height than in width, and is a level off there.)
    """
    for axis in (1, 0):
        if picture.shape[axis] == size[axis]:
            continue
        taps, weights = _filter(picture.shape[axis], size[axis])
        taps, weights = (torch.from_numpy(each).to(picture.device) for each in (taps, weights))
        shape = [1, 1, 1]
        shape[axis] = size[axis]
        out = None
        for tap, weight in zip(taps, weights, strict=True):
            term = picture.index_select(axis, tap).int() * weight.view(shape)
            out = term.add_(1 << (_BITS - 1)) if out is None else out.add_(term)
        picture = (out >> _BITS).clamp_(0, 255).to(torch.uint8)
    return picture


@lru_cache(maxsize=64)
def _filter(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that each output pixel reads (int64 taps x target) and their weights (int32, fixed point)."""
    scale = source / target
    support = max(scale, 1.0)  # the triangle's half width
    centres = (np.arange(target) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centres + support + 0.5).astype(np.int64), source)
    taps = first[None] + np.arange(2 * math.ceil(support) + 1)[:, None]
    weights = np.maximum(1 - np.abs((taps - centres + 0.5) / support), 0) * (taps < last)
    weights /= weights.sum(0)
    return np.minimum(taps, source - 1), (weights * (1 << _BITS) + 0.5).astype(np.int32)


def normalised(picture: Tensor) -> Tensor:
    """uint8 HxWx3 R, G, B -> float32 3xH'xW' B, G, R less their means, zeros to the right and below to full strides."""
    height, width = picture.shape[:2]
    planes = picture.permute(2, 0, 1).flip(0).float()
    planes = planes - planes.new_tensor(PIXEL_MEAN)[:, None, None]
    return F.pad(planes, (0, -width % DIVISOR, 0, -height % DIVISOR))
