"""What the masking service takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.arrays import spec

SUBJECTS = ("person", "garment", "cutout")
KINDS = ("upper", "lower", "dress")
SURE_KIND = 0.7  # a silhouette's guess below this share is not worth an unusual garment: it is an upper one


@dataclass(frozen=True)
class MaskInput:
    """`picture` uint8 HxWx3 RGB; `subject` is one of SUBJECTS.

    "person" is the one of `pose`. "garment" leaves a wearer out; "cutout" is the same with the wearer, for callers who
    can tell better what of it to take.
    """

    picture: spec("uint8", "H", "W", 3)
    subject: str = "person"
    pose: Pose | None = None  # of the person, where it is known; never needed for a garment


@dataclass(frozen=True)
class Mask:
    """Coverage of the subject, and what was learnt on the way."""

    alpha: spec("uint8", "H", "W")  # 0 to 255
    class_logits: spec("float16", 256, 256, 6) | None = None  # the selfie-multiclass network's, of the whole picture
    kinds: spec("float32", 3) | None = None  # garments: shares of 1 over KINDS, a guess by the silhouette
    evidence: float | None = None  # garments: how much speaks for a garment at all; see `masking.subjects`
    worn: bool = False  # garments: photographed on somebody


def likely_kind(kinds: np.ndarray) -> str:
    """One of `KINDS` from its shares: most garments are upper ones, and sleeveless tops have a dress's outline."""
    best = int(np.argmax(kinds))
    return KINDS[best] if kinds[best] >= SURE_KIND else "upper"
