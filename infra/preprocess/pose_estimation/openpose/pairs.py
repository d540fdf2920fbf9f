"""How well the part affinity fields join two peaks: the pairs that may be limbs.

The integral along the line of Cao et al. (CVPR 2017, section 2.3), as a sum of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from infra.preprocess.pose_estimation.openpose.maps import Axis, patches
from infra.preprocess.pose_estimation.openpose.peaks import Peaks
from infra.preprocess.pose_estimation.openpose.skeletons import Skeleton

CHUNK = 1 << 15  # pairs that are looked at together, so that memory stays bounded
PROBES = (0.25, 0.5, 0.75)  # the samples that are taken first: where most pairs fail
NO_LENGTH = 1e-6  # pixels: such a line has no direction

LEAST_SAMPLES, MOST_SAMPLES = 5, 25  # OpenPose's, on a line
SAMPLING = 5  # it takes the root of this many times the line's longer side
CLOSE = 150  # ends nearer than the root of the map's area over this are joined in any case
CLOSE_BONUS = 1e-6  # what such a pair scores above the field's threshold
PORT_SAMPLES = 10
PORT_LONG = 0.5  # of the picture's height: the port likes longer lines less


@dataclass(frozen=True)
class FieldRules:
    """`least`: what the field must have along the line; `share`: more than this share of the samples must have it."""

    least: float
    share: float


@dataclass(frozen=True)
class Pairs:
    """N pairs: `limb`, and the peaks `a` and `b` at its ends as indices of all peaks (int), sorted in that order;
    `score` is a float, higher where the field agrees more."""

    limb: np.ndarray
    a: np.ndarray
    b: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Lines:
    """N lines from peaks `a` to peaks `b`. Sample i of `count` lies at x, y + i * (dx, dy) / steps, pixels."""

    limb: np.ndarray
    a: np.ndarray
    b: np.ndarray
    x: np.ndarray
    y: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    length: np.ndarray
    count: np.ndarray
    steps: np.ndarray

    def __getitem__(self, lines: np.ndarray) -> Lines:
        return Lines(**{name: values[lines] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Fields:
    """`maps` complex64, limbs x h x w, which the axes upsample; never as a whole."""

    maps: np.ndarray
    rows: Axis
    columns: Axis

    def along(self, lines: Lines, sample: np.ndarray) -> np.ndarray:
        """float32 N: the field along each line, at one sample of it, in the pixel nearest to that."""
        x = np.floor(lines.x + sample * lines.dx / lines.steps + np.float32(0.5)).astype(int)
        y = np.floor(lines.y + sample * lines.dy / lines.steps + np.float32(0.5)).astype(int)
        down = self.rows.taps[np.clip(y, 0, self.rows.pixels - 1)]
        across = self.columns.taps[np.clip(x, 0, self.columns.pixels - 1)]
        # The weights are real, so that x and y of the field go through one real product, side by side.
        cells = patches(self.maps, lines.limb, down, across).view(np.float32)
        field = across.weights @ (down.weights @ cells).reshape(*across.first.shape, across.weights.shape[2], 2)
        return (field[:, 0, 0] * lines.dx + field[:, 0, 1] * lines.dy) / lines.length


def openpose_pairs(fields: Fields, peaks: Peaks, skeleton: Skeleton, rules: FieldRules) -> Pairs:
    """As OpenPose scores them on CUDA: the mean of the samples that have the field."""

    def samples(longer_side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = np.clip(np.floor(np.sqrt(SAMPLING * longer_side) + 0.5), LEAST_SAMPLES, MOST_SAMPLES)
        return count, count  # the end itself is not sampled

    close = np.sqrt(fields.rows.pixels * fields.columns.pixels) / CLOSE
    found = []
    for lines in _lines(peaks, skeleton, samples):
        lines = lines[_hopeful(fields, lines, rules) | (lines.length < close)]
        enough, _, passing = _means(fields, lines, rules)
        score = np.where(enough, passing, rules.least + CLOSE_BONUS)
        found.append(_pairs(lines, score, enough | (lines.length < close)))
    return _all(found)


def port_pairs(fields: Fields, peaks: Peaks, skeleton: Skeleton, rules: FieldRules) -> Pairs:
    """As OpenPose's port scores them: the mean of all samples, less for lines longer than half the picture's height."""

    def samples(longer_side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = np.full_like(longer_side, PORT_SAMPLES)
        return count, count - 1

    found = []
    for lines in _lines(peaks, skeleton, samples):
        lines = lines[_hopeful(fields, lines, rules)]
        enough, mean, _ = _means(fields, lines, rules)
        score = mean + np.minimum(PORT_LONG * fields.rows.pixels / lines.length - 1, 0)
        found.append(_pairs(lines, score, enough & (score > 0)))
    return _all(found)


def _lines(
    peaks: Peaks, skeleton: Skeleton, samples: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> Iterator[Lines]:
    """All lines from a peak of a limb's one end to a peak of its other, in chunks."""
    limbs, starts, ends = [], [], []
    for limb, (part_a, part_b) in enumerate(skeleton.limbs):
        a, b = (np.arange(peaks.starts[part], peaks.starts[part + 1]) for part in (part_a, part_b))
        limbs.append(np.full(len(a) * len(b), limb))
        starts.append(np.repeat(a, len(b)))
        ends.append(np.tile(b, len(a)))
    limb, a, b = (np.concatenate(each) for each in (limbs, starts, ends))
    x, y = peaks.x.astype(np.float32), peaks.y.astype(np.float32)
    for begin in range(0, len(limb), CHUNK):
        some = slice(begin, begin + CHUNK)
        dx, dy = x[b[some]] - x[a[some]], y[b[some]] - y[a[some]]
        count, steps = samples(np.maximum(np.abs(dx), np.abs(dy)))
        lines = Lines(limb[some], a[some], b[some], x[a[some]], y[a[some]], dx, dy, np.hypot(dx, dy), count, steps)
        yield lines[lines.length > NO_LENGTH]


def _hopeful(fields: Fields, lines: Lines, rules: FieldRules) -> np.ndarray:
    """Whether enough samples can still have the field, to tell by a few."""
    count = lines.count.copy()
    for probe in PROBES:
        count -= fields.along(lines, np.floor(probe * lines.count)) <= rules.least
    return count / lines.count > np.float32(rules.share)


def _means(fields: Fields, lines: Lines, rules: FieldRules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each line: whether enough samples have the field, the mean of all of them, and of those that have it."""
    count = lines.count.astype(int)
    line = np.repeat(np.arange(len(count)), count)
    sample = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
    values = fields.along(lines[line], sample.astype(np.float32))
    have = values > rules.least
    number = np.bincount(line[have], minlength=len(count)).astype(np.float32)
    total = np.bincount(line, values, len(count))
    passing = np.bincount(line[have], values[have], len(count))
    return number / lines.count > np.float32(rules.share), total / lines.count, passing / np.maximum(number, 1)


def _pairs(lines: Lines, score: np.ndarray, kept: np.ndarray) -> Pairs:
    return Pairs(lines.limb[kept], lines.a[kept], lines.b[kept], score[kept])


def _all(chunks: list[Pairs]) -> Pairs:
    nothing = np.zeros(0, int)
    every = [Pairs(nothing, nothing, nothing, np.zeros(0)), *chunks]
    return Pairs(*(np.concatenate([getattr(each, name) for each in every]) for name in ("limb", "a", "b", "score")))
