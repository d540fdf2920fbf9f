"""Which side of a person the camera sees, and whether the pose network has left and right the right way round.

With the face hidden or cut off the pose network takes many a front view for a back view: left and right exchanged,
depths reversed, every visibility 0.99. (The same silhouette is made by either.) The hand network is an independent
witness: it tells a right hand from a left one by the hand alone, and was right for 186 of 188 hands of altered photos.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from infra.preprocess.pose_estimation.blazepose.landmarks import HAND, HIPS, MIRRORED, SHOULDERS, TORSO, torso_length
from infra.preprocess.pose_estimation.blazepose.networks import Body, Hand

# Torso lengths that the shoulders stand the wrong way round, from which on a person shows the back. A frontal person
# has about +0.6, a profile 0.
CLEARLY_BACK = -0.15
NEAR_WRIST = 0.35  # torso lengths between a hand's wrist and the pose's


def facing(landmarks: np.ndarray) -> tuple[float, float]:
    """How far the left shoulder and the left hip lie to the image's right of the right ones, as seen with the trunk
    upright, in torso lengths: positive from the front, negative from behind."""
    shoulders, hips = (landmarks[list(pair), :2].astype(float) for pair in (SHOULDERS, HIPS))
    up = shoulders.mean(0) - hips.mean(0)
    across = np.array([shoulders[0] - shoulders[1], hips[0] - hips[1]])
    of_shoulders, of_hips = (up[0] * across[:, 1] - up[1] * across[:, 0]) / max(float(up @ up), 1e-9)
    return float(of_shoulders), float(of_hips)


def shows_back(body: Body) -> bool:
    shoulders, hips = facing(body.landmarks)
    return shoulders < CLEARLY_BACK and hips < 0


def hands_agree(landmarks: np.ndarray, hands: Iterable[Hand]) -> float:
    """Do the hands look like those of the wrists that they hang on? -1 (none does) to 1 (all do); 0: not told."""
    reach = NEAR_WRIST * torso_length(landmarks)
    told = []
    for hand in hands:
        left, right = (np.hypot(*(landmarks[HAND[side][0], :2] - hand.points[0, :2])) for side in ("left", "right"))
        if min(left, right) < reach and abs(left - right) > 0.5 * reach:
            told.append((2 * hand.rightness - 1) * (1 if right < left else -1))
    return float(np.mean(told)) if told else 0.0


def turned_round(body: Body) -> Body:
    """The other reading of the same silhouette: sides exchanged, depths reversed."""
    order, back = list(MIRRORED), np.float32([1, 1, -1])
    landmarks = body.landmarks[order]
    landmarks[:, 2] *= -1
    return replace(body, landmarks=landmarks, world=body.world[order] * back)


def apart(a: Body, b: Body) -> float:
    """The largest shift of a shoulder or hip between two answers, in torso lengths."""
    torso = list(TORSO)
    return float(np.hypot(*(a.landmarks[torso, :2] - b.landmarks[torso, :2]).T).max()) / torso_length(a.landmarks)


def best_of(looks: list[Body], hands: Iterable[Hand]) -> Body:
    """Of several answers of one person: with the hands, else from the front, and nearest to the others."""
    hands = list(hands)
    agreed = [hands_agree(look.landmarks, hands) for look in looks]
    kept = [look for look, agrees in zip(looks, agreed, strict=True) if agrees > 0]
    kept = kept or [look for look, agrees in zip(looks, agreed, strict=True) if agrees == 0] or looks
    kept = [look for look in kept if not shows_back(look)] or kept
    return min(kept, key=lambda look: np.median([apart(look, other) for other in kept]))
