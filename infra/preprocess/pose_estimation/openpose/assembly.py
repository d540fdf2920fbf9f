"""From pairs to people: which peaks belong to one body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.preprocess.pose_estimation.openpose.pairs import Pairs
from infra.preprocess.pose_estimation.openpose.peaks import Peaks
from infra.preprocess.pose_estimation.openpose.skeletons import Skeleton

NO_PEAK = -1
PEAK_WEIGHT = 0.1  # of the scores of both ends, in the order in which OpenPose takes pairs


@dataclass(eq=False)
class Body:
    """`members`: of each part a peak or NO_PEAK. `total` adds up the scores of peaks and pairs, `count` the parts."""

    members: list[int]
    total: float
    count: int

    def shares_a_part(self, other: Body) -> bool:
        """Whether both have a peak of the same part: then they are two people."""
        return any(NO_PEAK not in each for each in zip(self.members, other.members))

    def take_in(self, other: Body, score: float) -> None:
        """Becomes both bodies together, joined by a pair of this score."""
        self.members = [max(each) for each in zip(self.members, other.members)]
        self.total += other.total + score
        self.count += other.count


def best_first(pairs: Pairs, peaks: Peaks, skeleton: Skeleton) -> list[Body]:
    """OpenPose on CUDA: all pairs of all limbs, the best first, join parts, parts and bodies, or bodies."""
    peak_scores = peaks.score.tolist()
    owners: dict[int, Body] = {}
    bodies: list[Body] = []
    for limb, a, b, score in _sorted(pairs, peaks):
        part_a, part_b = skeleton.limbs[limb]
        of_a, of_b = owners.get(a), owners.get(b)
        if of_a is None and of_b is None:
            body = Body([NO_PEAK] * skeleton.parts, peak_scores[a] + peak_scores[b] + score, 2)
            body.members[part_a], body.members[part_b] = a, b
            owners[a] = owners[b] = body
            bodies.append(body)
        elif of_a is None or of_b is None:
            body, part, peak = (of_b, part_a, a) if of_a is None else (of_a, part_b, b)
            if body.members[part] == NO_PEAK:
                body.members[part] = peak
                body.total += peak_scores[peak] + score
                body.count += 1
                owners[peak] = body
        elif of_a is of_b:
            of_a.total += score
        elif not of_a.shares_a_part(of_b):
            first, second = sorted((of_a, of_b), key=bodies.index)
            first.take_in(second, score)
            owners.update((peak, first) for peak in second.members if peak != NO_PEAK)
            bodies.remove(second)
    return bodies


def _sorted(pairs: Pairs, peaks: Peaks) -> list[tuple[int, int, int, float]]:
    """Limb, a, b, score, in OpenPose's order: what decides later comes first for `lexsort`."""
    worth = pairs.score + PEAK_WEIGHT * (peaks.score[pairs.a] + peaks.score[pairs.b])
    order = np.lexsort((pairs.b, pairs.a, pairs.limb, pairs.score, worth))[::-1]
    return list(zip(*(each[order].tolist() for each in (pairs.limb, pairs.a, pairs.b, pairs.score))))


def limb_by_limb(pairs: Pairs, peaks: Peaks, skeleton: Skeleton) -> list[Body]:
    """OpenPose's port: limb after limb, each of its best pairs goes to the bodies that have one of its ends.

    An end that a body has already is replaced, and counted again.
    """
    peak_scores = peaks.score.tolist()
    bodies: list[Body] = []
    for limb, a, b, score in one_to_one(pairs):
        part_a, part_b = skeleton.limbs[limb]
        having = [body for body in bodies if body.members[part_a] == a or body.members[part_b] == b]
        if not having:
            body = Body([NO_PEAK] * skeleton.parts, peak_scores[a] + peak_scores[b] + score, 2)
            body.members[part_a], body.members[part_b] = a, b
            bodies.append(body)
            continue
        first = having[0]
        if len(having) > 1 and not first.shares_a_part(having[1]):
            first.take_in(having[1], score)
            bodies.remove(having[1])
        elif len(having) > 1 or first.members[part_b] != b:
            first.members[part_b] = b
            first.total += peak_scores[b] + score
            first.count += 1
    return bodies


def one_to_one(pairs: Pairs) -> list[tuple[int, int, int, float]]:
    """Limb, a, b, score: of each limb the best pairs whose ends no better pair has taken."""
    order = np.lexsort((-pairs.score, pairs.limb))
    taken: set[tuple[int, int]] = set()
    kept = []
    for limb, a, b, score in zip(*(each[order].tolist() for each in (pairs.limb, pairs.a, pairs.b, pairs.score))):
        if (limb, a) not in taken and (limb, b) not in taken:
            taken.update(((limb, a), (limb, b)))
            kept.append((limb, a, b, score))
    return kept
