"""The part of a try-on's inputs that a garment can change, and what of it is the old garment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import ARMS, HEAD, LEGS, LOWER, UPPER, Cihp
from infra.viton.geometric.body import Body, limb_zone
from infra.viton.geometric.fill import local_mean
from infra.viton.tryon import TryOnInput

Box = tuple[slice, slice]

RAISED = 0.55  # torsos below its hip: a knee that is higher is raised or points to the camera; 0.9 standing
LEG = 0.33  # spans: half the width of a leg in wide trousers
THING = 0.09  # spans: what is held is no thinner; a telephone is 0.2 wide
SPECK = 0.02  # of the lower garment: less is a shadow of the top taken for it
COAT = 1.45  # torsos below the neck: what reaches beyond is a coat
LEFT_BELOW = 0.3  # spans: the side of a square that is more than a rim
HAIR_SPECK = 0.03  # of the head: smaller pieces inside cloth are no hair
SKIRT_BEGINS = 0.80  # of the torso: below it an old dress is a skirt


@dataclass(frozen=True)
class Scene:
    """Inputs inside the working box; coordinates count from its corner."""

    photo: np.ndarray  # uint8 HxWx3
    mask: np.ndarray  # uint8 HxW alpha of the person
    parse: np.ndarray  # uint8 HxW CIHP
    points: np.ndarray  # 25x3 BODY_25
    depth: np.ndarray | None  # (33,) z of the BlazePose landmarks, pixels, smaller is nearer
    hands: np.ndarray  # 2x21x3: the person's left, right

    @property
    def shape(self) -> tuple[int, int]:
        return self.parse.shape

    @cached_property
    def head(self) -> np.ndarray:
        """bool HxW: face, hair and what is worn on the head, which no garment changes."""
        return np.isin(self.parse, HEAD)


def working_box(inputs: TryOnInput) -> Box:
    """Part of the frame that a garment can change: the rest need not be touched."""
    height, width = inputs.parse.shape
    pose = inputs.pose.people[0]
    if not (pose[[2, 5], 2] > 0).all():
        return np.s_[:, :]
    shoulders, hips = pose[[2, 5], :2].mean(0), [q[:2] for q in pose[[9, 12]] if q[2] > 0]
    span = max(float(np.hypot(*(pose[2, :2] - pose[5, :2]))), 0.1 * height)
    torso = max(float(np.hypot(*(np.mean(hips, 0) - shoulders))) if hips else 0.0, 1.5 * span)
    columns = np.flatnonzero((inputs.mask > 8).any(0))
    left, right = (columns[0], columns[-1]) if len(columns) else (0, width - 1)
    top = int(np.clip(shoulders[1] - 1.2 * span, 0, height - 1))
    bottom = int(np.clip(shoulders[1] + 1.9 * torso, top + 1, height)) if inputs.kind == "upper" else height
    return np.s_[top:bottom, int(max(left - 0.4 * span, 0)) : int(min(right + 0.4 * span, width - 1)) + 1]


def scene_in(inputs: TryOnInput, box: Box) -> Scene:
    """The inputs inside the box."""
    left, top = box[1].start or 0, box[0].start or 0
    points, hands = inputs.pose.people[0], inputs.pose.hands
    shift = np.float32([left, top, 0])
    landmarks = inputs.pose.landmarks
    hands = hands[0] if len(hands) else np.zeros((2, 21, 3), np.float32)
    return Scene(
        photo=np.ascontiguousarray(inputs.person[box]), mask=np.ascontiguousarray(inputs.mask[box]),
        parse=np.ascontiguousarray(inputs.parse[box]), points=np.where(points[:, 2:] > 0, points - shift, points),
        depth=None if landmarks is None else landmarks[:, 2],
        hands=np.where(hands[..., 2:] > 0, hands - shift, hands),
    )  # fmt: skip


@dataclass(frozen=True)
class OldGarment:
    """bool HxW maps: what goes, and the lower garment that stays and is continued upwards where it must be."""

    gone: np.ndarray
    below: np.ndarray


def old_garment(scene: Scene, body: Body, kind: str, hem: float = 0.0) -> tuple[Scene, OldGarment]:
    """What the new garment of `kind` ("upper", "dress") replaces; stray labels beside it are given back to it.

    `hem` is how far below the neck the new garment ends, infinite where the picture does: of an old top that does not
    reach farther down nothing stays.
    """
    labels = (*UPPER, Cihp.DRESS) + (LOWER if kind == "dress" else ())
    gone = np.isin(scene.parse, labels)
    below = np.zeros(scene.shape, bool)
    if kind == "upper":
        worn_below = np.isin(scene.parse, LOWER)
        below = _without_specks(worn_below)
        gone |= worn_below & ~below
        level = body.below(scene.shape)
        # Under a new top the skirt of a dress stays on; so does a long coat's lower part, and any top's where nothing
        # else is worn.
        uncovered = (gone & (level > hem)).sum() > (LEFT_BELOW * body.span) ** 2
        coat = (gone & (level > COAT * body.torso)).sum() > (LEFT_BELOW * body.span) ** 2
        skirt = (gone if coat or not below.any() else scene.parse == Cihp.DRESS) & uncovered
        for arm in body.bare_arms:
            skirt = skirt & ~arm.zone(scene.shape, grow=1.5)
        below |= skirt & (level > SKIRT_BEGINS * body.torso)
        gone &= ~below
    specks = _specks_of_hair(scene, gone)
    gone |= specks
    stray = _mislabelled(scene, gone, below, 0.07 * body.span) & ~scene.head | specks
    parse = np.where(stray, np.uint8(Cihp.UPPER_CLOTHES), scene.parse)
    return replace(scene, parse=parse), OldGarment(gone | stray, below & ~stray)


def _without_specks(region: np.ndarray) -> np.ndarray:
    """bool HxW: components that hold at least `SPECK` of the largest one's area."""
    _, tags, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    return (area >= max(1, SPECK * area.max()))[tags] & region


