"""Arms and legs as tubes.

Half widths are metres along t, measured on DensePose pictures of dressed adults (it draws the body in the clothes,
with slim limbs), where MediaPipe's metric skeleton sets the metre.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.densepose.skeleton import body as at
from infra.preprocess.densepose.skeleton import charts
from infra.preprocess.densepose.skeleton.body import Body, across, limb_frame, unit
from infra.preprocess.densepose.skeleton.tubes import Outline, Tube, fitted_tube, limb_angle

UPPER_ARM = ((0.0, 0.048), (0.35, 0.047), (1.0, 0.038))
FOREARM = ((0.0, 0.038), (0.3, 0.036), (1.0, 0.026))
HAND = ((0.0, 0.026), (0.45, 0.038), (0.8, 0.034), (1.0, 0.024))
THIGH_OUTER = ((0.0, 0.078), (0.3, 0.079), (1.0, 0.053))
THIGH_INNER = ((0.0, 0.095), (0.3, 0.070), (1.0, 0.052))
SHIN = ((0.0, 0.054), (0.3, 0.054), (0.7, 0.044), (1.0, 0.036))
SOLE = ((0.0, 0.042), (0.5, 0.050), (1.0, 0.036))

# Depths of landmarks are noisy: arms beside the trunk lie over it, only one clearly behind is hidden. Metres.
ARM_NEARER, HAND_NEARER, FOOT_NEARER = 0.07, 0.084, 0.02
HAND_LENGTH = 2.0  # over wrist to knuckles
FINGER_RADIUS = 0.011  # metres
PALM = 0.6  # share of the hand's length that keeps its average width where the hand's points are seen
# Standing, the trunk lies over the thighs' round upper ends; a raised knee brings the thigh over it.
THIGH_BEHIND = 0.08
# An elbow bent by more than this (sine, about 20 degrees) tells where the upper arm's front looks.
STRAIGHT_ELBOW = 0.35


def arm_tubes(body: Body, mask: np.ndarray, side: int) -> list[Tube]:
    """Upper arm, forearm and hand of the person's left (`side` +1) or right (-1)."""
    shoulder, elbow, wrist, pinky, index = (
        (at.SHOULDER_L, at.ELBOW_L, at.WRIST_L, at.PINKY_L, at.INDEX_L)
        if side > 0
        else (at.SHOULDER_R, at.ELBOW_R, at.WRIST_R, at.PINKY_R, at.INDEX_R)
    )
    p, w = body.image, body.world
    upper, fore, across_palm = w[elbow] - w[shoulder], w[wrist] - w[elbow], w[index] - w[pinky]
    # The elbow folds towards the biceps; a straight arm's front looks where the chest looks.
    bend = across(unit(fore), unit(upper))
    certain = 2 * max(float(np.linalg.norm(bend)) - STRAIGHT_ELBOW, 0.0)
    upper_frame = limb_frame(upper, [(0.6, body.forward), (certain, bend)], side)
    fore_frame = limb_frame(fore, [(0.7, upper_frame[0]), (0.7, across_palm)], side)
    knuckles, hand = (p[index] + p[pinky]) / 2, (w[index] + w[pinky]) / 2 - w[wrist]
    tips = p[wrist] + HAND_LENGTH * (knuckles - p[wrist])
    hand_frame = limb_frame(hand, [(1.0, across_palm)], side)
    nearer, hand_nearer = ARM_NEARER * body.scale, HAND_NEARER * body.scale
    return [
        fitted_tube(
            body, mask, (p[shoulder], p[elbow]), (UPPER_ARM, UPPER_ARM), charts=charts.upper_arm(side), flatness=1.0,
            depth=(body.depth(shoulder), body.depth(elbow)), nearer=(nearer, nearer),
            phi=limb_angle(p[elbow] - p[shoulder], upper, upper_frame),
        ),
        fitted_tube(
            body, mask, (p[elbow], p[wrist]), (FOREARM, FOREARM), charts=charts.forearm(side), flatness=1.0,
            depth=(body.depth(elbow), body.depth(wrist)), nearer=(nearer, nearer),
            phi=limb_angle(p[wrist] - p[elbow], fore, fore_frame),
        ),
        fitted_tube(
            body, mask, (p[wrist], tips), (HAND, HAND), charts=charts.hand(side), flatness=0.7,
            depth=(body.depth(wrist), body.depth(index)), nearer=(hand_nearer, hand_nearer),
            phi=limb_angle(tips - p[wrist], hand, hand_frame), outline=_hand_outline(body, side),
        ),
    ]  # fmt: skip


def _hand_outline(body: Body, side: int) -> Outline | None:
    """The hull of the hand's 21 points, where all of them are seen."""
    hand = body.hands[0 if side > 0 else 1]
    if not (hand[:, 2] > 0).all():
        return None
    return Outline(cv2.convexHull(hand[:, :2].astype(np.float32))[:, 0], FINGER_RADIUS * body.scale, PALM)


def leg_tubes(body: Body, mask: np.ndarray, side: int) -> list[Tube]:
    """Thigh, shin and foot of the person's left (`side` +1) or right (-1)."""
    hip, knee, ankle, heel, toe = (
        (at.HIP_L, at.KNEE_L, at.ANKLE_L, at.HEEL_L, at.TOE_L)
        if side > 0
        else (at.HIP_R, at.KNEE_R, at.ANKLE_R, at.HEEL_R, at.TOE_R)
    )
    p, w = body.image, body.world
    thigh, shin, foot = w[knee] - w[hip], w[ankle] - w[knee], w[toe] - w[heel]
    fold = -across(unit(shin), unit(thigh))  # the knee folds backwards
    thigh_frame = limb_frame(thigh, [(1.0, body.forward), (float(np.linalg.norm(fold)), fold)], side)
    shin_frame = limb_frame(shin, [(1.0, thigh_frame[0]), (0.6, foot)], side)
    foot_frame = np.array([0.0, -1.0, 0.0]), body.left * side
    # The normal's side of a bone that points down is the image's left.
    outer_is_left = (side < 0) == (abs(body.yaw) < np.pi / 2)
    thigh_widths = (THIGH_OUTER, THIGH_INNER) if outer_is_left else (THIGH_INNER, THIGH_OUTER)
    tips, instep = p[toe] + 0.25 * (p[toe] - p[heel]), (p[ankle] + p[heel]) / 2
    behind = -THIGH_BEHIND * body.scale * float(np.clip(2 * unit(thigh)[1], 0, 1))
    foot_nearer = FOOT_NEARER * body.scale
    return [
        fitted_tube(
            body, mask, (p[hip], p[knee]), thigh_widths, charts=charts.thigh(side), flatness=0.85,
            depth=(body.depth(hip), body.depth(knee)), nearer=(behind, 0.0),
            phi=limb_angle(p[knee] - p[hip], thigh, thigh_frame),
        ),
        fitted_tube(
            body, mask, (p[knee], p[ankle]), (SHIN, SHIN), charts=charts.shin(side), flatness=1.0,
            depth=(body.depth(knee), body.depth(ankle)), phi=limb_angle(p[ankle] - p[knee], shin, shin_frame),
        ),
        fitted_tube(
            body, mask, (instep, tips), (SOLE, SOLE), charts=charts.foot(side), flatness=1.0,
            depth=(body.depth(ankle), body.depth(toe)), nearer=(foot_nearer, foot_nearer),
            phi=limb_angle(tips - instep, foot, foot_frame),
        ),
    ]  # fmt: skip
