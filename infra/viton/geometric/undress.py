"""The photo without the old garment: skin, background and lower garment where the new one will not cover."""

from __future__ import annotations

import cv2
import numpy as np

from infra.viton.geometric.arms import limb_zone
from infra.viton.geometric.body import Body
from infra.viton.geometric.fill import fill_background
from infra.viton.geometric.scene import WAIST, OldGarment, Scene, never_removed
from infra.viton.geometric.skin import skin_fill

_COVERED = 0.995  # alpha of the new garment from which nothing below it can be seen
_RIM = 7, 17  # diameters that the old garment is grown by: over skin, over the background with its blended rim


def undress(
    scene: Scene, body: Body, old: OldGarment, covered: np.ndarray, legs_too: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The photo (uint8 HxWx3) with the old garment taken off, and where it differs (bool HxW).

    `covered` float HxW is the new garment's alpha; `legs_too`: the lower garment goes as well.
    """
    protect = never_removed(scene, old)
    gone = _with_rim(old.gone, scene.mask) & ~protect
    arms = limb_zone(scene.shape, body.arms, body.arm_radius * 1.3)  # may come before the new garment
    need = gone & ((covered < _COVERED) | arms)
    if not need.any():
        return scene.photo, need
    naked, trunk = naked_outline(scene.shape, body, legs_too)
    naked &= scene.mask > 60
    background = cv2.dilate((scene.mask > 8).astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
    fill = fill_background(scene.photo, background, need & ~naked)
    if (need & naked).any():
        inside = cv2.GaussianBlur(naked.astype(np.float32), (0, 0), 1.2)[..., None]
        fill += (skin_fill(scene, gone, need, naked, body.span) - fill) * inside
    if old.below.any():
        _continue_lower(fill, scene, body, old.below, need, trunk)
    weight = np.maximum(cv2.GaussianBlur(need.astype(np.float32), (0, 0), 1.5), need)
    weight[protect] = 0
    bare = cv2.blendLinear(
        np.clip(fill, 0, 255).astype(np.uint8), scene.photo, weight, 1 - weight
    )
    return bare, weight > 0


def _with_rim(gone: np.ndarray, mask: np.ndarray) -> np.ndarray:
    small, large = (cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (d, d)) for d in _RIM)
    grown = cv2.dilate(gone.astype(np.uint8), small)
    far = cv2.dilate(gone.astype(np.uint8), large) & (mask < 200)
    return (grown | far) > 0


def naked_outline(shape: tuple[int, int], body: Body, legs_too: bool) -> tuple[np.ndarray, np.ndarray]:
    """bool HxW: where skin would be without clothes, and the trunk alone."""
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.rint(body.trunk()).astype(np.int32)], 255)
    trunk = canvas > 0
    up = -0.55 * body.span * body.down
    neck = np.array([body.neck_side[0], body.neck_side[0] + up, body.neck_side[1] + up, body.neck_side[1]])
    cv2.fillPoly(canvas, [np.rint(neck).astype(np.int32)], 255)
    naked = limb_zone(shape, body.arms, body.arm_radius * 0.97) | (canvas > 0)
    if legs_too:
        naked |= limb_zone(shape, body.legs, np.array([[0.25, 0.165, 0.10]] * 2) * body.span)
    return naked, trunk


def _continue_lower(
    fill: np.ndarray, scene: Scene, body: Body, below: np.ndarray, need: np.ndarray, trunk: np.ndarray
) -> None:
    """Write the lower garment, mirrored at its upper edge, into `fill` up to the waist."""
    sleeves_were = limb_zone(scene.shape, body.arms, body.arm_radius * 1.5)
    zone = need & (body.below(scene.shape) > WAIST * body.torso) & trunk & ~sleeves_were
    if not zone.any():
        return
    height = scene.shape[0]
    first = np.where(below.any(0), below.argmax(0), height - 1)
    first = cv2.medianBlur(first.astype(np.uint16)[None], 5)[0].astype(int)
    y, x = np.nonzero(zone)
    source = np.clip(2 * first[x] + 8 - y, 0, height - 1)
    source = np.where(below[source, x], source, np.minimum(first[x] + 12, height - 1))
    mirrored = scene.photo.copy()
    mirrored[y, x] = scene.photo[source, x]
    soft = cv2.GaussianBlur(zone.astype(np.float32), (0, 0), 1.0)[..., None]
    fill += (mirrored - fill) * (soft * zone[..., None])
