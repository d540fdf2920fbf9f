"""Dressing a person: the story of the geometric try-on, from back to front."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import ARMS, HEAD, LOWER, SHOES, UPPER, Cihp
from infra.viton.geometric.back_view import back_of
from infra.viton.geometric.body import Body, measure_body
from infra.viton.geometric.depth import arms_in_front, hair_and_head, without_slivers
from infra.viton.geometric.fit_lower import waist_level
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.light import contact_shadow, exposure, fold_light, roundness
from infra.viton.geometric.naked import inside_sleeves, naked_body, without_legs_above
from infra.viton.geometric.scene import OldGarment, Scene, held_things, old_garment, raised_legs, scene_in, working_box
from infra.viton.geometric.undress import undress
from infra.viton.geometric.warp import Layer, warp_lower, warp_upper
from infra.viton.tryon import TryOn, TryOnInput

BACK_NOTE = "The person is seen from behind: the garment is shown without its front print and neckline."


def dress(inputs: TryOnInput, garment: Garment) -> TryOn:
    """Dress the person of one frame in a garment analysed by `analyse_garment`.

    Pixels that neither the old nor the new garment touches are the frame's own. Raises `EngineError("no_person")`
    when a shoulder is not seen.
    """
    notes: tuple[str, ...] = ()
    if inputs.pose.view == "back" and garment.kind != "lower":
        garment, notes = back_of(garment), (BACK_NOTE,)
    box = working_box(inputs)
    scene = scene_in(inputs, box)
    body = measure_body(scene.points, scene.mask, scene.parse)
    picture = inputs.person.copy()
    picture[box] = (dress_below if garment.kind == "lower" else dress_above)(scene, body, garment)
    return TryOn(picture, notes)


def dress_above(scene: Scene, body: Body, garment: Garment) -> np.ndarray:
    """Tops and dresses. uint8 HxWx3, the scene's photo where nothing changed."""
    torso, sleeves, info = warp_upper(garment, body, scene.shape)
    legs = raised_legs(scene, body) & (garment.kind == "upper")  # a dress lies over them
    torso.alpha *= _above_lap(scene, body, legs)
    covered = _covered(torso, *sleeves)
    scene, old = old_garment(scene, body, garment.kind, _hem(scene, body, covered))
    naked = naked_body(scene.parse, body, legs_too=garment.kind == "dress")
    if garment.kind == "dress":
        naked = without_legs_above(naked, body.below(scene.shape), 1.1 * body.torso, covered)
    alphas = [None if sleeve is None else sleeve.alpha for sleeve in sleeves]
    bare = undress(scene, body, old, covered, inside_sleeves(naked, body, alphas, covered))
    light = fold_light(scene, old.gone, body.span) * exposure(scene)
    arms = arms_in_front(scene, body, old, naked.trunk > 0.5, alphas)

    canvas = bare.picture.copy()
    for arm in (arm for arm in arms if sleeves[arm.side] is not None):
        sleeves[arm.side].alpha *= 1 - arm.beyond
        if arm.behind:
            _put_sleeve(canvas, bare.mask, body, sleeves[arm.side], info["roots"][arm.side], light)
    _darken(canvas, contact_shadow(torso.alpha, bare.mask, 0.018 * body.span))
    _put(canvas, torso, light * roundness(covered, body.span))
    _show(canvas, bare.picture, cv2.GaussianBlur(legs.astype(np.float32), (0, 0), 0.9))
    for arm in arms:
        if not arm.behind:
            sleeved = sleeves[arm.side] is not None
            front = without_slivers(arm.bare, torso.alpha, body.span) if sleeved else arm.bare
            _show(canvas, bare.picture, front)
            if sleeved:
                _put_sleeve(canvas, bare.mask, body, sleeves[arm.side], info["roots"][arm.side], light)
                _show(canvas, bare.picture, arm.forearm)
    for arm in arms:
        _show(canvas, bare.picture, arm.hand)
    _show(canvas, scene.photo, held_things(scene, body).astype(np.float32))
    coverage, colours = hair_and_head(scene, old)
    _show(canvas, colours, coverage)
    return _only_changed(canvas, scene, bare.changed | (covered > 0))


def dress_below(scene: Scene, body: Body, garment: Garment) -> np.ndarray:
    """Trousers and skirts: the top, the arms and the shoes stay in front. uint8 HxWx3."""
    hips, legs = warp_lower(garment, body, _tucked(scene.parse, round(0.06 * body.span)))
    level = body.below(scene.shape)
    waist = waist_level(scene.parse, body)
    of_top = (scene.parse == Cihp.DRESS) & (level <= waist + 4)
    gone = np.isin(scene.parse, LOWER) | ((scene.parse == Cihp.DRESS) & ~of_top)
    old = OldGarment(gone, np.zeros(scene.shape, bool))
    covered = _covered(hips, *legs)
    naked = without_legs_above(naked_body(scene.parse, body, legs_too=True), level, waist, covered)
    bare = undress(scene, body, old, covered, naked)
    light = fold_light(scene, gone, body.span) * exposure(scene)
    canvas = bare.picture.copy()
    _darken(canvas, contact_shadow(covered, bare.mask, 0.012 * body.span))
    apart = np.clip((level - 1.25 * body.torso) / (0.4 * body.torso), 0, 1)
    for leg in legs:
        if leg is not None:
            _put(canvas, leg, light * (1 - (1 - roundness(leg.alpha, body.span, 0.2)) * apart))
    _put(canvas, hips, light * roundness(covered, body.span))
    front = np.isin(scene.parse, (*HEAD, *ARMS, *UPPER, Cihp.TORSO_SKIN, Cihp.GLOVE, *SHOES)) | of_top
    front |= held_things(scene, body)
    _show(canvas, scene.photo, cv2.GaussianBlur(front.astype(np.float32), (0, 0), 0.9))
    return _only_changed(canvas, scene, bare.changed | (covered > 0))


