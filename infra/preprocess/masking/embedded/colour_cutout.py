"""A garment on a studio's ground, cut out by colour alone.

Ground is what can be reached from the picture's rim over smooth pixels of the ground's colour or of a shadow on it; the
true outline in the uncertain band is where the colour changes most. Lengths are pixels of a picture of about 1024,
colours CIE Lab; the thresholds scale with the ground's noise.
"""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.masking.embedded.studio_ground import StudioGround
from infra.preprocess.masking.subjects.islands import keep_large

_FAR = 25.0  # Lab units: cloth that nobody takes for the ground
_MOST_HOLES = 4  # more are a pattern's dots
_BROAD = 6  # pixels, radius: halos and the gaps that peeling is for are narrower
_SHADOW = -3.0  # Lab lightness from the ground's: below, it is shaded ground


def colour_mask(ground: StudioGround) -> np.ndarray:
    """uint8 HxW, 1 on the garment."""
    outside, shadow = _outside(ground)
    mask = _peeled(_to_strongest_edge(ground, outside, shadow), ground)
    mask = keep_large(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _square(3)), 0.02)
    if not mask.any():
        return mask
    # White stripes on a white ground leave level inlets; gaps between sleeve and body are upright.
    tall = max(5, int(0.045 * cv2.boundingRect(mask)[3]))
    closed = cv2.morphologyEx(np.pad(mask, tall), cv2.MORPH_CLOSE, np.ones((tall, 1), np.uint8))
    return _with_open_holes(closed[tall:-tall, tall:-tall], ground)


def _outside(ground: StudioGround) -> tuple[np.ndarray, np.ndarray]:
    """bool HxW: outside of the garment; shadow-like pixels."""
    noise, distance, gradient = ground.noise, ground.distance, ground.gradient
    close = max(1.6, 3.0 * noise)
    wall = cv2.morphologyEx((gradient > max(0.7, 1.5 * noise)).astype(np.uint8), cv2.MORPH_CLOSE, _square(5)) > 0
    # A cast shadow keeps the ground's hue, is darker and has no sharp edge.
    shadow = (ground.tint < 3.5) & (ground.lightness < 0) & (ground.lightness > -30) & (gradient < 1.6)
    passable = ((distance < close) & ~wall) | ((distance < 0.6 * close) & (gradient < 0.5 + 0.3 * noise)) | shadow
    return _reached_from_rim(passable, gradient, distance, close), shadow


def _reached_from_rim(passable: np.ndarray, gradient: np.ndarray, distance: np.ndarray, close: float) -> np.ndarray:
    """bool HxW. Where the outline is too faint to hold (white on white), a rolling disc that cannot slip through its
    gaps decides, over a map in which the faintest step counts."""
    plain = _rolled_in(_room(passable), 2)
    rim = np.concatenate([side.ravel() for side in (gradient[:8], gradient[-8:], gradient[:, :8], gradient[:, -8:])])
    faint = max(0.14, 1.6 * float(np.percentile(rim, 92)))
    step = ((gradient > faint) | (distance > 1.5 * close)).astype(np.uint8)
    _, label, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(step, cv2.MORPH_CLOSE, _square(3)))
    large = stats[:, cv2.CC_STAT_AREA] > 40
    large[0] = False
    room = _room(~large[label])
    tight = {18: _rolled_in(room, 18)}
    largest, area = (tight[18].size - np.count_nonzero(x) for x in (tight[18], plain))
    if area > 0.72 * largest or largest > 0.85 * passable.size:
        return plain
    if _share_of_rim(~tight[18]) > _share_of_rim(~plain) + 0.015:
        return plain  # a noisy ground's own steps hold the disc back all around
    if area > 0.45 * largest and np.median(distance[~plain]) > 10:
        return plain  # a coloured garment; the rest are rims of JPEG blocks
    tight |= {radius: _rolled_in(room, radius) for radius in (5, 10)}
    best = next((tight[r] for r in (5, 10) if np.count_nonzero(~tight[r]) > 0.88 * largest), tight[18])
    # The rim of JPEG blocks round a coloured garment is fainter than any outline.
    outline = cv2.morphologyEx(best.astype(np.uint8), cv2.MORPH_GRADIENT, _square(3)) > 0
    beside = cv2.dilate((~plain).astype(np.uint8), _square(17)) > 0
    strength = cv2.dilate(gradient, _square(7))[outline & ~beside]
    return best if len(strength) < 400 or np.median(strength) > 0.42 else plain


