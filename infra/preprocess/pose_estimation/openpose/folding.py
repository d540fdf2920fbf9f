"""A network in two parts, so that one may run in reduced precision."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from infra.preprocess.pose_estimation.openpose.network import CaffeNetwork


class Hidden(nn.Module):
    """All but the last convolutions."""

    def __init__(self, network: CaffeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.network.hidden(image)


class Last(nn.Module):
    """The last convolutions, side by side."""

    def __init__(self, convolutions: list[nn.Conv2d]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, *hidden: torch.Tensor) -> torch.Tensor:
        return torch.cat([convolution(x) for convolution, x in zip(self.convolutions, hidden)], 1)


def split(network: CaffeNetwork) -> tuple[Hidden, Last]:
    """The two parts: the second one takes what the first one gives. They share no tensor."""
    last = Last([deepcopy(getattr(network, name)) for name in network.last_names])
    return Hidden(network), last
