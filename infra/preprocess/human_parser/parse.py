"""What the human parser service takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.arrays import spec


@dataclass(frozen=True)
class ParseInput:
    """`picture` uint8 HxWx3 RGB."""

    picture: spec("uint8", "H", "W", 3)
    pose: Pose | None = None
    mask: Mask | None = None  # of the person


@dataclass(frozen=True)
class Parse:
    """Labels of the chosen person's pixels; everybody else is background."""

    labels: spec("uint8", "H", "W")  # uint8 HxW, CIHP 0..19 (`infra.preprocess.human_parser.labels`)
    confidence: spec("uint8", "H", "W")  # uint8 HxW, 0 to 255: how sure the label is
