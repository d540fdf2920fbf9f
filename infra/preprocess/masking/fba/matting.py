"""Soft masks made exact at their rims by FBA matting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from infra.preprocess.masking.fba import on_device
from infra.preprocess.masking.fba.pictures import (
    LONGEST,
    MattingInput,
    alpha_of,
    is_read_as_it_is,
    matting_input,
    tensors,
)
from infra.preprocess.masking.fba.trimap import BACKGROUND, FOREGROUND, trimap
from infra.serving.alike import alike

_MOST_AT_ONCE = LONGEST * LONGEST  # pixels of one run, which takes about 1 kB for each in float32


@dataclass(frozen=True)
class Prepared:
    """A picture's trimap, at the picture's size and on the device, and what the network reads."""

    trimap: torch.Tensor  # uint8 HxW
    read: MattingInput


class Matting:
    """FBA on a device; `carvekit` gives it blue first, as CarveKit does, instead of red first, as it was trained.

    On a CPU every byte is as published. Elsewhere all is computed there but what shrinking and stretching need, and
    alphas differ by a grey level here and there.
    """

    def __init__(self, network: nn.Module, device: torch.device, *, carvekit: bool = False) -> None:
        self._network, self._device = network, device
        self._order = -1 if carvekit else 1
        self._elsewhere = device.type != "cpu"

    def __call__(self, pictures: list[np.ndarray], masks: list[np.ndarray]) -> list[np.ndarray]:
        """Alphas uint8 HxW of pictures uint8 HxWx3 RGB and their soft masks uint8 HxW."""
        prepared = self.pre(list(zip(pictures, masks)))
        return self.post(self.infer(prepared), prepared)

    def pre(self, batch: list[tuple[np.ndarray, np.ndarray]]) -> list[Prepared]:
        """Of pictures and masks."""
        return [
            self._read_there(picture, mask)
            if self._elsewhere and is_read_as_it_is(mask.shape)
            else self._read_here(picture, mask)
            for picture, mask in batch
        ]

    def infer(self, prepared: list[Prepared]) -> list[torch.Tensor]:
        """The network's alphas, float32 hxw each, at the sizes that it reads; one run for pictures of one size."""
        alphas: dict[int, torch.Tensor] = {}
        for (height, width), same in alike(one.read.image.shape[1:] for one in prepared).items():
            most = max(1, _MOST_AT_ONCE // (height * width))
            for start in range(0, len(same), most):
                part = same[start : start + most]
                given = tensors([prepared[i].read for i in part], self._device)
                alphas |= zip(part, self._network(*given)[:, 0])
        return [alphas[i] for i in range(len(prepared))]

    def post(self, alphas: list[torch.Tensor], prepared: list[Prepared]) -> list[np.ndarray]:
        """Alphas uint8 at the pictures' own sizes."""
        if self._elsewhere:
            return [on_device.alpha_of(alpha, one.trimap).cpu().numpy() for alpha, one in zip(alphas, prepared)]
        return [alpha_of(alpha.numpy(), one.trimap.numpy()) for alpha, one in zip(alphas, prepared)]

    def _read_here(self, picture: np.ndarray, mask: np.ndarray) -> Prepared:
        regions = trimap(mask)
        read = matting_input(picture[..., :: self._order], regions)
        return Prepared(torch.from_numpy(regions).to(self._device), read)

    def _read_there(self, picture: np.ndarray, mask: np.ndarray) -> Prepared:
        image, given = (torch.from_numpy(each.copy()).to(self._device) for each in (picture[..., :: self._order], mask))
        regions = on_device.trimap(given)
        known = torch.stack([regions == BACKGROUND, regions == FOREGROUND])
        distances = torch.stack([on_device.distance(each) for each in known])
        return Prepared(regions, MattingInput(image.permute(2, 0, 1).float() / 255, known.float(), distances))
