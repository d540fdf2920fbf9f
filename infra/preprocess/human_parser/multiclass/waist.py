"""Where the upper garment ends and the lower one begins."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.human_parser.multiclass.colours import Colours
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.scene import Scene

# Where top and bottom look alike the top is rarely tucked in: suits, tracksuits, uniforms.
_UNSEEN_WAIST = 1.05
CLEAR = 0.3  # from which clearness on the waist counts as seen

# Profiles down the torso, in torso lengths below the shoulders.
_TOP, _LEVEL, _LEVELS = 0.1, 0.02, 100
_REACH = 12  # levels compared above and below: a quarter of the torso, in which prints and stripes average out
_THIN_REACH = 4
_LEAST_REACH = 2  # levels that must be seen below a change
_SHARP, _BLURRED = 0.5, 0.45  # distance in thin bands that is an edge; what a change without one counts
_NEAR = 2  # levels that the changes in wide and in thin bands may lie apart
_LIKELY, _LIKELY_SPREAD = 0.85, (0.28, 0.36)  # where waists are, and how far above and below
_HIGHEST, _LOWEST = 0.4, 1.6
_LEAST_DISTANCE, _DISTANCE_RANGE = 0.3, 0.6  # Bhattacharyya distances from unclear to clear
# Tops that cover the hips: the lowest cloth that shows what is worn below, and where its colours must begin.
_END, _END_DISTINCT, _HEM_STEP = 0.2, 0.55, 1.2
_HIPS, _LONGEST = 0.9, 1.9  # torso lengths below the shoulders
_NOISE = np.diag([16.0, 9.0, 9.0, 4.0])  # variances of noise and folds in the features


@dataclass(frozen=True)
class Waist:
    down: float  # in torso lengths below the shoulders
    clear: float  # 0: top and bottom look alike, 1: they differ clearly
    bare: bool  # a band of skin lies between them


UNSEEN = Waist(_UNSEEN_WAIST, 0.0, False)


def find_waist(scene: Scene, place: Places, cloth: np.ndarray, belly: np.ndarray) -> Waist:
    """The height where clothes change most. The change must show in each third of the torso: prints are in the
    middle, open jackets at the sides."""
    features = _features(scene)
    at = _TOP + _LEVEL * np.arange(_LEVELS + 1)
    across = np.floor((place.side + 0.42) / 0.28)
    change, edge = _change(place, features, [cloth & (across == third) for third in range(3)])
    spread = np.where(at < _LIKELY, *_LIKELY_SPREAD)
    change *= np.exp(-0.5 * ((at - _LIKELY) / spread) ** 2) * ((at > _HIGHEST) & (at < _LOWEST))
    best = int(change.argmax())
    clear = float(np.clip((change[best] - _LEAST_DISTANCE) / _DISTANCE_RANGE, 0, 1))
    best = max(best - _NEAR, 0) + int(edge[max(best - _NEAR, 0) : best + _NEAR + 1].argmax())
    middle = (np.abs(place.side) < 0.25) & (place.down > 0.35) & (place.down < 1.3)
    level = ((place.down[middle] - _TOP) / _LEVEL).astype(int)
    count = np.bincount(level, minlength=_LEVELS)
    bare = np.bincount(level, belly[middle], minlength=_LEVELS) > 0.6 * np.maximum(count, 1)
    dressed = np.bincount(level, cloth[middle], minlength=_LEVELS) > 5
    if bare.sum() >= 2 and dressed[: bare.argmax()].any() and dressed[np.flatnonzero(bare)[-1] :].any():
        return Waist(float(np.median(at[:-1][bare])), clear, True)
    return Waist(float(at[best]) if clear >= CLEAR else _UNSEEN_WAIST, clear, False)


def find_long_hem(place: Places, colours: Colours, cloth: np.ndarray) -> Waist | None:
    """Where a coat, tunic or shirt that covers the hips ends over trousers of another colour: the level that parts the
    colours of the trunk best from those of the lowest cloth. None where they are alike, or the level is a boot's."""
    middle = cloth & (np.abs(place.side) < 0.5)
    if not middle.any():
        return None
    lowest = float(np.quantile(place.down[middle], 0.99))
    trunk, end = middle & (place.down > 0.3) & (place.down < 0.9), middle & (place.down > lowest - _END)
    if lowest < 1.0 + 2 * _END or not colours.differ(end, trunk, _END_DISTINCT):
        return None
    ratio = colours.log_ratio(end, trunk)
    beyond = middle & (place.down > _HIPS) & (place.down < lowest)
    level = ((place.down[beyond] - _HIPS) / _LEVEL).astype(np.int32)
    mean = np.bincount(level, ratio[beyond]) / np.maximum(np.bincount(level), 1)
    hem = int(np.concatenate([[0], mean.cumsum()]).argmin())
    down = _HIPS + _LEVEL * hem
    above, below = mean[max(hem - _REACH, 0) : hem], mean[hem : hem + _REACH]
    if not (len(above) and len(below)) or down > _LONGEST or below.mean() - above.mean() < _HEM_STEP:
        return None
    return Waist(down, 1.0, False)


