"""A garment as it looks from behind, made up from its front: no print, no buttons, a high neckline."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from infra.viton.geometric.garment import Garment

BACK_DROP = 0.18  # depth of a back neckline, as a share of half its width
RIB = 0.10  # of the neck's width: the seam along the front neckline that the back does not have
BAND = 0.07  # of the height: as far up and down a colour beside the chest explains the same one on it
BLOCK = 0.25  # of its box that a print fills
BINS = 20  # per colour channel, when colours are compared


def back_of(garment: Garment) -> Garment:
    """The garment's back: the cloth beside print and buttons goes on over them, and the neck closes."""
    high = _high_neckline(garment)
    opening = _between(garment.alpha.shape, high, garment.neckline)
    rgb = _without_print(garment, opening)
    rgb, filled = _closed_neck(rgb, garment, opening)
    alpha = np.maximum(garment.alpha, filled)
    above = np.array([[high[-1, 0], 0], [high[0, 0], 0]])
    back = np.zeros(garment.alpha.shape, np.uint8)
    cv2.fillPoly(back, [np.rint(np.vstack([high, above]) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    back[garment.back == 0] = 0  # a collar that stands up stays
    return replace(garment, rgb=rgb, alpha=alpha, back=back, neckline=high)


def _high_neckline(garment: Garment) -> np.ndarray:
    """(41, 2) shallow arc between the ends of the front neckline."""
    left, right = garment.neckline[0], garment.neckline[-1]
    u = np.linspace(-1, 1, 41)
    x = (left[0] + right[0]) / 2 + u * (right[0] - left[0]) / 2
    y = np.interp(u, (-1, 1), (left[1], right[1])) + BACK_DROP * (right[0] - left[0]) / 2 * (1 - u**2)
    return np.stack([x, y], 1)


def _between(shape: tuple[int, int], upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """uint8 coverage 0..255 of what lies between two curves that run from left to right."""
    lower = np.stack([lower[:, 0], np.maximum(lower[:, 1], np.interp(lower[:, 0], upper[:, 0], upper[:, 1]))], 1)
    region = np.zeros(shape, np.uint8)
    cv2.fillPoly(region, [np.rint(np.vstack([upper, lower[::-1]]) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return region


def _closed_neck(rgb: np.ndarray, garment: Garment, opening: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cloth below the front neckline, mirrored up over the opening and its seam; and that area's coverage."""
    if not opening.any():
        return rgb, opening
    middle, width = garment.neckline[:, 0].mean(), float(np.ptp(garment.neckline[:, 0]))
    wider = (garment.neckline[:, 0] - middle) * (1 + 2 * RIB)
    seam = np.stack([middle + wider, garment.neckline[:, 1] + RIB * width], 1)
    area = _between(garment.alpha.shape, _high_neckline(garment), seam)
    y, x = np.nonzero(area)
    edge = np.interp(x, seam[:, 0], seam[:, 1])
    source = np.clip(np.rint(2 * edge + 1 - y), 0, rgb.shape[0] - 1).astype(int)
    closed = rgb.copy()
    closed[y, x] = rgb[source, x]
    soft = cv2.GaussianBlur(area, (0, 0), 2)[..., None] / 255.0
    inside = np.where(area[..., None] > 0, np.maximum(soft, opening[..., None] > 0), 0)
    return np.rint(rgb + (closed.astype(np.float32) - rgb) * inside).astype(np.uint8), opening


def _without_print(garment: Garment, opening: np.ndarray) -> np.ndarray:
    """uint8 HxWx3: each row's own cloth carried over whatever on the chest has a colour that is not beside it."""
    cloth = (garment.alpha > 200) & (garment.back < 128)
    chest = _chest(garment)
    print_ = _strange(garment.rgb, cloth & ~chest, cloth & chest)
    print_ = (cv2.dilate(_blocks(print_, garment.chest), np.ones((11, 11), np.uint8)) > 0) & chest
    known = cloth & ~print_ & (opening == 0)
    known = cv2.erode(known.astype(np.uint8), np.ones((1, 9), np.uint8)) > 0  # a print's rim is no cloth
    filled = garment.rgb.astype(np.float32)
    columns = np.arange(known.shape[1])
    for y in np.flatnonzero(print_.any(1)):
        seen = np.flatnonzero(known[y])
        gone = np.flatnonzero(print_[y])
        if len(seen) > 4:
            for channel in range(3):
                filled[y, gone, channel] = np.interp(gone, columns[seen], garment.rgb[y, seen, channel])
    weight = cv2.GaussianBlur(print_.astype(np.float32), (0, 0), 1.5)[..., None]
    smooth = cv2.blur(filled, (9, 3))
    return np.rint(garment.rgb + (smooth - garment.rgb) * weight).astype(np.uint8)


def _blocks(strange: np.ndarray, chest: float) -> np.ndarray:
    """uint8 HxW: strange pixels, and the whole box of a compact group: letters may share the cloth's colours."""
    near = 2 * int(0.05 * chest) + 1
    together = cv2.morphologyEx(strange.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((near, near), np.uint8))
    blocks = cv2.morphologyEx(strange.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, tags, stats, _ = cv2.connectedComponentsWithStats(together)
    margin = int(0.03 * chest)
    for tag, (x, y, width, height, _) in enumerate(stats):
        inside = strange[y : y + height, x : x + width] & (tags[y : y + height, x : x + width] == tag)
        if tag and height > 0.04 * chest and inside.sum() > BLOCK * width * height:
            blocks[max(y - margin, 0) : y + height + margin, max(x - margin, 0) : x + width + margin] = 1
    return blocks


def _chest(garment: Garment) -> np.ndarray:
    """bool HxW: where prints and buttons are: between the armholes, from the neckline to near the hem."""
    top, bottom = float(garment.neckline[:, 1].max()), float(garment.sides[:, -1, 1].mean())
    (left, right), margin = garment.armpit[:, 0], 0.06 * garment.chest
    y, x = np.ogrid[: garment.alpha.shape[0], : garment.alpha.shape[1]]
    return (x > left + margin) & (x < right - margin) & (y > top) & (y < top + 0.95 * (bottom - top))


def _strange(rgb: np.ndarray, beside: np.ndarray, chest: np.ndarray) -> np.ndarray:
    """bool HxW: chest pixels whose colour does not occur beside the chest within a band of rows."""
    lab = cv2.cvtColor(cv2.GaussianBlur(rgb, (0, 0), 1.5), cv2.COLOR_RGB2LAB).astype(np.int32) * BINS // 256
    code = (lab[..., 0] * BINS + lab[..., 1]) * BINS + lab[..., 2]
    rows = np.flatnonzero(chest.any(1))
    strange = np.zeros(chest.shape, bool)
    if not len(rows):
        return strange
    half = max(4, int(BAND * (rows[-1] - rows[0])))
    for start in range(rows[0], rows[-1] + 1, half):
        band = slice(max(start - half, 0), start + 2 * half)
        there = np.bincount(code[band][beside[band]], minlength=BINS**3).reshape(BINS, BINS, BINS)
        near = cv2.dilate((there >= 3).astype(np.uint8).reshape(BINS, -1), np.ones((3, 1), np.uint8))
        near = cv2.dilate(near.reshape(BINS * BINS, BINS), np.ones((1, 3), np.uint8)).reshape(BINS, BINS, BINS)
        near[:, 1:] |= near[:, :-1].copy()
        near[:, :-1] |= near[:, 1:].copy()
        here = slice(start, start + half)
        strange[here] = chest[here] & (near.ravel()[code[here]] == 0)
    return strange
