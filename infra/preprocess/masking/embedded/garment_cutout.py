"""A garment's alpha by its colours, on a studio's ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from infra.preprocess.masking.embedded.colour_cutout import colour_mask, soft_alpha
from infra.preprocess.masking.embedded.studio_ground import CALM, StudioGround

# The colour cut-out may lack this share of what is certainly salient: the gap between two legs that saliency fills is
# 4 %, a striped sleeve 7 %; white cloth lost on white ground 13 % and more.
_MOST_MISSED = 0.10
_MOST_COVERED = 0.92  # of the picture; beyond, the "garment" is the ground
_CRUMB = 9  # pixels across, at most


@dataclass(frozen=True)
class StudioCutout:
    """A garment cut out by colour alone."""

    mask: np.ndarray  # bool HxW
    alpha: np.ndarray  # uint8 HxW
    distance: np.ndarray  # float32 HxW, Lab units from the ground's colour


def studio_cutout(picture: np.ndarray) -> StudioCutout | None:
    """Of uint8 HxWx3 RGB; None where the ground is no studio's."""
    ground = StudioGround.of(picture)
    if ground.noise >= CALM:
        return None
    mask = colour_mask(ground)
    return StudioCutout(mask > 0, soft_alpha(picture, mask, ground), ground.distance)


def backed_alpha(studio: StudioCutout, salient: np.ndarray) -> np.ndarray | None:
    """uint8 HxW: the cut-out without what nothing salient backs; None where it misses what saliency is sure of.

    `salient` float32 of any size, 0 to 1.
    """
    salient = cv2.resize(salient, studio.mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    thing = salient > 0.5
    count, label = cv2.connectedComponents(studio.mask.astype(np.uint8))
    kept = studio.mask & (np.bincount(label[thing], minlength=count) > 0)[label]  # frames of the picture go
    side = max(5, round(0.015 * max(thing.shape)) | 1)
    sure = cv2.erode((salient > 0.9).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    missed = np.count_nonzero(sure & ~kept) / max(np.count_nonzero(sure), 1)
    if not kept.any() or kept.mean() > _MOST_COVERED or missed > _MOST_MISSED:
        return None
    if (kept & thing).sum() > 0.95 * (kept | thing).sum():  # else saliency saw but the print, or lost a sleeve
        # Pale bits of JPEG rim go; coloured straps stay, and so do white sleeves, which are broad.
        wide = np.ones((2 * _CRUMB + 1, 2 * _CRUMB + 1), np.uint8)
        rim = cv2.erode(studio.mask.astype(np.uint8), wide) == 0
        crumbs = (kept & rim & (salient < 0.25) & (studio.distance <= 14)).astype(np.uint8)
        kept &= (crumbs == 0) | (cv2.morphologyEx(crumbs, cv2.MORPH_OPEN, np.ones((_CRUMB, _CRUMB), np.uint8)) > 0)
    return np.where(kept | ~studio.mask, studio.alpha, 0).astype(np.uint8)
