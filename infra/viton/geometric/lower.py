"""The lower garment under a top that is taken off: how high it goes, and its cloth carried on up to there."""

from __future__ import annotations

import cv2
import numpy as np

from infra.preprocess.human_parser.labels import SKIN
from infra.viton.geometric.body import Body, limb_zone
from infra.viton.geometric.fill import grain, local_mean
from infra.viton.geometric.naked import Naked, rounded
from infra.viton.geometric.scene import Scene

WAIST = 0.80  # of the torso: where trousers and skirts begin, measured on people whose waistband is seen
LOWEST_WAISTBAND = 0.89  # of the torso: what begins lower begins under the top
WEDGE = 0.15  # spans above the seen cloth that a slanted hem may cover
THIGH = np.array((0.25, 0.18))  # spans: half widths of trousers at hip and knee
MIRRORED = 0.5  # spans above the seen cloth up to which it is mirrored; farther up it is plain
PATCH = 0.15  # spans: the side of a square so small that its grain does not matter
MIDRIFF = 0.3  # of the lower garment's width with skin above it: its upper edge is seen


def waist_of(scene: Scene, body: Body, below: np.ndarray) -> tuple[float, bool]:
    """Pixels below the neck where the lower garment (bool HxW `below`) begins, guessed where the top hides it; and
    whether skin is seen above it."""
    columns = np.flatnonzero(below.sum(0) > 0.08 * body.span)
    if not len(columns):
        return WAIST * body.torso, False
    left, right = np.percentile(columns, (20, 80))
    columns = columns[(columns >= left) & (columns <= right)]  # corners are cut round
    rows = below[:, columns].argmax(0)
    begins = float(np.median((rows - body.neck[1]) * body.down[1] + (columns - body.neck[0]) * body.down[0]))
    above = scene.parse[np.clip(rows - int(0.04 * body.span), 0, None), columns]
    midriff = bool(np.isin(above, SKIN).mean() > MIDRIFF)
    return (begins if midriff or begins < LOWEST_WAISTBAND * body.torso else WAIST * body.torso), midriff


def lower_zone(
    scene: Scene, body: Body, gone: np.ndarray, below: np.ndarray, naked: Naked, waist: float, midriff: bool
) -> np.ndarray:  # fmt: skip
    """float32 HxW: where the lower garment is; unless its edge is seen under a bare `midriff`, continued up to `waist`
    and tapering to the trunk's width there."""
    rows = np.flatnonzero(below.sum(1) > 0.3 * body.span)
    if midriff or not len(rows):
        return cv2.GaussianBlur(below.astype(np.float32), (0, 0), 1.2) * (naked.arms == 0)
    canvas = below.astype(np.uint8) * np.uint8(255)
    level = waist - 0.03 * body.torso
    reach = max(1, round(WEDGE * body.span))
    extents = np.array([np.flatnonzero(below[y])[[0, -1]] for y in rows[: max(24, reach)]])
    left, right = np.median(extents[:24], 0).astype(int)
    y = int(rows[0]) + 12
    k = int(np.abs(body.levels - level).argmin())
    corners = [body.at(out * 1.02 * body.naked_half(side)[k], level) for side, out in enumerate((-1, 1))]
    if min(q[1] for q in corners) < y - 24:
        taper = np.array([*corners, [right, y], [left, y]])
        cv2.fillConvexPoly(canvas, np.rint(taper).astype(np.int32), 255)
    # A slanted hem leaves a wedge between the waist and the cloth that is seen.
    wedge = cv2.dilate(below.astype(np.uint8), np.ones((reach + 1, 1), np.uint8), anchor=(0, 0)) > 0
    wedge &= (naked.trunk > 0.5) & (body.below(scene.shape) > waist)
    widest = slice(extents[:, 0].min(), extents[:, 1].max())
    canvas[:, widest][wedge[:, widest]] = 255
    # Thighs that the old top hid: raised, spread, or below a coat.
    thighs = limb_zone(scene.shape, [leg[:2] for leg in body.legs], np.tile(THIGH * body.span, (2, 1)))
    canvas[thighs & gone & (body.below(scene.shape) > waist)] = 255
    return rounded(canvas, 0.03 * body.span) * (naked.arms == 0)


def lower_fill(scene: Scene, below: np.ndarray, hole: np.ndarray, span: float) -> np.ndarray:
    """float32 HxWx3: the lower garment carried on into `hole` (bool HxW): mirrored at its upper edge, and plain, in its
    own colours, where its mirror image ends."""
    height, width = scene.shape
    filled = scene.photo.astype(np.float32)
    reached = np.flatnonzero(below.any(0))
    if not len(reached):
        return filled
    first = np.interp(np.arange(width), reached, below.argmax(0)[reached])
    first = cv2.blur(first.astype(np.float32)[None], (15, 1))[0].astype(int)
    # Columns beside the cloth, or between two legs, borrow from the nearest one that has cloth under its upper edge.
    whole = np.flatnonzero(below[np.clip(first + 12, 0, height - 1), np.arange(width)])
    whole = whole if len(whole) else reached
    near = np.clip(np.searchsorted(whole, np.arange(width)), 1, max(len(whole) - 1, 1))
    before, after = whole[near - 1], whole[np.minimum(near, len(whole) - 1)]
    nearest = np.where(np.arange(width) - before <= after - np.arange(width), before, after)
    y, x = np.nonzero(hole & ~below)
    # Past the cloth's sides a single column would be drawn out into stripes: mirrored there as well.
    column = np.clip(2 * nearest[x] - x, 0, width - 1)
    source = np.clip(2 * first[nearest[x]] + 6 - y, 0, height - 1)
    fits = below[source, column] * np.clip(2 - (source - first[nearest[x]]) / (MIRRORED * span), 0, 1)
    filled[y, x] = scene.photo[source, column]
    if fits.min(initial=1) < 1:
        missing = np.zeros(scene.shape, np.float32)
        missing[y, x] = 1 - fits
        share = 1 - np.maximum(missing, np.clip(2 * cv2.blur(missing, (13, 13)), 0, 1))[y, x, None]
        core = cv2.erode(below.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        core = core if core.any() else below
        plain = local_mean(scene.photo, core.astype(np.float32), 16)
        if (fits < 1).sum() > (PATCH * span) ** 2:
            plain += grain(scene.photo, core)[..., None]
        filled[y, x] = plain[y, x] + (filled[y, x] - plain[y, x]) * share
    return filled
