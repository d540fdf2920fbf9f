"""TRACER (Lee, Shin, Han: Extreme Attention Guided Salient Object Tracing Network, AAAI 2022) on EfficientNet-B7.

State-dict names are those of the published checkpoints.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from infra.preprocess.masking.tracer_b7.attention import ObjectAttention, UnionAttention
from infra.preprocess.masking.tracer_b7.efficientnet import FEATURE_CHANNELS, Encoder
from infra.preprocess.masking.tracer_b7.layers import Basic, upsampled

_SIZES = (3, 5, 7)  # of a receptive-field block's three branches
_FIELD_CHANNELS = (32, 64, 128)  # of the three receptive-field blocks


class ReceptiveField(nn.Module):
    """Four views of a feature map, of growing reach (Liu, Huang, Wang 2018)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(Basic(inputs, outputs, 1))
        self.branch1, self.branch2, self.branch3 = (
            nn.Sequential(
                Basic(inputs, outputs, 1),
                Basic(outputs, outputs, (1, n), (0, n // 2)),
                Basic(outputs, outputs, (n, 1), (n // 2, 0)),
                Basic(outputs, outputs, 3, n, dilation=n),
            )
            for n in _SIZES
        )
        self.conv_cat = Basic(4 * outputs, outputs, 3, 1)
        self.conv_res = Basic(inputs, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """BxCxhxw -> BxC'xhxw."""
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        return F.relu(self.conv_cat(torch.cat([each(x) for each in branches], dim=1)) + self.conv_res(x))


class Aggregation(nn.Module):
    """Joins the three receptive-field blocks to one logit map (Wu, Su, Huang 2019)."""

    def __init__(self) -> None:
        super().__init__()
        e2, e3, e4 = _FIELD_CHANNELS
        self.conv_upsample1 = Basic(e4, e3, 3, 1)
        self.conv_upsample2 = Basic(e4, e2, 3, 1)
        self.conv_upsample3 = Basic(e3, e2, 3, 1)
        self.conv_upsample4 = Basic(e4, e4, 3, 1)
        self.conv_upsample5 = Basic(e3 + e4, e3 + e4, 3, 1)
        self.conv_concat2 = Basic(e3 + e4, e3 + e4, 3, 1)
        self.conv_concat3 = Basic(e2 + e3 + e4, e2 + e3 + e4, 3, 1)
        self.UAM = UnionAttention(e2 + e3 + e4)

    def forward(self, e4: torch.Tensor, e3: torch.Tensor, e2: torch.Tensor) -> torch.Tensor:
        """float32 logits Bx1xH/8xW/8 of features at 1/32, 1/16 and 1/8. Corners are aligned here and only here."""

        def up(x: torch.Tensor) -> torch.Tensor:
            return upsampled(x, 2, align_corners=True)

        up4 = up(e4)
        e3_seen = self.conv_upsample1(up4) * e3
        e2_seen = self.conv_upsample2(up(up4)) * self.conv_upsample3(up(e3)) * e2
        joined = self.conv_concat2(torch.cat([e3_seen, self.conv_upsample4(up4)], dim=1))
        return self.UAM(self.conv_concat3(torch.cat([e2_seen, self.conv_upsample5(up(joined))], dim=1)))


class TracedMaps(NamedTuple):
    """Logits of the three decoder stages, float32: Bx1xH/8xW/8 twice, Bx1xH/4xW/4."""

    d0: torch.Tensor
    d1: torch.Tensor
    d2: torch.Tensor


class TracedEdges(NamedTuple):
    """Probabilities float32 Bx1xHxW: the object, its edges, and what each decoder stage alone says."""

    mask: torch.Tensor
    edge: torch.Tensor
    stages: tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class _Decoder(nn.Module):
    """What both releases have in common; their state dicts hold the decoder's parts at the top level, after `encoder`
    under the name that it has there."""

    def __init__(self, name: str, encoder: Encoder) -> None:
        super().__init__()
        self.add_module(name, encoder)
        f0, f1, f2, f3 = FEATURE_CHANNELS
        self.rfb2 = ReceptiveField(f1, _FIELD_CHANNELS[0])
        self.rfb3 = ReceptiveField(f2, _FIELD_CHANNELS[1])
        self.rfb4 = ReceptiveField(f3, _FIELD_CHANNELS[2])
        self.agg = Aggregation()
        self.ObjectAttention2 = ObjectAttention(f1)
        self.ObjectAttention1 = ObjectAttention(f0)

    def decoded(self, features: list[torch.Tensor]) -> TracedMaps:
        f0, f1, f2, f3 = features
        d0 = self.agg(self.rfb4(f3), self.rfb3(f2), self.rfb2(f1))
        d1 = self.ObjectAttention2(d0, f1)
        return TracedMaps(d0, d1, self.ObjectAttention1(upsampled(d1, 2), f0))


def _full_size(maps: TracedMaps) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return upsampled(maps.d0, 8), upsampled(maps.d1, 8), upsampled(maps.d2, 4)


def _mask(logits: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return torch.sigmoid(sum(logits) / len(logits))


class Tracer(_Decoder):
    """CarveKit's release: without the edge module."""

    def __init__(self) -> None:
        super().__init__("encoder", Encoder())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Probability of the salient object, float32 Bx1xHxW, 0 to 1.

        `image` Bx3xHxW, RGB, normalised with ImageNet's mean and deviation; H and W are multiples of 32.
        """
        features, _ = self.encoder(image)
        return _mask(_full_size(self.decoded(features)))


class TracerEdge(_Decoder):
    """The authors' own release (TE-7), whose encoder is called `model` and has the edge module."""

    def __init__(self) -> None:
        super().__init__("model", Encoder(edge=True))

    def forward(self, image: torch.Tensor) -> TracedEdges:
        """As `Tracer.forward`; the edges are of the encoder."""
        features, edge = self.model(image)
        logits = _full_size(self.decoded(features))
        stages = tuple(torch.sigmoid(each) for each in logits)
        return TracedEdges(_mask(logits), torch.sigmoid(upsampled(edge.float(), 4)), stages)


def build_tracer_b7() -> Tracer:
    """The network of `tracer_b7.pth`; it was trained at 640 x 640."""
    return Tracer()


def build_tracer_te7() -> TracerEdge:
    """The network of `TRACER-Efficient-7.pth`; it was trained at 640 x 640."""
    return TracerEdge()
