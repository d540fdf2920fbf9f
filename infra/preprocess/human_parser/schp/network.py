"""Augmented CE2P with a ResNet-101 backbone, the network of SCHP's published checkpoints.

P. Li et al., "Self-Correction for Human Parsing", IEEE TPAMI 2020 (arXiv 1910.09777), on "Devil in the Details: Towards
Accurate Single and Multiple Human Parsing" (CE2P, arXiv 1809.05996). Parameter names and shapes are the checkpoints'.
All resizes are bilinear with aligned corners.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 1e-5
SLOPE = 0.01  # of the leaky ReLU in every head
BINS = (1, 2, 3, 6)  # cells per side of the pyramid's pooled maps


class ActivatedNorm(nn.Module):
    """Batch norm as in-place activated batch norm has it: the scale is |weight| + epsilon; see `leaky`."""

    def __init__(self, channels: int, *, leaky: bool) -> None:
        super().__init__()
        self.leaky = leaky
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def scale(self) -> torch.Tensor:
        """What normalised values are multiplied by, one number per channel."""
        return self.weight.abs() + EPSILON

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.batch_norm(x, self.running_mean, self.running_var, self.scale(), self.bias, False, 0.0, EPSILON)
        return F.leaky_relu(y, SLOPE) if self.leaky else y


class Bottleneck(nn.Module):
    """1x1, 3x3 (which strides and dilates) and 1x1 convolution around a shortcut."""

    def __init__(self, channels: int, middle: int, *, stride: int, dilation: int, projected: bool) -> None:
        super().__init__()
        out = 4 * middle
        self.conv1 = nn.Conv2d(channels, middle, 1, bias=False)
        self.bn1 = ActivatedNorm(middle, leaky=False)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = ActivatedNorm(middle, leaky=False)
        self.conv3 = nn.Conv2d(middle, out, 1, bias=False)
        self.bn3 = ActivatedNorm(out, leaky=False)
        if projected:
            projection = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, ActivatedNorm(out, leaky=False))
        else:
            self.downsample = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Nx(channels)xHxW -> Nx(4 middle)x(H/stride)x(W/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _stage(channels: int, middle: int, blocks: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A backbone stage: its first block strides and has a projection on the shortcut."""
    first = Bottleneck(channels, middle, stride=stride, dilation=dilation, projected=True)
    others = [Bottleneck(4 * middle, middle, stride=1, dilation=dilation, projected=False) for _ in range(blocks - 1)]
    return nn.Sequential(first, *others)


def _normed(channels: int, out: int, kernel: int = 1) -> list[nn.Module]:
    """Convolution and leaky norm."""
    return [
        nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False),
        ActivatedNorm(out, leaky=True),
    ]


class PyramidPooling(nn.Module):
    """What the whole picture and its parts hold, added to what every place holds."""

    def __init__(self, channels: int = 2048, out: int = 512) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(bins), *_normed(channels, out)) for bins in BINS)
        self.bottleneck = nn.Sequential(*_normed(channels + len(BINS) * out, out, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Nx2048xHxW -> Nx512xHxW."""
        return self.bottleneck(torch.cat([*(resized(stage(x), x.shape[2:]) for stage in self.stages), x], 1))


class Decoder(nn.Module):
    """Context at the resolution of the first stage, with that stage's detail."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*_normed(512, 256))
        self.conv2 = nn.Sequential(*_normed(256, 48))
        self.conv3 = nn.Sequential(*_normed(304, 256), *_normed(256, 256))
        self.conv4 = nn.Conv2d(256, classes, 1)

    def forward(self, context: torch.Tensor, layer1: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nx512xhxw, Nx256xHxW -> parsing logits Nx(classes)xHxW, features Nx256xHxW."""
        coarse = resized(self.conv1(context), layer1.shape[2:])
        features = self.conv3(torch.cat([coarse, self.conv2(layer1)], 1))
        return self.conv4(features), features


class EdgeHead(nn.Module):
    """Where one label ends and another begins, from three stages of the backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*_normed(256, 256))
        self.conv2 = nn.Sequential(*_normed(512, 256))
        self.conv3 = nn.Sequential(*_normed(1024, 256))
        self.conv4 = nn.Conv2d(256, 2, 3, padding=1)
        self.conv5 = nn.Conv2d(6, 2, 1)

    def forward(
        self, layer1: torch.Tensor, layer2: torch.Tensor, layer3: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Stages of 256, 512 and 1024 channels -> edge logits Nx2xHxW, features Nx768xHxW at the first one's size."""
        features = [self.conv1(layer1), self.conv2(layer2), self.conv3(layer3)]
        size = layer1.shape[2:]
        edges = torch.cat([resized(self.conv4(each), size) for each in features], 1)
        return self.conv5(edges), torch.cat([resized(each, size) for each in features], 1)


class AugmentedCe2p(nn.Module):
    """Labels at a quarter of the picture's size; inference reads the fusion logits alone."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 2, padding=1, bias=False)
        self.bn1 = ActivatedNorm(64, leaky=False)
        self.conv2 = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.bn2 = ActivatedNorm(64, leaky=False)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1, bias=False)
        self.bn3 = ActivatedNorm(128, leaky=False)
        self.layer1 = _stage(128, 64, 3)
        self.layer2 = _stage(256, 128, 4, stride=2)
        self.layer3 = _stage(512, 256, 23, stride=2)
        self.layer4 = _stage(1024, 512, 3, dilation=2)
        self.context_encoding = PyramidPooling()
        self.edge = EdgeHead()
        self.decoder = Decoder(classes)
        self.fushion = nn.Sequential(*_normed(1024, 256), nn.Dropout2d(0.1), nn.Conv2d(256, classes, 1))

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """Nx3xHxW -> Nx128xH/4xW/4."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        return F.max_pool2d(x, 3, 2, padding=1)

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pictures Nx3xHxW (BGR, normalised) -> parsing, fusion (Nx(classes)xhxw) and edge (Nx2xhxw) logits.

        h and w are a quarter of H and W, rounded up.
        """
        layer1 = self.layer1(self.stem(picture))
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        context = self.context_encoding(self.layer4(layer3))
        parsing, decoded = self.decoder(context, layer1)
        edge, edges = self.edge(layer1, layer2, layer3)
        return parsing, self.fushion(torch.cat([decoded, edges], 1)), edge


def resized(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """NxCxHxW at `size` (height, width), corners aligned."""
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


def build_schp_cihp() -> AugmentedCe2p:
    """The network of `exp_schp_multi_cihp_global.pth` and `..._local.pth`; trained at 473 x 473."""
    return AugmentedCe2p(classes=20)


def build_schp_lip() -> AugmentedCe2p:
    """The network of `exp-schp-201908261155-lip.pth`; trained at 473 x 473."""
    return AugmentedCe2p(classes=20)


def build_schp_atr() -> AugmentedCe2p:
    """The network of `exp-schp-201908301523-atr.pth`; trained at 512 x 512."""
    return AugmentedCe2p(classes=18)


def build_schp_pascal() -> AugmentedCe2p:
    """The network of `exp-schp-201908270938-pascal-person-part.pth`; trained at 512 x 512."""
    return AugmentedCe2p(classes=7)
