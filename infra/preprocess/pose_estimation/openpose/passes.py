"""The body and the hand network with what comes before and after each: `pre`, `infer`, `post`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from infra.preprocess.pose_estimation.openpose.folding import split
from infra.preprocess.pose_estimation.openpose.hands import HAND_POINTS, HandInput, hand_crop, in_picture
from infra.preprocess.pose_estimation.openpose.maps import openpose_axis
from infra.preprocess.pose_estimation.openpose.people import People
from infra.preprocess.pose_estimation.openpose.presets import Preset
from infra.serving.alike import alike
from infra.serving.engine import WeightsPath
from infra.serving.torch_runtime import TorchRuntime

MOST_HANDS = 8  # in one run of the network; a crowd's hands take several


class MapNetwork:
    """A network on the device: in the runtime's precision, but for the last convolutions, which are in float32."""

    def __init__(self, id: str, weights: WeightsPath, runtime: TorchRuntime) -> None:
        hidden, last = split(runtime.open(id, weights))
        self.hidden, self.last = runtime.prepare(hidden), last.to(runtime.device)
        self.device, self.dtype = runtime.device, runtime.dtype

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """uint8 RGB, N x H x W x 3 -> float32 maps on the device, N x C x H/8 x W/8."""
        bgr = pictures.to(self.device, non_blocking=True).permute(0, 3, 1, 2).flip(1)
        # Values are 256ths between -1/2 and 1/2, which bfloat16 holds exactly.
        hidden = self.hidden((bgr.to(self.dtype) / 256 - 0.5).contiguous(memory_format=torch.channels_last))
        return self.last(*(each.float() for each in hidden))


@dataclass(frozen=True)
class SamePictures:
    """N inputs of one size: of which pictures of the batch they are, and their pixels or maps."""

    of: list[int]
    values: torch.Tensor


class BodyPass:
    """Pictures to people."""

    def __init__(self, network: MapNetwork, preset: Preset) -> None:
        self.network, self.preset = network, preset

    def pre(self, pictures: list[np.ndarray]) -> list[SamePictures]:
        """uint8 RGB HxWx3 each -> the network's inputs, those of one size together, the largest first."""
        inputs = [(index, each) for index, picture in enumerate(pictures) for each in self.preset.inputs(picture)]
        largest_first = sorted(alike(each.shape for _, each in inputs).items(), reverse=True)
        return [
            SamePictures([inputs[i][0] for i in same], torch.from_numpy(np.stack([inputs[i][1] for i in same])))
            for _, same in largest_first
        ]

    def infer(self, inputs: list[SamePictures]) -> list[SamePictures]:
        """Inputs -> maps, float32 on the device."""
        return [SamePictures(each.of, self.network(each.values)) for each in inputs]

    def post(self, maps: list[SamePictures], pictures: list[np.ndarray]) -> list[People]:
        """Maps leave the device as they are, at an eighth of the input's size, and are grouped by NumPy."""
        of_pictures: list[list[np.ndarray]] = [[] for _ in pictures]
        for group in maps:
            for index, each in zip(group.of, group.values.cpu().numpy()):
                of_pictures[index].append(each)
        return [self.preset.people(each, picture.shape[:2]) for each, picture in zip(of_pictures, pictures)]


class HandPass:
    """Squares of pictures to the key points of the hands in them."""

    def __init__(self, network: MapNetwork) -> None:
        self.network = network

    def pre(self, hands: list[HandInput]) -> torch.Tensor:
        """uint8 N x side x side x 3."""
        return torch.from_numpy(np.stack([hand_crop(each.picture, each.square, each.hand) for each in hands]))

    def infer(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops -> N x 21 x 3: x, y in the crop, and score."""
        return torch.cat([highest(self.network(some)[:, :HAND_POINTS]) for some in crops.split(MOST_HANDS)])

    def post(self, points: torch.Tensor, hands: list[HandInput]) -> list[np.ndarray]:
        """21 x 3 float64 each: x, y in the picture, and score."""
        return [in_picture(each, hand.square, hand.hand) for each, hand in zip(points.cpu().double().numpy(), hands)]


def highest(maps: torch.Tensor) -> torch.Tensor:
    """N x C x h x w float32 -> N x C x 3: x, y and value of the largest pixel of each map, upsampled."""
    rows, columns = (torch.from_numpy(openpose_axis(cells).matrix).to(maps.device) for cells in maps.shape[2:])
    value, index = (rows @ maps @ columns.T).flatten(2).max(2)
    return torch.stack([(index % len(columns)).float(), (index // len(columns)).float(), value], 2)
