"""Tapered tubes in weak perspective, one per bone, with edges that follow the person's mask.

A tube knows, for any pixel, where it lies along the bone (t), across it (s, -1..1 from edge to edge), how near the
surface is, and which way it looks about the bone (phi). Chart, U and V follow from t and phi.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.densepose.skeleton.body import Body, across, unit
from infra.preprocess.densepose.skeleton.charts import Charts, Table

STATIONS = 25  # along a bone, at which widths are taken
# How far the mask's edge is looked for, over the expected half width, and in how many steps.
_REACH, _STEPS = 1.7, 35
# Of an edge farther away than expected, where both edges are seen and so nothing but the limb lies between them:
# this share of the surplus is taken, and the limit is higher by this much.
_ALONE_FOLLOW, _ALONE_MORE = 0.75, 0.15
_BUILD = (0.85, 1.15)  # how far the seen widths of a limb may change the unseen ones
_WIDTH_BLUR = 1.5  # stations


@dataclass(frozen=True)
class Outline:
    """A convex outline that is known better than by widths along a bone: it holds beside them up to `from_t`, and
    alone from there on."""

    points: np.ndarray  # Nx2 float32, pixels
    margin: float  # pixels around them
    from_t: float

    def inside(self, x0: int, y0: int, shape: tuple[int, int]) -> np.ndarray:
        """bool of `shape`, of the region whose top left pixel is x0, y0."""
        filled = np.zeros(shape, np.uint8)
        # Sixteenths of a pixel, so that a mirrored hand has the mirrored outline.
        corners = np.rint((self.points - (x0, y0)) * 16).astype(np.int32)
        cv2.fillConvexPoly(filled, corners, 1, shift=4)
        return cv2.distanceTransform(1 - filled, cv2.DIST_L2, cv2.DIST_MASK_5) <= self.margin


@dataclass(frozen=True)
class Tube:
    """One bone's surface. Widths are sampled at evenly spaced t from t0 to t1."""

    start: np.ndarray  # 2, pixels
    end: np.ndarray  # 2, pixels
    depth: tuple[float, float]  # of the axis at start and end, pixels
    t0: float
    t1: float
    left: np.ndarray  # half widths, pixels, on the side of the normal (-dy, dx):
    right: np.ndarray  # the image's left for a bone that points down; and opposite
    flatness: float  # thickness towards the camera over half width
    phi: Callable[[np.ndarray], np.ndarray]  # s -> angle about the bone
    charts: Charts
    shear: tuple[float, float] = (0.0, 0.0)  # slope of the cross sections at start and end
    nearer: tuple[float, float] = (0.0, 0.0)  # pixels its ends are moved to the camera when hiding others
    round_ends: bool = True
    outline: Outline | None = None

    @property
    def axis(self) -> np.ndarray:
        return self.end - self.start

    @property
    def length(self) -> float:
        return max(float(np.hypot(*self.axis)), 1.0)

    def coordinates(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """t, s and half width there, of pixels; |s| > 1 lies outside."""
        along = (self.axis / self.length).astype(np.float32)
        dx, dy = x - np.float32(self.start[0]), y - np.float32(self.start[1])
        beside = dy * along[0] - dx * along[1]
        t = (dx * along[0] + dy * along[1]) / np.float32(self.length)
        if self.shear != (0.0, 0.0):
            slope = self.shear[0] + (self.shear[1] - self.shear[0]) * np.clip(t, 0, 1)
            t = t - slope * beside / self.length
        place = np.clip((t - self.t0) / (self.t1 - self.t0), 0, 1) * (len(self.left) - 1)
        low = np.minimum(place.astype(np.int32), len(self.left) - 2)
        rest = (place - low).astype(np.float32)
        left = self.left[low] * (1 - rest) + self.left[low + 1] * rest
        right = self.right[low] * (1 - rest) + self.right[low + 1] * rest
        centre, half = (left - right) / 2, np.maximum((left + right) / 2, 0.5)
        return t, (beside - centre) / half, half


@dataclass(frozen=True)
class Fit:
    """How a tube's edges follow the mask, over the expected half width: never under `least`; of a surplus, which is
    cloth or a fuller limb, the share `follow` up to `most`."""

    least: float = 0.6
    most: float = 1.2
    follow: float = 0.4


def fitted_tube(
    body: Body, mask: np.ndarray, ends: tuple[np.ndarray, np.ndarray], widths: tuple[Table, Table], *,
    span: tuple[float, float] = (0.0, 1.0), fit: Fit | None = None, **rest: object,
) -> Tube:  # fmt: skip
    """A tube between two image points. `widths` are (t, metres) tables of its left and right side, of an average body.

    `mask` is the person, uint8 HxW; `rest` are the remaining fields of `Tube`.
    """
    fit = fit or Fit()
    start, end = ends
    stations = np.linspace(*span, STATIONS)
    axis = end - start
    normal = np.array([-axis[1], axis[0]]) / max(float(np.hypot(*axis)), 1.0)
    points = start + stations[:, None] * axis
    expected = [profile(table, stations) * body.scale for table in widths]
    ratios = [_edge(mask, points, way, width) for way, width in zip((normal, -normal), expected, strict=True)]
    fitted = _follow(*ratios, fit), _follow(*ratios[::-1], fit)
    left, right = (_smooth(width * ratio).astype(np.float32) for width, ratio in zip(expected, fitted, strict=True))
    return Tube(start=start, end=end, t0=span[0], t1=span[1], left=left, right=right, **rest)


def profile(table: Table, t: np.ndarray) -> np.ndarray:
    """A table's values at t, linear between its rows."""
    return np.interp(t, *zip(*table, strict=True))


def _edge(mask: np.ndarray, points: np.ndarray, direction: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How far the mask's edge lies from each point along direction, over expected; NaN where none is met."""
    steps = np.linspace(0.0, _REACH, _STEPS)
    reach = points[:, None] + direction * (expected[:, None] * steps)[..., None]
    x, y = reach.astype(np.float32).transpose(2, 0, 1)
    outside = cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) < 128
    first = outside.argmax(1)
    place = reach[np.arange(len(points)), first]
    in_view = ((place >= 0) & (place <= (mask.shape[1] - 1, mask.shape[0] - 1))).all(-1)
    return np.where(outside.any(1) & ~outside[:, 0] & in_view, steps[first], np.nan)


def _follow(ratio: np.ndarray, other: np.ndarray, fit: Fit) -> np.ndarray:
    """Half width over expected. An edge nearer than expected is taken; for one farther away see `Fit`. Where this
    side shows no edge (another limb, the picture's border) the other side tells the build."""
    alone = ~np.isnan(ratio) & ~np.isnan(other) & (fit.follow > 0)
    share = np.where(alone, max(fit.follow, _ALONE_FOLLOW), fit.follow)
    limit = np.where(alone, fit.most + _ALONE_MORE, fit.most)
    fitted = np.where(ratio > 1, np.minimum(1 + share * (ratio - 1), limit), np.maximum(ratio, fit.least))
    seen = ~np.isnan(ratio)
    told = fitted[seen] if seen.any() else other[~np.isnan(other)]
    build = float(np.clip(np.median(told), *_BUILD)) if len(told) else 1.0
    return np.where(seen, fitted, build)


def _smooth(values: np.ndarray) -> np.ndarray:
    radius = int(3 * _WIDTH_BLUR)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / _WIDTH_BLUR) ** 2)
    return np.convolve(np.pad(values, radius, mode="edge"), kernel / kernel.sum(), mode="valid")


def limb_angle(
    axis2: np.ndarray, axis3: np.ndarray, frame: tuple[np.ndarray, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """phi(s) of a round limb, from its axis in the image and in space and its (front, lateral) directions."""
    front, lateral = frame
    normal = unit(np.array([-axis2[1], axis2[0], 0.0]))
    to_camera = unit(across(np.array([0.0, 0.0, -1.0]), unit(axis3)))
    a, b = np.float32(normal @ lateral), np.float32(to_camera @ lateral)
    c, d = np.float32(normal @ front), np.float32(to_camera @ front)

    def phi(s: np.ndarray) -> np.ndarray:
        s = np.clip(s, -0.995, 0.995)
        rise = np.sqrt(1 - s * s)
        return np.arctan2(s * a + rise * b, s * c + rise * d)

    return phi
