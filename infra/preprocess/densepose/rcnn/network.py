"""DensePose R-CNN, chart based, ResNet-50 with FPN, 1x schedule: every layer under its published name, and no more.

Sources: Güler, Neverova, Kokkinos, "DensePose: Dense Human Pose Estimation in the Wild" (CVPR 2018); the backbone and
box heads after Lin et al., "Feature Pyramid Networks" (CVPR 2017); the decoder after Kirillov et al., "Panoptic Feature
Pyramid Networks" (CVPR 2019). Sizes as in the published configuration `densepose_rcnn_R_50_FPN_s1x`.

Pictures enter as float32 Bx3xHxW, B, G, R in 0..255 less their means, H and W multiples of 32. How boxes are made of
what the layers say, and charts cut out of maps, stands in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-5
ANCHORS = 3  # per cell: one size, three aspect ratios
PERSON, CLASSES = 0, 2  # the box head's classes: person, then background
CHARTS = 25  # background, then the 24 parts


class FrozenBatchNorm2d(nn.Module):
    """(x - running mean) / sqrt(running variance + eps) * weight + bias, with stored statistics alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(x, *statistics, training=False, eps=NORM_EPS)


class NormedConv2d(nn.Conv2d):
    """A convolution without bias whose norm is its child."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = FrozenBatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class Stem(nn.Module):
    """Bx3xHxW -> Bx64xH/4xW/4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = NormedConv2d(3, 64, 7, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu_(self.conv1(x)), 3, stride=2, padding=1)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut. The stride is that of the first 1x1, as in the original Caffe models."""

    def __init__(self, inputs: int, inner: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.shortcut = NormedConv2d(inputs, outputs, 1, stride=stride) if inputs != outputs else None
        self.conv1 = NormedConv2d(inputs, inner, 1, stride=stride)
        self.conv2 = NormedConv2d(inner, inner, 3)
        self.conv3 = NormedConv2d(inner, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        straight = x if self.shortcut is None else self.shortcut(x)
        x = F.relu_(self.conv2(F.relu_(self.conv1(x))))
        return F.relu_(self.conv3(x).add_(straight))


class ResNet50(nn.Module):
    """Bx3xHxW -> res2 (256 channels, stride 4), res3 (512, 8), res4 (1024, 16), res5 (2048, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem()
        self.res2 = _stage(64, 64, blocks=3, stride=1)
        self.res3 = _stage(256, 128, blocks=4, stride=2)
        self.res4 = _stage(512, 256, blocks=6, stride=2)
        self.res5 = _stage(1024, 512, blocks=3, stride=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        x, out = self.stem(x), []
        for stage in (self.res2, self.res3, self.res4, self.res5):
            x = stage(x)
            out.append(x)
        return out


def _stage(inputs: int, inner: int, *, blocks: int, stride: int) -> nn.Sequential:
    outputs = 4 * inner
    first = Bottleneck(inputs, inner, outputs, stride=stride)
    return nn.Sequential(first, *(Bottleneck(outputs, inner, outputs, stride=1) for _ in range(blocks - 1)))


class Backbone(nn.Module):
    """Bx3xHxW -> p2..p6, 256 channels each, strides 4, 8, 16, 32, 64."""

    def __init__(self) -> None:
        super().__init__()
        self.fpn_lateral2, self.fpn_output2 = nn.Conv2d(256, 256, 1), nn.Conv2d(256, 256, 3, padding=1)
        self.fpn_lateral3, self.fpn_output3 = nn.Conv2d(512, 256, 1), nn.Conv2d(256, 256, 3, padding=1)
        self.fpn_lateral4, self.fpn_output4 = nn.Conv2d(1024, 256, 1), nn.Conv2d(256, 256, 3, padding=1)
        self.fpn_lateral5, self.fpn_output5 = nn.Conv2d(2048, 256, 1), nn.Conv2d(256, 256, 3, padding=1)
        self.bottom_up = ResNet50()

    def forward(self, x: Tensor) -> list[Tensor]:
        res2, res3, res4, res5 = self.bottom_up(x)
        sum5 = self.fpn_lateral5(res5)
        sum4 = self.fpn_lateral4(res4) + F.interpolate(sum5, scale_factor=2.0, mode="nearest")
        sum3 = self.fpn_lateral3(res3) + F.interpolate(sum4, scale_factor=2.0, mode="nearest")
        sum2 = self.fpn_lateral2(res2) + F.interpolate(sum3, scale_factor=2.0, mode="nearest")
        p5 = self.fpn_output5(sum5)
        return [self.fpn_output2(sum2), self.fpn_output3(sum3), self.fpn_output4(sum4), p5, p5[..., ::2, ::2]]


class RpnHead(nn.Module):
    """p2..p6 -> of each level logits Bx3xhxw (one per anchor) and deltas Bx12xhxw (anchor * 4 + dx, dy, dw, dh)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(256, 256, 3, padding=1)
        self.objectness_logits = nn.Conv2d(256, ANCHORS, 1)
        self.anchor_deltas = nn.Conv2d(256, 4 * ANCHORS, 1)

    def forward(self, pyramid: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        hidden = [F.relu_(self.conv(level)) for level in pyramid]
        return [self.objectness_logits(x) for x in hidden], [self.anchor_deltas(x) for x in hidden]


class ProposalGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rpn_head = RpnHead()


class BoxHead(nn.Module):
    """Pooled Nx256x7x7 -> Nx1024."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(256 * 7 * 7, 1024)
        self.fc2 = nn.Linear(1024, 1024)

    def forward(self, pooled: Tensor) -> Tensor:
        return F.relu_(self.fc2(F.relu_(self.fc1(pooled.flatten(1)))))


class BoxPredictor(nn.Module):
    """Nx1024 -> logits Nx2 (person, background) and deltas Nx4 (dx, dy, dw, dh)."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_score = nn.Linear(1024, CLASSES)
        self.bbox_pred = nn.Linear(1024, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.cls_score(x), self.bbox_pred(x)


class Doubling(nn.Module):
    """Twice the height and width, bilinear, corners not aligned."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class RectifiedConv2d(nn.Conv2d):
    """3x3 convolution of 256 channels, then ReLU."""

    def __init__(self) -> None:
        super().__init__(256, 256, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(super().forward(x))


class Decoder(nn.Module):
    """p2..p5 -> Bx256xhxw at p2's size: each level convolved and doubled until it has it, summed, mixed by a 1x1."""

    def __init__(self) -> None:
        super().__init__()
        self.p2 = nn.Sequential(RectifiedConv2d())
        self.p3 = nn.Sequential(RectifiedConv2d(), Doubling())
        self.p4 = nn.Sequential(RectifiedConv2d(), Doubling(), RectifiedConv2d(), Doubling())
        self.p5 = nn.Sequential(
            RectifiedConv2d(), Doubling(), RectifiedConv2d(), Doubling(), RectifiedConv2d(), Doubling()
        )
        self.predictor = nn.Conv2d(256, 256, 1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        p2, p3, p4, p5 = pyramid
        return self.predictor(self.p2(p2) + self.p3(p3) + self.p4(p4) + self.p5(p5))


class DensePoseHead(nn.Module):
    """Pooled Nx256x28x28 -> Nx512x28x28."""

    def __init__(self) -> None:
        super().__init__()
        for index in range(1, 9):
            self.add_module(f"body_conv_fcn{index}", nn.Conv2d(256 if index == 1 else 512, 512, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.children():
            x = F.relu_(conv(x))
        return x


class DensePosePredictor(nn.Module):
    """Nx512x28x28 -> Nx2x112x112 (background, person), then thrice Nx25x112x112 (part, u, v); no activation."""

    def __init__(self) -> None:
        super().__init__()
        self.ann_index_lowres = nn.ConvTranspose2d(512, 2, 4, stride=2, padding=1)
        self.index_uv_lowres = nn.ConvTranspose2d(512, CHARTS, 4, stride=2, padding=1)
        self.u_lowres = nn.ConvTranspose2d(512, CHARTS, 4, stride=2, padding=1)
        self.v_lowres = nn.ConvTranspose2d(512, CHARTS, 4, stride=2, padding=1)
        self.enlarge = Doubling()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return (
            self.enlarge(self.ann_index_lowres(x)), self.enlarge(self.index_uv_lowres(x)),
            self.enlarge(self.u_lowres(x)), self.enlarge(self.v_lowres(x)),
        )  # fmt: skip


class RoiHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.box_head = BoxHead()
        self.box_predictor = BoxPredictor()
        self.decoder = Decoder()
        self.densepose_head = DensePoseHead()
        self.densepose_predictor = DensePosePredictor()


class DensePoseRcnn(nn.Module):
    """All layers. They run in turns, with boxes chosen between them, so there is no single `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.proposal_generator = ProposalGenerator()
        self.roi_heads = RoiHeads()


def build_densepose_rcnn_r50_fpn_s1x() -> DensePoseRcnn:
    """The network of `model_final_162be9.pkl` (model 165712039), with parameters not yet loaded."""
    return DensePoseRcnn()
