"""From a product photo and its cut-out to the garment's structure."""

from __future__ import annotations

import cv2
import numpy as np

from infra.imaging.matting_colours import freed_colours
from infra.serving.engine import EngineError
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_lower import analyse_lower
from infra.viton.geometric.garment_outline import keep_large, tilt
from infra.viton.geometric.garment_upper import analyse_upper

WORKING_SIDE = 1024  # pixels: the longer side of the picture that is analysed and warped; frames are no larger
LEAST_CLOTH = 512  # pixels: smaller garments are enlarged, so that a neckline is a curve and not a stair
LEAST_SIDE = 24  # pixels of the working picture: less cloth in width or height shows no structure
RIM = 8  # pixels of background about the cloth, so that outlines close
SMOOTHED = 0.6  # sigma in pixels of a small photo: the stairs of its outline
LEAST_PART = 0.02  # of the largest piece of cloth: smaller pieces of a cut-out are stray


def analyse_garment(picture: np.ndarray, alpha: np.ndarray, kind: str) -> Garment:
    """Structure of the garment in a picture uint8 HxWx3 RGB with its alpha uint8 HxW.

    `kind` is "upper", "lower" or "dress". Raises `EngineError("no_garment")` where the alpha holds no cloth.
    """
    picture, alpha = _working_size(picture, alpha)
    alpha = np.where(keep_large(alpha > 127, LEAST_PART) | (alpha <= 127), alpha, 0).astype(np.uint8)
    cloth = alpha > 127
    columns, rows = np.flatnonzero(cloth.any(0)), np.flatnonzero(cloth.any(1))
    if not len(rows) or min(columns[-1] - columns[0], rows[-1] - rows[0]) < LEAST_SIDE:
        raise EngineError("no_garment", "The garment's photo shows no garment, or one too small to tell its shape.")
    if angle := tilt(cloth):
        picture, alpha = _turned(picture, alpha, angle)
    picture, rgb, alpha = _enlarged(picture, freed_colours(picture, alpha), alpha)
    return analyse_lower(alpha, rgb) if kind == "lower" else analyse_upper(picture, alpha, rgb, kind)


def _working_size(picture: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shrunk so that the longer side is at most `WORKING_SIDE`, with a rim of background so that outlines close."""
    scale = WORKING_SIDE / max(alpha.shape)
    if scale < 1:
        size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    rim = [(RIM, RIM), (RIM, RIM)]
    return np.pad(picture, [*rim, (0, 0)], mode="edge"), np.pad(alpha, rim)


def _enlarged(
    picture: np.ndarray, rgb: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """A small garment, cropped to its cloth and enlarged to `LEAST_CLOTH`; the outline stays as sharp as it was."""
    columns, rows = np.flatnonzero((alpha > 4).any(0)), np.flatnonzero((alpha > 4).any(1))
    scale = LEAST_CLOTH / max(columns[-1] - columns[0], rows[-1] - rows[0])
    if scale <= 1:
        return picture, rgb, alpha
    box = np.s_[max(rows[0] - RIM, 0) : rows[-1] + RIM + 1, max(columns[0] - RIM, 0) : columns[-1] + RIM + 1]
    picture, rgb, alpha = (
        cv2.resize(x[box], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) for x in (picture, rgb, alpha)
    )
    soft = cv2.GaussianBlur(alpha, (0, 0), SMOOTHED * scale).astype(np.float32) - 127.5
    return picture, rgb, np.clip(soft * scale + 127.5, 0, 255).astype(np.uint8)


def _turned(picture: np.ndarray, alpha: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Both turned counterclockwise by `angle` degrees, on a canvas that still holds everything."""
    height, width = alpha.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(width * cos + height * sin), round(width * sin + height * cos)
    matrix[:, 2] += (np.array(size) - (width, height)) / 2
    turned = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return turned, cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR)
