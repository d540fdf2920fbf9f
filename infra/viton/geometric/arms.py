"""Arms: how thick they are under their sleeves, and rays and zones to measure limbs with."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import ARMS

# Stations along the arm where its thickness is taken: (from joint, to joint, share of the way).
STATIONS = ((0, 1, 0.5), (0, 1, 0.95), (1, 2, 0.95))
# Radii in spans that a bare arm's measure is held to, and the most that an arm under cloth is given.
LEAST_RADIUS = (0.105, 0.085, 0.06)
MOST_RADIUS = (0.19, 0.16, 0.11)
MOST_CLOTHED_RADIUS = (0.145, 0.115, 0.075)


@dataclass(frozen=True)
class ArmMeasure:
    """One arm: `joints` (3, 2) shoulder, elbow, wrist; `radius` (3,) pixels of the naked arm there."""

    joints: np.ndarray
    radius: np.ndarray


def measure_arms(
    outline: np.ndarray, parse: np.ndarray, arms: list[np.ndarray], span: float, build: float
) -> list[ArmMeasure]:
    """Thickness of both arms against the silhouette; what hides in a sleeve is held to a naked arm's.

    `outline` bool HxW, `parse` uint8 HxW, `arms` two of (3, 2), `build` the person's stoutness around 1.
    """
    bare = np.isin(parse, ARMS)
    build = float(np.clip(build, 0.9, 1.2))
    return [ArmMeasure(arm, _radius(outline, bare, arm, span, build)) for arm in arms]


def _radius(outline: np.ndarray, bare: np.ndarray, arm: np.ndarray, span: float, build: float) -> np.ndarray:
    radius = []
    limits = zip(STATIONS, LEAST_RADIUS, MOST_RADIUS, MOST_CLOTHED_RADIUS)
    for (start, end, share), least, most, most_clothed in limits:
        bone = arm[end] - arm[start]
        across = np.array([bone[1], -bone[0]]) / max(float(np.hypot(*bone)), 1.0)
        at = arm[start] + bone * share
        reach = min(ray(outline, at, across, 0.3 * span), ray(outline, at, -across, 0.3 * span))
        x, y = np.clip(np.rint(at).astype(int), 0, (outline.shape[1] - 1, outline.shape[0] - 1))
        limit = most if bare[y, x] else most_clothed * build
        radius.append(float(np.clip(reach, least * span, limit * span)))
    return np.array(radius)


def ray(inside: np.ndarray, start: np.ndarray, direction: np.ndarray, limit: float) -> float:
    """Distance from `start` along `direction` to the first pixel outside of bool HxW; gaps under 4 px are jumped."""
    steps = np.arange(0, max(limit, 1))
    q = np.rint(start + steps[:, None] * direction).astype(int)
    ok = (q[:, 0] >= 0) & (q[:, 0] < inside.shape[1]) & (q[:, 1] >= 0) & (q[:, 1] < inside.shape[0])
    out = np.ones(len(steps), bool)
    out[ok] = ~inside[q[ok, 1], q[ok, 0]]
    if len(out) > 4:
        out = np.convolve(out, np.ones(4), "full")[3 : 3 + len(out)] >= 4
    first = np.flatnonzero(out)
    return float(steps[first[0]]) if len(first) else float(limit)


def limb_zone(shape: tuple[int, int], limbs: list[np.ndarray], radius: np.ndarray) -> np.ndarray:
    """bool HxW: everything within `radius` (per limb and joint) of the limbs' (n, 2) polylines."""
    zone = np.zeros(shape, np.uint8)
    for points, radii in zip(limbs, radius):
        for k in range(len(points) - 1):
            _draw_cone(zone, points[k], points[k + 1], radii[k], radii[k + 1])
    return zone > 0


def _draw_cone(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> None:
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
    side = np.array([-along[1], along[0]])
    quad = np.array([a + side * ra, b + side * rb, b - side * rb, a - side * ra])
    cv2.fillConvexPoly(canvas, np.rint(quad).astype(np.int32), 255)
    for centre, r in ((a, ra), (b, rb)):
        cv2.circle(canvas, tuple(np.rint(centre).astype(int).tolist()), max(1, int(r)), 255, -1)
