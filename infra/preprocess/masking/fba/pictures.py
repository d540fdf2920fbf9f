"""Pictures and trimaps into FBA's inputs and its answer into an alpha, as CarveKit's inference does both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image

from infra.preprocess.masking.fba.trimap import BACKGROUND, FOREGROUND
from infra.preprocess.masking.tracer_b7.pictures import normalised

LONGEST = 2048  # pixels of the longer side at which CarveKit mattes at most
_STEP = 8  # the network's sides are multiples of it
_DISTANCE_SIGMAS = (6.4, 25.6, 51.2)  # 0.02, 0.08 and 0.16 of 320 pixels
LEAST_ALPHA = 0.3  # CarveKit cuts off what is fainter


@dataclass(frozen=True)
class MattingInput:
    """What the network reads of one picture, float32 CxHxW; H and W are multiples of 8."""

    image: torch.Tensor  # 3, 0 to 1 but for the ringing of a stretch
    trimap: torch.Tensor  # 2: known background, known foreground
    distances: torch.Tensor  # 2: pixels to the nearest of either; infinite where there is none


def is_read_as_it_is(size: tuple[int, int]) -> bool:
    """Whether a picture of this (height, width) is neither shrunk nor stretched."""
    return max(size) <= LONGEST and not any(side % _STEP for side in size)


def matting_input(
    picture: np.ndarray, trimap: np.ndarray, longest: int = LONGEST, *, square: bool = False
) -> MattingInput:
    """Of uint8 HxWx3 and uint8 HxW. Colours keep their order.

    What is longer than `longest` shrinks to it; `square` makes it that size in both directions, as CarveKit does for
    batches.
    """
    image = _stretched(np.asarray(_fitted(picture, longest, square), np.float32) / 255)
    small = np.asarray(_fitted(trimap, longest, square))
    known = np.stack([small == BACKGROUND, small == FOREGROUND], axis=-1).astype(np.float32)
    known = _stretched(known)
    distances = np.stack([_distance(known[..., i]) for i in range(2)])
    image, known = (torch.from_numpy(each).permute(2, 0, 1) for each in (image, known))
    return MattingInput(image, known, torch.from_numpy(distances))


def tensors(inputs: list[MattingInput], device: torch.device) -> tuple[torch.Tensor, ...]:
    """The four arguments of `FBA.forward`, of inputs of one size.

    The first colour is normalised as red whatever it is, which is what CarveKit does with its blue.
    """
    image, trimap, distance = (
        torch.stack([getattr(each, name).to(device) for each in inputs]) for name in ("image", "trimap", "distances")
    )
    sigmas = torch.tensor(_DISTANCE_SIGMAS, device=device)[:, None, None]
    near = torch.exp(-(distance[:, :, None] ** 2) / (2 * sigmas**2))
    return image, trimap, normalised(image), near.flatten(1, 2)


def alpha_of(prediction: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """uint8 HxW of the network's alpha float32 hxw and the trimap HxW of the picture's own size.

    What is faint or known background becomes nothing; known foreground is left to the network.
    """
    # OpenCV has a way of its own with single channels, which rounds differently from the published seven.
    alpha = cv2.resize(np.repeat(prediction[..., None], 2, -1), trimap.shape[::-1], interpolation=cv2.INTER_LINEAR)
    alpha = alpha[..., 0]
    alpha[(trimap == BACKGROUND) | (alpha < LEAST_ALPHA)] = 0
    return np.minimum(alpha * 255, 255).astype(np.uint8)


def _fitted(pixels: np.ndarray, longest: int, square: bool) -> Image.Image:
    image = Image.fromarray(pixels)
    if square:
        return image.resize((longest, longest), Image.Resampling.BICUBIC)
    image.thumbnail((longest, longest), Image.Resampling.BICUBIC)
    return image


def _stretched(values: np.ndarray) -> np.ndarray:
    """float32 hxwxC with sides that are multiples of 8; not clipped where the filter rings."""
    height, width = values.shape[:2]
    size = math.ceil(width / _STEP) * _STEP, math.ceil(height / _STEP) * _STEP
    if size == (width, height):
        return values
    return cv2.resize(values, size, interpolation=cv2.INTER_LANCZOS4)


def _distance(known: np.ndarray) -> np.ndarray:
    """float32 hxw: pixels to the nearest that is known, of float32 hxw; infinite where there is none.

    Known is what becomes 0 in 8 bits, which wrap as they do in the published code where the stretch rings.
    """
    if not known.any():
        return np.full(known.shape, np.inf, np.float32)
    unknown = ((1 - known) * 255).astype(np.int32).astype(np.uint8)
    return cv2.distanceTransform(unknown, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
