"""FBA matting rearranged for speed: the same numbers, with the filters standardised once instead of in every run."""

from __future__ import annotations

import torch
from torch import nn

from infra.preprocess.masking.fba.network import StandardConv


def fold(module: nn.Module) -> nn.Module:
    """The network (float32, eval) with plain convolutions of standardised filters; `module` is used up."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, StandardConv):
                setattr(parent, name, _standardised(child))
    return module.requires_grad_(False)


def _standardised(given: StandardConv) -> nn.Conv2d:
    with torch.device("meta"):
        plain = nn.Conv2d(
            given.in_channels, given.out_channels, given.kernel_size, given.stride, given.padding, given.dilation,
            bias=given.bias is not None,
        )  # fmt: skip
    plain.weight, plain.bias = nn.Parameter(given.standardised().detach(), requires_grad=False), given.bias
    return plain
