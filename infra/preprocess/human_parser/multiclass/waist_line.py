"""The line between the upper garment and the lower one, at the height that `waist` found."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.multiclass.colours import Colours
from infra.preprocess.human_parser.multiclass.places import Places
from infra.preprocess.human_parser.multiclass.scene import Scene
from infra.preprocess.human_parser.multiclass.waist import CLEAR, Waist

_FAR = 6.0  # spreads from the waist's height from which on its line pays by distance, not by its square
# Torso lengths. The lines of waistbands lie within 0.003 of a smooth curve, half-hidden ones within 0.006 (medians).
_HIGH, _RAGGED = 0.84, 0.0075


def lower_over_upper(place: Places, waist: Waist, colours: Colours, cloth: np.ndarray) -> np.ndarray:
    """Log likelihood (N) of the lower garment's colour over the upper garment's, within -2..2."""
    if waist.clear <= 0:
        return np.zeros(len(cloth), np.float32)
    above = cloth & (place.down > waist.down - 0.5) & (place.down < waist.down - 0.06)
    below = cloth & (place.down < waist.down + 0.5) & (place.down > waist.down + 0.06)
    return colours.log_ratio(below, above) * min(1.0, waist.clear / CLEAR)


def waist_line(scene: Scene, place: Places, waist: Waist, ratio: np.ndarray, belly: np.ndarray) -> np.ndarray:
    """Row where the upper garment ends, for every column: the cheapest path from left to right that has upper
    colours above it and lower colours below it, near the waist, on edges and through bare skin."""
    height, width = scene.inside.shape
    columns = slice(int(scene.column.min()), int(scene.column.max()) + 1)
    cost = np.zeros((height + 1, width), np.float32)
    cost[1:] = scene.image(ratio.astype(np.float32)).cumsum(0)
    row, column = np.mgrid[: height + 1, :width].astype(np.float32)
    down, _ = place.body_coordinates(row, column)
    spread = 0.08 if waist.clear >= CLEAR else 0.12
    away = np.abs(down - waist.down) / spread
    cost += 4 * np.where(away < _FAR, 0.5 * away**2, _FAR * (away - 0.5 * _FAR))
    smooth = cv2.GaussianBlur(scene.lab, (0, 0), 1.0)
    edge = np.zeros((height + 1, width), np.float32)
    edge[1:-1] = np.abs(np.diff(smooth, axis=0)).sum(2)
    cost -= np.minimum(edge / 4, 4)
    # Above bare skin only the upper garment, below it only the lower one.
    bare = scene.image(belly.astype(np.float32))
    cost[:-1] += 3 * (bare.sum(0) - bare.cumsum(0)) + 3 * (bare.cumsum(0) - bare) - 12 * bare
    rows = np.flatnonzero(((down[:, columns] > 0.2) & (down[:, columns] < 1.7)).any(1))
    line = np.full(width, height if np.median(place.down) < waist.down else 0)
    if not len(rows):  # only a head, or only legs
        return line
    line[columns] = rows[0] + _cheapest_path(cost[rows[0] : rows[-1] + 1, columns])
    return line


def is_print(place: Places, waist: Waist, line: np.ndarray) -> bool:
    """Whether the line found at a high waist is too ragged for a hem or waistband: it follows a print or creases."""
    if waist.down > _HIGH or waist.clear < CLEAR or waist.bare:
        return False
    middle = place.origin[0] + waist.down * place.torso * place.axis[0]
    column = np.arange(max(0, int(middle - 0.35 * place.unit)), min(len(line), int(middle + 0.35 * place.unit)))
    if len(column) < 10:
        return False
    smooth = np.polyval(np.polyfit(column, line[column], 2), column)
    return bool(np.median(np.abs(line[column] - smooth)) > _RAGGED * place.torso)


def _cheapest_path(cost: np.ndarray, slope: int = 3, bend: float = 0.7) -> np.ndarray:
    """Row per column of the cheapest path through ``cost``, ``slope`` rows per column at most, ``bend`` per row."""
    height, width = cost.shape
    came = np.zeros((width, height), np.int8)
    padded = np.full(height + 2 * slope, 1e9, np.float32)
    options = np.empty((2 * slope + 1, height), np.float32)
    padded[slope : slope + height] = cost[:, 0]
    for x in range(1, width):
        for i in range(2 * slope + 1):
            np.add(padded[i : i + height], bend * abs(i - slope), out=options[i])
        came[x] = options.argmin(0)
        padded[slope : slope + height] = options.min(0) + cost[:, x]
    line = np.zeros(width, np.int64)
    line[-1] = padded[slope : slope + height].argmin()
    for x in range(width - 1, 0, -1):
        line[x - 1] = np.clip(line[x] + came[x, line[x]] - slope, 0, height - 1)
    return line
