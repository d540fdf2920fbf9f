"""Where each of the person's pixels lies relative to the skeleton."""

from __future__ import annotations

import numpy as np

from infra.preprocess.human_parser.multiclass.scene import SIDES, Scene
from infra.preprocess.selfie_multiclass import CLOTHES

# Radii of the limbs at their joints in shoulder widths, from the proportions of adults in everyday clothes.
_ARM_RADII = (0.18, 0.15, 0.11)
_LEG_RADII = (0.30, 0.21, 0.15)
_HAND_RADIUS, _FOOT_RADIUS = 0.11, 0.16
_FINGERS = ((0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 17, 18, 19, 20), (0, 1, 2, 3, 4))
_FINGER_RADIUS = 0.28  # of the palm's length; generous, the network's cells are wider than fingers


class Places:
    """Distances to limbs in limb radii, positions along them, and coordinates on the torso and the head.

    Every array has one number (float32) a pixel of the scene. Along a limb 0, 1, 2 are its joints.
    """

    def __init__(self, scene: Scene) -> None:
        p, unit = scene.body.points, scene.unit
        self._x, self._y = scene.column.astype(np.float32), scene.row.astype(np.float32)
        self.arm, self.arm_at, self.leg, self.leg_at, self.hand, self.foot = {}, {}, {}, {}, {}, {}
        for n, side in enumerate(SIDES):
            self.arm[side], self.arm_at[side] = self._along(p[[11 + n, 13 + n, 15 + n]], np.float32(_ARM_RADII) * unit)
            self.leg[side], self.leg_at[side] = self._along(p[[23 + n, 25 + n, 27 + n]], np.float32(_LEG_RADII) * unit)
            self.hand[side] = self._hand(p, n, scene.body.hands.get(side), unit)
            self.foot[side], _ = self._along(p[[29 + n, 31 + n]], np.full(2, _FOOT_RADIUS * unit, np.float32))
        self._place_torso(p, unit)
        self._place_head(p, scene.body.face, unit)
        core = {side: (self.arm[side] < 0.6) & (self.hand[side] > 1.0) for side in SIDES}
        cloth = scene.kind == CLOTHES
        self.sleeve_end = {side: split(self.arm_at[side][core[side]], cloth[core[side]]) for side in SIDES}

    def _place_torso(self, p: np.ndarray, unit: float) -> None:
        self.origin, axis = p[[11, 12]].mean(0), p[[23, 24]].mean(0) - p[[11, 12]].mean(0)
        length = float(np.hypot(*axis))
        self.torso, self.axis, self.unit = max(length, 0.8 * unit), axis / max(length, 1e-3), unit
        # 0 at the shoulders, 1 at the hips; sideways in shoulder widths.
        self.down, self.side = self.body_coordinates(self._y, self._x)

    def body_coordinates(self, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dx, dy = column - self.origin[0], row - self.origin[1]
        return (dx * self.axis[0] + dy * self.axis[1]) / self.torso, (dx * self.axis[1] - dy * self.axis[0]) / self.unit

    def _place_head(self, p: np.ndarray, face: np.ndarray | None, unit: float) -> None:
        if face is not None:
            top, chin = face[10], face[152]  # the mesh's hairline and chin
        else:  # mouth to eyes is 0.4 of a face, and the chin lies 0.22 of a face below the mouth
            eyes, mouth = p[[2, 5]].mean(0), p[[9, 10]].mean(0)
            top, chin = mouth + 1.95 * (eyes - mouth), mouth - 0.55 * (eyes - mouth)
        self.chin = chin
        self.head_height = max(float(np.hypot(*(top - chin))), 0.2 * unit)
        self.head_area = self.head_height**2  # pixels
        up, middle = (top - chin) / self.head_height, (top + chin) / 2
        dx, dy = self._x - middle[0], self._y - middle[1]
        # From the middle of the face, upwards along it, in face heights: 0.5 is the hairline, -0.5 the chin.
        self.head_x = (dy * up[0] - dx * up[1]) / self.head_height
        self.head_y = (dx * up[0] + dy * up[1]) / self.head_height

    def _hand(self, p: np.ndarray, n: int, found: np.ndarray | None, unit: float) -> np.ndarray:
        fingers = p[[17 + n, 19 + n, 21 + n]].mean(0)
        palm = np.stack([p[15 + n], p[15 + n] + 1.5 * (fingers - p[15 + n])])
        distance, _ = self._along(palm, np.full(2, _HAND_RADIUS * unit, np.float32))
        if found is not None:
            radius = np.full(5, _FINGER_RADIUS * np.hypot(*(found[0] - found[9])), np.float32)
            for finger in _FINGERS:
                distance = np.minimum(distance, self._along(found[list(finger)], radius)[0])
        return distance

    def _along(self, chain: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance of every pixel to a chain of segments in radii, and the place along it (0, 1, 2 at the joints)."""
        best, at = np.full(len(self._x), np.inf, np.float32), np.zeros(len(self._x), np.float32)
        chain = chain.astype(np.float32)
        for index, (a, b) in enumerate(zip(chain[:-1], chain[1:], strict=True)):
            d = b - a
            dx, dy = self._x - a[0], self._y - a[1]
            t = np.clip((dx * d[0] + dy * d[1]) * np.float32(1 / max(float(d @ d), 1e-3)), 0, 1)
            distance = np.hypot(dx - t * d[0], dy - t * d[1]) / (radii[index] + (radii[index + 1] - radii[index]) * t)
            closer = distance < best
            best, at = np.where(closer, distance, best), np.where(closer, index + t, at)
        return best, at


def split(at: np.ndarray, covered: np.ndarray) -> float:
    """Where along a limb (0, 1, 2 at its joints) cloth ends and skin begins: the best single split."""
    level = (at * 20).astype(int).clip(0, 39)
    balance = np.bincount(level, covered, minlength=40) - 0.5 * np.bincount(level, minlength=40)
    return int(np.concatenate([[0], balance.cumsum()]).argmax()) / 20
