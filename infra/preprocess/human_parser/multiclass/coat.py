"""A jacket worn open: the flanks and sleeves are of one colour, and what shows between them of another."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.human_parser.multiclass.colours import Colours
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.scene import Scene

# Torso coordinates: sideways in shoulder widths, downwards in torso lengths.
_OPENING, _FLANK, _WIDEST = 0.10, 0.22, 0.34
_LEVELS = (0.15, 0.35, 0.55, 0.75)  # prints and neckties do not reach from the neck to the waist
_LEAST_PIXELS = 25  # of the opening and of either flank, at every level
_DISTINCT = 0.6  # mean log likelihood ratio, of 2 at most, by which opening and flanks differ at every level


def label_open_coat(scene: Scene, place: Places, colours: Colours, labels: np.ndarray) -> None:
    """Turns upper clothes into coat where an open jacket shows another garment from the neck down to the waist."""
    upper = labels == Cihp.UPPER_CLOTHES
    torso = upper & (place.down > _LEVELS[0]) & (place.down < _LEVELS[-1])
    opening = torso & (np.abs(place.side) < _OPENING)
    flanks = [torso & (sign * place.side > _FLANK) for sign in (-1, 1)]
    if min(opening.sum(), *(flank.sum() for flank in flanks)) < _LEAST_PIXELS:
        return
    ratio = colours.log_ratio(opening, flanks[0] | flanks[1])
    for low, high in zip(_LEVELS, _LEVELS[1:], strict=False):
        level = (place.down > low) & (place.down < high)
        for region, sign in ((opening, 1), (flanks[0], -1), (flanks[1], -1)):
            there = ratio[region & level]
            if len(there) < _LEAST_PIXELS or sign * there.mean() < _DISTINCT:
                return
    coat = upper & ((ratio < 0) | (np.abs(place.side) > _WIDEST))
    coat &= cv2.medianBlur(scene.image(coat.astype(np.uint8)), 5)[scene.inside] > 0
    labels[coat] = Cihp.COAT
