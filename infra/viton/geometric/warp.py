"""x."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.viton.geometric.body import Body
from infra.viton.geometric.fit_lower import fit_leg, waist_level
from infra.viton.geometric.fit_sleeve import fit_sleeve
from infra.viton.geometric.fit_torso import fit_torso, garment_scale
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.mesh import mesh_map
from infra.viton.geometric.polyline import polyline_length
from infra.viton.geometric.thin_plate import evaluate, spline_map, thin_plate


@dataclass
class Layer:
    rgb: np.ndarray     # float32 0..255
    alpha: np.ndarray   # float32 0..1


def _sample(garment: Garment, alpha: np.ndarray, mapping: np.ndarray) -> Layer:
    mx, my = np.ascontiguousarray(mapping[..., 0]), np.ascontiguousarray(mapping[..., 1])
    rgb = cv2.remap(garment.rgb, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    a = cv2.remap(alpha, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0).astype(np.float32) / 255
    return Layer(rgb, a)


def part_alphas(garment: Garment) -> tuple[np.ndarray, list[np.ndarray]]:
    """Split the cut-out at the armholes: torso (without the inner back) and one alpha per sleeve."""
    body = garment.alpha.astype(np.float32) * (1 - garment.back.astype(np.float32) / 255)
    sleeves = []
    for side, strip in enumerate(garment.sleeves):
        if strip is None:
            sleeves.append(np.zeros_like(garment.alpha))
            continue
        zone = np.zeros(garment.alpha.shape, np.uint8)
        outline = np.vstack([strip.outer, strip.inner[::-1]])
        cv2.fillPoly(zone, [np.rint(outline).astype(np.int32)], 255)
        zone = cv2.dilate(zone, np.ones((9, 9), np.uint8))
        # The root line is shared: the torso keeps it, with a soft edge, the sleeve reaches under it.
        torso = np.zeros_like(zone)
        inner = garment.sides[side]
        far = garment.axis
        poly = np.vstack([garment.shoulder[side], garment.armpit[side], inner, [[inner[-1, 0], inner[-1, 1] + 60]], [[far, inner[-1, 1] + 90]], [[far, 0]], [[garment.shoulder[side, 0], 0]]])
        cv2.fillPoly(torso, [np.rint(poly).astype(np.int32)], 255)
        torso = cv2.dilate(torso, np.ones((7, 7), np.uint8))           # cloth under the seam: no cracks
        torso = cv2.GaussianBlur(torso, (0, 0), 2.0).astype(np.float32) / 255
        half = np.zeros_like(torso)
        if side == 0:
            half[:, : int(far)] = 1
        else:
            half[:, int(far):] = 1
        body *= 1 - half * (1 - torso)
        sleeves.append((garment.alpha * (zone / 255.0)).astype(np.uint8))
    return np.clip(body, 0, 255).astype(np.uint8), sleeves


def warp_upper(garment: Garment, body: Body, shape: tuple[int, int]) -> tuple[Layer, list[Layer | None], dict]:
    scale = garment_scale(garment, body)
    source, target = fit_torso(garment, body, scale)
    torso_alpha, sleeve_alphas = part_alphas(garment)
    spline = thin_plate(target, source, 0.002)          # inverse: from the picture to the garment
    forward = thin_plate(source, target, 0.002)
    torso = _sample(garment, torso_alpha, spline_map(spline, shape))
    torso.alpha *= _near_hull(target, shape, 0.2 * body.span)
    sleeves: list[Layer | None] = [None, None]
    roots: list[np.ndarray | None] = [None, None]
    length = float(np.mean([polyline_length(s.outer) for s in garment.sleeves if s] or [0]))     # sleeves are a pair
    for side, strip in enumerate(garment.sleeves):
        if strip is None:
            continue
        root = roots[side] = evaluate(forward, np.array([garment.shoulder[side], garment.armpit[side]]))
        mesh_source, mesh_target = fit_sleeve(strip, body, side, scale, root, length * scale)
        mapping, covered = mesh_map(mesh_source, mesh_target, shape)
        layer = _sample(garment, sleeve_alphas[side], mapping)
        layer.alpha *= cv2.blur(cv2.erode(covered, np.ones((3, 3), np.uint8)), (3, 3)) / 255.0
        sleeves[side] = layer
    return torso, sleeves, dict(scale=scale, forward=forward, roots=roots)


def _near_hull(points: np.ndarray, shape: tuple[int, int], margin: float) -> np.ndarray:
    """1 within `margin` of the points' convex hull: far from its control points a spline means nothing."""
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    centre = hull.mean(0)
    away = hull - centre
    grown = centre + away * (1 + margin / np.maximum(np.hypot(*away.T), 1))[:, None]
    out = np.zeros(shape, np.float32)
    cv2.fillConvexPoly(out, np.rint(grown).astype(np.int32), 1.0)
    return out