def _specks_of_hair(scene: Scene, gone: np.ndarray) -> np.ndarray:
    """bool HxW: small pieces apart from the head in the midst of the old garment: fur or dark cloth taken for hair."""
    head = scene.head[::2, ::2].astype(np.uint8)
    _, tags, stats, _ = cv2.connectedComponentsWithStats(head)
    area = stats[1:, cv2.CC_STAT_AREA]
    small = np.append(False, area < HAIR_SPECK * area.max(initial=0))
    if not small.any():
        return np.zeros(gone.shape, bool)
    rim = (cv2.dilate(tags.astype(np.uint16), np.ones((5, 5), np.uint8))) * (head == 0)
    around = np.bincount(rim.ravel(), minlength=len(stats))
    cloth = np.bincount(rim[gone[::2, ::2]], minlength=len(stats))
    pieces = (small & (cloth > 0.7 * around))[tags]
    height, width = gone.shape
    return np.repeat(np.repeat(pieces, 2, 0), 2, 1)[:height, :width] & scene.head


def _mislabelled(scene: Scene, gone: np.ndarray, below: np.ndarray, reach: float) -> np.ndarray:
    """Pixels beside the old garment that the parser gave to skin or trousers though they have its colour."""
    image, parse, gone, below = (np.ascontiguousarray(x[::2, ::2]) for x in (scene.photo, scene.parse, gone, below))
    size = 2 * int(reach / 2) + 1
    beside = (cv2.dilate(gone.astype(np.uint8), np.ones((size, size), np.uint8)) > 0) & ~gone
    core = cv2.erode(gone.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    image = image.astype(np.float32)
    old = local_mean(image, core, 5)
    to_old = np.abs(image - old).sum(2)
    stray = np.zeros(gone.shape, bool)
    for own in (np.isin(parse, ARMS), parse == Cihp.TORSO_SKIN, below):
        heart = cv2.erode((own & ~beside).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
        if heart.sum() < 20 or not (own & beside).any():
            continue
        mine = local_mean(image, heart, 7)
        to_mine = np.abs(image - mine).sum(2)
        usual = float(np.median(to_mine[heart > 0]))  # large for patterned cloth: its own white is no stray
        different = np.abs(old - mine).sum(2) > 55
        stray |= own & beside & different & (to_old + 6 < 0.8 * to_mine) & (to_mine > 3 * usual + 20)
    stray = cv2.dilate(cv2.medianBlur(stray.astype(np.uint8), 3), np.ones((3, 3), np.uint8))
    height, width = scene.shape
    return np.repeat(np.repeat(stray, 2, 0), 2, 1)[:height, :width] > 0


def held_things(scene: Scene, body: Body) -> np.ndarray:
    """bool HxW: bags, telephones, microphones: person in the mask, background in the parse map, and not a mere rim."""
    loose = ((scene.mask > 160) & (scene.parse == Cihp.BACKGROUND)).astype(np.uint8)
    thick = max(5, int(THING * body.span)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thick, thick))
    return cv2.dilate(cv2.morphologyEx(loose, cv2.MORPH_OPEN, disc), np.ones((3, 3), np.uint8)) & loose > 0


def raised_legs(scene: Scene, body: Body) -> np.ndarray:
    """bool HxW: legs, clothed or bare, that lie before the trunk: seated, squatting, a foot put up."""
    raised = np.zeros(scene.shape, bool)
    for hip, knee, ankle in ((9, 10, 11), (12, 13, 14)):
        seen = scene.points[[hip, knee], 2].min() > 0
        if seen and (scene.points[knee, :2] - scene.points[hip, :2]) @ body.down < RAISED * body.torso:
            joints = [i for i in (hip, knee, ankle) if scene.points[i, 2] > 0]
            leg = scene.points[joints, :2].astype(np.float64)
            raised |= limb_zone(scene.shape, [leg], np.full((1, len(leg)), LEG * body.span))
    return raised & np.isin(scene.parse, (*LOWER, *LEGS))
