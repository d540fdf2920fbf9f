"""Pictures into TRACER's input and its answer into masks, as CarveKit's inference does both."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

SIZE = 640  # pixels of either side that the checkpoint was trained at
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of colours in 0 to 1
_GREY = 130
_STRIP = 4_000_000  # pixels of a picture that are float at one time


def squeezed(picture: np.ndarray, device: torch.device, size: tuple[int, int] = (SIZE, SIZE)) -> torch.Tensor:
    """float32 1x3xhxw, 0 to 1, of uint8 HxWx3: bilinear with the shape ignored, averaged where it shrinks.

    `size` is (h, w). Width is squeezed first, strip by strip, as the filter does it anyway: so a large photo is never
    float as a whole.
    """
    height, width = picture.shape[:2]
    rows = max(1, _STRIP // width)
    narrow = []
    for top in range(0, height, rows):
        strip = torch.from_numpy(picture[top : top + rows].copy()).to(device).permute(2, 0, 1)[None].float()
        narrow.append(_resized(strip, (strip.shape[2], size[1])))
    return _resized(torch.cat(narrow, dim=2), size) / 255


def normalised(images: torch.Tensor) -> torch.Tensor:
    """float32 Bx3xHxW with ImageNet's mean and deviation taken out, of colours in 0 to 1, red first."""
    mean, deviation = (torch.tensor(each, device=images.device)[:, None, None] for each in (MEAN, DEVIATION))
    return (images - mean) / deviation


def _resized(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True)


def mask_of(probability: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """uint8 HxW (`size`) of a probability float32 hxw in 0 to 1.

    On a CPU exactly as published: cut to 8 bits, then resized by Pillow. On other devices it is resized there as it
    is, which differs by one grey level, and only the result comes back.
    """
    if probability.device.type == "cpu":
        small = Image.fromarray((probability * 255).to(torch.uint8).numpy())
        return np.array(small.resize(size[::-1], Image.Resampling.BILINEAR))
    return resized_on_device(probability, size).cpu().numpy()


def resized_on_device(probability: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """uint8 HxW (`size`) of a probability float32 hxw in 0 to 1, on its own device."""
    return (_resized(probability[None, None], size)[0, 0] * 255).to(torch.uint8)


def over_grey(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 HxWx4, the cut-out as CarveKit gives it: uint8 HxWx3 mixed with grey 130 by the mask, which is its alpha.

    So its colours are those of the mixture at the rim; `infra.imaging.matting_colours` frees them of the ground.
    """
    share = (mask / np.float32(255))[..., None]
    mixed = share * picture + (1 - share) * np.float32(_GREY)
    return np.dstack([mixed.astype(np.uint8), mask])
