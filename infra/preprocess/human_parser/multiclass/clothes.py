"""Upper garment, lower garment or dress: divides what the network calls clothes."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import Cihp
from infra.preprocess.human_parser.multiclass.colours import Colours
from infra.preprocess.human_parser.multiclass.places import Places, split
from infra.preprocess.human_parser.multiclass.scene import SIDES, Scene
from infra.preprocess.human_parser.multiclass.waist import CLEAR, cloth_features, find_waist, log_ratio, waist_line
from infra.preprocess.selfie_multiclass import CLOTHES, FACE_SKIN


def label_clothes(scene: Scene, place: Places, colours: Colours, labels: np.ndarray) -> np.ndarray:
    """Writes the garments' labels; returns how sure every pixel's label is (N, 0 to 1)."""
    cloth = (scene.kind == CLOTHES) & (labels == 0)
    sure = np.take_along_axis(scene.share, scene.kind[:, None], 1)[:, 0]
    if not cloth.any():
        return sure
    features = cloth_features(scene)
    sleeve = _sleeves(scene, place, cloth)
    belly = (labels == Cihp.TORSO_SKIN) & (place.down > 0.35) & (place.down < 1.3) & (np.abs(place.side) < 0.4)
    belly &= np.minimum(*place.hand.values()) > 1.2
    waist = find_waist(place, features, cloth & ~sleeve, belly)
    ratio = log_ratio(place, waist, colours, cloth & ~sleeve)
    sleeve &= (place.down < waist.down) | (ratio < 0.5)  # what lies between a sleeve and the hip
    line = waist_line(scene, place, waist, np.where(cloth & ~sleeve, ratio, 0), belly)
    upper = sleeve | (scene.row < line[scene.column])
    bottom = cloth & ~upper
    legs = np.isin(labels, (Cihp.LEFT_LEG, Cihp.RIGHT_LEG)) & (place.down > 1.1)
    kind = _kind_of_bottom(scene, place, bottom, legs)
    labels[cloth] = np.where(upper, Cihp.UPPER_CLOTHES, kind)[cloth]
    if kind == Cihp.SKIRT and waist.clear < CLEAR and not waist.bare:
        labels[cloth] = Cihp.DRESS
    along = np.where(place.leg["left"] < place.leg["right"], place.leg_at["left"], place.leg_at["right"])
    count, region = scene.components(bottom)
    for n in range(1, count):
        piece = region == n
        if along[piece].min() > 1.3 and piece.sum() < 0.1 * bottom.sum():
            labels[piece] = Cihp.SOCKS
    doubt = (1 - waist.clear) * np.exp(-0.5 * ((place.down - waist.down) / 0.15) ** 2)
    return np.where(cloth & ~sleeve, sure * (1 - 0.6 * doubt), sure)


def _sleeves(scene: Scene, place: Places, cloth: np.ndarray) -> np.ndarray:
    """Cloth on the arms that hang beside the body, above the end of the sleeve."""
    sleeve = np.zeros(len(cloth), bool)
    leg = np.minimum(place.leg["left"], place.leg["right"])
    for side in SIDES:
        end = place.sleeve_end[side] + 0.1
        on_arm = (place.arm[side] < 1.3) & (place.arm_at[side] < (end if end < 2 else 3)) & (place.arm_at[side] > 0.3)
        sleeve |= on_arm & cloth & (np.abs(place.side) > 0.3) & ((leg > 1.0) | (place.arm[side] < 0.9))
    return sleeve


def _kind_of_bottom(scene: Scene, place: Places, bottom: np.ndarray, legs: np.ndarray) -> int:
    """Skirt when the cloth between the legs reaches as far down as on the legs and shows no seam, else pants."""
    image = scene.image(bottom.astype(np.uint8))
    hips, knees, ankles = (scene.body.points[[a, b]].mean(0) for a, b in ((23, 24), (25, 26), (27, 28)))
    line = np.concatenate([np.linspace(hips, knees, 40)[8:], np.linspace(knees, ankles, 40)[1:36]])
    xy = np.round(line).astype(int)
    xy = xy[(xy >= 0).all(1) & (xy[:, 0] < image.shape[1]) & (xy[:, 1] < image.shape[0])]
    between = int(np.cumprod(image[xy[:, 1], xy[:, 0]]).sum())
    if between < 8:
        return Cihp.PANTS
    # The seam or shadow between the legs of pants, against what the cloth itself shows as much beside it.
    end = xy[max(0, between - 14) : between]
    thighs = scene.body.points[[23, 24]] * 0.6 + scene.body.points[[25, 26]] * 0.4
    beside = [_contrast(scene, end + np.round(thigh - thighs.mean(0)).astype(int)) for thigh in thighs]
    if _contrast(scene, end) > 2.5 * max(beside) + 10:
        return Cihp.PANTS
    if legs.sum() < 0.002 * len(legs):
        if between < len(xy):
            return Cihp.PANTS
        seamless = _contrast(scene, end) < 1.6 * max(beside) + 4
        return Cihp.SKIRT if seamless and between >= 10 and _hangs(scene, image, end) else Cihp.PANTS
    # Shorts end where the crotch ends: their cloth on the midline is shorter than on the legs.
    reach = []
    for side in SIDES:
        on_leg = (place.leg[side] < 0.5) & (place.down > 0.8)
        reach.append(split(place.leg_at[side][on_leg], bottom[on_leg]))
    return Cihp.SKIRT if (8 + between) / 40 > min([r for r in reach if r > 0], default=0) - 0.07 else Cihp.PANTS


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
