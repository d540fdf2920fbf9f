"""Boxes: anchors, what deltas make of them, and which pyramid level a box is read from. All float32 x1, y1, x2, y2.

Widths and heights are plain differences. Conventions and constants as in the published configuration; the deltas are
those of Girshick et al., "Rich feature hierarchies" (CVPR 2014), appendix C.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

STRIDES = (4, 8, 16, 32, 64)  # of p2..p6
ANCHOR_SIZES = (32, 64, 128, 256, 512)  # one per level
ASPECT_RATIOS = (0.5, 1.0, 2.0)  # height over width
LARGEST_GROWTH = math.log(1000 / 16)  # of a side, against overflow in exp

POOLED_LEVELS = (2, 5)  # finest and coarsest level that boxes are pooled from
_CANONICAL_SIDE, _CANONICAL_LEVEL = 224, 4  # a box of this side is read from this level
_LEVEL_EPS = 1e-8


def cell_anchors(size: float) -> np.ndarray:
    """float32 3x4: the anchors of one cell around (0, 0), one per aspect ratio, all of area `size` squared."""
    widths = np.sqrt(size * size / np.array(ASPECT_RATIOS))
    heights = widths * ASPECT_RATIOS
    return np.stack([-widths, -heights, widths, heights], axis=1).astype(np.float32) / 2


@lru_cache(maxsize=16)
def pyramid_anchors(height: int, width: int, device: torch.device) -> tuple[Tensor, ...]:
    """Anchors of p2..p6 of a padded picture, each (rows * columns * 3)x4 in the order row, column, aspect ratio.

    Level k has as many cells as its map: half of the level before, rounded up. Built once per size and device.
    """
    out = []
    for stride, size in zip(STRIDES, ANCHOR_SIZES, strict=True):
        x = torch.arange(-(-width // stride), dtype=torch.float32, device=device) * stride
        y = torch.arange(-(-height // stride), dtype=torch.float32, device=device) * stride
        y, x = torch.meshgrid(y, x, indexing="ij")
        cell = torch.from_numpy(cell_anchors(size)).to(device)
        out.append((torch.stack([x, y, x, y], dim=-1)[:, :, None] + cell).reshape(-1, 4))
    return tuple(out)


def decoded(deltas: Tensor, boxes: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """The boxes that deltas (...x4: dx, dy, dw, dh) make of `boxes` (...x4), in float32; not clipped.

    dx, dy move the centre by so many widths and heights, dw, dh are logarithms of growth; all are divided by `weights`
    first.
    """
    deltas, boxes = deltas.float(), boxes.float()
    sizes = boxes[..., 2:] - boxes[..., :2]
    centres = boxes[..., :2] + 0.5 * sizes
    deltas = deltas / deltas.new_tensor(weights)
    centres = deltas[..., :2] * sizes + centres
    half = 0.5 * (torch.exp(deltas[..., 2:].clamp(max=LARGEST_GROWTH)) * sizes)
    return torch.cat([centres - half, centres + half], dim=-1)


def clipped(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes ...x4 within pictures of `sizes` ...x2 (height, width): x in 0..width, y in 0..height."""
    corner = sizes.to(boxes).flip(-1)
    return torch.minimum(boxes.clamp(min=0), torch.cat([corner, corner], dim=-1))


def not_empty(boxes: Tensor) -> Tensor:
    """bool of boxes ...x4: both sides longer than 0. Numbers that are not finite make a box empty."""
    finite = torch.isfinite(boxes).all(dim=-1)
    return finite & (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])


def pooling_levels(boxes: Tensor) -> Tensor:
    """Pyramid level 2..5 (int64) that each box (Nx4, pixels of the network's picture) is pooled from.

    Lin et al. 2017, equation 1: a box twice as long on a side comes from the next coarser level.
    """
    sides = torch.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    levels = torch.floor(_CANONICAL_LEVEL + torch.log2(sides / _CANONICAL_SIDE + _LEVEL_EPS))
    return levels.clamp(*POOLED_LEVELS).long()


def rescaled(boxes: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Boxes Nx4 of a picture resized to `from_size` (height, width), in the picture of `to_size` and clipped to it.

    Returns them with a bool N: which of them still have an area.
    """
    (from_height, from_width), (height, width) = from_size, to_size
    out = boxes.clone()
    out[:, 0::2] *= width / from_width
    out[:, 1::2] *= height / from_height
    out = clipped(out, torch.tensor(to_size))
    return out, not_empty(out)
