"""Skirt or trousers: what the lower garment is."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.human_parser.multiclass.places import Places, split
from infra.preprocess.human_parser.multiclass.scene import ANKLES, HIPS, KNEES, SIDES, Scene
from infra.preprocess.selfie_multiclass import FACE_SKIN

# The midline between the legs in fortieths of thigh and shin, from a fifth down the thigh, where crotches are.
_STEPS, _FIRST, _LAST = 40, 8, 36
_CROTCH = 8  # steps of cloth below that any trousers have
_END = 14  # steps at the lower end of the cloth that are searched for a seam
_CUT_OFF = 10  # steps that must be seen of a skirt whose hem is below the picture
_GAP = 0.03  # shoulder widths
_LEGS = 0.002  # share of the person from which on bare legs are believed
_SLACK = 0.07  # of a thigh, between a skirt's hem on the legs and between them


def kind_of_bottom(scene: Scene, place: Places, bottom: np.ndarray, legs: np.ndarray) -> Cihp:
    """Skirt when the cloth between the legs reaches as far down as on the legs and shows no seam, else pants.

    ``bottom``: the lower garment, ``legs``: bare legs (N bool each).
    """
    image = scene.image(bottom.astype(np.uint8))
    xy = _midline(scene)
    between = int(np.cumprod(image[xy[:, 1], xy[:, 0]]).sum())
    if between < _CROTCH:
        return Cihp.PANTS
    # The seam or shadow between the legs of pants, against what the cloth itself shows as much beside it.
    end = xy[max(0, between - _END) : between]
    thighs = scene.body.points[list(HIPS)] * 0.6 + scene.body.points[list(KNEES)] * 0.4
    seam = _contrast(scene, end)
    cloth = max(_contrast(scene, end + np.round(thigh - thighs.mean(0)).astype(int)) for thigh in thighs)
    if seam > 2.5 * cloth + 10:
        return Cihp.PANTS
    if legs.sum() < _LEGS * len(legs):
        cut_off = between == len(xy) and between >= _CUT_OFF and seam < 1.6 * cloth + 4
        return Cihp.SKIRT if cut_off and not _gapes(scene, image) and _hangs(scene, image, end) else Cihp.PANTS
    # Shorts end where the crotch ends: their cloth on the midline is shorter than on the legs.
    reach = []
    for side in SIDES:
        on_leg = (place.leg[side] < 0.5) & (place.down > 0.8)
        reach.append(split(place.leg_at[side][on_leg], bottom[on_leg]))
    hem = min([r for r in reach if r > 0], default=0)
    return Cihp.SKIRT if (_FIRST + between) / _STEPS > hem - _SLACK else Cihp.PANTS


def _midline(scene: Scene) -> np.ndarray:
    """Pixels (Kx2 int: x, y) of the line between the legs, from the crotch to the ankles or the picture's rim."""
    hips, knees, ankles = (scene.body.points[list(pair)].mean(0) for pair in (HIPS, KNEES, ANKLES))
    thigh, shin = np.linspace(hips, knees, _STEPS)[_FIRST:], np.linspace(knees, ankles, _STEPS)[1:_LAST]
    xy = np.round(np.concatenate([thigh, shin])).astype(int)
    height, width = scene.inside.shape
    return xy[(xy >= 0).all(1) & (xy[:, 0] < width) & (xy[:, 1] < height)]


def _gapes(scene: Scene, bottom: np.ndarray) -> bool:
    """Whether the background shows between the legs at the lower end of cloth that is cut off by the rim."""
    rows = np.flatnonzero(bottom.any(1))
    rows = rows[-max(3, len(rows) // 10) :]
    cloth, wall = bottom[rows] > 0, ~scene.inside[rows]
    between = np.maximum.accumulate(cloth, 1) & np.maximum.accumulate(cloth[:, ::-1], 1)[:, ::-1]
    return bool(((wall & between).sum(1) > _GAP * scene.unit).mean() > 0.3)


def _hangs(scene: Scene, bottom: np.ndarray, end: np.ndarray) -> bool:
    """Whether cloth cut off by the picture's rim may be a skirt's though no leg is seen: in dark cloth a seam may not
    show along ``end`` (points x, y), but trousers are narrower at the thighs than at the hips."""
    lightness = scene.lab[..., 0]
    face = lightness[scene.inside][scene.kind == FACE_SKIN]
    if np.median(lightness[end[:, 1], end[:, 0]]) > (0.4 * np.median(face) if len(face) else 60):
        return True
    widths = bottom.sum(1)[bottom.any(1)]
    reach = max(3, len(widths) // 12)
    quarter = len(widths) // 4
    hips, rim = np.median(widths[quarter : quarter + reach]), np.median(widths[-reach:])
    return bool(rim > 0.93 * hips and rim > 1.05 * scene.unit)


def _contrast(scene: Scene, line: np.ndarray) -> float:
    """Median contrast of lightness across a downward line of points, slopes taken out; 8 bit levels."""
    reach = max(3, round(0.14 * scene.unit))
    light = cv2.GaussianBlur(scene.lab[..., 0], (0, 0), 1.0)
    contrast = [0.0]
    for x, y in line:
        strip = light[min(y, len(light) - 1), max(0, x - reach) : max(0, x + reach + 1)]
        if len(strip) > 4:
            contrast.append(float(np.ptp(strip - np.linspace(strip[:2].mean(), strip[-2:].mean(), len(strip)))))
    return float(np.median(contrast))
