"""Trimaps, distances and alphas where the network runs: what OpenCV gives on a CPU, without the way there and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from infra.preprocess.masking.fba.pictures import LEAST_ALPHA
from infra.preprocess.masking.fba.trimap import BACKGROUND, DILATION, EROSIONS, FOREGROUND, THRESHOLD, UNKNOWN

_PAIRS_AT_ONCE = 2**26  # of pixels in a row that distances are compared of; four bytes each


def trimap(
    mask: torch.Tensor, threshold: int = THRESHOLD, dilation: int = DILATION, erosions: int = EROSIONS
) -> torch.Tensor:
    """As `fba.trimap.trimap`, byte for byte: uint8 HxW of uint8 HxW."""
    certain = mask > threshold
    inside = certain & ~_dilated(~certain, erosions)
    unknown = _dilated(certain, dilation) | (mask > BACKGROUND)
    regions = torch.full_like(mask, BACKGROUND)
    return regions.masked_fill_(unknown, UNKNOWN).masked_fill_(inside, FOREGROUND)


def distance(known: torch.Tensor) -> torch.Tensor:
    """float32 HxW: pixels to the nearest True of bool HxW, exactly; infinite where there is none.

    First along each column, then in every row the least of all squared sums (Saito and Toriwaki 1994): no sweeps that
    wait for each other, as a CPU's way has.
    """
    height, width = known.shape
    row = torch.arange(height, device=known.device, dtype=torch.float32)[:, None]
    above = torch.where(known, row, -torch.inf).cummax(0).values
    below = torch.where(known, row, torch.inf).flip(0).cummin(0).values.flip(0)
    squared = torch.minimum(row - above, below - row).square()
    column = torch.arange(width, device=known.device, dtype=torch.float32)
    across = (column[:, None] - column).square()
    nearest = [(rows[:, None] + across).amin(-1) for rows in squared.split(max(1, _PAIRS_AT_ONCE // (width * width)))]
    return torch.cat(nearest).sqrt()


def alpha_of(prediction: torch.Tensor, trimap: torch.Tensor) -> torch.Tensor:
    """As `fba.pictures.alpha_of`, but for a grey level here and there: uint8 HxW of float32 hxw and uint8 HxW."""
    alpha = F.interpolate(prediction[None, None], size=tuple(trimap.shape), mode="bilinear", align_corners=False)[0, 0]
    alpha = alpha.masked_fill((trimap == BACKGROUND) | (alpha < LEAST_ALPHA), 0)
    return (alpha * 255).clamp(max=255).to(torch.uint8)


def _dilated(region: torch.Tensor, radius: int) -> torch.Tensor:
    """bool HxW: within `radius` pixels in both directions of bool HxW; beyond the border there is nothing."""
    side, room = 2 * radius + 1, radius
    wide = F.max_pool2d(region[None].float(), (1, side), 1, (0, room))
    return F.max_pool2d(wide, (side, 1), 1, (room, 0))[0] > 0
