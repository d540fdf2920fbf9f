"""A 1x1 convolution that is fast on one CPU thread too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_LEAST_FOR_ONEDNN = 20480  # numbers in a single map; below torch never takes oneDNN (ConvParams::use_mkldnn)


class Pointwise(nn.Conv2d):
    """Runs on oneDNN also where torch has one CPU thread.

    There torch would choose the BLAS, which takes twice as long on some processors. A dilation of 2, which means
    nothing to a kernel of one tap, makes it choose oneDNN; for the smallest maps it would choose a slow loop.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dilation = 2 if x.is_cpu and x.numel() > _LEAST_FOR_ONEDNN else 1
        return F.conv2d(x, self.weight, self.bias, self.stride, dilation=dilation)


def with_fast_pointwise(module: nn.Module) -> nn.Module:
    """The module (used up) with every plain 1x1 convolution made a `Pointwise`."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            plain = type(child) is nn.Conv2d and child.groups == 1 and child.padding == (0, 0)
            if plain and child.kernel_size == (1, 1):
                setattr(parent, name, _pointwise(child))
    return module


def _pointwise(given: nn.Conv2d) -> Pointwise:
    with torch.device("meta"):
        made = Pointwise(given.in_channels, given.out_channels, 1, given.stride, bias=given.bias is not None)
    made.weight, made.bias = given.weight, given.bias
    return made
