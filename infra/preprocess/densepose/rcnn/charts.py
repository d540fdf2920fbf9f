"""From the charts of a box to labels and surface coordinates of its pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from infra.preprocess.densepose.rcnn.network import CHARTS

COARSE = 2  # background, person

_NUMBERS_AT_ONCE = 1 << 21  # of enlarged channels, which bounds their memory to a few times 8 MB


def pixel_box(box: Tensor) -> tuple[int, int, int, int]:
    """x, y, width, height of a float32 box (x1, y1, x2, y2): each truncated, sides from the exact ones."""
    x1, y1, x2, y2 = box.float().unbind()
    return int(x1), int(y1), int(x2 - x1), int(y2 - y1)


def charts_in_box(charts: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Charts 77xSxS (coarse, parts, u, v) over a box -> labels int64 HxW in 0..24 and u, v float32 2xHxW.

    Bilinear, corners not aligned, then the greatest: a pixel is of the part whose channel is greatest where the person
    channel is greater than the background. u and v, near 0..1, are those of that part; 0 in the background.
    Only the 27 channels that decide on labels are enlarged; u and v are read from the label's own channel.
    """
    charts = charts.float()
    left, right, across = _taps(width, charts.shape[2], charts.device)
    up, down, along = _taps(height, charts.shape[1], charts.device)
    along = along[:, None]
    deciding = charts[: COARSE + CHARTS]
    wide = torch.lerp(deciding[..., left], deciding[..., right], across)
    labels = []
    for rows in torch.arange(height, device=charts.device).split(max(1, _NUMBERS_AT_ONCE // (len(wide) * width))):
        maps = torch.lerp(wide[:, up[rows]], wide[:, down[rows]], along[rows])
        labels.append(maps[COARSE:].max(dim=0).indices.masked_fill_(maps[1] <= maps[0], 0))
    labels = torch.cat(labels)
    uv = []
    for first in (COARSE + CHARTS, COARSE + 2 * CHARTS):
        chart = (first + labels) * charts[0].numel()
        above, below = chart + up[:, None] * charts.shape[2], chart + down[:, None] * charts.shape[2]
        top = torch.lerp(charts.take(above + left), charts.take(above + right), across)
        bottom = torch.lerp(charts.take(below + left), charts.take(below + right), across)
        uv.append(torch.lerp(top, bottom, along).masked_fill_(labels == 0, 0))
    return labels, torch.stack(uv)


def _taps(target: int, source: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Of each of `target` pixels over `source` cells: the two cells it lies between, and the second one's weight."""
    at = ((torch.arange(target, dtype=torch.float32, device=device) + 0.5) * (source / target) - 0.5).clamp(min=0)
    low = at.floor()
    return low.long(), (low + 1).clamp(max=source - 1).long(), at - low


def iuv_picture(charts: Tensor, box: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 HxWx3 of a picture of `size` (height, width): part 0..24, u and v in 0..255, 0 outside the person.

    `charts` 77xSxS of the float32 `box` in the picture. Coordinates are clamped to 0..1 and truncated; the published
    visualiser lets those beyond wrap around.
    """
    x, y, width, height = pixel_box(box)
    labels, uv = charts_in_box(charts, max(width, 1), max(height, 1))
    quantised = (uv * 255).clamp_(0, 255).to(torch.uint8)
    iuv = torch.stack([labels.to(torch.uint8), *quantised], dim=-1)
    out = torch.zeros((*size, 3), dtype=torch.uint8, device=charts.device)
    part = out[y : y + len(labels), x : x + labels.shape[1]]
    part.copy_(iuv[: part.shape[0], : part.shape[1]])  # a box under a pixel wide is one wide, at the border too
    return out