def _share_of_rim(region: np.ndarray) -> float:
    """How much of the picture's rim lies in bool HxW."""
    return float(np.concatenate([region[0], region[-1], region[:, 0], region[:, -1]]).mean())


_ROOM_BEYOND = 20  # pixels of free room around the picture, more than the largest disc


def _room(passable: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one that is not passable; the picture is padded with free room."""
    free = np.pad(passable.astype(np.uint8), _ROOM_BEYOND, constant_values=1)
    return cv2.distanceTransform(free, cv2.DIST_L2, 5)


def _rolled_in(room: np.ndarray, radius: int) -> np.ndarray:
    """bool HxW: what a disc of `radius` rolling in from the rim over passable pixels can cover."""
    _, label = cv2.connectedComponents((room > radius).astype(np.uint8), connectivity=4)
    centres = (label == label[0, 0]).astype(np.uint8)
    covered = cv2.distanceTransform(1 - centres, cv2.DIST_L2, 5) <= radius
    return covered[_ROOM_BEYOND:-_ROOM_BEYOND, _ROOM_BEYOND:-_ROOM_BEYOND]


def _to_strongest_edge(ground: StudioGround, outside: np.ndarray, shadow: np.ndarray) -> np.ndarray:
    """uint8 HxW: the garment, grown by a watershed on the gradient from what is certain."""
    certain = (ground.distance > max(14.0, 6 * ground.noise)) & ~shadow
    inside = cv2.erode((~outside).astype(np.uint8), _square(7)) | certain.astype(np.uint8)
    seeds = np.zeros(outside.shape, np.int32)
    seeds[cv2.erode(inside, _square(3)) > 0] = 2
    seeds[cv2.erode(outside.astype(np.uint8), _square(5)) > 0] = 1
    height = cv2.convertScaleAbs(ground.gradient, alpha=12)
    return (cv2.watershed(cv2.merge([height] * 3), seeds) == 2).astype(np.uint8)


def _peeled(mask: np.ndarray, ground: StudioGround) -> np.ndarray:
    """Halos, cast shadows and narrow gaps off a mask: what joins the outside and is nearer to the ground than to the
    cloth beside it. White cloth on white is left alone: colour cannot tell there."""
    core = cv2.erode(mask, _square(9))
    cloth, weight = nearby_colour(ground.lab, core, 9.0)
    lightness, a, b = cv2.split(cloth - ground.colour)
    coloured = a * a + b * b
    strength = coloured + lightness * lightness
    offset = cv2.split(ground.lab - ground.colour)
    share = (offset[0] * lightness + offset[1] * a + offset[2] * b) / (strength + 1e-3)
    contrast = (strength > 15.0**2) & (weight > 1e-3)
    pale = (coloured > 18.0**2) & (ground.tint < 0.22 * cv2.sqrt(coloured))
    pale &= (ground.lightness < 2) & (ground.lightness > -55)
    like_ground = contrast & ((ground.distance < max(3.5, 5 * ground.noise)) | (share < 0.28) | pale)
    reachable = np.pad(((mask == 0) | like_ground).astype(np.uint8), 1, constant_values=1)
    _, label = cv2.connectedComponents(reachable, connectivity=4)
    peeled = mask & (label != label[0, 0])[1:-1, 1:-1]
    peeled |= _pale_cloth(mask & (1 - peeled), share, ground)
    # The closing gives back the bites that this takes out of a white pattern.
    return cv2.morphologyEx(np.pad(peeled, 8), cv2.MORPH_CLOSE, _disc(3))[8:-8, 8:-8] & mask


def _pale_cloth(peeled_off: np.ndarray, share: np.ndarray, ground: StudioGround) -> np.ndarray:
    """uint8 HxW: broad pieces of what was peeled off that are cloth all the same, as the white stripes of a shirt are.

    They have a tint that the ground lacks, are no shadow, and no mixture of ground and cloth (`share` of the way from
    the one to the other), as halos are.
    """
    disc, pad = _disc(_BROAD), _BROAD
    broad = cv2.morphologyEx(np.pad(peeled_off, pad), cv2.MORPH_OPEN, disc)[pad:-pad, pad:-pad]
    broad &= (cv2.blur(ground.lightness, (5, 5)) > _SHADOW).astype(np.uint8)
    count, label = cv2.connectedComponents(broad, connectivity=4)
    offset = ground.lab - ground.colour
    size = np.maximum(np.bincount(label.ravel(), minlength=count), 1)
    _, *tint = cv2.split(offset)
    a, b, mixed = (np.bincount(label.ravel(), values.ravel(), minlength=count) / size for values in (*tint, share))
    is_cloth = (np.hypot(a, b) > max(0.8, 2 * ground.noise)) & (mixed < 0)
    is_cloth[0] = False
    return cv2.dilate(is_cloth[label].astype(np.uint8), disc) & peeled_off


def nearby_colour(
    colour: np.ndarray, where: np.ndarray, sigma: float, shrink: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian average of float32 HxWx3 over the pixels where uint8 `where` is 1, and the average's weight HxW.

    Computed on a grid `shrink` times coarser: the answer is smooth.
    """
    size = (max(1, where.shape[1] // shrink), max(1, where.shape[0] // shrink))
    counted = np.dstack([cv2.bitwise_and(colour, colour, mask=where), where.astype(np.float32)])
    counted = cv2.GaussianBlur(cv2.resize(counted, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / shrink)
    mean = counted[..., :3] / (counted[..., 3:] + 1e-6)
    mean, weight = (cv2.resize(x, where.shape[::-1], interpolation=cv2.INTER_LINEAR) for x in (mean, counted[..., 3]))
    return mean, weight


def _with_open_holes(mask: np.ndarray, ground: StudioGround) -> np.ndarray:
    """Enclosed areas are garment, unless flat, of the ground's colour and away from where prints are."""
    noise = ground.noise
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    solid = cv2.drawContours(np.zeros_like(mask), contours, -1, 1, -1)
    contrast = np.median(ground.distance[solid > 0])
    if contrast < 8 + 3 * noise:
        return solid  # white cloth: a hole and a highlight look the same
    close = max(1.5, 2.2 * noise)
    x, y, wide, tall = cv2.boundingRect(solid)
    like_ground = solid & (ground.distance < close).astype(np.uint8)
    count, label, stats, centres = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(like_ground, cv2.MORPH_OPEN, _square(5))
    )
    holes = []
    for k in range(1, count):
        left, top, width, height, area = stats[k]
        upright = height > 0.9 * width  # stripes are level
        across, down = (centres[k][0] - x) / wide - 0.5, (centres[k][1] - y) / tall
        if area < 1.5e-4 * mask.size or not upright or (abs(across) < 0.22 and 0.12 < down < 0.75):
            continue
        box = np.s_[max(top - 3, 0) : top + height + 3, max(left - 3, 0) : left + width + 3]
        hole = (label[box] == k).astype(np.uint8)
        heart = cv2.erode(hole, _square(3)) > 0
        slit = contrast > _FAR and height > 2.5 * width  # under a strap: nothing but edges
        if slit or (heart.any() and np.median(ground.gradient[box][heart]) <= 0.4 + 0.4 * noise):
            holes.append((box, hole))
    if len(holes) > _MOST_HOLES:
        return solid
    out = solid.copy()
    for box, hole in holes:
        out[box][cv2.dilate(hole, _square(5)) > 0] = 0
    return out


def soft_alpha(picture: np.ndarray, mask: np.ndarray, ground: StudioGround, band: int = 3) -> np.ndarray:
    """uint8 HxW: the mask's rim softened by projecting its colours on the line from the ground to the cloth nearby."""
    core, near = cv2.erode(mask, _disc(band)), cv2.dilate(mask, _square(3))
    rows, columns = np.nonzero(near & (1 - core))
    if not len(rows):
        return core * np.uint8(255)
    colour = picture.astype(np.float32) * np.float32(1 / 255)
    cloth, weight = nearby_colour(colour, core, 4.0, shrink=2)
    behind = cv2.cvtColor(ground.colour[rows, columns][None], cv2.COLOR_LAB2RGB)[0]
    span = cloth[rows, columns] - behind
    strength = (span * span).sum(1)
    projected = ((colour[rows, columns] - behind) * span).sum(1) / (strength + 1e-4)
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)[rows, columns]
    # Where cloth and ground are alike, or the cloth is too thin to have a core, the mask's own shape must do.
    trust = np.clip((strength - 0.01) / 0.05, 0, 1) * (weight[rows, columns] > 1e-3)
    soft = np.clip(1.15 * projected - 0.1, 0, 1) * trust + smooth * (1 - trust)
    alpha = core * np.uint8(255)
    alpha[rows, columns] = np.round(255 * np.minimum(soft, np.clip(1.8 * smooth, 0, 1)))
    return alpha


def _square(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
