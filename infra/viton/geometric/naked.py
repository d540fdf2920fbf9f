"""The body without clothes: outlines drawn from its measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import ARMS
from infra.viton.geometric.arms import cuff_place, limb_zone
from infra.viton.geometric.body import Body

NOTCH = 0.12  # spans: how wide a notch between a bare arm and its continuation is closed
LEG_RADII = (0.25, 0.165, 0.10)  # spans, at hip, knee and ankle


@dataclass(frozen=True)
class Naked:
    """float32 HxW coverages, 0 to 1: the body without clothes, its trunk, its arms."""

    whole: np.ndarray
    trunk: np.ndarray
    arms: np.ndarray


def naked_body(parse: np.ndarray, body: Body, legs_too: bool) -> Naked:
    """Outlines drawn from the measures and joined to the arms that are seen; corners rounded. `parse` uint8 HxW."""
    shape = parse.shape
    canvas = np.zeros(shape, np.uint8)
    up = -0.55 * body.span * body.down
    neck = np.array([body.neck_side[0], body.neck_side[0] + up, body.neck_side[1] + up, body.neck_side[1]])
    cv2.fillPoly(canvas, [np.rint(body.trunk()).astype(np.int32)], 255)
    trunk = rounded(canvas, 0.035 * body.span)
    cv2.fillPoly(canvas, [np.rint(neck).astype(np.int32)], 255)
    seen = np.isin(parse, ARMS)
    arms = _joined_arm(body, 0, seen) | _joined_arm(body, 1, seen)
    whole = np.maximum(canvas, arms * np.uint8(255))
    if legs_too:
        legs = limb_zone(shape, body.legs, np.array([LEG_RADII] * 2) * body.span)
        whole = np.maximum(whole, legs * np.uint8(255))
    return Naked(rounded(whole, 0.03 * body.span), trunk, arms.astype(np.float32))


def without_legs_above(naked: Naked, level: np.ndarray, waist: float, covered: np.ndarray) -> Naked:
    """No bare thighs beside trousers or a skirt: legs show only below the hem of what covers them.

    `level` float32 HxW is how far below the neck a pixel lies, `waist` where the garment begins, `covered` its alpha.
    """
    worn = level[covered > 0.5]
    hem = float(np.percentile(worn, 98)) if len(worn) else waist
    return replace(naked, whole=np.where((level > waist) & (level < hem), naked.arms, naked.whole))


def inside_sleeves(naked: Naked, body: Body, sleeves: Sequence[np.ndarray | None], covered: np.ndarray) -> Naked:
    """No slivers of filled skin beyond the outside of a new sleeve, above its cuff. All maps float32 HxW, 0 to 1."""
    whole = naked.whole
    for side, (arm, sleeve) in enumerate(zip(body.bare_arms, sleeves)):
        if sleeve is not None:
            turn = slice(None, None, 1 if side == 0 else -1)
            beyond = (np.maximum.accumulate(covered[:, turn], axis=1) < 0.5)[:, turn]
            zone = arm.zone(covered.shape, grow=1.6, end=cuff_place(arm, sleeve) - 0.05)
            whole = np.where(zone & beyond, np.minimum(whole, covered), whole)
    return replace(naked, whole=whole)


def _joined_arm(body: Body, side: int, seen: np.ndarray) -> np.ndarray:
    """bool HxW: the arm as measured and as seen, notches between the two closed (at a quarter of the size)."""
    arm = body.bare_arms[side]
    zone = arm.zone(seen.shape) | (seen & arm.zone(seen.shape, grow=1.8))
    quarter = (max(1, seen.shape[1] // 4), max(1, seen.shape[0] // 4))
    small = cv2.resize(zone.astype(np.uint8) * 255, quarter, interpolation=cv2.INTER_AREA)
    reach = 2 * max(1, round(NOTCH * body.span / 4)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    closed = cv2.morphologyEx(cv2.GaussianBlur(small, (0, 0), 1), cv2.MORPH_CLOSE, disc)
    return zone | (cv2.resize(closed, seen.shape[::-1]) > 127)


def rounded(region: np.ndarray, radius: float) -> np.ndarray:
    """float32 0..1 of uint8 0/255: corners blunter than `radius` and an edge about 2 px soft; worked at half size."""
    half = (max(1, region.shape[1] // 2), max(1, region.shape[0] // 2))
    small = cv2.resize(region, half, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    blurred = cv2.GaussianBlur(small, (0, 0), max(radius / 2, 1.0))
    steep = 1.25 * radius  # the blurred edge rises by 1 / (sigma sqrt(2 pi)) a pixel
    return np.clip((cv2.resize(blurred, region.shape[::-1]) - 0.5) * steep + 0.5, 0, 1)
