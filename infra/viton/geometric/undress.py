"""The photo without the old garment: skin, background and lower garment where the new one will not cover."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import SHOES, SKIN
from infra.viton.geometric.body import Body
from infra.viton.geometric.fill import fill_background
from infra.viton.geometric.lower import lower_fill, lower_zone, waist_of
from infra.viton.geometric.naked import Naked, rounded
from infra.viton.geometric.scene import OldGarment, Scene
from infra.viton.geometric.skin import skin_fill

COVERED = 0.995  # alpha of the new garment from which nothing below it can be seen
RIM = 0.013, 0.032  # spans that the old garment is grown by: over skin, over the background with its blended rim
BLEND = 16  # pixels within which a fill fades into what it joins
HEM_SHADOW = 0.03  # spans below the old top's hem that its shadow darkens


@dataclass(frozen=True)
class Undressed:
    """The photo without the old garment (uint8 HxWx3), where it differs (bool HxW), and the person's new alpha."""

    picture: np.ndarray
    changed: np.ndarray
    mask: np.ndarray  # uint8 HxW


def undress(scene: Scene, body: Body, old: OldGarment, covered: np.ndarray, naked: Naked) -> Undressed:
    """Take the old garment off. `covered` float32 HxW is the new garment's alpha."""
    reach = max(2, round(HEM_SHADOW * body.span))
    joins = old.below & _near(~old.below, reach)  # the lower garment's rim carries the old top's shadow and colour
    protect = scene.head | np.isin(scene.parse, SHOES) | (old.below & ~joins)
    skin = np.isin(scene.parse, SKIN)
    gone = _with_rim(old.gone, scene.mask, body.span) & ~protect
    need = gone & ((covered < COVERED) | (naked.arms > 0) | skin)  # arms may come before the new garment
    if not need.any():
        return Undressed(scene.photo, need, scene.mask)
    soft_skin = cv2.GaussianBlur(skin.astype(np.float32), (0, 0), 1.2)
    body_there = _body_left(scene, body, naked, soft_skin)
    lower = np.zeros(scene.shape, np.float32)
    if old.below.any():
        waist, midriff = waist_of(scene, body, old.below)
        lower = lower_zone(scene, body, old.gone, old.below, naked, waist, midriff) * (1 - soft_skin)
        hips = (body.below(scene.shape) > waist + 0.02 * body.torso) & (naked.arms == 0)
        body_there = np.where(hips, np.minimum(body_there, soft_skin), body_there)
    stays = np.maximum(body_there, lower)
    background = ~_near(scene.mask > 8, 3)
    fill = fill_background(scene.photo, background, need & (stays < 0.999))
    at = _box_around(need, BLEND)
    if (need & (body_there > 0)).any():
        fill[at] += (skin_fill(scene, gone, need, naked, body)[at] - fill[at]) * body_there[at][..., None]
    hidden = need & (lower > 0)
    if hidden.any():
        cloth = lower_fill(scene, old.below & ~joins, hidden, body.span)
        fill[at] += (cloth[at] - fill[at]) * lower[at][..., None]
    weight = _blend(need, skin | (scene.mask < 8))
    weight[protect | (weight < 0.01)] = 0
    bare = cv2.blendLinear(np.clip(fill, 0, 255).astype(np.uint8), scene.photo, weight, 1 - weight)
    mask = np.where(need, np.minimum(scene.mask, (stays * 255).astype(np.uint8)), scene.mask)
    return Undressed(bare, weight > 0, mask)


def _box_around(region: np.ndarray, margin: int) -> tuple[slice, slice]:
    x, y, width, height = cv2.boundingRect(region.astype(np.uint8))
    return np.s_[max(y - margin, 0) : y + height + margin, max(x - margin, 0) : x + width + margin]


def _near(region: np.ndarray, reach: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(region.astype(np.uint8), disc) > 0


def _with_rim(gone: np.ndarray, mask: np.ndarray, span: float) -> np.ndarray:
    over_skin, over_background = (max(least, round(share * span)) for least, share in zip((2, 6), RIM))
    return _near(gone, over_skin) | (_near(gone, over_background) & (mask < 200))


def _body_left(scene: Scene, body: Body, naked: Naked, skin: np.ndarray) -> np.ndarray:
    """float32 HxW: the naked body inside the old silhouette, joined to the skin that is seen without a step."""
    joined = np.maximum(naked.whole, skin)
    joined = rounded((joined * 255).astype(np.uint8), 0.045 * body.span)
    silhouette = rounded((scene.mask > 60) * np.uint8(255), 0.03 * body.span)  # without the old cloth's creases
    return np.maximum(joined * silhouette, skin)


def _blend(need: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """float32 HxW: 1 where needed, fading over a few pixels into what is `smooth`: skin, background; one elsewhere."""
    hole = need.astype(np.float32)
    narrow, wide = cv2.GaussianBlur(hole, (0, 0), 1.5), cv2.GaussianBlur(hole, (0, 0), 4.0)
    return np.maximum(np.where(smooth, np.minimum(2 * wide, 1), narrow), hole)
