"""From pictures to parse maps: crop, network, labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.preprocess.human_parser.schp.chosen_person import Box, drop_others, person_box
from infra.preprocess.human_parser.schp.folding import Classifier
from infra.preprocess.human_parser.schp.geometry import Placement, Size
from infra.preprocess.human_parser.schp.renumbering import to_fleet
from infra.preprocess.human_parser.schp.warping import labels_of, normalised, warped
from infra.serving.alike import alike


class Parser:
    """A folded network and what stands before and after it.

    `trunk` is on the device of `classifier`, in any precision; the label set of both is `scheme`.
    """

    def __init__(
        self, trunk: nn.Module, classifier: Classifier, scheme: str, input_size: Size, dtype: torch.dtype
    ) -> None:
        self._trunk, self._classifier = trunk, classifier
        self._scheme, self._input_size = scheme, input_size
        self._dtype, self._device = dtype, classifier.weight.device

    def pre(self, batch: list[ParseInput]) -> torch.Tensor:
        """Every picture's crop in the network's input, Nx3xHxW, channels last, on the device."""
        inputs = torch.empty((len(batch), *self._input_size, 3), device=self._device)
        for placement, members in self._alike(batch).items():
            crops = np.stack([batch[index].picture[_box(batch[index])] for index in members])
            inputs[members] = warped(torch.from_numpy(crops).to(self._device), placement)
        return normalised(inputs).to(self._dtype)

    def infer(self, tensors: torch.Tensor) -> torch.Tensor:
        """Fusion logits Nx(classes)xhxw, float32."""
        return self._classifier(self._trunk(tensors))

    def post(self, logits: torch.Tensor, batch: list[ParseInput]) -> list[Parse]:
        """Labels of every picture, which may be none at all."""
        parses = {}
        for placement, members in self._alike(batch).items():
            answers = labels_of(logits[members], placement).cpu().numpy()
            parses |= {index: self._parse(answer, batch[index]) for index, answer in zip(members, answers)}
        return [parses[index] for index in range(len(batch))]

    def _alike(self, batch: list[ParseInput]) -> dict[Placement, list[int]]:
        """Which of the batch have crops of the same size: they are warped together."""
        boxes = [_box(item) for item in batch]
        sizes = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in boxes]
        return alike(Placement(size, self._input_size) for size in sizes)

    def _parse(self, answer: np.ndarray, item: ParseInput) -> Parse:
        box = _box(item)
        labels, confidence = np.zeros((2, *item.picture.shape[:2]), np.uint8)
        labels[box], confidence[box] = answer
        person = None if item.pose is None else item.pose.people[0]
        labels = to_fleet(labels, self._scheme, person, None if item.mask is None else item.mask.alpha)
        drop_others(labels, item.pose, item.mask)
        return Parse(labels, confidence)


def _box(item: ParseInput) -> Box:
    return person_box(item.picture.shape[:2], item.pose, item.mask)
