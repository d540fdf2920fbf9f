"""Light on the new garment: folds and side light of the old one, roundness, contact shadow, exposure."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.scene import Scene

RIM_DARKER = 0.14  # how much cloth darkens where it turns away towards its outline
SEAM = 0.04  # spans beside the old garment's edge whose seams and shadows are no folds
CONTACT = 0.22  # how much cloth darkens what it lies on, beside its edge


def fold_light(scene: Scene, gone: np.ndarray, span: float) -> np.ndarray:
    """float32 HxW factor around 1: folds and side light of the old garment, as far as it is plain and not dark.

    Worked out at half the size: folds are broader than a pixel.
    """
    shape = scene.shape
    half = (shape[1] // 2, shape[0] // 2)
    inner = cv2.resize(gone.astype(np.uint8), half, interpolation=cv2.INTER_NEAREST)
    seam = 2 * max(2, round(SEAM * span / 2)) + 1
    inner = cv2.erode(np.pad(inner, 1), np.ones((seam, seam), np.uint8))[1:-1, 1:-1] > 0
    small = cv2.cvtColor(cv2.resize(scene.photo, half, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    lab = small.astype(np.float32)
    strength = _plainness(lab, inner)
    if strength < 0.05:
        return np.ones(shape, np.float32)
    light = lab[..., 0] + 1
    weight = inner.astype(np.float32)
    broad = _masked_blur(light, weight, 14)
    detail = np.abs(light - broad)
    weight = weight * (detail < 2.5 * max(float(np.percentile(detail[inner], 75)), 4))  # buttons are no folds
    fine = np.where(cv2.GaussianBlur(weight, (0, 0), 1.3) > 0.25, _masked_blur(light, weight, 1.3), broad)
    folds = np.clip(fine / (broad + 1e-3), 0.84, 1.12)
    side = np.clip(broad / np.median(light[inner]), 0.8, 1.12)
    fade = np.clip(cv2.GaussianBlur(weight, (0, 0), 3) * 2 - 0.7, 0, 1)
    return cv2.resize(1 + fade * strength * (0.8 * (folds - 1) + 0.45 * (side - 1)), shape[::-1])


def _plainness(lab: np.ndarray, inner: np.ndarray) -> float:
    """0 to 1: patterned cloth and dark cloth tell nothing of the light on them."""
    if inner.sum() < 125:
        return 0.0
    seen = lab[inner]
    spread = seen.std(0)
    light = np.ascontiguousarray(lab[..., 0])
    grain = float(np.abs(light - cv2.GaussianBlur(light, (0, 0), 1.3))[inner].mean())
    plain = np.clip(1.6 - (spread[1] + spread[2]) / 6 - np.clip(spread[0] - 18, 0, 40) / 12, 0, 1)
    return float(plain * np.clip((3.2 - grain) / 1.6, 0, 1) * np.clip((seen[:, 0].mean() - 60) / 90, 0, 1))


def _masked_blur(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    if sigma > 4:
        small = (max(1, values.shape[1] // 4), max(1, values.shape[0] // 4))
        v, w = (cv2.resize(x, small, interpolation=cv2.INTER_AREA) for x in (values * weight, weight))
        v, w = cv2.GaussianBlur(v, (0, 0), sigma / 4), cv2.GaussianBlur(w, (0, 0), sigma / 4)
        return cv2.resize(v / (w + 1e-3), values.shape[::-1])
    return cv2.GaussianBlur(values * weight, (0, 0), sigma) / (cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-4)


def roundness(alpha: np.ndarray, span: float, strength: float = RIM_DARKER, reach: float = 0.12) -> np.ndarray:
    """float32 HxW factor: 1 - strength at the rim of `alpha` (float 0..1), 1 from `reach` spans inside on."""
    small = cv2.resize(alpha, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    inside = cv2.distanceTransform((np.pad(small, 1) > 0.5).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1] * 2
    rim = np.clip(inside / (reach * span), 0, 1)
    return cv2.resize((1 - strength + strength * np.sin(rim * np.pi / 2)).astype(np.float32), alpha.shape[::-1])


def contact_shadow(alpha: np.ndarray, mask: np.ndarray, reach: float, strength: float = CONTACT) -> np.ndarray:
    """float32 HxW factor that darkens the person (uint8 `mask`) just beside a garment: cloth has thickness."""
    half = (alpha.shape[1] // 2, alpha.shape[0] // 2)
    spread = cv2.GaussianBlur(cv2.resize(alpha, half, interpolation=cv2.INTER_AREA), (0, 0), max(reach / 2, 0.5))
    spread = cv2.warpAffine(spread, np.float32([[1, 0, 0], [0, 1, reach * 0.3]]), half)
    spread = cv2.resize(np.clip(spread - 0.05, 0, 1), alpha.shape[::-1])
    return 1 - (strength / 255.0) * spread * mask


def exposure(scene: Scene) -> float:
    """Factor around 1 that brings studio-lit product colours mildly towards a dim photo.

    A photo with anything near white in it, on the person or beside, is not dim, whatever the skin and the clothes.
    """
    bright = float(np.percentile(scene.photo[::5, ::5].max(2), 97))
    return float(np.clip((bright / 215.0) ** 0.5, 0.80, 1.0))
