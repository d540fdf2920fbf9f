"""What the DensePose service takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.arrays import spec


@dataclass(frozen=True)
class DensePoseInput:
    """`picture` uint8 HxWx3 RGB."""

    picture: spec("uint8", "H", "W", 3)
    pose: Pose | None = None
    mask: Mask | None = None  # of the person


@dataclass(frozen=True)
class DensePose:
    """Body surface coordinates of the chosen person."""

    iuv: spec("uint8", "H", "W", 3)  # uint8 HxWx3: part 0..24 (0 is no body), U, V (0 to 255)
