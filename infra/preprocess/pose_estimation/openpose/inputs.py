"""The picture as a body network sees it: in OpenPose's way, and in its Python port's."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.pose_estimation.openpose.skeletons import CELL

NET_HEIGHT = 368  # OpenPose's --net_resolution -1x368, and the box size of the port
WIDEST = 16 / 9  # pictures that are wider than this are made smaller than the net is high
STEP = 16  # net sides are multiples of this
SCALE_GAP = 0.25  # --scale_gap: how much smaller each further scale is
PORT_SCALE = 0.5  # the only one of the port's scales that is switched on
PORT_WIDEST = 2048  # net pixels; the port knows no limit, and a long strip of a picture would fill the memory
PORT_GREY = 128  # what the port pads with


@dataclass(frozen=True)
class NetSize:
    """A net input of width x height pixels, in which picture pixel x lies at `scale` * x."""

    width: int
    height: int
    scale: float

    def back(self, width: int, height: int) -> float:
        """Net pixels to pixels of the width x height picture, as OpenPose rounds the way back."""
        sides = ((side, _rounded(self.scale * side)) for side in (width, height))
        factors = ((side - 1) / (net - 1) for side, net in sides if net > 1)
        return float(np.float32(min(factors, default=1 / self.scale)))


def net_sizes(width: int, height: int, net_height: int = NET_HEIGHT, scales: int = 1) -> list[NetSize]:
    """The net's inputs for a picture, largest first (OpenPose with --net_resolution_dynamic 1)."""
    net_width = STEP * max(_rounded(min(net_height * WIDEST, net_height * width / height) / STEP), 1)
    shrunk = [1 - index * SCALE_GAP for index in range(scales)]
    return [_fitting(*(_whole_steps(side * by) for side in (net_width, net_height)), width, height) for by in shrunk]


def fitted(picture: np.ndarray, size: NetSize) -> np.ndarray:
    """uint8 HxWx3 -> size.height x size.width x 3, black beyond the picture.

    OpenPose asks for area interpolation to shrink, which OpenCV's affine warp takes as bilinear.
    """
    affine = np.array([[size.scale, 0, 0], [0, size.scale, 0]])
    interpolation = cv2.INTER_CUBIC if size.scale > 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(picture, affine, (size.width, size.height), flags=interpolation)


def port_fitted(picture: np.ndarray, net_height: int = NET_HEIGHT) -> np.ndarray:
    """The port's input, uint8 with sides that are multiples of 8; `port_size` of it is the picture."""
    height, width = port_size(picture.shape[:2], net_height)
    scale = _port_scale(picture.shape[:2], net_height)
    # Given the factors and no size, OpenCV maps pixels by the factors and not by the ratio of the rounded sizes.
    size = None if min(picture.shape[:2]) * scale > 1 else (width, height)
    small = cv2.resize(picture, size, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    border = (0, -height % CELL, 0, -width % CELL)
    return cv2.copyMakeBorder(small, *border, cv2.BORDER_CONSTANT, value=(PORT_GREY,) * 3)


def port_size(size: tuple[int, int], net_height: int = NET_HEIGHT) -> tuple[int, int]:
    """Height and width of a picture in the port's input; Python rounds halves to even, as OpenCV does."""
    scale = _port_scale(size, net_height)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _port_scale(size: tuple[int, int], net_height: int) -> float:
    return min(PORT_SCALE * net_height / size[0], PORT_WIDEST / size[1])


def _fitting(net_width: int, net_height: int, width: int, height: int) -> NetSize:
    scales = ((net - 1) / (side - 1) for net, side in ((net_width, width), (net_height, height)) if side > 1)
    return NetSize(net_width, net_height, min(scales, default=1.0))


def _whole_steps(side: float) -> int:
    return max(_rounded(side) // STEP, 1) * STEP


def _rounded(value: float) -> int:
    return int(value + 0.5)
