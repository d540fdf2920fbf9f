"""Garments photographed on somebody: told from others, and cut out of their wearer."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.masking.subjects.edge_cut import cut
from infra.preprocess.selfie_multiclass import BODY_SKIN, CLOTHES, FACE_SKIN, HAIR

# What the network is this sure of is a body's skin, face or hair: 0.7 % at most of the rims of 43 flat garments (black
# mohair, tulle and printed faces among them), 1.5 % and more on 76 photos of people with and without heads. Hair or a
# printed face alone are a flat garment's: the one's rim has no skin, the other lies inside.
_SURELY = 0.9
_WORN_BARE_RIM, _WORN_SKIN = 0.012, 0.008


def worn_alpha(picture: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """uint8 HxW: all clothes of a wearer together, without skin, hair and face. `classes` float32 hxwx6, 0 to 1."""
    return cut(picture, classes[..., CLOTHES])


def is_worn(alpha: np.ndarray, classes: np.ndarray) -> bool:
    """Whether a cut-out (uint8 HxW) holds a wearer: skin, and bare parts of the body that reach its rim."""
    inside = cv2.resize(alpha, classes.shape[1::-1], interpolation=cv2.INTER_AREA) > 127
    rim = inside & (cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0)
    skin = classes[..., BODY_SKIN] + classes[..., FACE_SKIN]
    bare = skin + classes[..., HAIR] > _SURELY
    has_skin = np.count_nonzero((skin > _SURELY) & inside) > _WORN_SKIN * np.count_nonzero(inside)
    return bool(has_skin and np.count_nonzero(bare & rim) > _WORN_BARE_RIM * np.count_nonzero(rim))
