"""Non-maximum suppression: of boxes that overlap, the surest stays.

torchvision's operator where it imports and runs on the device, else the same in plain torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

_ROWS_AT_ONCE = 16  # sets of boxes whose n x n overlaps are held at once: 64 MB of them at n = 1000


@cache
def native_operators(device_type: str) -> ModuleType | None:
    """`torchvision.ops` where it imports and its operators run on this kind of device.

    A torchvision that was built for another torch fails on import, one without CUDA on its first call there.
    """
    try:
        from torchvision import ops

        box = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=device_type)
        ops.nms(box, box[:, 0], 0.5)
        ops.roi_align(box[None, None], [box], 1)
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None
    return ops


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Indices (int64) of the boxes that stay, by descending score; of equal scores the earlier box goes first.

    `boxes` float32 Nx4, `scores` float32 N. A box goes when its IoU with a surer one that stays is greater than
    `threshold`; one of exactly the threshold stays, and so does one whose IoU is 0/0.
    """
    native = native_operators(boxes.device.type)
    if native is not None:
        return native.nms(boxes, scores, threshold)
    return nms_plain(boxes, scores, threshold)


def nms_plain(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """`nms` without torchvision."""
    order = scores.sort(descending=True, stable=True).indices
    return order[survivors_plain(boxes[order][None], threshold)[0]]


def grouped_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """`nms` in which boxes of different `groups` (int64 N) do not see each other."""
    kept = torch.zeros_like(groups, dtype=torch.bool)
    for group in groups.unique():
        members = torch.nonzero(groups == group)[:, 0]
        kept[members[nms(boxes[members], scores[members], threshold)]] = True
    order = scores.sort(descending=True, stable=True).indices
    return order[kept[order]]


def survivors(boxes: Tensor, threshold: float) -> Tensor:
    """bool GxN: which of G sets of N boxes stay, each set sorted by descending score.

    `boxes` float32 GxNx4; sets of fewer boxes are filled up with empty ones, which suppress nothing.
    """
    native = native_operators(boxes.device.type)
    if native is None:
        return survivors_plain(boxes, threshold)
    kept = torch.zeros(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    falling = torch.arange(boxes.shape[1], 0, -1, dtype=torch.float32, device=boxes.device)
    for row, each in zip(kept, boxes, strict=True):
        row[native.nms(each, falling, threshold)] = True
    return kept


def survivors_plain(boxes: Tensor, threshold: float) -> Tensor:
    """`survivors` without torchvision: no loop over boxes, and all sets at once."""
    chunks = [_fixed_point(_suppresses(chunk, threshold)) for chunk in boxes.split(_ROWS_AT_ONCE)]
    return torch.cat(chunks) if chunks else boxes.new_zeros(boxes.shape[:2], dtype=torch.bool)


def _suppresses(boxes: Tensor, threshold: float) -> Tensor:
    """float32 GxNxN of 0 and 1: box i comes before box j and overlaps it by more than the threshold."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    areas = (x2 - x1) * (y2 - y1)
    widths = (_pairs(torch.minimum, x2) - _pairs(torch.maximum, x1)).clamp_(min=0)
    heights = (_pairs(torch.minimum, y2) - _pairs(torch.maximum, y1)).clamp_(min=0)
    shared = widths.mul_(heights)
    unions = (areas[:, :, None] + areas[:, None, :]).sub_(shared)
    # 0/0 is not greater than anything
    return (shared.div_(unions) > _float32_below(threshold)).triu_(1).float()


def _pairs(function: Callable[[Tensor, Tensor], Tensor], values: Tensor) -> Tensor:
    return function(values[:, :, None], values[:, None, :])


def _float32_below(threshold: float) -> float:
    """The largest float32 that is not above: with it float32 compares as torchvision's operator does in float64."""
    near = np.float32(threshold)
    return float(near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf)))


def _fixed_point(suppresses: Tensor) -> Tensor:
    """bool GxN: the boxes that no box which stays suppresses.

    Starts with all, and lets all of them judge the others at once, again and again. The first k boxes are final after
    k rounds at the latest, so this ends where the loop over boxes does; it takes as many rounds as the longest chain of
    boxes suppressing one another, about ten among proposals.
    """
    sets, _, boxes = suppresses.shape
    kept = suppresses.new_ones((sets, 1, boxes))
    while True:
        now = (kept @ suppresses == 0).to(kept.dtype)
        if torch.equal(now, kept):
            return kept[:, 0] > 0
        kept = now
