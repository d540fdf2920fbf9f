"""Torso and head as tubes. Half widths are metres along t, measured as those of the limbs."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from infra.preprocess.densepose.skeleton import body as at
from infra.preprocess.densepose.skeleton import charts
from infra.preprocess.densepose.skeleton.body import Body, unit, wrap
from infra.preprocess.densepose.skeleton.tubes import STATIONS, Fit, Tube, fitted_tube, profile

TORSO = (
    (-0.26, 0.045), (-0.20, 0.068), (-0.10, 0.124), (0.0, 0.135), (0.3, 0.132), (0.55, 0.134), (0.85, 0.150),
    (1.05, 0.158), (1.3, 0.158),
)  # fmt: skip
TORSO_SPAN = (-0.26, 1.3)  # collar to under the hips, in shoulder-to-hip lengths from the shoulders
TORSO_DEPTH = 0.62  # front to back over side to side
TORSO_FIT = Fit(least=0.75, most=1.25, follow=0.6)
SHOULDER_EDGE = -0.03  # above this t the mask's edge is hair or a collar
STEEPEST = 0.5  # slope of a shoulder or hip line against the spine that is still believed

HEAD = (
    (0.0, 0.034), (0.06, 0.052), (0.18, 0.057), (0.30, 0.070), (0.42, 0.083), (0.56, 0.088), (0.70, 0.087),
    (0.82, 0.078), (0.92, 0.061), (1.0, 0.034),
)  # fmt: skip
HEAD_HEIGHT = 0.245  # metres
CHIN, CROWN = 0.47, 0.60  # head heights below and above the head's middle
CROWN_RANGE = (0.45, 0.72)  # where the mask's top may put the crown: hair on the skull counts, an afro does not
NECK_FOOT = 0.33  # of the way from the collar to the nose
NOSE_REACH = 0.10  # metres that the nose stands before the ears' line
HEAD_NEARER = 0.12  # metres
# Seen from behind the face's landmarks are guesses: nobody turns the head by more than this against the trunk.
MOST_HEAD_TURN, BACK_VIEW = np.radians(100), np.radians(110)


def torso_tube(body: Body, mask: np.ndarray) -> Tube:
    """An elliptic tube from collar to crotch, its cross sections sheared to the shoulder and hip lines."""
    top, bottom = body.middle(at.SHOULDER_L, at.SHOULDER_R), body.middle(at.HIP_L, at.HIP_R)
    turn = np.arctan2(TORSO_DEPTH * np.sin(body.yaw), np.cos(body.yaw))
    seen_width = np.hypot(np.cos(body.yaw), TORSO_DEPTH * np.sin(body.yaw))
    table = tuple((t, half * seen_width) for t, half in TORSO)

    slopes = (_slope(body, at.SHOULDER_L, at.SHOULDER_R, bottom - top), _slope(body, at.HIP_L, at.HIP_R, bottom - top))

    def phi(s: np.ndarray) -> np.ndarray:
        return np.arcsin(np.clip(-s, -0.999, 0.999)) - np.float32(turn)

    tube = fitted_tube(
        body, mask, (top, bottom), (table, table), span=TORSO_SPAN, fit=TORSO_FIT, phi=phi,
        depth=(body.depth(at.SHOULDER_L, at.SHOULDER_R), body.depth(at.HIP_L, at.HIP_R)),
        charts=charts.torso(TORSO_SPAN[0]), flatness=TORSO_DEPTH, round_ends=False,
        shear=slopes,
    )  # fmt: skip
    stations = np.linspace(*TORSO_SPAN, STATIONS)
    limit = np.where(stations < SHOULDER_EDGE, profile(table, stations) * body.scale, np.inf).astype(np.float32)
    return replace(tube, left=np.minimum(tube.left, limit), right=np.minimum(tube.right, limit))


def _slope(body: Body, left: int, right: int, axis: np.ndarray) -> float:
    """Slope of the line between two landmarks against the cross section of `axis`."""
    length = max(float(np.hypot(*axis)), 1.0)
    along = axis / length
    line = body.image[left] - body.image[right]
    flat = float(line @ np.array([-along[1], along[0]]))
    return float(np.clip((line @ along) / flat, -STEEPEST, STEEPEST)) if abs(flat) > 0.1 * length else 0.0


def head_tube(body: Body, mask: np.ndarray) -> Tube:
    """Skull and neck in one: from the collar to the crown."""
    collar = body.middle(at.SHOULDER_L, at.SHOULDER_R)
    eyes, mouth = body.middle(at.EYE_L, at.EYE_R), body.middle(at.MOUTH_L, at.MOUTH_R)
    ears = body.middle(at.EAR_L, at.EAR_R)
    # Up: along the face where it is seen upright, steadied by the line from the collar to the ears.
    up = unit(unit(eyes - mouth) + unit(ears - collar))
    height = HEAD_HEIGHT * body.scale
    centre = (ears + (eyes + mouth) / 2) / 2
    crown = centre + up * _crown(mask, centre, up, height) * height
    start = collar + NECK_FOOT * (body.image[at.NOSE] - collar)
    length = max(float(np.hypot(*(crown - start))), 1.0)
    chin_t = max(float((centre - up * CHIN * height - start) @ up) / length, 0.05)
    centre_t = max(float((centre - start) @ up) / length, 0.2)
    yaw = np.float32(_head_yaw(body))
    nearer = HEAD_NEARER * body.scale
    return fitted_tube(
        body, mask, (start, crown), (HEAD, HEAD), fit=Fit(follow=0.0), flatness=0.9, round_ends=False,
        depth=(body.depth(at.SHOULDER_L, at.SHOULDER_R), body.depth(at.EAR_L, at.EAR_R)), nearer=(nearer, nearer),
        charts=charts.head(chin_t, centre_t), phi=lambda s: np.arcsin(np.clip(s, -0.999, 0.999)) - yaw,
    )  # fmt: skip


def _crown(mask: np.ndarray, centre: np.ndarray, up: np.ndarray, height: float) -> float:
    """How far the crown lies above the head's middle, in head heights: at the mask's top edge, if that is near."""
    reach = np.arange(0.3, 0.85, 0.01)
    points = (centre + up * reach[:, None] * height).astype(np.float32)
    inside = ((points >= 0) & (points <= (mask.shape[1] - 1, mask.shape[0] - 1))).all(1)
    value = cv2.remap(mask, points[:, 0], points[:, 1], cv2.INTER_LINEAR).ravel()
    out = np.flatnonzero((value < 128) & inside)
    return float(np.clip(reach[out[0]], *CROWN_RANGE)) if len(out) else CROWN


def _head_yaw(body: Body) -> float:
    """From the ears' depth, and from how far the nose stands beside the ears' middle."""
    between_ears = body.world[at.EAR_L] - body.world[at.EAR_R]
    yaw = float(np.arctan2(between_ears[2], between_ears[0]))
    if abs(wrap(yaw - body.yaw)) > MOST_HEAD_TURN or abs(body.yaw) > BACK_VIEW:
        return body.yaw
    beside = float(body.image[at.NOSE, 0] - body.middle(at.EAR_L, at.EAR_R)[0]) / (NOSE_REACH * body.scale)
    return 0.5 * yaw + 0.5 * float(np.arcsin(np.clip(beside, -1, 1)))
