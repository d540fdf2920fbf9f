"""EfficientNet-B7 (Tan and Le 2019) without its head, as TRACER uses it: four feature maps of a picture.

Names, layer sizes and constants are those of the published checkpoints.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from infra.preprocess.masking.tracer_b7.attention import FrequencyEdge

_EPSILON, _MOMENTUM = 1e-3, 0.01  # of the encoder's batch norms; the decoder has torch's defaults


class Stage(NamedTuple):
    """Blocks of one kind. `before` and `after` pad the first block's depthwise convolution in both directions."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int
    before: int
    after: int


STEM_CHANNELS = 64
# The paddings are TensorFlow's SAME for a picture of 600 x 600, and the checkpoints were trained with these for every
# size: computed anew for 640 x 640 they would differ in the fourth stage.
STAGES = (
    Stage(4, 3, 1, 1, 32, 1, 1),
    Stage(7, 3, 2, 6, 48, 0, 1),
    Stage(7, 5, 2, 6, 80, 1, 2),
    Stage(10, 3, 2, 6, 160, 1, 1),
    Stage(10, 5, 1, 6, 224, 2, 2),
    Stage(13, 5, 2, 6, 384, 1, 2),
    Stage(4, 3, 1, 6, 640, 1, 1),
)
FEATURES = (10, 17, 37, 54)  # blocks whose results TRACER reads, at 1/4, 1/8, 1/16 and 1/32 of the picture
FEATURE_CHANNELS = (48, 80, 224, 640)
_SQUEEZED = 0.25  # channels of the squeeze-excitation's middle, of the block's input


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)


class PaddedConv(nn.Conv2d):
    """A square convolution without bias that may pad more after the picture than before it."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, before: int, after: int, *, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=before, groups=groups, bias=False)
        self.more = after - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.more:
            room = self.padding[0], self.padding[0] + self.more
            return F.conv2d(F.pad(x, room + room), self.weight, self.bias, self.stride, 0, 1, self.groups)
        return super().forward(x)


class InvertedBottleneck(nn.Module):
    """Expansion, depthwise convolution, squeeze-excitation, projection (Sandler et al. 2018, Hu et al. 2018)."""

    def __init__(self, channels: int, stage: Stage, *, first: bool) -> None:
        super().__init__()
        middle = channels * stage.expansion
        symmetric = (stage.kernel - 1) // 2
        before, after = (stage.before, stage.after) if first else (symmetric, symmetric)
        self.residual = not first
        self._expand_conv: nn.Module = nn.Identity()
        if stage.expansion > 1:
            self._expand_conv = nn.Conv2d(channels, middle, 1, bias=False)
            self._bn0 = _norm(middle)
        stride = stage.stride if first else 1
        self._depthwise_conv = PaddedConv(middle, middle, stage.kernel, stride, before, after, groups=middle)
        self._bn1 = _norm(middle)
        squeezed = int(_SQUEEZED * channels)
        self._se_reduce = nn.Conv2d(middle, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, middle, 1)
        self._project_conv = nn.Conv2d(middle, stage.channels, 1, bias=False)
        self._bn2 = _norm(stage.channels)

    def excitation(self, x: torch.Tensor) -> torch.Tensor:
        """The factor of every channel, Bxmiddlex1x1 in 0 to 1, of features Bxmiddlexhxw."""
        mean = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self._se_expand(F.silu(self._se_reduce(mean))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """BxCxHxW -> BxC'xH'xW'."""
        given = x
        if not isinstance(self._expand_conv, nn.Identity):
            x = F.silu(self._bn0(self._expand_conv(x)), inplace=True)
        x = F.silu(self._bn1(self._depthwise_conv(x)), inplace=True)
        x = self._bn2(self._project_conv(x.mul_(self.excitation(x))))
        return x.add_(given) if self.residual else x


class Encoder(nn.Module):
    """The 55 blocks; with `edge`, TRACER's frequency edge module acts on the first feature map."""

    def __init__(self, *, edge: bool = False) -> None:
        super().__init__()
        self.Frequency_Edge_Module1 = FrequencyEdge(FEATURE_CHANNELS[0]) if edge else None
        self._conv_stem = PaddedConv(3, STEM_CHANNELS, 3, 2, before=0, after=1)
        self._bn0 = _norm(STEM_CHANNELS)
        channels, blocks = STEM_CHANNELS, []
        for stage in STAGES:
            for i in range(stage.blocks):
                blocks.append(InvertedBottleneck(channels, stage, first=i == 0))
                channels = stage.channels
        self._blocks = nn.ModuleList(blocks)

    def stem(self, image: torch.Tensor) -> torch.Tensor:
        """Bx3xHxW -> Bx64xH/2xW/2."""
        return F.silu(self._bn0(self._conv_stem(image)), inplace=True)

    def forward(self, image: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        """The four feature maps of float32 Bx3xHxW, and the edge map Bx1xH/4xW/4 where there is an edge module."""
        x, features, edge = self.stem(image), [], None
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i == FEATURES[0] and self.Frequency_Edge_Module1 is not None:
                x, edge = self.Frequency_Edge_Module1(x)
            if i in FEATURES:
                features.append(x)
        return features, edge
