"""Which chart a place on a limb belongs to, and its U and V there: tables read off published DensePose pictures.

`t` runs along the bone from the joint near the trunk (0) to the far one (1). `phi` is the angle about the bone in
radians: 0 is the limb's front, +90 degrees its lateral (outer) side. U and V are 0..1. `side` is +1 for the person's
left, -1 for the right; a mirrored person has the same V, and the same U but on hands, feet and head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Table = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Charts:
    """The surface of one tube. All functions take float32 arrays of one shape and return such."""

    parts: tuple[int, ...]  # that it may show
    part: Callable[[Array, Array], Array]  # (t, phi) -> part index, 0 where there is no surface
    uv: Callable[[int, Array, Array], tuple[Array, Array]]  # (part, t, phi) -> U, V


def between(phi: Array, low: float, high: float) -> Array:
    """Whether phi (radians) lies in the arc from low to high (degrees), going up."""
    return (np.degrees(phi) - low) % 360 < (high - low)


def arc(phi: Array, table: Table) -> Array:
    """Linear look-up over degrees; the table starts anywhere and goes up by less than 345."""
    degrees, values = (np.array(column) for column in zip(*table, strict=True))
    turned = (np.degrees(phi) - degrees[0] + 15) % 360 + degrees[0] - 15
    return np.interp(turned, degrees, values)


def upper_arm(side: int) -> Charts:
    inner, outer = (15, 17) if side > 0 else (16, 18)

    def uv(part: int, t: Array, phi: Array) -> tuple[Array, Array]:
        if part == outer:
            return 0.05 + 0.87 * t + 0.1 * np.cos(phi), arc(phi, ((28, 0.77), (90, 0.66), (180, 0.41), (255, 0.22)))
        return 0.05 + 0.87 * t, arc(phi, ((-105, 0.45), (-90, 0.52), (0, 0.66), (28, 0.77)))

    return Charts((inner, outer), lambda t, phi: np.where(between(phi, 28, 255), outer, inner), uv)


def forearm(side: int) -> Charts:
    """The forearm's front is the thumb's side."""
    inner, outer = (19, 21) if side > 0 else (20, 22)

    def uv(part: int, t: Array, phi: Array) -> tuple[Array, Array]:
        if part == outer:
            return 0.08 + 0.75 * t + 0.14 * np.cos(phi), arc(phi, ((8, 0.82), (90, 0.45), (185, 0.18)))
        return 0.93 - 0.85 * t, arc(phi, ((-175, 0.86), (-90, 0.52), (8, 0.18)))

    return Charts((inner, outer), lambda t, phi: np.where(between(phi, 8, 185), outer, inner), uv)


def hand(side: int) -> Charts:
    """phi: 0 thumb's edge, +90 back of the hand (U below 0.5 on the right hand), 180 little finger, -90 palm.

    The seam at the thumb is put on the palm's side: the back of the hand is what one mostly sees.
    """
    part = 4 if side > 0 else 3

    def uv(_: int, t: Array, phi: Array) -> tuple[Array, Array]:
        back = arc(phi, ((-40, 0.0), (180, 0.5)))
        u = np.where(between(phi, -40, 180), back, arc(phi, ((180, 0.5), (320, 1.0))))
        return np.clip(u if side < 0 else 1 - u, 0.02, 0.98), 0.12 + 0.75 * t

    return Charts((part,), lambda t, phi: np.full(t.shape, part), uv)


def thigh(side: int) -> Charts:
    back, front = (8, 10) if side > 0 else (7, 9)

    def uv(part: int, t: Array, phi: Array) -> tuple[Array, Array]:
        if part == front:
            return 0.80 - 0.70 * t, arc(phi, ((-90, 0.85), (0, 0.60), (90, 0.32)))
        return 0.10 + 0.78 * (t - 0.35), arc(phi, ((90, 0.80), (180, 0.62), (270, 0.42)))

    return Charts((front, back), lambda t, phi: np.where(np.cos(phi) > -0.1, front, back), uv)


def shin(side: int) -> Charts:
    back, front = (12, 14) if side > 0 else (11, 13)

    def uv(part: int, t: Array, phi: Array) -> tuple[Array, Array]:
        if part == front:
            return 0.10 + 0.86 * t, arc(phi, ((-90, 0.29), (0, 0.52), (90, 0.78)))
        return 0.93 - 0.86 * t, arc(phi, ((90, 0.80), (180, 0.58), (270, 0.32)))

    return Charts((front, back), lambda t, phi: np.where(np.cos(phi) > -0.1, front, back), uv)


def foot(side: int) -> Charts:
    part = 5 if side > 0 else 6

    def uv(_: int, t: Array, phi: Array) -> tuple[Array, Array]:
        u = 0.65 - 0.30 * t
        return (u if side < 0 else 1 - u), 0.66 + 0.10 * np.sin(phi)

    return Charts((part,), lambda t, phi: np.full(t.shape, part), uv)


TORSO_BACK, TORSO_FRONT = 1, 2


def torso(top: float) -> Charts:
    """phi: 0 front, +90 degrees the person's left. t: 0 shoulders, 1 hips, `top` (negative) the collar.

    The front ends in a V between the thighs, the back nearly straight.
    """

    def part(t: Array, phi: Array) -> Array:
        front = np.cos(phi) > 0
        aside = np.abs(np.sin(phi))
        low = np.where(front, 1.17 - 0.19 * aside, 1.25 - 0.05 * aside)
        return np.where((t < low) & (t > top), np.where(front, TORSO_FRONT, TORSO_BACK), 0)

    def uv(index: int, t: Array, phi: Array) -> tuple[Array, Array]:
        if index == TORSO_FRONT:
            u = np.interp(t, (-0.3, 0.0, 0.2, 0.5, 0.8, 1.0, 1.2), (0.05, 0.14, 0.255, 0.455, 0.695, 0.83, 0.92))
        else:
            u = np.interp(t, (-0.3, 0.0, 0.2, 0.5, 0.8, 1.0, 1.25), (0.08, 0.22, 0.38, 0.54, 0.74, 0.88, 0.97))
        return u, 0.485 - 0.29 * np.sin(phi)

    return Charts((TORSO_BACK, TORSO_FRONT), part, uv)


HEAD_RIGHT, HEAD_LEFT = 23, 24


def head(chin: float, centre: float) -> Charts:
    """Neck and skull, split at the nose. phi is the azimuth from the nose, positive to the person's left; t runs from
    the neck's foot to the crown, and `chin` and `centre` of the face lie at these t."""

    def part(t: Array, phi: Array) -> Array:
        return np.where((t > -0.02) & (t < 1.02), np.where(np.sin(phi) > 0, HEAD_LEFT, HEAD_RIGHT), 0)

    def uv(index: int, t: Array, phi: Array) -> tuple[Array, Array]:
        azimuth = np.abs((np.degrees(phi) + 180) % 360 - 180) / 180
        u = azimuth if index == HEAD_LEFT else 1 - azimuth
        return u, np.interp(t, (0, chin, centre, 1), (0.0, 0.20, 0.48, 0.97))

    return Charts((HEAD_RIGHT, HEAD_LEFT), part, uv)
