"""From what the layers say of anchors and boxes to boxes that may hold somebody, and to those that do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from infra.preprocess.densepose.rcnn.boxes import clipped, decoded, not_empty
from infra.preprocess.densepose.rcnn.network import PERSON
from infra.preprocess.densepose.rcnn.suppression import survivors

CANDIDATES = 1000  # of each pyramid level, before suppression
PROPOSALS = 1000  # of a picture, after it
PROPOSAL_NMS, DETECTION_NMS = 0.7, 0.5
DETECTIONS = 100  # of a picture
RPN_WEIGHTS, BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)  # that deltas are divided by


class Boxes(NamedTuple):
    """B pictures' boxes, best first, in pixels of the network's picture; where a picture has fewer than N, the rest of
    its row is empty and has the score minus infinity."""

    boxes: Tensor  # float32 BxNx4
    scores: Tensor  # float32 BxN


def propose(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor], sizes: Tensor, *,
    proposals: int = PROPOSALS,
) -> Boxes:  # fmt: skip
    """The surest boxes of all pyramid levels, at most `proposals` of each picture, with logits for scores.

    Of each level `logits` BxA, `deltas` BxAx4 and `anchors` Ax4, float32; `sizes` Bx2: height and width of the resized
    pictures without their padding, to which boxes are clipped. Only the candidates are decoded.
    """
    levels = [
        _candidates(*level, sizes, min(CANDIDATES, max(each.shape[1] for each in logits)))
        for level in zip(logits, deltas, anchors, strict=True)
    ]
    boxes = torch.stack([boxes for boxes, _ in levels], dim=1)
    scores = torch.stack([scores for _, scores in levels], dim=1)
    kept = survivors(boxes.flatten(0, 1), PROPOSAL_NMS).view_as(scores)
    return _best(boxes.flatten(1, 2), scores.masked_fill(~kept, -torch.inf).flatten(1), proposals)


def _candidates(logits: Tensor, deltas: Tensor, anchors: Tensor, sizes: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Boxes BxNx4 and scores BxN of one level's best anchors, filled up to `number`; what has no area is empty."""
    scores, best = logits.float().topk(min(number, logits.shape[1]), dim=1)
    chosen = deltas.gather(1, best[..., None].expand(-1, -1, 4))
    boxes = clipped(decoded(chosen, anchors[best], RPN_WEIGHTS), sizes[:, None])
    valid = not_empty(boxes) & torch.isfinite(scores)
    boxes, scores = boxes.masked_fill(~valid[..., None], 0), scores.masked_fill(~valid, -torch.inf)
    missing = number - boxes.shape[1]
    return F.pad(boxes, (0, 0, 0, missing)), F.pad(scores, (0, missing), value=-torch.inf)


def detect(logits: Tensor, deltas: Tensor, proposals: Boxes, sizes: Tensor, threshold: float) -> Boxes:
    """The persons of B pictures, at most `DETECTIONS` each, with probabilities for scores.

    `logits` BxNx2 (person, background) and `deltas` BxNx4 of the N proposals of each picture, `sizes` as in `propose`.
    A person's probability is greater than `threshold`.
    """
    probabilities = torch.softmax(logits.float(), dim=-1)[..., PERSON]
    boxes = clipped(decoded(deltas, proposals.boxes, BOX_WEIGHTS), sizes[:, None])
    finite = torch.isfinite(boxes).all(dim=-1) & torch.isfinite(probabilities) & torch.isfinite(proposals.scores)
    sure = finite & (probabilities > threshold)
    number = int(sure.sum(dim=1).max())
    candidates = _best(boxes, probabilities.masked_fill(~sure, -torch.inf), number)
    kept = survivors(candidates.boxes, DETECTION_NMS)
    return _best(candidates.boxes, candidates.scores.masked_fill(~kept, -torch.inf), DETECTIONS)


def _best(boxes: Tensor, scores: Tensor, number: int) -> Boxes:
    """The first `number` of each row by score; of equal ones the earlier first."""
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    scores, order = scores[:, :number], order[:, :number]
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    return Boxes(boxes.masked_fill(torch.isinf(scores)[..., None], 0), scores)
