"""Of what stands out in a picture, what was asked for: the chosen person, or a garment.

A salience network cannot tell who is who, nor skin from cloth: the multi-class network and the pose do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.imaging.shrink import shrunk
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.masking.subjects.chosen_person import bones, coarse_alpha, joined
from infra.preprocess.masking.subjects.garment_check import LEAST_EVIDENCE, evidence, kinds
from infra.preprocess.masking.subjects.refusals import GARMENT_SIDE, NO_GARMENT, NO_PERSON
from infra.preprocess.masking.subjects.worn import is_worn, worn_alpha
from infra.preprocess.selfie_multiclass import SelfieMulticlass, probabilities
from infra.serving.engine import EngineError

_EVIDENCE_AT = 320  # side of the map that evidence is counted on: its thresholds are meant for it
_INSIDE, _COVERED = 200, 127  # alphas: of what certainly is the person, and of what counts as covered
_LEAST_SEEN = 0.5  # of the chosen person's inside that must stand out; else something else did


@dataclass(frozen=True)
class ClassReading:
    """What the multi-class network tells of a picture."""

    logits: np.ndarray  # float32 256x256x6
    coarse: np.ndarray | None  # of persons: coverage of the chosen one, uint8 hxw, up to 512


def read_classes(one: MaskInput, classes: SelfieMulticlass) -> ClassReading:
    """All that is to be known of a picture before its salience is."""
    logits = classes(_shrunk(one.picture))
    return ClassReading(logits, coarse_alpha(one.picture, logits, one.pose) if one.subject == "person" else None)


def chosen_subject(one: MaskInput, alpha: np.ndarray, reading: ClassReading) -> Mask | EngineError:
    """The input's subject, out of an alpha uint8 HxW of all that stands out."""
    return _person(one, alpha, reading) if one.subject == "person" else _garment(one, alpha, reading)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """The picture (HxW or HxWxC) with a longer side of 1024 at most."""
    return shrunk(picture, GARMENT_SIDE)[0]


def _person(one: MaskInput, alpha: np.ndarray, reading: ClassReading) -> Mask | EngineError:
    """The person of the pose; without a pose, everybody.

    Where the alpha leaves out most of the person, because something else stands out more, the person's coarse outline
    by the multi-class network takes its place.
    """
    size, coarse = one.picture.shape[:2], reading.coarse
    inside = coarse > _INSIDE
    if not inside.any():
        return NO_PERSON
    small = cv2.resize(alpha, coarse.shape[::-1], interpolation=cv2.INTER_AREA)
    if np.count_nonzero(small[inside] > _COVERED) < _LEAST_SEEN * np.count_nonzero(inside):
        alpha = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)
    mine = joined(alpha.astype(np.float32), np.s_[:, :], coarse, bones(coarse, one.pose, size), size)
    if not (mine > _COVERED).any():
        return NO_PERSON
    return Mask(mine, class_logits=reading.logits.astype(np.float16))


def _garment(one: MaskInput, alpha: np.ndarray, reading: ClassReading) -> Mask | EngineError:
    """What stands out; its wearer is left out unless the subject is "cutout".

    `no_garment` where too little speaks for one (`garment_check.evidence`): it must stand out as one large, sharply
    bounded thing that is neither round nor a pair, and the multi-class network must not see but skin, hair or things.
    """
    classes = probabilities(reading.logits)
    small = _shrunk(alpha)
    salient = cv2.resize(alpha, (_EVIDENCE_AT, _EVIDENCE_AT), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    found = evidence(salient, classes, small, on_studio=False)
    if found < LEAST_EVIDENCE:
        return NO_GARMENT
    worn = is_worn(small, classes)
    if worn and one.subject == "garment":
        small = worn_alpha(_shrunk(one.picture), classes)
        alpha = small
        if small.shape != one.picture.shape[:2]:
            alpha = cv2.resize(small, one.picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return Mask(alpha, kinds=kinds(small), evidence=found, worn=worn)
