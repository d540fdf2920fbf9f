"""Cloth on the head: hats, caps, turbans, hoods, headscarves, hijabs.

The network calls it clothes or accessories, wherever it ends: a hijab and the dress below it are one region. It is
told from the garment here, because it stays on whatever is put on: nobody's head is to be uncovered.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.human_parser.multiclass.colours import Colours, separation
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.scene import Scene
from infra.preprocess.selfie_multiclass import BODY_SKIN, CLOTHES, FACE_SKIN, OTHERS

# Head coordinates, in face heights from the middle of the face: 0.5 is the hairline, -0.5 the chin.
_REACH_BESIDE, _REACH_ABOVE = 1.1, 1.6  # turbans and brims are wider than what goes around the face
_CROWN = 0.45
_CROWN_SHARE = 0.3  # of the crown that cloth must cover; collars and raised sleeves never lie there
_ARCH_AREA, _ARCH_REACH = 0.05, 0.15  # of a hood over the hair: share of the head's area, and how far to either side
_VEIL = 0.2  # share of the head's area behind the face
_SIDE_SHARE = 0.55  # of what lies beside the face, beyond the reach of collars
_EARS, _CHEEKS = (-0.1, 0.45), (-0.45, -0.1)
_EYES, _NOSE, _BESIDE_FACE, _CHIN = 0.2, -0.05, -0.25, -0.5
_NECK_HALF_WIDTH, _NECK_LENGTH = 0.75, 0.38  # where cloth of one colour is parted: along the neck's base
_HANGING = 0.05  # share of the head's area that a scarf has below the chin
_CHEST, _LEAST_GARMENT = 0.65, 0.2  # torso lengths below the shoulders; garment seen there, of what hangs down
_DISTINCT = 0.55  # separation of two cloths' colours (0: alike, 1: nothing in common) that is believed
_OWN_COLOURS = 0.4  # the same for what goes around the neck, scarf or collar: the network's cells mix it with others


def label_headwear(scene: Scene, place: Places, colours: Colours, labels: np.ndarray) -> None:
    """Writes hat, or scarf where the cloth falls below the chin; 0 stays where the garment is."""
    cloth = np.isin(scene.kind, (CLOTHES, OTHERS)) & (np.minimum(*place.hand.values()) > 1.0)
    reach = np.where(place.head_y > _EYES, _REACH_ABOVE, _REACH_BESIDE)
    around = cloth & (np.abs(place.head_x) < reach) & (place.head_y > _CHIN) & (place.head_y < 1.6)
    around &= np.minimum(*place.arm.values()) > 0.8
    around |= _looks_like_skin(scene, place, colours, labels, around)
    if not _is_covered(place, colours, labels, around):
        return
    upper = _connected(scene, around, around & (place.head_y > _BESIDE_FACE))
    upper = _without_collars(scene, place, colours, cloth, upper)
    falling = np.zeros_like(upper)
    if (upper & (place.head_y < -0.3)).sum() > 0.02 * place.head_area:
        falling = _below_chin(scene, place, colours, cloth, upper)
    count, region = scene.components(upper | falling)
    hanging = np.bincount(region, falling, minlength=count) > _HANGING * place.head_area
    labels[region > 0] = Cihp.HAT
    labels[(region > 0) & hanging[region]] = Cihp.SCARF


def _is_covered(place: Places, colours: Colours, labels: np.ndarray, around: np.ndarray) -> bool:
    """Whether cloth covers the top of the head, or both of its sides: the top may be cut off, or be taken for hair.

    Collars reach the cheeks of a bent head, but its hair shows above them in a colour of its own, or the ears do.
    """
    crown = (place.head_y > _CROWN) & (place.head_y < 1.0) & (np.abs(place.head_x) < 0.45)
    if crown.sum() > 0.1 * place.head_area and around[crown].mean() > _CROWN_SHARE:
        return True
    # A hood lies behind big hair, and shows as an arch over it.
    arch = place.head_x[around & (place.head_y > _CROWN) & (np.abs(place.head_x) < 0.6)]
    if len(arch) > _ARCH_AREA * place.head_area and arch.min() < -_ARCH_REACH and arch.max() > _ARCH_REACH:
        return True
    hair = labels == Cihp.HAIR
    # A veil from the side: cloth behind the face, and no hair. Collars do not reach the eyes.
    face_area, high = (labels == Cihp.FACE).sum(), (around & (place.head_y > _NOSE)).sum()
    if face_area > 0.1 * place.head_area and high > _VEIL * place.head_area and hair.sum() < 0.2 * high:
        return True
    if not (crown.any() or face_area) or colours.differ(crown & hair, around, _DISTINCT):
        return False
    beside = (np.abs(place.head_x) > 0.42) & (np.abs(place.head_x) < 0.75)

    def covered(low: float, high: float, cover: np.ndarray) -> bool:
        band = beside & (place.head_y > low) & (place.head_y < high)
        sides = band & (place.head_x < 0), band & (place.head_x > 0)
        return all(side.sum() > 0.02 * place.head_area and cover[side].mean() > _SIDE_SHARE for side in sides)

    return covered(*_EARS, around) or (covered(*_CHEEKS, around) and covered(*_EARS, around | hair))


def _without_collars(scene: Scene, place: Places, colours: Colours, cloth: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """``upper`` less the collars beside the face: regions that do not reach the top of the head and have the
    garment's colours. Scarves have their own, and a headscarf's sides those of its top."""
    count, region = scene.components(upper)
    top = upper & (place.head_y > _EYES)
    garment = _garment(place, cloth & ~upper)
    kept = upper.copy()
    for n in range(1, count):
        piece = region == n
        if (piece & top).any() or not garment.any() or colours.differ(piece, garment, _OWN_COLOURS):
            continue
        if place.head_y[piece].max() < _NOSE or not top.any() or colours.differ(piece, top, _DISTINCT):
            kept &= ~piece
    return kept


def _garment(place: Places, cloth: np.ndarray) -> np.ndarray:
    """Cloth of the garment: long scarves cover the chest, what it looks like shows on the sleeves and at the waist."""
    arm, along = np.minimum(*place.arm.values()), np.minimum(*place.arm_at.values())
    return cloth & (place.down > 0.1) & (place.down < 1.0) & (((arm < 0.9) & (along > 0.4)) | (place.down > 0.6))


def _connected(scene: Scene, members: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The regions of ``members`` that hold at least one of ``seeds``."""
    count, region = scene.components(members)
    wanted = np.zeros(count, bool)
    wanted[region[seeds]] = True
    wanted[0] = False
    return wanted[region]


