"""Laying a garment's parts onto a body: one picture-sized layer for the torso and one per sleeve or leg."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.serving.engine import EngineError
from infra.viton.geometric.body import Body
from infra.viton.geometric.fit_lower import fit_hips, fit_leg, waist_level
from infra.viton.geometric.fit_sleeve import fit_sleeve, sleeve_share
from infra.viton.geometric.fit_torso import fit_torso
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.mesh import Box, box_around, mesh_map
from infra.viton.geometric.thin_plate import ThinPlate

LEAST_COVERED = 0.65  # of the trunk from armpits to hem, which an open jacket still covers ...
LEAST_SHOULDER = 0.75  # ... and of the cloth between neck and sleeve, which has no openings
LEAST_REGION = 50  # pixels
SHRINK = 0.8  # picture pixels per garment pixel below which the garment is averaged down first
TORSO_MARGIN, HIP_MARGIN = 0.2, 0.15  # spans about the control points within which a spline means something


@dataclass
class Layer:
    """A part of the garment on the picture: rgb uint8 HxWx3, alpha float32 HxW (0 to 1)."""

    rgb: np.ndarray
    alpha: np.ndarray


def warp_upper(
    garment: Garment, body: Body, shape: tuple[int, int]
) -> tuple[Layer, list[Layer | None], dict[str, list[np.ndarray | None]]]:
    """An upper garment or dress -> its torso, its sleeves and where those begin.

    `shape` is the picture's (height, width). The last dict's "roots" holds per side (2, 2): shoulder and armpit.
    Raises `EngineError("no_garment")` where the cut-out is so torn that it would leave the trunk bare.
    """
    fit = fit_torso(garment, body)
    cloth = _Cloth(garment.rgb, fit.scale)
    forward, back = ThinPlate.fit(fit.source, fit.target), ThinPlate.fit(fit.target, fit.source)
    torso_alpha, strip_alphas = garment.parts
    torso = cloth.by_spline(torso_alpha, back, fit.target, shape, TORSO_MARGIN * body.span)
    sleeves: list[Layer | None] = [None, None]
    roots: list[np.ndarray | None] = [None, None]
    if garment.sleeved:
        share = sleeve_share(garment, body, fit.lengthwise)
        for side in (0, 1):
            roots[side] = forward(np.stack([garment.shoulder[side], garment.armpit[side]]))
            source, target = fit_sleeve(garment, body, side, fit.scale, share, forward, back)
            sleeves[side] = cloth.by_mesh(strip_alphas[side], source, target, shape)
    panels = [
        forward(np.array([neck, shoulder, armpit, (neck[0], armpit[1])]))
        for neck, shoulder, armpit in zip(garment.neck, garment.shoulder, garment.armpit)
    ]
    trunk = _trunk_between(body, forward(garment.sides[:, -1]), shape)
    torn = garment.sleeved and min(_covered(_filled(p, shape), torso, *sleeves) for p in panels) < LEAST_SHOULDER
    if torn or _covered(trunk, torso, *sleeves) < LEAST_COVERED:
        raise EngineError(
            "no_garment",
            "Too little of the garment can be seen to dress somebody in it: send a photo that shows all of its front.",
        )
    return torso, sleeves, {"roots": roots}


def _trunk_between(body: Body, hem: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool HxW: the trunk from the armpits down to the hem (2, 2), at most to the hips."""
    level = body.below(shape)
    armpit, low = (float(((points - body.neck) @ body.down).mean()) for points in (body.armpit, hem))
    return _filled(body.trunk(), shape) & (level > armpit) & (level < min(low, body.torso))


