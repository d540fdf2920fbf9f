"""Parse maps as pictures."""

from __future__ import annotations

import numpy as np

from infra.imaging.encode import encode_palette_png
from infra.preprocess.human_parser.labels import NAMES, voc_palette

PALETTE = voc_palette()


def parse_png(labels: np.ndarray, scheme: str = "cihp") -> bytes:
    """A label map (uint8 HxW, of "cihp", "lip", "atr" or "pascal") as a palette PNG in the published colours.

    The pixel values are the labels: readers must take the index (Pillow's mode P), not the colour. The palette holds
    the scheme's own colours alone, as published. KeyError for another scheme, ValueError for a label beyond it.
    """
    return encode_palette_png(labels, PALETTE[: len(NAMES[scheme])])


def parse_picture(labels: np.ndarray) -> np.ndarray:
    """A label map (uint8 HxW) in the published colours, uint8 HxWx3 RGB."""
    return PALETTE[labels]


def parse_overlay(picture: np.ndarray, labels: np.ndarray, strength: float = 0.55) -> np.ndarray:
    """The photo (uint8 HxWx3 RGB) with its labels' colours laid over it where there is a label."""
    share = (labels > 0)[..., None] * np.float32(strength)
    return (picture * (1 - share) + PALETTE[labels] * share).round().astype(np.uint8)