def _looks_like_skin(
    scene: Scene, place: Places, colours: Colours, labels: np.ndarray, around: np.ndarray
) -> np.ndarray:
    """Cloth in the colour of skin, that the network took for a face: outside the face, and not of its colour."""
    inner = (np.abs(place.head_x) < 0.3) & (np.abs(place.head_y) < 0.3) & (labels == Cihp.FACE)
    if min(inner.sum(), around.sum()) < 0.05 * place.head_area:
        return np.zeros(len(labels), bool)
    outside = np.hypot(place.head_x / 0.42, place.head_y / 0.52) > 1.05
    skin = np.isin(scene.kind, (FACE_SKIN, BODY_SKIN)) & outside
    skin &= (np.abs(place.head_x) < 0.8) & (place.head_y > _CHIN) & (place.head_y < 1.3)
    return skin & (colours.log_ratio(around, inner) > 0.7)


def _below_chin(scene: Scene, place: Places, colours: Colours, cloth: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """What hangs down of the head's cloth: by colour where garment and cloth differ, else as far as the neck."""
    neck = _CHIN - _NECK_LENGTH * np.sqrt(np.clip(1 - (place.head_x / _NECK_HALF_WIDTH) ** 2, 0, 1))
    above_neck = np.clip((place.head_y - neck) / 0.15, -1, 2)  # 0 at the neck's base
    garment = _garment(place, cloth & ~upper)
    if garment.sum() > 0.3 * place.head_area:
        ratio = colours.log_ratio(upper, garment)
        if separation(ratio, upper, garment) > _DISTINCT:
            score = np.where(above_neck < 0, 0.6 * above_neck, above_neck) + ratio
            falling = _flooded(scene, place, cloth, upper, score)
            left = cloth & ~upper & ~falling & (place.head_y < _CHIN) & (place.down < _CHEST)
            # Nothing left of the garment: it has the colour of the head's cloth, and the trousers another.
            if left.sum() > _LEAST_GARMENT * falling.sum():
                return falling
    return _flooded(scene, place, cloth, upper, above_neck)


def _flooded(scene: Scene, place: Places, cloth: np.ndarray, upper: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Cloth below the chin that hangs together with ``upper``: a watershed between high and low ``score``."""
    below = (cloth & (place.head_y <= _CHIN)) | upper
    seeds = np.full(scene.inside.shape, 3, np.int32)
    seeds[scene.inside] = np.where(below, np.where(upper | (score > 0.8), 1, np.where(score < -0.8, 2, 0)), 3)
    photo = cv2.cvtColor(scene.lab.astype(np.uint8), cv2.COLOR_LAB2RGB)
    falling = below & (cv2.watershed(photo, seeds)[scene.inside] == 1)
    return _connected(scene, falling | upper, upper) & ~upper
