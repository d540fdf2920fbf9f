"""The loaded network, rearranged for running: equal outputs, fewer and larger operations.

Frozen norms are folded into their convolutions; heads side by side become one (15 outputs of the RPN, 6 of the box
predictor, 77 of the charts); the first box layer takes features channels last. What decides on boxes and labels stands
apart, to stay in float32 while the rest runs in half precision.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from infra.preprocess.densepose.rcnn.network import (
    ANCHORS,
    CLASSES,
    NORM_EPS,
    Backbone,
    DensePosePredictor,
    DensePoseRcnn,
    Doubling,
    NormedConv2d,
)

Layer = TypeVar("Layer", bound=nn.Module)


class Trunk(nn.Module):
    """Pictures Bx3xHxW -> p2..p6, and what the RPN sees in each: 256 channels all."""

    def __init__(self, backbone: Backbone, rpn_conv: nn.Conv2d) -> None:
        super().__init__()
        self.backbone, self.rpn_conv = backbone, rpn_conv

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        pyramid = self.backbone(pictures)
        return pyramid, [F.relu_(self.rpn_conv(level)) for level in pyramid]


class RpnPredictor(nn.Linear):
    """One level Bx256xhxw -> logits BxA and deltas BxAx4 in float32, anchors in the order row, column, ratio."""

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        cells = level.permute(0, 2, 3, 1).to(self.weight.dtype)
        logits, deltas = super().forward(cells).split([ANCHORS, 4 * ANCHORS], dim=-1)
        return logits.flatten(1), deltas.reshape(len(level), -1, 4)


class BoxHead(nn.Module):
    """Pooled Nx256x7x7 -> Nx1024. The first layer's weights are in the order row, column, channel."""

    def __init__(self, fc1: nn.Linear, fc2: nn.Linear) -> None:
        super().__init__()
        self.fc1, self.fc2 = fc1, fc2

    def forward(self, pooled: Tensor) -> Tensor:
        return F.relu_(self.fc2(F.relu_(self.fc1(pooled.permute(0, 2, 3, 1).flatten(1)))))


class BoxPredictor(nn.Linear):
    """Nx1024 -> logits Nx2 and deltas Nx4, in float32."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = super().forward(x.to(self.weight.dtype)).split([CLASSES, 4], dim=-1)
        return logits, deltas


class ChartPredictor(nn.Module):
    """Nx512x28x28 -> Nx77x112x112 (coarse, parts, u, v), in float32."""

    def __init__(self, upscale: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.upscale, self.enlarge = upscale, Doubling()

    def forward(self, x: Tensor) -> Tensor:
        return self.enlarge(self.upscale(x.to(self.upscale.weight.dtype)))


class FoldedRcnn(nn.Module):
    """The parts in the order in which they run. `EXACT` names those that stay in float32 in every precision."""

    EXACT = ("rpn_predictor", "box_predictor", "chart_predictor")

    def __init__(self, network: DensePoseRcnn) -> None:
        super().__init__()
        rpn, heads = network.proposal_generator.rpn_head, network.roi_heads
        objectness, anchors = rpn.objectness_logits, rpn.anchor_deltas
        score, box = heads.box_predictor.cls_score, heads.box_predictor.bbox_pred
        self.trunk = Trunk(_without_norms(network.backbone), rpn.conv)
        self.rpn_predictor = _filled(
            RpnPredictor(256, 5 * ANCHORS, device="meta"),
            torch.cat([objectness.weight, anchors.weight]).flatten(1), torch.cat([objectness.bias, anchors.bias]),
        )  # fmt: skip
        self.box_head = BoxHead(_channels_last(heads.box_head.fc1), heads.box_head.fc2)
        self.box_predictor = _filled(
            BoxPredictor(1024, CLASSES + 4, device="meta"),
            torch.cat([score.weight, box.weight]), torch.cat([score.bias, box.bias]),
        )  # fmt: skip
        self.decoder, self.densepose_head = heads.decoder, heads.densepose_head
        self.chart_predictor = ChartPredictor(_charts_together(heads.densepose_predictor))


def fold(network: DensePoseRcnn) -> FoldedRcnn:
    """A copy of the loaded network, rearranged; float32 on the CPU, for inference alone. `network` stays as it is."""
    with torch.no_grad():
        return FoldedRcnn(copy.deepcopy(network)).eval().requires_grad_(False)


def _without_norms(module: nn.Module) -> nn.Module:
    """The module with every norm folded into its convolution, in place."""
    for name, child in module.named_children():
        setattr(module, name, _folded(child) if isinstance(child, NormedConv2d) else _without_norms(child))
    return module


def _folded(conv: NormedConv2d) -> nn.Conv2d:
    norm = conv.norm
    weight, bias = fuse_conv_bn_weights(
        conv.weight, None, norm.running_mean, norm.running_var, NORM_EPS, norm.weight, norm.bias
    )
    sizes = conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding
    return _filled(nn.Conv2d(*sizes, device="meta"), weight, bias)


def _channels_last(fc1: nn.Linear) -> nn.Linear:
    """The layer for input in the order row, column, channel in place of channel, row, column."""
    weight = fc1.weight.unflatten(1, (256, 7, 7)).permute(0, 2, 3, 1).flatten(1)
    return _filled(nn.Linear(fc1.in_features, fc1.out_features, device="meta"), weight, fc1.bias)


def _charts_together(predictor: DensePosePredictor) -> nn.ConvTranspose2d:
    parts = predictor.ann_index_lowres, predictor.index_uv_lowres, predictor.u_lowres, predictor.v_lowres
    weight, bias = torch.cat([each.weight for each in parts], dim=1), torch.cat([each.bias for each in parts])
    return _filled(nn.ConvTranspose2d(512, len(bias), 4, stride=2, padding=1, device="meta"), weight, bias)


def _filled(layer: Layer, weight: Tensor, bias: Tensor) -> Layer:
    layer.weight = nn.Parameter(weight.detach().contiguous())
    layer.bias = nn.Parameter(bias.detach())
    return layer