def _filled(outline: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool HxW: inside a polygon (n, 2)."""
    return cv2.fillPoly(np.zeros(shape, np.uint8), [np.rint(outline).astype(np.int32)], 1) > 0


def _covered(region: np.ndarray, *layers: Layer | None) -> float:
    """Share of a region's visible part that lies under the layers' cloth; 1 where next to nothing is visible."""
    if region.sum() < LEAST_REGION:
        return 1.0
    return float((np.max([layer.alpha[region] for layer in layers if layer is not None], axis=0) > 0.5).mean())


def warp_lower(garment: Garment, body: Body, parse: np.ndarray) -> tuple[Layer, list[Layer | None]]:
    """Trousers or a skirt -> hips and legs. `parse` uint8 HxW CIHP tells where the waist is."""
    shape = parse.shape[:2]
    source, target, scale = fit_hips(garment, body, waist_level(parse, body))
    cloth = _Cloth(garment.rgb, scale)
    hips_alpha, leg_alphas = garment.parts
    back = ThinPlate.fit(target, source)
    hips = cloth.by_spline(hips_alpha, back, target, shape, HIP_MARGIN * body.span)
    forward = ThinPlate.fit(source, target)
    legs: list[Layer | None] = [None, None]
    for side, strip in enumerate(garment.sleeves):
        if strip is not None:
            root = forward(np.stack([strip.outer[0], strip.inner[0]]))
            legs[side] = cloth.by_mesh(leg_alphas[side], *fit_leg(strip, body, side, scale, root), shape)
    return hips, legs


class _Cloth:
    """The garment's colours, averaged down where the picture shows them much smaller: no moire."""

    def __init__(self, rgb: np.ndarray, scale: float) -> None:
        self.factor = min(1.0, max(scale, 0.05)) if scale < SHRINK else 1.0
        self.rgb = self._shrunk(rgb)

    def by_spline(
        self, alpha: np.ndarray, back: ThinPlate, points: np.ndarray, shape: tuple[int, int], margin: float
    ) -> Layer:  # fmt: skip
        """The cloth under a spline from picture to garment, within `margin` of the control points' hull."""
        hull = cv2.convexHull(points.astype(np.float32))[:, 0]
        away = hull - hull.mean(0)
        hull = hull + away * (margin / np.maximum(np.hypot(*away.T), 1))[:, None]
        box = box_around(hull, shape)
        if box[2] <= box[0] or box[3] <= box[1]:
            return self._empty(shape)
        within = np.zeros((box[3] - box[1], box[2] - box[0]), np.uint8)
        cv2.fillConvexPoly(within, np.rint(hull - box[:2]).astype(np.int32), 255)
        return self._sampled(alpha, back.dense(box), within, box, shape)

    def by_mesh(self, alpha: np.ndarray, source: np.ndarray, target: np.ndarray, shape: tuple[int, int]) -> Layer:
        """The cloth under a quad mesh."""
        box = box_around(target, shape)
        if box[2] <= box[0] or box[3] <= box[1]:
            return self._empty(shape)
        mapping, covered = mesh_map(source, target, box)
        within = cv2.blur(cv2.erode(covered, np.ones((3, 3), np.uint8)), (3, 3))
        return self._sampled(alpha, mapping, within, box, shape)

    def _sampled(
        self, alpha: np.ndarray, mapping: np.ndarray, within: np.ndarray, box: Box, shape: tuple[int, int]
    ) -> Layer:  # fmt: skip
        x, y = ((mapping[..., k] + 0.5) * self.factor - 0.5 for k in (0, 1))
        rgb = cv2.remap(self.rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        a = cv2.remap(self._shrunk(alpha), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        layer = self._empty(shape)
        at = np.s_[box[1] : box[3], box[0] : box[2]]
        layer.rgb[at] = rgb
        layer.alpha[at] = cv2.multiply(a, within, scale=1 / 255**2, dtype=cv2.CV_32F)
        return layer

    def _shrunk(self, picture: np.ndarray) -> np.ndarray:
        if self.factor == 1:
            return picture
        size = (max(1, round(picture.shape[1] * self.factor)), max(1, round(picture.shape[0] * self.factor)))
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

    @staticmethod
    def _empty(shape: tuple[int, int]) -> Layer:
        return Layer(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float32))
