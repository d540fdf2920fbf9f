"""Hair, face and bare skin: which limb a piece of skin belongs to."""

from __future__ import annotations

import numpy as np

from infra.preprocess.human_parser.labels import ARMS, LEGS, SKIN, Cihp
from infra.preprocess.human_parser.multiclass.places import Places, split
from infra.preprocess.human_parser.multiclass.scene import SEEN, SIDES, Scene
from infra.preprocess.selfie_multiclass import BODY_SKIN, CLOTHES, FACE_SKIN, HAIR

_KINDS = np.uint8(SKIN)
# How far bare legs may lie from the face's colour (Lab, 8 bit scale): real legs are within 8 levels of its a, b.
_HUE, _HUE_SHARE = 11.0, 0.4  # levels; share of the face's chroma
_LIGHT = 60.0  # levels of lightness, from the nearer of face and arms

_FOREARM_SHARE = 0.7  # of a piece of skin on the trunk that lies along a forearm: no belly
_BELLY = 0.3  # shoulder widths that a bare belly reaches to either side of the trunk's middle, together


def label_skin(scene: Scene, place: Places) -> np.ndarray:
    """CIHP labels (N uint8) of hair, face and limbs; 0 where cloth or accessories are."""
    labels = np.zeros(len(scene.row), np.uint8)
    labels[scene.kind == HAIR] = Cihp.HAIR
    on_head = (place.head_y > -0.75) & (np.abs(place.head_x) < 0.8) & (place.head_y < 1.2)
    face = (scene.kind == FACE_SKIN) & on_head
    skin = ((scene.kind == FACE_SKIN) & ~on_head) | (scene.kind == BODY_SKIN)
    labels[face] = Cihp.FACE
    distance = _distances(scene, place)
    labels[skin] = _KINDS[distance.argmin(0)][skin]
    _unite_hands_and_bellies(scene, place, labels, skin, distance)
    ears = (place.head_y > -0.45) & (np.abs(place.head_x) < 0.65) & (place.head_y < 0.8)
    labels[skin & ears & (labels == Cihp.TORSO_SKIN)] = Cihp.FACE
    _cover_beige_legs(scene, place, labels)
    return labels


def _distances(scene: Scene, place: Places) -> np.ndarray:
    """5xN: how far a pixel is from torso, left arm, right arm, left leg and right leg, about 1 at their outlines."""
    torso = np.maximum(np.abs(place.side) / 0.42, np.abs(place.down - 0.45) / 0.75)
    distance = [np.where(place.down > 1.05, 5, torso)]
    points = scene.body.points
    half = 0.5 * np.hypot(*(points[11] - points[12])) / scene.unit
    for n, side in enumerate(SIDES):
        # Collarbones lie beside the arm's upper end: an arm begins at the shoulder joint and goes outwards.
        inwards = np.where(place.arm_at[side] < 0.4, 8 * np.clip(0.9 * half - np.abs(place.side), 0, 1), 0)
        # Skin beside a sleeve is the neckline's or the belly's.
        inwards += np.where(place.arm_at[side] < place.sleeve_end[side] - 0.4, 5, 0)
        reach = np.minimum(place.arm[side] + inwards, place.hand[side])
        # Of arms beyond the rim the pose network only guesses: skin between the shoulders is not theirs.
        if scene.body.seen[15 + n] < SEEN and side not in scene.body.hands:
            reach = reach + np.where((np.abs(place.side) < 0.35) & (place.down < 0.4), 5, 0)
        distance.append(reach)
    covered = scene.kind == CLOTHES
    for side in SIDES:
        # Skin beside covered thighs is a hand.
        core = (place.leg[side] < 0.7) & (place.down > 0.9)
        off = (place.down < 0.95) | (place.leg_at[side] < split(place.leg_at[side][core], covered[core]) - 0.15)
        distance.append(np.minimum(place.leg[side], place.foot[side]) + np.where(off, 5, 0))
    return np.stack(distance)


def _unite_hands_and_bellies(
    scene: Scene, place: Places, labels: np.ndarray, skin: np.ndarray, distance: np.ndarray
) -> None:
    """A hand on the clothes is not part belly, and a bare belly is not part hand."""
    count, region = scene.components(skin & (place.down > 0.35))
    limb, by_hand = np.uint8(ARMS)[distance[1:3].argmin(0)], np.minimum(*place.hand.values()) < 3
    on_forearm, palm = _forearms(scene, place), _palms(scene)
    for n in range(1, count):
        piece = region == n
        torso, arm = piece & (labels == Cihp.TORSO_SKIN), piece & np.isin(labels, ARMS)
        if not torso.any():
            continue
        side = place.side[torso]
        aside = np.ptp(side) < 2 * np.abs(side.mean()) + _BELLY
        if on_forearm[piece].mean() > _FOREARM_SHARE or (aside and palm[piece].any()):
            labels[torso] = limb[torso]
        elif torso.sum() < 0.6 * arm.sum():
            labels[torso & by_hand] = limb[torso & by_hand]
        elif arm.sum() < 0.8 * torso.sum():
            labels[arm] = Cihp.TORSO_SKIN


def _forearms(scene: Scene, place: Places) -> np.ndarray:
    """N bool: along forearms that the pose network has seen, hands included."""
    members = np.zeros(len(scene.row), bool)
    for n, side in enumerate(SIDES):
        if scene.body.seen[[13 + n, 15 + n]].min() > SEEN:
            members |= ((place.arm[side] < 1.1) & (place.arm_at[side] > 0.9)) | (place.hand[side] < 1.2)
    return members


def _palms(scene: Scene) -> np.ndarray:
    """N bool: the pixels on which a found hand's palm has its middle."""
    palms = np.zeros(scene.inside.shape, bool)
    for hand in scene.body.hands.values():
        x, y = np.round(hand[[0, 5, 9, 17]].mean(0)).astype(int)
        if 0 <= y < palms.shape[0] and 0 <= x < palms.shape[1]:
            palms[y, x] = True
    return palms[scene.inside]


def _cover_beige_legs(scene: Scene, place: Places, labels: np.ndarray) -> None:
    """Beige trousers look like bare legs to the network: nobody's crotch is bare, and few have the face's colour."""
    legs = np.isin(labels, LEGS)
    crotch = (np.abs(place.side) < 0.18) & (place.down > 1.0) & (place.down < 1.15)
    crotch &= np.minimum(*place.hand.values()) > 1.3
    bare = np.isin(scene.kind, (BODY_SKIN, FACE_SKIN))
    if crotch.sum() > 60 and bare[crotch].mean() > 0.6:
        covered = legs | (bare & crotch) | (np.isin(labels, (Cihp.TORSO_SKIN, *LEGS)) & (place.down > 1.0))
        scene.kind[covered], labels[covered] = CLOTHES, 0
        return
    colour = scene.colour
    shown = [colour[members] for members in (labels == Cihp.FACE, np.isin(labels, ARMS)) if members.sum() >= 60]
    if not shown:
        return
    face = np.median(shown[0], 0)
    chroma = float(np.hypot(*(face[1:] - 128)))
    for leg in LEGS:
        skin = labels == leg
        if skin.sum() <= 60:
            continue
        median = np.median(colour[skin], 0)
        hue = np.hypot(*(median - face)[1:])
        light = min(abs(median[0] - np.median(part[:, 0])) for part in shown)
        if hue > min(_HUE, _HUE_SHARE * chroma) or light > _LIGHT:
            scene.kind[skin], labels[skin] = CLOTHES, 0
