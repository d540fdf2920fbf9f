"""FBA matting (Forte and Pitié: F, B, Alpha Matting, 2020): a ResNet-50 with weight-standardised convolutions.

State-dict names are those of the published checkpoint (`resnet50_GN_WS`). The `bn` in its names are group norms.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

_GROUPS = 32
_POOLED = (1, 2, 3, 6)  # sizes of the pyramid's pooled maps
_PRIOR = 0.1  # weight of the network's own alpha in the fusion (the paper's lambda)


class StandardConv(nn.Conv2d):
    """A convolution whose filters are standardised (Qiao et al. 2019) every time it runs."""

    def standardised(self) -> torch.Tensor:
        """The weights of mean 0 and deviation 1 in each filter; the deviation has the n - 1 denominator."""
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        deviation = torch.sqrt(weight.var((1, 2, 3), keepdim=True) + 1e-12) + 1e-5
        return weight / deviation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.standardised(), self.bias)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, channels)


class Bottleneck(nn.Module):
    """ResNet's block of three convolutions (He et al. 2016); the stride sits on the second."""

    def __init__(
        self, inputs: int, width: int, outputs: int, *, stride: int = 1, dilation: int = 1, project: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = StandardConv(inputs, width, 1, bias=False)
        self.bn1 = _norm(width)
        self.conv2 = StandardConv(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = _norm(width)
        self.conv3 = StandardConv(width, outputs, 1, bias=False)
        self.bn3 = _norm(outputs)
        self.downsample = None
        if project:
            self.downsample = nn.Sequential(StandardConv(inputs, outputs, 1, stride, bias=False), _norm(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return F.relu(self.bn3(self.conv3(x)).add_(shortcut), inplace=True)


class Encoder(nn.Module):
    """ResNet-50 on 11 channels: normalised picture, distances, trimap. Strides end at 1/8, dilation takes over."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = StandardConv(11, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = _norm(64)
        # Blocks, width, stride, dilation of the first block and of the others.
        self.layer1 = _layer(64, 3, 64, 1, 1, 1)
        self.layer2 = _layer(256, 4, 128, 2, 1, 1)
        self.layer3 = _layer(512, 6, 256, 1, 1, 2)
        self.layer4 = _layer(1024, 3, 512, 1, 2, 4)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Bx11xHxW -> Bx64xH/2xW/2, Bx256xH/4xW/4, Bx2048xH/8xW/8."""
        first = F.relu(self.bn1(self.conv1(x)), inplace=True)
        quarter = self.layer1(F.max_pool2d(first, 3, stride=2, padding=1))
        return [first, quarter, self.layer4(self.layer3(self.layer2(quarter)))]


def _layer(inputs: int, blocks: int, width: int, stride: int, first: int, others: int) -> nn.Sequential:
    outputs = 4 * width
    head = Bottleneck(inputs, width, outputs, stride=stride, dilation=first, project=True)
    return nn.Sequential(head, *(Bottleneck(outputs, width, outputs, dilation=others) for _ in range(blocks - 1)))


class Decoder(nn.Module):
    """A pooling pyramid (Zhao et al. 2017), then up to the picture's size with the encoder's maps on the way."""

    def __init__(self) -> None:
        super().__init__()
        slope = nn.LeakyReLU(0.01, inplace=True)
        self.ppm = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), StandardConv(2048, 256, 1), _norm(256), slope) for size in _POOLED
        )
        self.conv_up1 = nn.Sequential(
            StandardConv(2048 + 4 * 256, 256, 3, padding=1), _norm(256), slope,
            StandardConv(256, 256, 3, padding=1), _norm(256), slope,
        )  # fmt: skip
        self.conv_up2 = nn.Sequential(StandardConv(256 + 256, 256, 3, padding=1), _norm(256), slope)
        self.conv_up3 = nn.Sequential(StandardConv(256 + 64, 64, 3, padding=1), _norm(64), slope)
        self.conv_up4 = nn.Sequential(
            nn.Conv2d(64 + 3 + 3 + 2, 32, 3, padding=1), slope,
            nn.Conv2d(32, 16, 3, padding=1), slope,
            nn.Conv2d(16, 7, 1),
        )  # fmt: skip

    def pyramid(self, x: torch.Tensor) -> torch.Tensor:
        """Bx2048xhxw -> Bx3072xhxw."""
        return torch.cat([x, *(_resized(each(x), x.shape[-2:]) for each in self.ppm)], dim=1)

    def forward(self, maps: list[torch.Tensor], full: torch.Tensor) -> torch.Tensor:
        """Bx7xHxW, as they leave the last convolution: alpha, foreground, background.

        `maps` are the encoder's, and the list is emptied: what is used up gives its memory back. `full` Bx8xHxW is
        normalised picture, picture and trimap.
        """
        x = self.conv_up1(self.pyramid(maps.pop()))
        x = torch.cat([_doubled(x), maps.pop()], dim=1)
        x = self.conv_up2(x)
        x = torch.cat([_doubled(x), maps.pop()], dim=1)
        x = self.conv_up3(x)
        x = torch.cat([_doubled(x), full], dim=1)
        return self.conv_up4(x)


def _resized(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return _resized(x, (2 * x.shape[-2], 2 * x.shape[-1]))


class FBA(nn.Module):
    """Alpha, foreground and background of a picture and its trimap."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(
        self, image: torch.Tensor, trimap: torch.Tensor, normalised: torch.Tensor, distances: torch.Tensor
    ) -> torch.Tensor:
        """float32 Bx7xHxW, 0 to 1: alpha, foreground x3, background x3, colours in the order of `image`.

        All float32, whatever the network's own precision: `image` Bx3xHxW in 0 to 1, `trimap` Bx2xHxW (known
        background, known foreground), `normalised` the image with ImageNet's mean and deviation, `distances` Bx6xHxW
        to both; H and W are multiples of 8.
        """
        dtype = self.encoder.conv1.weight.dtype
        maps = self.encoder(torch.cat([normalised, distances, trimap], dim=1).to(dtype))
        raw = self.decoder(maps, torch.cat([normalised, image, trimap], dim=1).to(dtype)).float()
        alpha = raw[:, :1].clamp(0, 1)
        return torch.cat(fused(alpha, image, raw[:, 1:4].sigmoid(), raw[:, 4:].sigmoid()), dim=1)


def fused(
    alpha: torch.Tensor, image: torch.Tensor, foreground: torch.Tensor, background: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Makes the three agree with the image (the paper's section 3.4); all in 0 to 1, alpha Bx1xHxW, colours Bx3xHxW.

    The background is corrected with the new foreground before that is clipped.
    """
    front = alpha * image + (1 - alpha**2) * foreground - alpha * (1 - alpha) * background
    back = (1 - alpha) * image + (2 * alpha - alpha**2) * background - alpha * (1 - alpha) * front
    front, back = front.clamp(0, 1), back.clamp(0, 1)
    between = front - back
    share = (image - back).mul(between).sum(1, keepdim=True) + alpha * _PRIOR
    alpha = share / (between.square().sum(1, keepdim=True) + _PRIOR)
    return alpha.clamp(0, 1), front, back


def build_fba() -> FBA:
    """The network of `FBA.pth` and `fba_matting.pth`."""
    return FBA()