def _tucked(parse: np.ndarray, reach: int) -> np.ndarray:
    """The parse map with the lower garment reaching up under the top, so that nothing shows between the two."""
    below = np.isin(parse, LOWER).astype(np.uint8)
    upwards = cv2.dilate(below, np.ones((reach + 1, 1), np.uint8), anchor=(0, 0))
    return np.where((upwards > 0) & np.isin(parse, UPPER), np.uint8(Cihp.PANTS), parse)


def _above_lap(scene: Scene, body: Body, legs: np.ndarray) -> np.ndarray:
    """float32 HxW: 0 where a top would hang over nothing: between and beside raised `legs`, below the hips."""
    if not legs.any():
        return np.ones(scene.shape, np.float32)
    reach = 2 * round(0.04 * body.span) + 1
    person = cv2.dilate((scene.mask > 127).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    hanging = ~person & (body.below(scene.shape) > 0.9 * body.torso)
    return 1 - cv2.GaussianBlur(hanging.astype(np.float32), (0, 0), 1.2)


def _hem(scene: Scene, body: Body, covered: np.ndarray) -> float:
    """Pixels below the neck where the new garment ends; infinite where it reaches the picture's lower edge."""
    if covered[-1].max() > 0.5:
        return np.inf
    return float(body.below(scene.shape)[covered > 0.5].max(initial=0.0))


def _covered(*layers: Layer | None) -> np.ndarray:
    alphas = [layer.alpha for layer in layers if layer is not None]
    covered = alphas[0].copy()
    for alpha in alphas[1:]:
        np.maximum(covered, alpha, out=covered)
    return covered


def _put_sleeve(
    canvas: np.ndarray, mask: np.ndarray, body: Body, sleeve: Layer, root: np.ndarray, light: np.ndarray
) -> None:  # fmt: skip
    """Sleeve and torso are one cloth at the shoulder and two below the armpit."""
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    distance = np.sqrt((x - root[0, 0]) ** 2 + (y - root[0, 1]) ** 2) / (0.45 * body.span)
    apart = np.clip(distance * 1.5 - 0.5, 0, 1).astype(np.float32)
    _darken(canvas, contact_shadow(sleeve.alpha * apart, mask, 0.015 * body.span, 0.25))
    _put(canvas, sleeve, light * (1 - (1 - roundness(sleeve.alpha, body.span, 0.2)) * apart))


def _put(canvas: np.ndarray, layer: Layer, light: np.ndarray) -> None:
    """Lay a lit layer over the canvas, in place."""
    box = _box_of(layer.alpha)
    if box is not None:
        alpha = np.ascontiguousarray(layer.alpha[box])
        lit = np.clip(layer.rgb[box] * light[box][..., None], 0, 255).astype(np.uint8)
        canvas[box] = cv2.blendLinear(lit, np.ascontiguousarray(canvas[box]), alpha, 1 - alpha)


def _show(canvas: np.ndarray, picture: np.ndarray, weight: np.ndarray) -> None:
    """Bring `picture` to the front where `weight` (float32 HxW) says, in place."""
    box = _box_of(weight)
    if box is not None:
        share = np.ascontiguousarray(weight[box])
        below, above = (np.ascontiguousarray(x[box]) for x in (canvas, picture))
        canvas[box] = cv2.blendLinear(above, below, share, 1 - share)


def _darken(canvas: np.ndarray, factor: np.ndarray) -> None:
    box = _box_of(1 - factor)
    if box is not None:
        canvas[box] = (canvas[box] * factor[box][..., None] + 0.5).astype(np.uint8)


def _box_of(weight: np.ndarray, least: float = 1 / 512) -> tuple[slice, slice] | None:
    """The smallest box that holds everything above `least`."""
    on = weight > least
    rows, columns = np.flatnonzero(on.any(1)), np.flatnonzero(on.any(0))
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else None


def _only_changed(canvas: np.ndarray, scene: Scene, touched: np.ndarray) -> np.ndarray:
    """The photo's own pixels wherever no garment came or went, and inside face, hair and headwear."""
    near = cv2.dilate(touched.astype(np.uint8), np.ones((25, 25), np.uint8)) & (scene.mask > 0)
    kept = cv2.erode(scene.head.astype(np.uint8), np.ones((9, 9), np.uint8))
    own = ~(touched | (near > 0)) | (kept > 0)
    return np.where(own[..., None], scene.photo, canvas)
