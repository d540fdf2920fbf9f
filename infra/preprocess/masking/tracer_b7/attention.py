"""TRACER's attention modules (Lee, Shin, Han 2022): union attention, object attention, frequency edges."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from infra.preprocess.masking.tracer_b7.layers import BRANCHES, Basic, Separable, branch

_DROPPED = 0.1  # share of the channels, by attention, that union attention drops
_SURE_BACKGROUND = 0.93  # where the map is this sure of background, object attention looks at the map alone
_EDGE_RADIUS = 16  # of the low frequencies that the edge module takes away, in steps of the spectrum


def in_float32(pointwise: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """A 1x1 convolution without bias in float32, whatever the network's precision: attention's logits are not scaled,
    so a softmax of them tells the least differences apart."""
    return F.conv2d(x.float(), pointwise.weight.float())


class ChannelAttention(nn.Module):
    """How much each channel matters, told from the mean of all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.norm = nn.Sequential(nn.BatchNorm2d(channels))  # a dropout follows in training
        self.channel_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.channel_k = nn.Conv2d(channels, channels, 1, bias=False)
        self.channel_v = nn.Conv2d(channels, channels, 1, bias=False)
        self.fc = nn.Conv2d(channels, channels, 1, bias=False)

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """float32 BxCx1x1 in 0 to 1, of x BxCxHxW."""
        mean = self.norm(x.mean((2, 3), keepdim=True))
        q, k, v = (in_float32(each, mean).flatten(2) for each in (self.channel_q, self.channel_k, self.channel_v))
        weights = torch.softmax(q @ k.transpose(1, 2), dim=-1)
        return torch.sigmoid(in_float32(self.fc, (weights @ v)[..., None]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x BxCxHxW, each channel raised by its attention; `bn` is not used."""
        return x * self.attention(x).to(x.dtype) + x


class UnionAttention(ChannelAttention):
    """Channel attention that drops the least channels, then attention from row to row."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.spatial_q = nn.Conv2d(channels, 1, 1, bias=False)
        self.spatial_k = nn.Conv2d(channels, 1, 1, bias=False)
        self.spatial_v = nn.Conv2d(channels, 1, 1, bias=False)

    def masked(self, x: torch.Tensor) -> torch.Tensor:
        """x BxCxHxW raised and normalised, then scaled by the attention again, or dropped where that is low."""
        attention = self.attention(x)
        raised = self.bn(x * attention.to(x.dtype) + x)
        least = torch.quantile(attention, _DROPPED, dim=1, keepdim=True)
        return raised * torch.where(attention > least, attention, 0).to(x.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 logits Bx1xHxW of x BxCxHxW."""
        masked = self.masked(x)
        q, k, v = (in_float32(each, masked)[:, 0] for each in (self.spatial_q, self.spatial_k, self.spatial_v))
        rows = torch.softmax(q @ k.transpose(1, 2), dim=-1)
        return (rows @ v + v)[:, None]


class ObjectAttention(nn.Module):
    """Corrects a logit map by an encoder's feature map of the same size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.DWSConv = Separable(channels, half)
        self.DWConv1, self.DWConv2, self.DWConv3, self.DWConv4 = (branch(half, *each) for each in BRANCHES)
        self.conv1 = Basic(half, 1, 1)

    def forward(self, logits: torch.Tensor, feature: torch.Tensor) -> torch.Tensor:
        """float32 logits Bx1xhxw of float32 logits Bx1xhxw and features BxCxhxw."""
        object_share = torch.sigmoid(logits)
        background = 1 - object_share
        background = background.masked_fill(background > _SURE_BACKGROUND, 0)
        x = self.DWSConv((object_share + background).to(feature.dtype) * feature)
        branches = (self.DWConv1, self.DWConv2, self.DWConv3, self.DWConv4)
        x = torch.cat([each(x) for each in branches], dim=1) + x
        return F.relu(self.conv1(x)).float() + logits


class FrequencyEdge(nn.Module):
    """Adds what is left of a feature map without its low frequencies: edges."""

    def __init__(self, channels: int, radius: int = _EDGE_RADIUS) -> None:
        super().__init__()
        self.radius = radius
        self.UAM = ChannelAttention(channels)
        self.DWSConv = Separable(channels, channels)
        self.DWConv1, self.DWConv2, self.DWConv3, self.DWConv4 = (branch(channels, *each) for each in BRANCHES)
        self.conv = Basic(channels, 1, 1)

    def high_frequencies(self, x: torch.Tensor) -> torch.Tensor:
        """The modulus of x BxCxHxW without the frequencies inside the radius."""
        low = low_frequencies(*x.shape[-2:], self.radius, x.device)
        spectrum = torch.fft.fftshift(torch.fft.fft2(x.float()), dim=(2, 3)) * ~low
        return torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(2, 3))).abs().to(x.dtype)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x BxCxHxW with its edges, and the edges Bx1xHxW."""
        x_high = self.DWSConv(self.UAM(self.high_frequencies(x)))
        branches = (self.DWConv1, self.DWConv2, self.DWConv3, self.DWConv4)
        edge = F.relu(self.conv(torch.cat([each(x_high) for each in branches], dim=1) + x_high))
        return x + edge, edge


def low_frequencies(height: int, width: int, radius: int, device: torch.device) -> torch.Tensor:
    """bool HxW: a disc in the shifted spectrum. As published its centre is at half the height in both directions."""
    rows = torch.arange(height, device=device)[:, None] - height / 2
    columns = torch.arange(width, device=device) - height / 2
    return rows**2 + columns**2 < radius**2
