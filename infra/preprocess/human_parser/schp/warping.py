"""Pictures into the network's input and logits back onto the picture, on whatever device the tensors are.

A picture comes out as OpenCV 4 warps it, to the byte; logits as it warps float32 planes, to a float's rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from infra.preprocess.human_parser.schp.geometry import Placement

# Blue, green, red, as OpenCV reads pictures: what the published networks were trained on.
MEAN = (0.406, 0.456, 0.485)
DEVIATION = (0.225, 0.224, 0.229)

# Floats of all classes' logits at once: what stays in a core's cache, and what is little of a GPU's memory.
_CACHED, _ON_DEVICE = 2**19, 2**25


def warped(pictures: torch.Tensor, placement: Placement) -> torch.Tensor:
    """uint8 NxHxWx3 -> float32 Nx(input size)x3, whole numbers 0 to 255; black around the pictures."""
    (rows, row_weights), (columns, column_weights) = (
        [_tensor(each, pictures.device) for each in samples.taps()] for samples in placement.picture_samples()
    )
    total = torch.zeros((), device=pictures.device)
    for row, row_weight in zip(rows, row_weights):
        line = pictures.index_select(1, row)
        for column, column_weight in zip(columns, column_weights):
            weight = row_weight[:, None] * column_weight
            total = total + line.index_select(2, column) * weight[..., None]
    return total.add_(0.5).floor_()  # weights are multiples of 1/1024: the sums are exact


def normalised(rgb: torch.Tensor) -> torch.Tensor:
    """float32 NxHxWx3 RGB, 0 to 255 -> Nx3xHxW BGR, channels last in memory, as the networks were trained on."""
    mean, deviation = (torch.tensor(values, device=rgb.device) for values in (MEAN, DEVIATION))
    return rgb.flip(-1).div_(255).sub_(mean).div_(deviation).permute(0, 3, 1, 2)


def labels_of(logits: torch.Tensor, placement: Placement) -> torch.Tensor:
    """Logits Nx(classes)xhxw, float32 -> labels and confidence of the whole pictures, uint8 Nx2xHxW.

    The logits are resized to the input size (corners aligned) and brought to the picture; the largest names the
    label, the lower one of equals. Confidence is the label's share, 0 to 255, in the softmax of those logits.
    """
    answers = torch.empty((len(logits), 2, *placement.size), dtype=torch.uint8, device=logits.device)
    for rows, values in picture_logits(logits, placement):
        best, label = values.max(2)
        answers[:, 0, rows] = label.to(torch.uint8)
        share = values.sub_(best[:, :, None]).exp_().sum(2).reciprocal_()
        answers[:, 1, rows] = share.mul_(255).round_().to(torch.uint8)
    return answers


def picture_logits(logits: torch.Tensor, placement: Placement) -> Iterator[tuple[slice, torch.Tensor]]:
    """The logits Nx(classes)xhxw on the pictures: some of their rows, and float32 Nx(rows)x(classes)xW, top down.

    Enlarging and warping back are linear along each axis: one matrix for both, and nearly all of it zeros.
    """
    count, classes, *cells = logits.shape
    height, width = placement.size
    along = zip(placement.network_samples(), cells, strict=True)
    rows, columns = (samples.of_resized(length) for samples, length in along)
    wide = (logits.transpose(1, 2) @ _tensor(columns.T, logits.device)).flatten(2)  # N x h x (classes W)
    fitting = _CACHED if logits.device.type == "cpu" else _ON_DEVICE
    step = max(1, fitting // (count * classes * width))
    for start in range(0, height, step):
        band = rows[start : start + step]
        seen = np.flatnonzero(band.any(0))
        used = slice(seen[0], seen[-1] + 1) if len(seen) else slice(0, 1)
        values = _tensor(band[:, used], logits.device) @ wide[:, used]
        yield slice(start, start + len(band)), values.unflatten(2, (classes, width))


def _tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)
