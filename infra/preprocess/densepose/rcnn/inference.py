"""The network from pictures to body surfaces, in three steps that can be timed apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.preprocess.densepose.rcnn.boxes import STRIDES, pooling_levels, pyramid_anchors, rescaled
from infra.preprocess.densepose.rcnn.charts import iuv_picture
from infra.preprocess.densepose.rcnn.choice import chosen_detection
from infra.preprocess.densepose.rcnn.folding import FoldedRcnn
from infra.preprocess.densepose.rcnn.pooling import roi_align
from infra.preprocess.densepose.rcnn.proposals import PROPOSALS, Boxes, detect, propose
from infra.preprocess.densepose.rcnn.resizing import (
    DIVISOR,
    LONG_SIDE,
    SHORT_SIDE,
    network_size,
    normalised,
    resize_bilinear,
)
from infra.serving.alike import alike
from infra.serving.engine import EngineError

SURE = 0.8  # probability of a person that every published try-on recipe asks for
SAMPLES = 2  # per axis and bin, of both poolers
BOX_GRID, CHART_GRID = (7, 7), (28, 28)
DECODER_MARGIN = 96  # pixels around a box beyond which nothing reaches into it through the decoder's convolutions
BOXES_AT_ONCE = 1024  # through the box head, which bounds their memory to 100 MB


@dataclass(frozen=True)
class Group:
    """Pictures that are of one size when padded."""

    members: list[int]  # places in the batch
    pictures: Tensor  # BxCxHxW in the trunk's precision
    sizes: list[tuple[int, int]]  # height and width without the padding
    photo_sizes: list[tuple[int, int]]
    people: list[np.ndarray | None]  # key points of the chosen person, 25 x (x, y, confidence), in photo pixels


@dataclass(frozen=True)
class Detection:
    """The chosen person of one picture."""

    box: Tensor  # float32 x1, y1, x2, y2 in photo pixels
    network_box: Tensor  # the same in pixels of the network's picture


@dataclass(frozen=True)
class Found:
    """`detections` of a batch, None where the chosen person is not seen, and the charts of the others in order."""

    detections: list[Detection | None]
    charts: Tensor  # float32 Nx77x112x112


class Inference:
    """`pre`, `infer`, `post` of a batch of pictures of any sizes.

    Every part of `network` is on `device`: the trunk, the box head, the decoder and the DensePose head in the precision
    `dtype`, the others in float32. A person's probability is greater than `sure`.
    """

    def __init__(
        self, network: FoldedRcnn, device: torch.device, dtype: torch.dtype, *,
        proposals: int = PROPOSALS, short_side: int = SHORT_SIDE, sure: float = SURE,
    ) -> None:  # fmt: skip
        self.network, self.device, self.dtype = network, device, dtype
        self.proposals, self.short_side, self.sure = proposals, short_side, sure
        self.long_side = short_side * LONG_SIDE // SHORT_SIDE

    def pre(self, batch: Sequence[DensePoseInput]) -> list[Group]:
        """Resized, normalised and padded on the device, in groups of one shape."""
        sizes, pictures = [], []
        for item in batch:
            sizes.append(network_size(item.picture.shape[:2], self.short_side, self.long_side))
            photo = torch.from_numpy(np.ascontiguousarray(item.picture)).to(self.device)
            pictures.append(normalised(resize_bilinear(photo, sizes[-1])).to(self.dtype))
        return [
            Group(
                members,
                torch.stack([pictures[place] for place in members]).contiguous(memory_format=torch.channels_last),
                [sizes[place] for place in members],
                [batch[place].picture.shape[:2] for place in members],
                [batch[place].pose.people[0] if batch[place].pose else None for place in members],
            )
            for members in alike(picture.shape for picture in pictures).values()
        ]

    def infer(self, groups: Sequence[Group]) -> Found:
        """The chosen person of every picture, and their charts."""
        detections: list[Detection | None] = [None] * sum(len(group.members) for group in groups)
        pooled, drawn = [], []
        for group in groups:
            chosen, features = self._people(group)
            pooled.append(features)
            for place, detection in zip(group.members, chosen):
                detections[place] = detection
            drawn += [place for place in group.members if detections[place]]
        in_order = torch.tensor(drawn, dtype=torch.long, device=self.device).argsort()
        return Found(detections, self.charts(torch.cat(pooled)[in_order]))

    def post(self, found: Found, batch: Sequence[DensePoseInput]) -> list[DensePose | EngineError]:
        """The charts drawn where they belong."""
        charts, out = iter(found.charts), []
        for item, detection in zip(batch, found.detections, strict=True):
            if detection is None:
                out.append(_nobody(item))
            else:
                iuv = iuv_picture(next(charts), detection.box, item.picture.shape[:2])
                out.append(DensePose(iuv.cpu().numpy()))
        return out

    def detections(self, group: Group) -> tuple[list[Tensor], Boxes]:
        """p2..p6, and everybody in a group's pictures by probability, best first, on the CPU."""
        pyramid, hidden = self.network.trunk(group.pictures)
        logits, deltas = zip(*(self.network.rpn_predictor(level) for level in hidden))
        anchors = pyramid_anchors(*group.pictures.shape[2:], self.device)
        sizes = torch.tensor(group.sizes, dtype=torch.float32, device=self.device)
        proposals = propose(logits, deltas, anchors, sizes, proposals=self.proposals)
        found = detect(*self._judged(pyramid, proposals), proposals, sizes, self.sure)
        return pyramid, Boxes(found.boxes.cpu(), found.scores.cpu())

    def _people(self, group: Group) -> tuple[list[Detection | None], Tensor]:
        """The chosen person of every picture of a group, and the decoder's features Nx256x28x28 of those there are."""
        pyramid, candidates = self.detections(group)
        chosen = [_chosen(group, candidates, row) for row in range(len(group.members))]
        rows = [row for row, detection in enumerate(chosen) if detection]
        if not rows:
            return chosen, group.pictures.new_zeros((0, pyramid[0].shape[1], *CHART_GRID))
        boxes = torch.stack([chosen[row].network_box for row in rows])
        return chosen, self.decoded_under(pyramid[:4], rows, boxes)

    def _judged(self, pyramid: list[Tensor], proposals: Boxes) -> tuple[Tensor, Tensor]:
        """What the box head says of proposals BxN: logits BxNx2, deltas BxNx4; 0 where there is none."""
        there = torch.isfinite(proposals.scores)
        rois = torch.cat([torch.nonzero(there)[:, :1].float(), proposals.boxes[there]], dim=1)
        judged = [
            self.network.box_predictor(self.network.box_head(self.pooled(pyramid, some)))
            for some in rois.split(BOXES_AT_ONCE)
        ]
        logits, deltas = (torch.cat(parts) for parts in zip(*judged))
        out = torch.zeros((*there.shape, 2 + 4), device=self.device)
        out[there] = torch.cat([logits, deltas], dim=1)
        return out[..., :2], out[..., 2:]

    def pooled(self, pyramid: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Features Nx256x7x7 of boxes Nx5 (picture, x1, y1, x2, y2), each from the level of its size."""
        levels = pooling_levels(rois[:, 1:])
        out = pyramid[0].new_empty((len(rois), *BOX_GRID, pyramid[0].shape[1])).permute(0, 3, 1, 2)
        for level, (features, stride) in enumerate(zip(pyramid[:4], STRIDES), start=2):
            members = torch.nonzero(levels == level)[:, 0]
            out[members] = roi_align(features, rois[members], BOX_GRID, 1 / stride, SAMPLES)
        return out

    def charts(self, pooled: Tensor) -> Tensor:
        """Decoded features Nx256x28x28 of boxes -> charts Nx77x112x112, float32."""
        return self.network.chart_predictor(self.network.densepose_head(pooled))

    def decoded_under(self, pyramid: Sequence[Tensor], rows: list[int], boxes: Tensor) -> Tensor:
        """The decoder's features Nx256x28x28 under one box of each of N pictures of a group.

        Only a window around each box is decoded, of the same size for all: inside the margin the numbers are those of
        the whole picture.
        """
        height, width = (DIVISOR * side for side in pyramid[3].shape[2:])
        corners, (high, wide) = decoder_windows(boxes, (height, width))
        crops = [
            torch.stack([
                features[row, :, top // stride : (top + high) // stride, left // stride : (left + wide) // stride]
                for row, (top, left) in zip(rows, corners)
            ]).contiguous(memory_format=torch.channels_last)
            for features, stride in zip(pyramid, STRIDES)
        ]  # fmt: skip
        shift = torch.tensor([[left, top, left, top] for top, left in corners])
        rois = torch.cat([torch.arange(len(rows))[:, None], boxes - shift], dim=1).to(self.device)
        return roi_align(self.network.decoder(crops), rois, CHART_GRID, 1 / STRIDES[0], SAMPLES)


def _chosen(group: Group, candidates: Boxes, row: int) -> Detection | None:
    there = torch.isfinite(candidates.scores[row])
    boxes, visible = rescaled(candidates.boxes[row], group.sizes[row], group.photo_sizes[row])
    seen = torch.nonzero(there & visible)[:, 0]
    index = chosen_detection(boxes[seen].numpy(), candidates.scores[row, seen].numpy(), group.people[row])
    return None if index is None else Detection(boxes[seen[index]], candidates.boxes[row, seen[index]])


def decoder_windows(boxes: Tensor, size: tuple[int, int]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Of windows of one size, around each box Nx4 with its margin: the (top, left) corners, and (height, width).

    Corners and sizes are multiples of the coarsest stride, inside a padded picture of `size`.
    """
    low = np.floor((boxes[:, :2].numpy() - DECODER_MARGIN) / DIVISOR).clip(0).astype(int) * DIVISOR
    high = np.ceil((boxes[:, 2:].numpy() + DECODER_MARGIN) / DIVISOR).astype(int) * DIVISOR
    high = np.minimum(high, size[::-1])
    wide, tall = (high - low).max(0).tolist()
    left, top = np.minimum(low, np.subtract(size[::-1], (wide, tall))).T.tolist()
    return list(zip(top, left)), (tall, wide)


def _nobody(item: DensePoseInput) -> EngineError:
    whom = "Nobody is" if item.pose is None else "The person of the pose is not among those"
    return EngineError("no_person", f"{whom} seen with a probability above {SURE}.")
