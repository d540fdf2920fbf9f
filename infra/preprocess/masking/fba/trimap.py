"""A trimap from a soft mask, as CarveKit's pipeline makes it for FBA matting.

Masks and trimaps are uint8 HxW. Beyond the picture's border there is nothing: it neither erodes nor dilates.
"""

from __future__ import annotations

import cv2
import numpy as np

BACKGROUND, UNKNOWN, FOREGROUND = 0, 127, 255
# CarveKit's defaults: what a mask must exceed to be certain, the unknown band's width outside, and erosions inside.
THRESHOLD, DILATION, EROSIONS = 231, 30, 5
_SURE = 200  # marks the inside while the band is drawn; a grey mask's own values from here on are lost
_BOX = np.ones((3, 3), np.uint8)


def trimap(
    mask: np.ndarray, threshold: int = THRESHOLD, dilation: int = DILATION, erosions: int = EROSIONS
) -> np.ndarray:
    """Unknown is what the mask doubts anywhere, a band outside the certain inside, and that inside's rim."""
    band = banded(certain(mask, threshold), dilation, 0)
    return eroded_inside(doubted(band, mask, threshold), erosions)


def certain(mask: np.ndarray, threshold: int) -> np.ndarray:
    """255 where the mask is above the threshold, else 0."""
    return np.where(mask > threshold, np.uint8(FOREGROUND), np.uint8(BACKGROUND))


def banded(mask: np.ndarray, dilation: int, erosions: int) -> np.ndarray:
    """The mask's inside with a band of `dilation` pixels around it; `erosions` take away what is thin before.

    A mask of 0 and 255 gives a trimap. Of a grey one, values from 127 to 199 stay in the band as they are.
    """
    inside = mask
    if erosions:
        inside = np.where(cv2.erode(mask, _BOX, iterations=erosions) > 0, mask, np.uint8(0))
    reach = cv2.dilate(inside, np.ones((2 * dilation + 1, 2 * dilation + 1), np.uint8))
    reach[reach == FOREGROUND] = UNKNOWN
    band = np.where(inside > UNKNOWN, np.uint8(_SURE), reach)
    band[(band < UNKNOWN) | (band > _SURE)] = BACKGROUND
    band[band == _SURE] = FOREGROUND
    return band


def doubted(given: np.ndarray, mask: np.ndarray, threshold: int) -> np.ndarray:
    """The trimap with every pixel unknown at which the mask says anything but nothing, up to the threshold."""
    return np.where((mask > 0) & (mask <= threshold), np.uint8(UNKNOWN), given)


def eroded_inside(given: np.ndarray, erosions: int) -> np.ndarray:
    """The trimap whose known foreground has lost `erosions` pixels of its rim to the unknown."""
    if not erosions:
        return given
    known = np.where(given == UNKNOWN, np.uint8(0), given)
    lost = (cv2.erode(known, _BOX, iterations=erosions) == 0) & (known > 0)
    return np.where(lost, np.uint8(UNKNOWN), given)
