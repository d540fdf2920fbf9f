"""DensePose's 24 body parts: names, mirror pairs and picture colours. Left and right are the person's own."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

# Names after the comment in the published project's sampler; which of a pair is which side of the limb was read off
# published pictures.
PARTS = (
    "background", "torso_back", "torso_front", "right_hand", "left_hand", "left_foot", "right_foot",
    "right_thigh_back", "left_thigh_back", "right_thigh_front", "left_thigh_front",
    "right_shin_back", "left_shin_back", "right_shin_front", "left_shin_front",
    "left_upper_arm_inner", "right_upper_arm_inner", "left_upper_arm_outer", "right_upper_arm_outer",
    "left_forearm_inner", "right_forearm_inner", "left_forearm_outer", "right_forearm_outer",
    "head_right", "head_left",
)  # fmt: skip

# The part that a mirrored picture shows in a part's place: 3-4, 5-6, ... 23-24.
MIRRORED = np.array([0, 1, 2, *(i + 1 if i % 2 else i - 1 for i in range(3, 25))], np.uint8)

# Column of `part_colours`: floor(part * 255 / 24), as the published visualiser truncates.
_PARULA_INDEX = (np.arange(25) * 255 / 24).astype(np.uint8)


def part_colours() -> np.ndarray:
    """uint8 25x3 RGB: black, then the colours of VITON-HD's `image-densepose` pictures (Parula)."""
    colours = _parula()[_PARULA_INDEX]
    colours[0] = 0
    return colours


def part_picture(iuv: np.ndarray) -> np.ndarray:
    """The flat part colours on black, uint8 HxWx3 RGB, of an IUV (uint8 HxWx3) or of part indices (uint8 HxW)."""
    return part_colours()[iuv[..., 0] if iuv.ndim == 3 else iuv]


def overlay(
    picture: np.ndarray, iuv: np.ndarray, shows: Literal["parts", "u", "v"] = "parts", alpha: float = 0.7
) -> np.ndarray:
    """One person's body over a picture, both uint8 HxWx3 (RGB; part, U, V), as the published visualiser draws it.

    Parula colours at `alpha` over what is there, reckoned in float64 and truncated. It shows everybody over the grey
    picture (`grey`), the surest person first; with `alpha` 1 over black it is `part_picture`.
    """
    body = iuv[..., 0] > 0
    values = _PARULA_INDEX[iuv[body][:, 0]] if shows == "parts" else iuv[body][:, ("u", "v").index(shows) + 1]
    out = picture.copy()
    out[body] = (picture[body] * (1 - alpha) + _parula()[values] * alpha).astype(np.uint8)
    return out


def grey(picture: np.ndarray) -> np.ndarray:
    """uint8 HxWx3 RGB -> the same shape without colour."""
    return cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _parula() -> np.ndarray:
    """uint8 256x3 RGB."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_PARULA)[:, 0, ::-1]