def warp_lower(garment: Garment, body: Body, parse: np.ndarray) -> tuple[Layer, list[Layer | None]]:
    """Hips by thin-plate spline, legs as tubes along hip, knee and ankle."""
    shape = parse.shape
    waist = waist_level(parse, body)
    hips_row = min(8, garment.sides.shape[1] - 1)
    hips_width = garment.sides[1, hips_row, 0] - garment.sides[0, hips_row, 0]
    body_hips = float(body.half_width(0, 1.05 * body.torso) + body.half_width(1, 1.05 * body.torso))
    scale = 1.05 * body_hips / max(hips_width, 1)
    top, bottom = garment.sides[0, 0, 1], garment.sides[:, -1, 1].mean()
    has_legs = garment.sleeves[0] is not None
    crotch = 1.20 * body.torso
    stretch = (crotch - waist) / max(bottom - top, 1) if has_legs else scale
    source, target = [], []
    for s, out in ((0, -1), (1, 1)):
        for q in garment.sides[s]:
            level = waist + (q[1] - top) * stretch
            own, flesh = abs(q[0] - garment.axis) * scale, float(body.half_width(s, level)) * (1.02 if level < 1.15 * body.torso else 1.0)
            width = np.clip(own, flesh, 1.12 * flesh) if level < 1.15 * body.torso else max(own, flesh * 0.9)
            source.append(q)
            target.append(body.at(out * width, level))
    for f in (0.0, 0.35, 0.7, 1.0):
        y = top + f * (bottom - top)
        source.append(np.array([garment.axis, y]))
        target.append(body.at(0.0, waist + (y - top) * stretch))
    source, target = np.array(source), np.array(target)
    alpha = garment.alpha.copy()
    if has_legs:
        seam = garment.sleeves[0].outer[0, 1]            # hips fade into the legs below
        ramp = np.clip((seam + 6 - np.arange(alpha.shape[0])) / 28, 0, 1)
        alpha = (alpha * ramp[:, None]).astype(np.uint8)
    hips = _sample(garment, alpha, spline_map(thin_plate(target, source, 0.002), shape))
    hips.alpha *= _near_hull(target, shape, 0.15 * body.span)
    forward = thin_plate(source, target, 0.002)
    legs: list[Layer | None] = [None, None]
    for side, strip in enumerate(garment.sleeves):
        if strip is None:
            continue
        root = evaluate(forward, np.array([strip.outer[0], strip.inner[0]]))
        mesh_source, mesh_target = fit_leg(strip, body, side, scale, root)
        mapping, covered = mesh_map(mesh_source, mesh_target, shape)
        zone = np.zeros(garment.alpha.shape, np.uint8)
        cv2.fillPoly(zone, [np.rint(np.vstack([strip.outer, strip.inner[::-1]])).astype(np.int32)], 255)
        zone = cv2.dilate(zone, np.ones((7, 7), np.uint8))
        top_row, middle = int(strip.outer[0, 1]), int(round(garment.axis))
        half = slice(None, middle) if side == 0 else slice(middle, None)
        zone[max(0, top_row - 60): top_row, half] = 255            # cloth under the hips' fading edge
        layer = _sample(garment, np.minimum(garment.alpha, zone), mapping)
        layer.alpha *= cv2.blur(cv2.erode(covered, np.ones((3, 3), np.uint8)), (3, 3)) / 255.0
        legs[side] = layer
    return hips, legs


