"""The small convolution units of TRACER's decoder: batch norm and SELU (Klambauer et al. 2017) after each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Basic(nn.Module):
    """Convolution, batch norm, SELU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], padding: int | tuple[int, int] = 0,
        dilation: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.selu(self.bn(self.conv(x)), inplace=True)


class Depthwise(nn.Module):
    """Depthwise convolution, batch norm, SELU."""

    def __init__(self, channels: int, kernel: int, padding: int = 0, dilation: int = 1) -> None:
        super().__init__()
        self.DWConv = nn.Conv2d(
            channels, channels, kernel, padding=padding, dilation=dilation, groups=channels, bias=False
        )
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.selu(self.bn(self.DWConv(x)), inplace=True)


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise convolution, batch norm and SELU after either."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.DWConv = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.bn = nn.BatchNorm2d(inputs)
        self.PWConv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.selu(self.bn(self.DWConv(x)), inplace=True)
        return F.selu(self.bn2(self.PWConv(x)), inplace=True)


def branch(channels: int, kernel: int, padding: int, dilation: int) -> nn.Sequential:
    """One of the four views of an attention module: depthwise, then down to a quarter of the channels."""
    return nn.Sequential(Depthwise(channels, kernel, padding, dilation), Basic(channels, channels // 4, 1))


# Kernel, padding, dilation of the four branches of an attention module.
BRANCHES = ((1, 0, 1), (3, 1, 1), (3, 3, 3), (3, 5, 5))


def upsampled(x: torch.Tensor, factor: int, *, align_corners: bool = False) -> torch.Tensor:
    """Bilinear, `factor` times as large."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=align_corners)
