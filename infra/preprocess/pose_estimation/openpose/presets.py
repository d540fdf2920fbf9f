"""OpenPose's way from a picture to the body network's inputs and from its maps to people, and its Python port's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from infra.preprocess.pose_estimation.openpose.inputs import (
    NET_HEIGHT,
    NetSize,
    fitted,
    net_sizes,
    port_fitted,
    port_size,
)
from infra.preprocess.pose_estimation.openpose.maps import port_axis, resampled
from infra.preprocess.pose_estimation.openpose.people import People, openpose_people, port_people
from infra.preprocess.pose_estimation.openpose.skeletons import Skeleton

PORT_LARGEST = 4096  # pixels of a side


class Preset(Protocol):
    """What stands before and after the body network."""

    def inputs(self, picture: np.ndarray) -> list[np.ndarray]:
        """uint8 HxWx3 -> what the network is to see of it, uint8 with sides that are multiples of 8."""
        ...

    def people(self, maps: list[np.ndarray], size: tuple[int, int]) -> People:
        """The network's maps of those inputs (float32, C x h x w) and the picture's height and width -> people."""
        ...


@dataclass(frozen=True)
class OpenPosePreset:
    """As OpenPose 1.7 does it with CUDA. Maps of several scales are averaged, laid over each other by the scales."""

    skeleton: Skeleton
    net_height: int = NET_HEIGHT
    scales: int = 1

    def inputs(self, picture: np.ndarray) -> list[np.ndarray]:
        return [fitted(picture, size) for size in self._sizes(*picture.shape[:2])]

    def people(self, maps: list[np.ndarray], size: tuple[int, int]) -> People:
        first, *smaller = self._sizes(*size)
        mean = maps[0]
        if smaller:
            others = (
                resampled(each, net.scale, maps[0].shape[1:], first.scale) for each, net in zip(maps[1:], smaller)
            )
            mean = sum(others, maps[0]) / len(maps)
        return openpose_people(mean, self.skeleton, first.back(size[1], size[0]))

    def _sizes(self, height: int, width: int) -> list[NetSize]:
        return net_sizes(width, height, self.net_height, self.scales)


@dataclass(frozen=True)
class PortPreset:
    """As the Python port does it, which looks at one scale, half the net's height.

    It upsamples the maps to the picture's own size; here to PORT_LARGEST at most, which loses less than a pixel of it.
    """

    skeleton: Skeleton
    net_height: int = NET_HEIGHT

    def inputs(self, picture: np.ndarray) -> list[np.ndarray]:
        return [port_fitted(picture, self.net_height)]

    def people(self, maps: list[np.ndarray], size: tuple[int, int]) -> People:
        seen = port_size(size, self.net_height)
        factor = max(max(size) / PORT_LARGEST, 1)
        pixels = [max(round(side / factor), 1) for side in size]
        rows, columns = (port_axis(*each) for each in zip(maps[0].shape[1:], seen, pixels))
        found = port_people(maps[0], self.skeleton, rows, columns)
        back = np.array((size[1] / pixels[1], size[0] / pixels[0], 1), np.float32)
        return People(found.key_points * back, found.scores)
