"""What the try-on service takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.arrays import spec


@dataclass(frozen=True)
class TryOnInput:
    """All of one frame: pictures uint8 HxWx3 RGB, H = 1024 and W = 768 when the proxy asks."""

    person: spec("uint8", "H", "W", 3)  # the frame
    mask: spec("uint8", "H", "W")  # uint8 HxW, alpha of the person
    parse: spec("uint8", "H", "W")  # uint8 HxW, CIHP labels
    pose: Pose
    garment: spec("uint8", "h", "w", 3)  # uint8 hxwx3, the product photo, of any size
    garment_mask: spec("uint8", "h", "w")  # uint8 hxw, its alpha
    kind: str  # "upper", "lower" or "dress"
    densepose: spec("uint8", "H", "W", 3) | None = None  # uint8 HxWx3 IUV; the geometric engine does not need it


@dataclass(frozen=True)
class TryOn:
    """The dressed person."""

    picture: spec("uint8", "H", "W", 3)  # uint8 HxWx3 RGB; pixels that no garment touches are the frame's own
    notes: tuple[str, ...] = ()  # what the viewer should know of this answer, e.g. that the back is shown
