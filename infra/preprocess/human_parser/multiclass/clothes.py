"""Upper garment, lower garment or dress: divides what the network calls clothes."""

from __future__ import annotations

import numpy as np

from infra.preprocess.human_parser.labels import LEGS, Cihp
from infra.preprocess.human_parser.multiclass.bottom import kind_of_bottom
from infra.preprocess.human_parser.multiclass.colours import Colours
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.scene import HIPS, KNEES, SEEN, SIDES, Scene
from infra.preprocess.human_parser.multiclass.waist import CLEAR, UNSEEN, Waist, find_long_hem, find_waist
from infra.preprocess.human_parser.multiclass.waist_line import is_print, lower_over_upper, waist_line
from infra.preprocess.selfie_multiclass import CLOTHES

_HANGING = 0.6  # cosine of thigh and trunk of those who stand or walk
_OTHER_CLOTH = 0.7  # log likelihood ratio by which cloth on a raised leg is the top's
_TAIL = 0.15  # share of the clothes


def label_clothes(scene: Scene, place: Places, colours: Colours, labels: np.ndarray) -> np.ndarray:
    """Writes the garments' labels; returns how sure every pixel's label is (N float32, 0 to 1)."""
    cloth = (scene.kind == CLOTHES) & (labels == 0)
    sure = np.take_along_axis(scene.share, scene.kind[:, None], 1)[:, 0]
    if not cloth.any():
        return sure
    sleeve = _hanging_sleeves(place, cloth)
    belly = (labels == Cihp.TORSO_SKIN) & (place.down > 0.35) & (place.down < 1.3) & (np.abs(place.side) < 0.4)
    belly &= np.minimum(*place.hand.values()) > 1.2
    waist = find_waist(scene, place, cloth & ~sleeve, belly)
    if waist.clear < CLEAR and not waist.bare:
        waist = find_long_hem(place, colours, cloth & ~sleeve) or waist
    upper, line = _upper(scene, place, colours, waist, cloth, sleeve, belly)
    if is_print(place, waist, line):
        waist = UNSEEN
        upper, _ = _upper(scene, place, colours, waist, cloth, sleeve, belly)
    bottom = cloth & ~upper
    if waist.clear < CLEAR and _is_tail(scene, cloth, bottom):
        upper, bottom = cloth, np.zeros_like(bottom)
    kind = kind_of_bottom(scene, place, bottom, np.isin(labels, LEGS) & (place.down > 1.1))
    if kind == Cihp.SKIRT and waist.clear < CLEAR and not waist.bare:
        labels[cloth] = Cihp.DRESS
    else:
        labels[cloth] = np.where(upper, Cihp.UPPER_CLOTHES, kind)[cloth]
    labels[_socks(scene, place, bottom)] = Cihp.SOCKS
    doubt = (1 - waist.clear) * np.exp(-0.5 * ((place.down - waist.down) / 0.15) ** 2)
    return np.where(cloth & ~sleeve, sure * (1 - 0.6 * doubt), sure)


def _upper(
    scene: Scene,
    place: Places,
    colours: Colours,
    waist: Waist,
    cloth: np.ndarray,
    sleeve: np.ndarray,
    belly: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The upper garment (N bool), and the row where it ends for every column."""
    ratio = lower_over_upper(place, waist, colours, cloth & ~sleeve)
    lap = _raised_legs(scene, place, cloth) & (ratio > -_OTHER_CLOTH)
    sleeve = (sleeve | _folded_sleeves(scene, place, cloth)) & ~lap
    sleeve &= (place.down < waist.down) | (ratio < 0.5)  # what lies between a sleeve and the hip
    line = waist_line(scene, place, waist, np.where(cloth & ~sleeve, ratio, 0), belly)
    return cloth & (sleeve | (scene.row < line[scene.column])) & ~lap, line


def _socks(scene: Scene, place: Places, bottom: np.ndarray) -> np.ndarray:
    """Cloth at the ankles that does not hang together with the lower garment."""
    along = np.where(place.leg["left"] < place.leg["right"], place.leg_at["left"], place.leg_at["right"])
    count, region = scene.components(bottom)
    socks = np.zeros(len(bottom), bool)
    for n in range(1, count):
        piece = region == n
        if along[piece].min() > 1.3 and piece.sum() < 0.1 * bottom.sum():
            socks |= piece
    return socks


def _hanging_sleeves(place: Places, cloth: np.ndarray) -> np.ndarray:
    """Cloth on the arms that hang beside the body, above the end of the sleeve."""
    sleeve = np.zeros(len(cloth), bool)
    leg = np.minimum(place.leg["left"], place.leg["right"])
    for side in SIDES:
        on_arm = (place.arm[side] < 1.3) & (place.arm_at[side] > 0.3) & _above_end(place, side)
        sleeve |= on_arm & cloth & (np.abs(place.side) > 0.3) & ((leg > 1.0) | (place.arm[side] < 0.9))
    return sleeve


def _folded_sleeves(scene: Scene, place: Places, cloth: np.ndarray) -> np.ndarray:
    """Cloth on forearms before the body, above the end of the sleeve."""
    sleeve = np.zeros(len(cloth), bool)
    for n, side in enumerate(SIDES):
        if scene.body.seen[15 + n] > SEEN:
            on_forearm = (place.arm[side] < 0.8) & (place.arm_at[side] > 0.9)
            sleeve |= cloth & on_forearm & _above_end(place, side)
    return sleeve


def _above_end(place: Places, side: str) -> np.ndarray:
    end = place.sleeve_end[side] + 0.1
    return place.arm_at[side] < (end if end < 2 else 3)


def _raised_legs(scene: Scene, place: Places, cloth: np.ndarray) -> np.ndarray:
    """Cloth on legs that do not hang down, of people who sit, squat or step up: it may lie higher than the waist."""
    members = np.zeros(len(cloth), bool)
    hips, knees = scene.body.points[list(HIPS)], scene.body.points[list(KNEES)]
    for n, side in enumerate(SIDES):
        thigh = knees[n] - hips[n]
        length = float(np.hypot(*thigh))
        if length < 0.5 * scene.unit or thigh @ place.axis > _HANGING * length or scene.body.seen[KNEES[n]] < SEEN:
            continue
        members |= cloth & (place.leg[side] < 0.8) & (place.leg_at[side] > 0.4) & (place.arm[side] > 1.0)
    return members


def _is_tail(scene: Scene, cloth: np.ndarray, bottom: np.ndarray) -> bool:
    """Whether what looks like the cloth above the waist is its end: too little for trousers, and not cut by the rim."""
    return bool(bottom.sum() < _TAIL * cloth.sum() and not scene.image(bottom)[-1].any())
