"""The body without clothes: outlines drawn from its measures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.viton.geometric.arms import limb_zone
from infra.viton.geometric.body import Body

LEG_RADII = (0.25, 0.165, 0.10)  # spans, at hip, knee and ankle


@dataclass(frozen=True)
class Naked:
    """float32 HxW coverages, 0 to 1: the body without clothes, its trunk, its arms."""

    whole: np.ndarray
    trunk: np.ndarray
    arms: np.ndarray


def naked_body(shape: tuple[int, int], body: Body, legs_too: bool) -> Naked:
    """Outlines drawn from the measures, corners rounded."""
    canvas = np.zeros(shape, np.uint8)
    up = -0.55 * body.span * body.down
    neck = np.array([body.neck_side[0], body.neck_side[0] + up, body.neck_side[1] + up, body.neck_side[1]])
    cv2.fillPoly(canvas, [np.rint(body.trunk()).astype(np.int32)], 255)
    trunk = rounded(canvas, 0.035 * body.span)
    cv2.fillPoly(canvas, [np.rint(neck).astype(np.int32)], 255)
    arms = body.bare_arms[0].zone(shape) | body.bare_arms[1].zone(shape)
    whole = np.maximum(canvas, arms * np.uint8(255))
    if legs_too:
        legs = limb_zone(shape, body.legs, np.array([LEG_RADII] * 2) * body.span)
        whole = np.maximum(whole, legs * np.uint8(255))
    return Naked(rounded(whole, 0.03 * body.span), trunk, arms.astype(np.float32))


def rounded(region: np.ndarray, radius: float) -> np.ndarray:
    """float32 0..1 of uint8 0/255: corners blunter than `radius` and an edge about 2 px soft; worked at half size."""
    half = (max(1, region.shape[1] // 2), max(1, region.shape[0] // 2))
    small = cv2.resize(region, half, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    blurred = cv2.GaussianBlur(small, (0, 0), max(radius / 2, 1.0))
    steep = 1.25 * radius  # the blurred edge rises by 1 / (sigma sqrt(2 pi)) a pixel
    return np.clip((cv2.resize(blurred, region.shape[::-1]) - 0.5) * steep + 0.5, 0, 1)
