"""OpenPose's networks: BODY_25, COCO-18, hand and face.

Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields" (CVPR 2017, and TPAMI 2019 for
BODY_25); Simon et al., "Hand Keypoint Detection in Single Images using Multiview Bootstrapping" (CVPR 2017). Layers
have the names of the published Caffe networks, each is a `NAME.weight` and `NAME.bias` of the checkpoint (a PReLU has
no bias). All take BGR, value / 256 - 0.5, as Nx3xHxW with sides that are multiples of 8, and give maps at an eighth of
that size, linear: a heat map for each key point, one for the background, and for the bodies a field of two channels
for each limb.

A network is called in two parts where precision matters: `hidden` is all but the last convolutions, `last` is those.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.nn import functional as F

_STRIDE = 8  # of the maps: the trunk halves three times

# VGG-19 (Simonyan and Zisserman, 2015) as far as all networks have it: name, channels in and out.
_VGG = (
    ("conv1_1", 3, 64), ("conv1_2", 64, 64), ("conv2_1", 64, 128), ("conv2_2", 128, 128), ("conv3_1", 128, 256),
    ("conv3_2", 256, 256), ("conv3_3", 256, 256), ("conv3_4", 256, 256), ("conv4_1", 256, 512), ("conv4_2", 512, 512),
)  # fmt: skip
_POOLED = ("conv1_2", "conv2_2", "conv3_4")  # followed by 2x2 max pooling
_FEATURES = 128
_LATER_STAGES = range(2, 7)  # of COCO-18, hand and face


class CaffeNetwork(nn.Module, ABC):
    """Convolutions under their Caffe names, padded so that they keep the size, and the trunk that all share."""

    last_names: tuple[str, ...]  # of the convolutions of `last`, in the order of the maps

    def __init__(self) -> None:
        super().__init__()
        for name, inputs, outputs in _VGG:
            self._add(name, inputs, outputs, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Nx3xHxW -> the maps, NxCxH/8xW/8. Raises ValueError for sides that are no multiples of 8."""
        return self.last(*self.hidden(image))

    @abstractmethod
    def hidden(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What `last` takes, each NxCxH/8xW/8."""

    def last(self, *hidden: torch.Tensor) -> torch.Tensor:
        """The maps, from the hidden channels."""
        return torch.cat([getattr(self, name)(x) for name, x in zip(self.last_names, hidden)], 1)

    def _add(self, name: str, inputs: int, outputs: int, kernel: int) -> None:
        self.add_module(name, nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))

    def _relu(self, x: torch.Tensor, *names: str) -> torch.Tensor:
        for name in names:
            x = F.relu_(getattr(self, name)(x))
        return x

    def _trunk(self, image: torch.Tensor, *names: str) -> torch.Tensor:
        """The layers of VGG-19 named, with ReLU and pooling."""
        if image.shape[-1] % _STRIDE or image.shape[-2] % _STRIDE:
            raise ValueError(f"a picture of {tuple(image.shape[-2:])}: its sides must be multiples of {_STRIDE}")
        x = image
        for name in names:
            x = self._relu(x, name)
            if name in _POOLED:
                x = F.max_pool2d(x, 2)
        return x


class Body25(CaffeNetwork):
    """26 heat maps (25 key points, background), then 52 field channels. `L1` is the heat maps, `L2` the fields.

    Fields are refined first, in four stages, then the heat maps in two; a stage is five blocks of three 3x3
    convolutions whose outputs are laid side by side, and two 1x1 convolutions.
    """

    heat, fields = 26, 52
    last_names = ("Mconv7_stage1_L1", "Mconv7_stage3_L2")

    def __init__(self) -> None:
        super().__init__()
        self._prelu("prelu4_2", 512)
        for name, inputs, outputs in (("4_3_CPM", 512, 256), ("4_4_CPM", 256, _FEATURES)):
            self._add(f"conv{name}", inputs, outputs, 3)
            self._prelu(f"prelu{name}", outputs)
        self._add_stage("stage0_L2", _FEATURES, 96, 256, self.fields)
        for stage in (1, 2, 3):
            self._add_stage(f"stage{stage}_L2", _FEATURES + self.fields, 128, 512, self.fields)
        self._add_stage("stage0_L1", _FEATURES + self.fields, 96, 256, self.heat)
        self._add_stage("stage1_L1", _FEATURES + self.heat + self.fields, 128, 512, self.heat)

    def hidden(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self._features(image)
        before_fields = self._stage("stage0_L2", features)
        for stage in (1, 2, 3):
            fields = getattr(self, f"Mconv7_stage{stage - 1}_L2")(before_fields)
            before_fields = self._stage(f"stage{stage}_L2", torch.cat([features, fields], 1))
        fields = self.Mconv7_stage3_L2(before_fields)
        heat = self.Mconv7_stage0_L1(self._stage("stage0_L1", torch.cat([features, fields], 1)))
        return self._stage("stage1_L1", torch.cat([features, heat, fields], 1)), before_fields

    def _features(self, image: torch.Tensor) -> torch.Tensor:
        x = self._trunk(image, *(name for name, _, _ in _VGG[:-1]))
        for name in ("4_2", "4_3_CPM", "4_4_CPM"):
            x = getattr(self, f"prelu{name}")(getattr(self, f"conv{name}")(x))
        return x

    def _prelu(self, name: str, channels: int) -> None:
        self.add_module(name, nn.PReLU(channels))

    def _add_stage(self, name: str, inputs: int, width: int, hidden: int, outputs: int) -> None:
        for block in range(1, 6):
            for part in range(3):
                self._add(f"Mconv{block}_{name}_{part}", inputs if part == 0 else width, width, 3)
                self._prelu(f"Mprelu{block}_{name}_{part}", width)
            inputs = 3 * width
        self._add(f"Mconv6_{name}", inputs, hidden, 1)
        self._prelu(f"Mprelu6_{name}", hidden)
        self._add(f"Mconv7_{name}", hidden, outputs, 1)

    def _stage(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """The stage as far as its last convolution."""
        for block in range(1, 6):
            parts = []
            for part in range(3):
                x = getattr(self, f"Mprelu{block}_{name}_{part}")(getattr(self, f"Mconv{block}_{name}_{part}")(x))
                parts.append(x)
            x = torch.cat(parts, 1)
        return getattr(self, f"Mprelu6_{name}")(getattr(self, f"Mconv6_{name}")(x))


class Coco18(CaffeNetwork):
    """19 heat maps (18 key points, background), then 38 field channels. `L1` is the fields, `L2` the heat maps."""

    heat, fields = 19, 38
    last_names = ("Mconv7_stage6_L2", "Mconv7_stage6_L1")

    def __init__(self) -> None:
        super().__init__()
        self._add("conv4_3_CPM", 512, 256, 3)
        self._add("conv4_4_CPM", 256, _FEATURES, 3)
        branches = (("L1", self.fields), ("L2", self.heat))
        for layer, outputs, kernel in ((1, 128, 3), (2, 128, 3), (3, 128, 3), (4, 512, 1)):
            for branch, _ in branches:
                self._add(f"conv5_{layer}_CPM_{branch}", 128, outputs, kernel)
        for branch, maps in branches:
            self._add(f"conv5_5_CPM_{branch}", 512, maps, 1)
        for stage in _LATER_STAGES:
            inputs = self.fields + self.heat + _FEATURES
            for layer, kernel in enumerate((7, 7, 7, 7, 7, 1), 1):
                for branch, _ in branches:
                    self._add(f"Mconv{layer}_stage{stage}_{branch}", inputs if layer == 1 else 128, 128, kernel)
            for branch, maps in branches:
                self._add(f"Mconv7_stage{stage}_{branch}", 128, maps, 1)

    def hidden(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self._relu(self._trunk(image, *(name for name, _, _ in _VGG)), "conv4_3_CPM", "conv4_4_CPM")
        first = [f"conv5_{layer}_CPM" for layer in range(1, 5)]
        before = {branch: self._relu(features, *(f"{name}_{branch}" for name in first)) for branch in ("L1", "L2")}
        maps = [getattr(self, f"conv5_5_CPM_{branch}")(x) for branch, x in before.items()]
        for stage in _LATER_STAGES:
            x = torch.cat([*maps, features], 1)
            layers = [f"Mconv{layer}_stage{stage}" for layer in range(1, 7)]
            before = {branch: self._relu(x, *(f"{name}_{branch}" for name in layers)) for branch in ("L1", "L2")}
            if stage != _LATER_STAGES[-1]:
                maps = [getattr(self, f"Mconv7_stage{stage}_{branch}")(x) for branch, x in before.items()]
        return before["L2"], before["L1"]


class PointNetwork(CaffeNetwork):
    """A heat map for each of `points` key points of one hand or face, and one for the background."""

    last_names = ("Mconv7_stage6",)

    def __init__(self, points: int) -> None:
        super().__init__()
        maps = points + 1
        for name in ("conv4_3", "conv4_4", "conv5_1", "conv5_2"):
            self._add(name, 512, 512, 3)
        self._add("conv5_3_CPM", 512, _FEATURES, 3)
        self._add("conv6_1_CPM", _FEATURES, 512, 1)
        self._add("conv6_2_CPM", 512, maps, 1)
        for stage in _LATER_STAGES:
            for layer, kernel in enumerate((7, 7, 7, 7, 7, 1), 1):
                inputs = maps + _FEATURES if layer == 1 else 128
                self._add(f"Mconv{layer}_stage{stage}", inputs, 128, kernel)
            self._add(f"Mconv7_stage{stage}", 128, maps, 1)

    def hidden(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self._trunk(image, *(name for name, _, _ in _VGG))
        features = self._relu(x, "conv4_3", "conv4_4", "conv5_1", "conv5_2", "conv5_3_CPM")
        maps = self.conv6_2_CPM(self._relu(features, "conv6_1_CPM"))
        for stage in _LATER_STAGES:
            layers = (f"Mconv{layer}_stage{stage}" for layer in range(1, 7))
            x = self._relu(torch.cat([maps, features], 1), *layers)
            if stage != _LATER_STAGES[-1]:
                maps = getattr(self, f"Mconv7_stage{stage}")(x)
        return (x,)


def build_openpose_body_25() -> Body25:
    """The network of `pose_iter_584000.caffemodel`."""
    return Body25()


def build_openpose_coco() -> Coco18:
    """The network of `pose_iter_440000.caffemodel`, and of `body_pose_model.pth` made of it."""
    return Coco18()


def build_openpose_hand() -> PointNetwork:
    """The network of `pose_iter_102000.caffemodel`, and of `hand_pose_model.pth` made of it."""
    return PointNetwork(21)


def build_openpose_face() -> PointNetwork:
    """The network of `pose_iter_116000.caffemodel`, and of `facenet.pth` made of it."""
    return PointNetwork(70)
