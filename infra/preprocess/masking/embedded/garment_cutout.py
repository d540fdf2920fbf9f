"""A garment's alpha: by colour on a studio's ground, else cut around what stands out, or around a wearer's clothes."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.masking.embedded.colour_cutout import colour_mask, soft_alpha
from infra.preprocess.masking.embedded.edge_cut import cut
from infra.preprocess.masking.embedded.garment_check import cutout_classes
from infra.preprocess.masking.embedded.studio_ground import CALM, StudioGround
from infra.preprocess.selfie_multiclass import BODY_SKIN, CLOTHES, FACE_SKIN, HAIR

# The colour cut-out may lack this share of what is certainly salient: the gap between two legs that saliency fills is
# 4 %, a striped sleeve 7 %; white cloth lost on white ground 13 % and more.
_MOST_MISSED = 0.10
_MOST_COVERED = 0.92  # of the picture; beyond, the "garment" is the ground
# Shares of a cut-out that is a wearer's and not cloth in the colour of skin or hair.
_WORN_BARE, _WORN_CLOTHES = 0.08, 0.2


def garment_alpha(picture: np.ndarray, salient: np.ndarray) -> np.ndarray:
    """uint8 HxW of uint8 HxWx3 RGB; `salient` float32 of any size, 0 to 1."""
    ground = StudioGround.of(picture)
    by_colour = _by_colour(picture, salient, ground) if ground.noise < CALM else None
    return cut(picture, salient) if by_colour is None else by_colour


def worn_alpha(picture: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """uint8 HxW: all clothes of a wearer together, without skin, hair and face. `classes` float32 hxwx6, 0 to 1."""
    return cut(picture, classes[..., CLOTHES])


def is_worn(alpha: np.ndarray, classes: np.ndarray) -> bool:
    """Whether a cut-out (uint8 HxW) holds a wearer: clothes, and face, hair or bare skin too."""
    share = cutout_classes(classes, alpha)
    bare = share[[HAIR, BODY_SKIN, FACE_SKIN]].sum()
    return bool(bare > _WORN_BARE and share[CLOTHES] > _WORN_CLOTHES)


def _by_colour(picture: np.ndarray, salient: np.ndarray, ground: StudioGround) -> np.ndarray | None:
    """The colour cut-out without what nothing salient backs; None where it misses what saliency is sure of."""
    mask = colour_mask(ground)
    alpha = soft_alpha(picture, mask, ground)
    salient = cv2.resize(salient, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    thing = salient > 0.5
    count, label = cv2.connectedComponents(mask)
    kept = (mask > 0) & (np.bincount(label[thing], minlength=count) > 0)[label]  # frames of the picture go
    side = max(5, round(0.015 * max(mask.shape)) | 1)
    sure = cv2.erode((salient > 0.9).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    missed = np.count_nonzero(sure & ~kept) / max(np.count_nonzero(sure), 1)
    if not kept.any() or kept.mean() > _MOST_COVERED or missed > _MOST_MISSED:
        return None
    if (kept & thing).sum() > 0.95 * (kept | thing).sum():  # else saliency saw but the print, or lost a sleeve
        kept &= (salient >= 0.4) | (ground.distance > 14)  # pale bits of JPEG rim go, coloured straps stay
    return np.where(kept | (mask == 0), alpha, 0).astype(np.uint8)