def _features(scene: Scene) -> np.ndarray:
    """Nx4: Lab colour (8 bit scale, chroma counted 1.5 times) and how much lightness varies around the pixel."""
    light = np.ascontiguousarray(scene.lab[..., 0])
    rough = np.sqrt(np.maximum(cv2.blur(light * light, (5, 5)) - cv2.blur(light, (5, 5)) ** 2, 0))
    return np.dstack([light, 1.5 * scene.lab[..., 1:], rough])[scene.inside]


def _change(place: Places, features: np.ndarray, thirds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """How clothes change at every level of the torso, between the bands above and below it that are a quarter of the
    torso high, and between thin ones: prints differ in the wide bands without an edge, folds have an edge alone.

    The smallest Bhattacharyya distance of the ``thirds`` (N bool each) counts; 0 where two of them are hidden. The
    second array is that of the thin bands alone.
    """
    profiles = [_moments(place, features, members) for members in thirds]
    wide, thin = (np.stack([_distance(total, reach) for total in profiles]) for reach in (_REACH, _THIN_REACH))
    seen = np.isfinite(wide).sum(0) >= 2
    wide, thin = (np.min(distance, 0) for distance in (wide, thin))
    near = np.max([np.roll(thin, shift) for shift in range(-_NEAR, _NEAR + 1)], 0)
    change = np.where(seen, wide, 0) * (_BLURRED + (1 - _BLURRED) * np.minimum(near / _SHARP, 1))
    return change, np.where(np.isfinite(thin), thin, 0)


def _moments(place: Places, features: np.ndarray, members: np.ndarray) -> np.ndarray:
    """(levels + 1)x21: count, sums and products of the features of ``members`` above every level of the torso."""
    members = members & (place.down > _TOP) & (place.down < _TOP + _LEVEL * _LEVELS)
    level, f = ((place.down[members] - _TOP) / _LEVEL).astype(np.int32), features[members]
    moments = np.concatenate([np.ones((len(f), 1)), f, (f[:, :, None] * f[:, None, :]).reshape(-1, 16)], 1)
    total = np.zeros((_LEVELS + 1, 21))
    for m in range(21):
        total[1:, m] = np.bincount(level, moments[:, m], minlength=_LEVELS)[:_LEVELS].cumsum()
    return total


def _distance(total: np.ndarray, reach: int) -> np.ndarray:
    """Bhattacharyya distance between the ``reach`` levels above and below every level; infinite where hidden."""
    k = np.arange(_LEVELS + 1)
    above, below = total - total[np.maximum(k - reach, 0)], total[np.minimum(k + reach, _LEVELS)] - total
    last = np.searchsorted(total[:, 0], 0.99 * total[-1, 0])
    shown = (above[:, 0] > 25) & (below[:, 0] > 25) & (k + _LEAST_REACH <= last)
    return np.where(shown, _bhattacharyya(above, below), np.inf)


def _bhattacharyya(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of Gaussians given as sums (Kx21: count, 4 sums, 16 products)."""

    def gaussian(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = s[:, 1:5] / np.maximum(s[:, :1], 1)
        square = s[:, 5:].reshape(-1, 4, 4) / np.maximum(s[:, :1, None], 1)
        return mean, square - mean[:, :, None] * mean[:, None, :] + _NOISE

    (ma, ca), (mb, cb) = gaussian(a), gaussian(b)
    middle, d = (ca + cb) / 2, (ma - mb)[..., None]
    distance = (d * np.linalg.solve(middle, d)).sum((1, 2)) / 8
    logs = [np.linalg.slogdet(c)[1] for c in (middle, ca, cb)]
    return distance + 0.5 * (logs[0] - (logs[1] + logs[2]) / 2)
