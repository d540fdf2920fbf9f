"""Skin against cloth by this photo's own colours, where the network's cells are too coarse: cuffs, collars, straps."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.multiclass.colours import Colours, separation
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.scene import Scene
from infra.preprocess.selfie_multiclass import BODY_SKIN, CLOTHES, OTHERS

_REACH = 6  # working pixels on either side of a border: three of the network's cells
_LEAST_PIXELS = 150  # of each, for a colour model
_DISTINCT = 0.6  # separation of the two colour models (1: nothing in common) that is believed
_LARGE, _ALIKE = 0.01, 0.4  # share of the person, and separation: accessories the network sees in cloth
_SURE = 1.0  # log likelihood ratio


def correct_kinds(scene: Scene, place: Places, colours: Colours) -> None:
    """Corrects ``scene.kind`` where colours tell better than the network: see the two steps."""
    _cover_lookalikes(scene, place, colours)
    _move_hems(scene, place, colours)


def _cover_lookalikes(scene: Scene, place: Places, colours: Colours) -> None:
    """What the network takes for accessories amid clothes of the same colours are clothes. Hats and shoes are not."""
    foot = np.minimum(*place.foot.values())
    others = (scene.kind == OTHERS) & (place.head_y < -0.5) & (foot > 1.5) & (np.minimum(*place.hand.values()) > 1.0)
    count, region = scene.components(others)
    clothes = scene.kind == CLOTHES
    kernel = np.ones((4 * _REACH + 1, 4 * _REACH + 1), np.uint8)
    for n in range(1, count):
        piece = region == n
        if piece.sum() < _LARGE * len(piece):
            continue
        near = clothes & (cv2.dilate(scene.image(piece.astype(np.uint8)), kernel)[scene.inside] > 0)
        if near.sum() > 0.2 * piece.sum() and not colours.differ(piece, near, _ALIKE):
            scene.kind[piece] = CLOTHES


def _move_hems(scene: Scene, place: Places, colours: Colours) -> None:
    """Exchanges body skin and clothes in ``scene.kind`` near the border between the two, where the colours differ."""
    below = place.head_y < -0.5
    skin, cloth = (scene.kind == BODY_SKIN) & below, (scene.kind == CLOTHES) & below
    if min(skin.sum(), cloth.sum()) < _LEAST_PIXELS:
        return
    ratio = colours.log_ratio(skin, cloth, nearby=3)
    if separation(ratio, skin, cloth) < _DISTINCT:
        return
    kernel = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)
    near_skin, near_cloth = (
        cv2.dilate(scene.image(members.astype(np.uint8)), kernel)[scene.inside] > 0 for members in (skin, cloth)
    )
    scene.kind[skin & near_cloth & (ratio < -_SURE)] = CLOTHES
    bare = cloth & (ratio > _SURE)
    scene.kind[bare & (near_skin | _waist_bands(scene, place, bare))] = BODY_SKIN


def _waist_bands(scene: Scene, place: Places, bare: np.ndarray) -> np.ndarray:
    """Bands of belly between top and trousers, too thin for the network: wide, low, and in the torso's middle."""
    zone = bare & (np.abs(place.side) < 0.45) & (place.down > 0.5) & (place.down < 1.1)
    bands = np.zeros(len(bare), bool)
    if not zone.any():
        return bands
    count, region, stats, _ = cv2.connectedComponentsWithStats(scene.image(zone.astype(np.uint8)), connectivity=8)
    wide = (stats[:, cv2.CC_STAT_WIDTH] > 0.2 * scene.unit) & (stats[:, cv2.CC_STAT_AREA] > 0.004 * scene.unit**2)
    low = stats[:, cv2.CC_STAT_HEIGHT] < 0.45 * stats[:, cv2.CC_STAT_WIDTH]
    accepted = wide & low
    accepted[0] = False
    return accepted[region[scene.inside]]
