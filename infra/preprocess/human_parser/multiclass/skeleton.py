"""The 33 landmarks of BlazePose: from the 25 key points of any other pose engine, and with legs that nobody saw."""

from __future__ import annotations

import numpy as np

# Landmark -> BODY_25 key points, the first that is seen counts.
_FROM_BODY_25 = {
    0: (0,), 2: (16, 18, 0), 5: (15, 17, 0), 7: (18, 16), 8: (17, 15),
    11: (5,), 12: (2,), 13: (6,), 14: (3,), 15: (7,), 16: (4,),
    23: (12,), 24: (9,), 25: (13,), 26: (10,), 27: (14,), 28: (11,), 29: (21,), 30: (24,), 31: (19,), 32: (22,),
}  # fmt: skip
# Proportions of adults in shoulder widths (from hip or shoulder to the next joint), to guess joints that nobody saw.
_TORSO, _UPPER_ARM, _FOREARM, _THIGH, _SHIN, _FOOT = 1.35, 0.80, 0.70, 1.15, 1.15, 0.35
_UNSEEN = 0.25  # visibility of knees and ankles beyond the rim is mostly below 0.2, of hidden ones above 0.3
_DOWN = np.float32([0, 1])


def landmarks_of_body_25(people: np.ndarray) -> np.ndarray | None:
    """33x2 float32 of one person (25x3, 0 confidence: unknown); None where no shoulder and no hip is known.

    Unknown joints hang straight down from the last known one, as BlazePose extrapolates joints below the rim.
    """
    seen = people[:, 2] > 0
    out, known = np.zeros((33, 2), np.float32), np.zeros(33, bool)
    for landmark, sources in _FROM_BODY_25.items():
        for source in sources:
            if seen[source] and not known[landmark]:
                out[landmark], known[landmark] = people[source, :2], True
    unit = _shoulder_width(out, known)
    if unit is None:
        return None
    _complete_trunk(out, known, people, unit)
    for n in range(2):
        _complete_limb(out, known, (11 + n, 13 + n, 15 + n, 19 + n), (_UPPER_ARM, _FOREARM, _FOOT), unit)
        _complete_limb(out, known, (23 + n, 25 + n, 27 + n, 31 + n), (_THIGH, _SHIN, 0.6 * _FOOT), unit)
        if not known[29 + n]:
            out[29 + n] = out[27 + n]
        out[17 + n] = out[21 + n] = out[19 + n]
    return out


def with_unseen_legs(points: np.ndarray, seen: np.ndarray, height: int) -> np.ndarray:
    """BlazePose's landmarks (33x2 float32), legs that nobody saw put where they would be.

    Of people cut off by the rim the network sometimes crouches the whole body into a picture of ``height`` rows. Its
    visibility ``seen`` (33 float32) tells, and the proportions of adults say where the hips and legs are.
    """
    if seen[[25, 26, 27, 28]].max() > _UNSEEN or points[[27, 28], 1].min() > height:
        return points
    out = points.copy()
    trunk = points[[23, 24]].mean(0) - points[[11, 12]].mean(0)
    length, unit = float(np.hypot(*trunk)), float(np.hypot(*(points[11] - points[12])))
    unit = max(unit, length / _TORSO)
    down = trunk / max(length, 1e-3)
    out[[23, 24]] += max(_TORSO * unit - length, 0) * down
    for n in range(2):
        for joints, away in (((25,), _THIGH), ((27, 29), _THIGH + _SHIN), ((31,), _THIGH + _SHIN + 0.6 * _FOOT)):
            for joint in joints:
                out[joint + n] = out[23 + n] + away * unit * down
    return out


def _shoulder_width(out: np.ndarray, known: np.ndarray) -> float | None:
    lengths = []
    if known[[11, 12]].all():
        lengths.append(np.hypot(*(out[11] - out[12])))
    for shoulder, hip in ((11, 23), (12, 24)):
        if known[[shoulder, hip]].all():
            lengths.append(np.hypot(*(out[shoulder] - out[hip])) / _TORSO)
    return float(max(max(lengths), 8.0)) if lengths else None


def _complete_trunk(out: np.ndarray, known: np.ndarray, people: np.ndarray, unit: float) -> None:
    """Shoulders, hips and the mouth."""
    for a, b in ((11, 12), (12, 11)):
        if not known[a]:  # the hidden shoulder of a person seen from the side lies behind the other
            neck = people[1]
            out[a] = 2 * neck[:2] - out[b] if neck[2] > 0 else out[b]
            known[a] = True
    for hip, shoulder, other in ((23, 11, 24), (24, 12, 23)):
        if not known[hip]:
            across = 0.6 * (out[shoulder] - out[12 if shoulder == 11 else 11])
            out[hip] = out[other] + across if known[other] else out[shoulder] + _TORSO * unit * _DOWN - 0.2 * across
    known[[23, 24]] = True
    if not known[0]:
        out[0] = out[[11, 12]].mean(0) - 0.6 * unit * _DOWN
    for eye, side in ((2, 11), (5, 12)):
        if not known[eye]:
            out[eye] = out[0] - 0.12 * unit * _DOWN + 0.1 * (out[side] - out[[11, 12]].mean(0))
    eyes = out[[2, 5]].mean(0)
    # The nose's tip lies six tenths of the way from the eyes to the mouth.
    out[[9, 10]] = eyes + (out[0] - eyes) / 0.6


def _complete_limb(
    out: np.ndarray, known: np.ndarray, chain: tuple[int, ...], lengths: tuple[float, ...], unit: float
) -> None:
    for previous, joint, length in zip(chain, chain[1:], lengths, strict=False):
        if not known[joint]:
            out[joint] = out[previous] + length * unit * _DOWN
