"""TRACER rearranged for speed: the same numbers but for rounding, without batch norms and copies made to pad."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from infra.preprocess.masking.tracer_b7.efficientnet import Encoder, InvertedBottleneck, PaddedConv
from infra.preprocess.masking.tracer_b7.layers import Basic, Depthwise, Separable

# Convolutions and the batch norms that follow them, by the module that holds both.
_FOLLOWED = {
    Encoder: (("_conv_stem", "_bn0"),),
    InvertedBottleneck: (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")),
    Basic: (("conv", "bn"),),
    Depthwise: (("DWConv", "bn"),),
    Separable: (("DWConv", "bn"), ("PWConv", "bn2")),
}


def fold(module: nn.Module) -> nn.Module:
    """The network (float32, eval) with its norms inside its convolutions; `module` is used up."""
    for parent in list(module.modules()):
        for convolution, norm in _FOLLOWED.get(type(parent), ()):
            if hasattr(parent, norm):
                fused = fuse_conv_bn_eval(getattr(parent, convolution), getattr(parent, norm))
                setattr(parent, convolution, _evenly_padded(fused) if isinstance(fused, PaddedConv) else fused)
                setattr(parent, norm, nn.Identity())
    return module.requires_grad_(False)


def _evenly_padded(padded: PaddedConv) -> nn.Conv2d:
    """Where more is padded after than before, taps of 0 go before the kernel: a copy of the picture costs more."""
    weight = F.pad(padded.weight.detach(), (padded.more, 0) * 2)
    outputs, inputs, kernel = weight.shape[:3]
    with torch.device("meta"):
        even = nn.Conv2d(
            inputs * padded.groups, outputs, kernel, padded.stride, padded.padding[0] + padded.more,
            groups=padded.groups,
        )  # fmt: skip
    even.weight, even.bias = nn.Parameter(weight, requires_grad=False), padded.bias
    return even
