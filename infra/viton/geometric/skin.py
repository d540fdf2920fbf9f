"""Skin where none was seen: the person's own colour, lit as the visible skin is."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import SKIN, Cihp
from infra.viton.geometric.body import Body
from infra.viton.geometric.fill import grain, local_mean
from infra.viton.geometric.naked import Naked
from infra.viton.geometric.scene import Scene

_UNSEEN = (205.0, 165.0, 145.0)  # RGB where a picture shows no skin at all
# A limb's brightness by its surface normal (x right, y down, z to the camera) where nothing tells: frontal light.
_USUAL_LIGHT = np.float32([0.0, -0.03, 0.30])
SHADOWS = 0.72, 1.15  # brightness of skin to be filled, against the person's average
TINTS = 0.94, 1.06  # its colours against the average's
WELL_LIT = 50, 88  # percentiles of the brightness of visible skin that are neither shadow nor shine
DARKEST = 0.42  # of well-lit skin's brightness: darker are beards, glasses, collars and gloves taken for skin
TINT = 0.06  # shares of red, green, blue against well-lit skin's: farther off are cloth, make-up and coloured light
_TRUST = 1000.0  # visible pixels, at half size, that weigh as much as the usual light


def _visible_skin(image: np.ndarray, parse: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """bool HxW: lit skin, the face's too, clear of what is removed, at half the size."""
    near = cv2.dilate(gone.astype(np.uint8), np.ones((5, 5), np.uint8))
    known = np.isin(parse, (*SKIN, Cihp.FACE)) & (near == 0)
    known = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    face = known & (parse == Cihp.FACE)
    sure = image[face] if face.sum() > 75 else image[known]
    if len(sure) < 20:
        return known
    usual = _well_lit(sure)
    colours = image[known]
    light = np.maximum(colours.sum(1), 1.0)
    tint = np.abs(colours / light[:, None] - usual / usual.sum()).max(1)
    sure = (light > DARKEST * usual.sum()) & (tint < TINT)
    if sure.mean() > 0.2:
        known[known] = sure
    return known


def _well_lit(samples: np.ndarray) -> np.ndarray:
    """(3,) mean colour of (n, 3) skin without its shadows and its shine."""
    light = samples.sum(1)
    low, high = np.percentile(light, WELL_LIT)
    return samples[(light >= low) & (light <= high)].mean(0)


def normals(region: np.ndarray, roundness: float) -> np.ndarray:
    """float32 HxWx3 unit normals of a body inflated from its outline (float32 HxW coverage).

    The slope of the outline blurred over `roundness` pixels: 1 at the rim, 0 far inside, without a ridge in between.
    """
    sigma = max(roundness, 1.0)
    blurred = cv2.GaussianBlur(region, (0, 0), sigma)
    scale = sigma * np.sqrt(2 * np.pi) / 8  # a straight edge has slope 1; Sobel's sum is 8
    across = np.dstack([cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1)]) * -scale
    steep = np.minimum(np.hypot(across[..., 0], across[..., 1]), 0.999)
    return np.dstack([across, np.sqrt(1 - steep**2)]).astype(np.float32)


def _surface(whole: np.ndarray, arms: np.ndarray, low: np.ndarray, span: float) -> np.ndarray:
    """float32 HxWx3 normals of the naked body; from the armpits on (`low` 0..1) arms are rounded by themselves."""
    surface = normals(whole, 0.07 * span)
    return surface + (normals(arms, 0.05 * span) - surface) * (low * arms)[..., None]


def limb_light(image: np.ndarray, surface: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(3,) how brightness follows the normal: fitted to visible skin, drawn to the usual where there is little."""
    inside = known & (surface[..., 2] < 0.97)
    count = int(inside.sum())
    if count < 75:
        return _USUAL_LIGHT
    step = max(1, count // 2000)
    light = image[inside][::step].sum(1)
    light = np.clip(light / np.median(image[known].sum(1)), 0.5, 1.4)
    basis = np.hstack([surface[inside][::step] - (0, 0, 1), np.ones((len(light), 1), np.float32)])
    strength = _TRUST * len(light) / count
    pull = np.diag([strength] * 3 + [0.0]).astype(np.float32)
    wanted = np.append(_USUAL_LIGHT, 0.0) * strength
    fitted = np.linalg.solve(basis.T @ basis + pull, basis.T @ light + wanted)[:3]
    return np.clip(fitted, (-0.15, -0.12, 0.12), (0.15, 0.06, 0.40)).astype(np.float32)


def skin_fill(scene: Scene, gone: np.ndarray, need: np.ndarray, naked: Naked, body: Body) -> np.ndarray:
    """float32 HxWx3: skin wherever the body is, joining the visible skin without a seam.

    Skin is smooth: everything but its grain is worked out at half the size.
    """
    height, width = scene.shape
    size = (max(1, width // 2), max(1, height // 2))

    def halved(values: np.ndarray) -> np.ndarray:
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA)

    def halved_map(region: np.ndarray) -> np.ndarray:
        return cv2.resize(region.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)

    span = body.span / 2
    image = halved(scene.photo).astype(np.float32)
    known = _visible_skin(image, halved_map(scene.parse), halved_map(gone))
    whole, arms = halved(naked.whole), halved(naked.arms)
    low = np.clip((halved(body.below(scene.shape)) - 0.4 * span) / (0.5 * span), 0, 1)
    surface = _surface(whole, arms, low, span)
    light = limb_light(image, surface, known & (whole > 0.9))
    skin = _colour(image, known)
    skin *= (1 - light[2] + surface @ light)[..., None]
    # Join seamlessly: what the fill is off by at the edge of real skin fades out over the fill.
    ring = (cv2.dilate(halved_map(need), np.ones((9, 9), np.uint8)) > 0) & known
    off = local_mean(np.clip(image - skin, -40, 40), ring.astype(np.float32), 5)
    away = cv2.distanceTransform((~ring).astype(np.uint8), cv2.DIST_L2, 3)
    skin += off * np.exp(-away / (0.12 * span))[..., None]
    full = cv2.resize(skin, (width, height), interpolation=cv2.INTER_LINEAR)
    seen = cv2.resize(known.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return full + grain(scene.photo, seen)[..., None]


def _colour(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Skin for every pixel: the nearby skin's colour, far from any the person's well-lit average."""
    samples = image[known]  # all skin together: the neck alone would be too dark
    if len(samples) < 20:
        samples = np.float32([_UNSEEN])
    general = _well_lit(samples)
    near = local_mean(image, known.astype(np.float32), 7)
    small = cv2.resize(known.astype(np.float32), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    density = cv2.resize(cv2.GaussianBlur(small, (0, 0), 8), known.shape[::-1])[..., None]
    trust = np.clip(density / 0.12, 0, 1)
    # What light the old cloth threw on the skin beside it, and how deep the shadow there was, says nothing of the rest.
    lit = near / general
    level = lit.mean(2, keepdims=True)
    near = general * np.clip(level, *SHADOWS) * np.clip(lit / np.maximum(level, 1e-3), *TINTS)
    # Near skin keeps its shadows; far away those shadows mean nothing.
    return near * trust + (0.3 * near + 0.7 * general) * (1 - trust)
