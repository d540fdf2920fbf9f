"""CIHP labels from the network's six classes, a skeleton and an alpha.

The network says what is hair, face, skin, cloth or accessory; the skeleton says which limb a piece of skin belongs to.
What is left to find out is what covers the head, where the upper garment ends and what kind the lower one is; and the
borders, a cell of the network wide, move to the picture's edges.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.human_parser.multiclass.accessories import HELD, label_accessories
from infra.preprocess.human_parser.multiclass.clothes import label_clothes
from infra.preprocess.human_parser.multiclass.coat import label_open_coat
from infra.preprocess.human_parser.multiclass.colours import Colours
from infra.preprocess.human_parser.multiclass.headwear import label_headwear
from infra.preprocess.human_parser.multiclass.jaw import divide_at_jaw
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.recolouring import correct_kinds
from infra.preprocess.human_parser.multiclass.scene import Body, Scene, Window
from infra.preprocess.human_parser.multiclass.skin import label_skin
from infra.preprocess.human_parser.multiclass.snapping import snapped
from infra.preprocess.human_parser.parse import Parse

_LEAST_PIXELS = 50  # at working size; below that there is nobody to parse
_MARGIN = 8  # pixels kept around the person


def parse_person(picture: np.ndarray, logits: np.ndarray, alpha: np.ndarray, body: Body) -> Parse:
    """Labels of the person of ``body``, covered by ``alpha`` (uint8 HxW).

    ``picture`` uint8 HxWx3 RGB; ``logits`` 256x256x6, the network's answer for the whole picture.
    """
    labels, confidence = np.zeros((2, *alpha.shape), np.uint8)
    window = _window(alpha > 127)
    if window is None:
        return Parse(labels, confidence)
    scene = Scene.of(picture, logits, alpha, body, window)
    if len(scene.row) < _LEAST_PIXELS:
        return Parse(labels, confidence)
    place = Places(scene)
    colours = Colours(scene)
    correct_kinds(scene, place, colours)
    coarse = label_skin(scene, place)
    label_headwear(scene, place, colours, coarse)
    sure = label_clothes(scene, place, colours, coarse)
    label_open_coat(scene, place, colours, coarse)
    label_accessories(scene, place, colours, coarse)
    _drop_crumbs(scene, coarse)

    inside = alpha[window] > 127
    size = inside.shape[::-1]
    enlarged = cv2.resize(scene.image(coarse), size, interpolation=cv2.INTER_NEAREST)
    fine = snapped(np.ascontiguousarray(picture[window]), enlarged, inside)
    if body.face is not None:
        divide_at_jaw(fine, body.face - (window[1].start, window[0].start))
    labels[window] = np.where(fine == HELD, Cihp.BACKGROUND, fine)
    confidence[window] = cv2.resize(scene.image((255 * sure).astype(np.uint8)), size)
    return Parse(labels, confidence)


def _window(region: np.ndarray) -> Window | None:
    """The part of the picture that holds ``region`` (bool HxW), with a margin; None where it is empty."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    if not len(rows):
        return None
    ends = zip((rows, columns), region.shape, strict=True)
    return tuple(slice(max(0, int(i[0]) - _MARGIN), min(size, int(i[-1]) + 1 + _MARGIN)) for i, size in ends)


def _drop_crumbs(scene: Scene, labels: np.ndarray) -> None:
    """Islands under 0.1 % of the person lose their label, to take the one around them."""
    for value in np.unique(labels[labels > 0]):
        _, region = scene.components(labels == value)
        small = np.bincount(region) < 0.001 * len(labels)
        labels[small[region] & (region > 0)] = 0
