"""What the network calls "others": shoes at the feet, hats on the head, held things."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import LOWER, SHOES, Cihp
from infra.preprocess.human_parser.multiclass.colours import Colours
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.scene import SIDES, Scene
from infra.preprocess.selfie_multiclass import OTHERS

HELD = 20  # bags and other things in the hand: in the person's alpha, background in the parse map

_HELD_AT_RIM, _HELD_WITHIN = 0.004, 0.01  # share of the person from which on accessories are things in the hand
_LEAST_PIXELS = 30  # of a foot and a shin, to compare their colours
_KERNEL = np.ones((3, 3), np.uint8)


def label_accessories(scene: Scene, place: Places, colours: Colours, labels: np.ndarray) -> None:
    """Writes shoes, hats and held things; the rest (belts, badges, buckles) keeps 0, to take the label around it."""
    _complete_shoes(place, colours, labels)
    feet = np.minimum(place.foot["left"], place.foot["right"])
    legs = np.maximum(place.leg_at["left"], place.leg_at["right"])
    shoe = np.where(place.foot["left"] < place.foot["right"], Cihp.LEFT_SHOE, Cihp.RIGHT_SHOE)
    count, region = scene.components((scene.kind == OTHERS) & (labels == 0))
    for n in range(1, count):
        piece = region == n
        if feet[piece].min() < 1.0 and legs[piece].mean() > 1.5:
            labels[piece] = shoe[piece]
        elif 0.3 < place.head_y[piece].mean() < 1.2 and np.abs(place.head_x[piece]).min() < 0.5:
            labels[piece] = Cihp.HAT
        elif piece.sum() > _HELD_AT_RIM * len(labels) and _at_rim(scene, piece):
            labels[piece] = HELD
        elif piece.sum() > _HELD_WITHIN * len(labels) and _leaves_trunk(place, piece):
            labels[piece] = HELD


def _complete_shoes(place: Places, colours: Colours, labels: np.ndarray) -> None:
    """Shoes whose uppers the network took for trousers: cloth on the foot, in another colour than on the shin."""
    cloth = np.isin(labels, LOWER)
    for side, shoe in zip(SIDES, SHOES, strict=True):
        foot = cloth & (place.leg_at[side] > 1.93) & (place.foot[side] < 1.1)
        shin = cloth & (place.leg[side] < 1.2) & (place.leg_at[side] > 1.0) & (place.leg_at[side] < 1.75)
        if min(foot.sum(), shin.sum()) > _LEAST_PIXELS:
            labels[foot & (colours.log_ratio(foot, shin, nearby=3) > 0.7)] = shoe


def _leaves_trunk(place: Places, piece: np.ndarray) -> bool:
    """Bags between their owner and a neighbour do; belts, badges and glasses do not."""
    return bool(np.abs(place.side[piece]).max() > 0.6 and place.head_y[piece].max() < -0.5)


def _at_rim(scene: Scene, piece: np.ndarray) -> bool:
    """Whether a good part of the piece's border is the person's outline."""
    image = scene.image(piece.astype(np.uint8))
    ring = cv2.dilate(image, _KERNEL) > image
    return bool((ring & ~scene.inside).sum() > 0.2 * ring.sum())
