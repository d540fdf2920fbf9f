"""What stands out in pictures, by TRACER: from pictures of any size to masks of the same sizes."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from infra.preprocess.masking.mask import MaskInput
from infra.preprocess.masking.tracer_b7.pictures import SIZE, mask_of, normalised, squeezed


class Salience:
    """TRACER on a device, in its precision; `size` is the side of its square input, a multiple of 32."""

    def __init__(self, network: nn.Module, device: torch.device, dtype: torch.dtype, size: int = SIZE) -> None:
        self._network, self._device, self._dtype = network, device, dtype
        self._size = size, size

    def __call__(self, batch: list[MaskInput]) -> list[np.ndarray]:
        """Soft masks uint8 HxW, one of each picture."""
        return self.post(self.infer(self.pre(batch)), batch)

    def pre(self, batch: list[MaskInput]) -> torch.Tensor:
        """Bx3x640x640 on the device, whatever the pictures' sizes."""
        images = torch.cat([squeezed(one.picture, self._device, self._size) for one in batch])
        return normalised(images).to(self._dtype).contiguous(memory_format=torch.channels_last)

    def infer(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 Bx640x640."""
        return self._network(images)[:, 0]

    def post(self, probabilities: torch.Tensor, batch: list[MaskInput]) -> list[np.ndarray]:
        """Soft masks uint8 HxW at the pictures' own sizes."""
        return [mask_of(each, one.picture.shape[:2]) for each, one in zip(probabilities, batch)]
