"""Everybody in a picture: the whole first, then, where nobody or only small people are found, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.pose_estimation.blazepose.detector import LEAST_SCORE, Detection, PersonDetector
from infra.preprocess.pose_estimation.blazepose.landmarks import HIPS, NOSE, SHOULDERS, torso_length
from infra.preprocess.pose_estimation.blazepose.networks import LEAST_PRESENCE, Body, PoseNetwork
from infra.preprocess.pose_estimation.blazepose.squares import Square, whole_square

# When nobody scores MediaPipe's 0.5, weaker candidates are shown to the landmark network, which knows better: people
# on ordinary photos score down to 0.38, and garments without a person up to 0.72. Weak ones must stand upright
# (radians): cloth that is taken for a person mostly does not.
LEAST_WEAK_SCORE = 0.3
MOST_WEAK_TILT = np.radians(60)
# In tiles, folds of cloth score up to 0.81 and at any size; a person whose size fits the tile scores over 0.9.
LEAST_TILE_SCORE = 0.85
MOST_OF_TILE = 1.3  # side of a person's square over the tile's
MOST_PEOPLE = 20  # a landmark run each; of a crowd the likeliest are kept
# The detector's points are coarse on small people: below this share of the region it looked at, a second look lowers
# the error by a fifth. Below that share of the whole picture there may be more people of a size that it misses.
SMALL_PERSON = 0.6
SMALL_FOR_PICTURE = 0.75
# People under about a third of the detector's region are missed: tile sides over the picture's longer side, and the
# share of a tile that the next one overlaps.
TILES = (1 / 1.7, 1 / 3, 1 / 5)
TILE_OVERLAP = 0.3
LEAST_TILE = 320  # pixels; smaller tiles show the detector (224 pixels) nothing new
# Width of the shoulders and length of the neck together, over the square's side: at least 0.09 of some 150 people seen
# from all sides; a hand that was taken for a person had 0.04.
LEAST_SPREAD = 0.06
SAME_PERSON = 0.4  # torso lengths between two answers that are of one person
# Levels of a picture (1st and 99th percentile of its grey) that are stretched where nobody is found.
TOO_DARK, TOO_BRIGHT = 128, 128


@dataclass(frozen=True)
class Candidate:
    """One person found, and the region that the detector found them in."""

    detection: Detection
    region: Square
    body: Body

    @property
    def small(self) -> bool:
        return self.detection.square.side < SMALL_PERSON * self.region.side


def find_people(detect: PersonDetector, pose: PoseNetwork, picture: np.ndarray) -> tuple[np.ndarray, list[Candidate]]:
    """Everybody in uint8 HxWx3 RGB, and the picture they were found in: stretched in tone where that was needed."""
    found = _search(detect, pose, picture)
    if not found and (stretched := _stretched(picture)) is not None:
        return stretched, _search(detect, pose, stretched)
    return picture, found


Seen = tuple[Detection, Square]  # what the detector says, and of which region


def _search(detect: PersonDetector, pose: PoseNetwork, picture: np.ndarray) -> list[Candidate]:
    """Those whom the whole picture shows clearly, else or also those of its tiles, else the unclear of the whole."""
    seen = _seen(detect, picture, whole_square(picture), LEAST_WEAK_SCORE)
    found = _known_people(pose, picture, [one for one in seen if one[0].score >= LEAST_SCORE], [])
    largest = max((candidate.detection.square.side for candidate in found), default=0)
    if len(found) > 1 or largest < SMALL_FOR_PICTURE * max(picture.shape[:2]):
        found = _in_tiles(detect, pose, picture, found)
    if not found:
        upright = [one for one in seen if abs(one[0].square.angle) < MOST_WEAK_TILT]
        found = _known_people(pose, picture, upright, [])
    return found


def _seen(detect: PersonDetector, picture: np.ndarray, region: Square, least_score: float) -> list[Seen]:
    return [(found, region) for found in detect(picture, region, least_score)]


def _in_tiles(
    detect: PersonDetector, pose: PoseNetwork, picture: np.ndarray, known: list[Candidate]
) -> list[Candidate]:
    """`known`, and who else is found on tiles: ever smaller ones, until they show nobody more."""
    found = known
    for share in TILES:
        side = share * max(picture.shape[:2])
        if side < LEAST_TILE:
            break
        seen = [one for tile in _tiles(picture, side) for one in _seen(detect, picture, tile, LEAST_TILE_SCORE)]
        before = len(found)
        found = _known_people(pose, picture, [one for one in seen if one[0].square.side < MOST_OF_TILE * side], found)
        if found and len(found) == before:
            break
    return found


def _known_people(pose: PoseNetwork, picture: np.ndarray, seen: list[Seen], known: list[Candidate]) -> list[Candidate]:
    """`known`, and who else of `seen` the landmark network takes for a person."""
    people = list(known)
    for found, region in sorted(seen, key=lambda one: -one[0].score):
        if len(people) == MOST_PEOPLE:
            break
        if any(_same_place(found, other.detection) for other in people):
            continue
        body = pose(picture, found.square)
        is_body = body.presence >= LEAST_PRESENCE and _is_spread(body)
        if is_body and not any(_same_body(body, other.body) for other in people):
            people.append(Candidate(found, region, body))
    return people


def _is_spread(body: Body) -> bool:
    """Whether head and shoulders lie apart, as a person's do even from the side."""
    nose, left, right = (body.landmarks[index, :2] for index in (NOSE, *SHOULDERS))
    spread = np.hypot(*(left - right)) + np.hypot(*(nose - (left + right) / 2))
    return bool(spread > LEAST_SPREAD * body.square.side)


def _same_place(a: Detection, b: Detection) -> bool:
    """By the hips' and shoulders' middles."""
    apart = np.hypot(*(a.points[[0, 2]] - b.points[[0, 2]]).T).max()
    return bool(apart < SAME_PERSON / 2 * np.hypot(*(b.points[0] - b.points[2])))


def _same_body(a: Body, b: Body) -> bool:
    """By shoulders and hips, whichever way round."""
    first, second = ([body.landmarks[list(pair), :2].mean(0) for pair in (SHOULDERS, HIPS)] for body in (a, b))
    return bool(np.hypot(*np.subtract(first, second).T).max() < SAME_PERSON * torso_length(b.landmarks))


def _tiles(picture: np.ndarray, side: float) -> Iterator[Square]:
    """Overlapping squares that cover the picture."""
    height, width = picture.shape[:2]
    for y in _centres(height, side):
        for x in _centres(width, side):
            yield Square(x, y, side)


def _centres(length: int, side: float) -> np.ndarray:
    if length <= side:
        return np.array([length / 2])
    count = int(np.ceil((length - side) / (side * (1 - TILE_OVERLAP)))) + 1
    return np.linspace(side / 2, length - side / 2, count)


def _stretched(picture: np.ndarray) -> np.ndarray | None:
    """The picture with its tones stretched to the full range; None where they nearly fill it already."""
    low, high = np.percentile(cv2.cvtColor(picture[::4, ::4], cv2.COLOR_RGB2GRAY), (1, 99))
    if TOO_DARK <= high and low <= TOO_BRIGHT or high - low < 1:
        return None
    table = np.clip((np.arange(256) - low) * 255 / (high - low), 0, 255).astype(np.uint8)
    return cv2.LUT(picture, table)
