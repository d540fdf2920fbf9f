"""The border between face and neck: one skin, told apart by the face mesh."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import Cihp

# The face mesh's outline from below the left ear over the chin to below the right ear.
_JAW = (361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132)
_HAIRLINE, _CHIN = 10, 152
_UNDERSIDE = 0.08  # of the face's height: the chin's shaded underside goes with the face


def divide_at_jaw(labels: np.ndarray, face: np.ndarray) -> None:
    """Writes face above and torso-skin below the jaw, where ``labels`` (uint8 HxW) has either; ears stay.

    ``face`` is the 468x2 mesh in the map's pixels.
    """
    up = face[_HAIRLINE] - face[_CHIN]
    jaw = face[list(_JAW)] - _UNDERSIDE * up
    above = np.concatenate([jaw, jaw[-1:] + 0.5 * up, jaw[:1] + 0.5 * up])
    below = np.concatenate([jaw[:1], jaw[-1:], jaw[-1:] - 3 * up, jaw[:1] - 3 * up])
    # Far to either side too: a turned head's neck leaves the outline.
    aside = 0.6 * (jaw[:1] - jaw[-1:])
    below[[0, 3]] += aside
    below[[1, 2]] -= aside
    inside, under = _filled(labels.shape, above), _filled(labels.shape, below)
    labels[(labels == Cihp.TORSO_SKIN) & inside] = Cihp.FACE
    labels[(labels == Cihp.FACE) & under & ~inside] = Cihp.TORSO_SKIN


def _filled(size: tuple[int, int], polygon: np.ndarray) -> np.ndarray:
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return canvas > 0
