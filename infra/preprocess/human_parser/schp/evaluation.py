"""How the published evaluation differs from inference: labels before warping, and several looks averaged.

Li et al. report their LIP scores with it. The service does without: it costs two to six runs of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from infra.preprocess.human_parser.schp.geometry import Placement, Size
from infra.preprocess.human_parser.schp.network import resized


def nearest_labels(logits: torch.Tensor, placement: Placement) -> np.ndarray:
    """Logits (classes)xhxw -> uint8 HxW: labelled at the input size, then each picture pixel takes the nearest label.

    Outside the input is background.
    """
    labels = resized(logits[None], placement.input_size)[0].argmax(0).to(torch.uint8).cpu().numpy()
    rows, columns = placement.nearest_in_network()
    found = labels[rows[:, None], columns]
    return np.where((rows >= 0)[:, None] & (columns >= 0), found, 0).astype(np.uint8)


def averaged_logits(
    network: Callable[[torch.Tensor], torch.Tensor],
    looks: torch.Tensor,
    size: Size,
    pairs: Sequence[tuple[int, int]] = (),
    scales: Sequence[float] = (1.0,),
) -> torch.Tensor:
    """Mean logits (classes)x`size` of a picture at several scales.

    `looks` is 1x3xHxW, or 2x3xHxW with the mirrored picture second, whose logits are mirrored back with the `pairs`
    of left and right labels exchanged, and averaged with the first one's where the network gives them.
    """
    total = torch.zeros((), device=looks.device)
    for scale in scales:
        height, width = (int(length * scale) for length in looks.shape[2:])
        logits = network(resized(looks, (height, width)))
        if len(looks) == 2:
            order = _exchanged(logits.shape[1], pairs)
            logits = (logits[:1] + logits[1:, order].flip(-1)) / 2
        total = total + resized(logits, size)[0]
    return total / len(scales)


def _exchanged(classes: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    order = list(range(classes))
    for left, right in pairs:
        order[left], order[right] = right, left
    return order
