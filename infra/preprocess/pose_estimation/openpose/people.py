"""From a body network's maps to people: upsampling, peaks, pairs, bodies, by OpenPose's rules or by its port's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.preprocess.pose_estimation.openpose.assembly import NO_PEAK, Body, best_first, limb_by_limb
from infra.preprocess.pose_estimation.openpose.maps import Axis, PortAxis, openpose_axis
from infra.preprocess.pose_estimation.openpose.pairs import FieldRules, Fields, openpose_pairs, port_pairs
from infra.preprocess.pose_estimation.openpose.peaks import Peaks, centroids, flat_peaks, scored_by, strict_peaks
from infra.preprocess.pose_estimation.openpose.skeletons import Skeleton

SEEN = 0.05  # key points below this do not count for how large a person is
HALF_PIXEL = 0.5  # of the picture: OpenPose adds it to the peaks' places
FEET_ALONE = 4  # parts: whoever has feet must have more than these besides


@dataclass(frozen=True)
class Rules:
    """A peak is higher than `peak`. A body needs `parts` key points, and `mean` of its scores over their number; with
    `feet` those of the feet do not count."""

    peak: float
    field: FieldRules
    parts: int
    mean: float
    feet: bool = False


OPENPOSE = Rules(peak=0.05, field=FieldRules(least=0.05, share=0.95), parts=3, mean=0.4, feet=True)
MAXIMIZE_POSITIVES = Rules(peak=0.02, field=FieldRules(least=0.01, share=0.75), parts=2, mean=0.05)
PORT = Rules(peak=0.1, field=FieldRules(least=0.05, share=0.8), parts=4, mean=0.4)


@dataclass(frozen=True)
class People:
    """`key_points` float32 N x parts x 3: x, y, score, 0 where missing; `scores` N, the mean over parts and limbs."""

    key_points: np.ndarray
    scores: np.ndarray

    def sizes(self) -> np.ndarray:
        """How large and sure each person is: what OpenPose ranks by for --number_people_max."""
        seen = self.key_points[..., 2:] > SEEN
        low = np.where(seen, self.key_points[..., :2], np.inf).min(1)
        high = np.where(seen, self.key_points[..., :2], -np.inf).max(1)
        return self.scores * np.sqrt(np.maximum(high - low, 0).prod(1))


def openpose_people(maps: np.ndarray, skeleton: Skeleton, back: float, rules: Rules = OPENPOSE) -> People:
    """People in the order in which OpenPose (CUDA) finds them, in pixels of the picture.

    `maps` float32 C x h x w, heat maps, background and fields; `back`: picture pixels of a net pixel.
    """
    rows, columns = openpose_axis(maps.shape[1]), openpose_axis(maps.shape[2])
    peaks = openpose_peaks(skeleton.heat(maps), rows, columns, back, rules)
    pairs = openpose_pairs(Fields(skeleton.fields(maps), rows, columns), peaks, skeleton, rules.field)
    bodies = best_first(pairs, peaks, skeleton)
    kept = [body for body in bodies if _is_person(body, rules, skeleton.feet if rules.feet else ())]
    if not kept:
        kept = [body for body in bodies if _is_person(body, rules, ())]
    return _people(kept, peaks, skeleton, back)


def openpose_peaks(heat: np.ndarray, rows: Axis, columns: Axis, back: float, rules: Rules = OPENPOSE) -> Peaks:
    """`heat` float32, parts x h x w -> peaks in net pixels."""
    peaks = centroids(heat, rows, columns, strict_peaks(heat, rows, columns, rules.peak))
    shift = np.float32(HALF_PIXEL / back)
    return Peaks(peaks.part, peaks.x + shift, peaks.y + shift, peaks.score, peaks.parts)


def port_people(maps: np.ndarray, skeleton: Skeleton, rows: PortAxis, columns: PortAxis) -> People:
    """People in the order in which OpenPose's port finds them, in pixels of the picture that the axes lead to."""
    heat = np.maximum(skeleton.heat(maps), 0)  # the port ends its network's heat maps in a ReLU
    peaks = flat_peaks(heat, rows.smoothed, columns.smoothed, PORT.peak)
    peaks = scored_by(heat, rows.plain, columns.plain, peaks)
    pairs = port_pairs(Fields(skeleton.fields(maps), rows.plain, columns.plain), peaks, skeleton, PORT.field)
    return _people(port_whole(limb_by_limb(pairs, peaks, skeleton)), peaks, skeleton, 1.0)


def port_whole(bodies: list[Body]) -> list[Body]:
    """Those that the port takes for people."""
    return [body for body in bodies if _is_person(body, PORT, ())]


def _is_person(body: Body, rules: Rules, feet: tuple[int, ...]) -> bool:
    of_feet = sum(body.members[part] != NO_PEAK for part in feet)
    count = body.count - of_feet
    if of_feet and count <= FEET_ALONE:
        return False
    return count >= rules.parts and body.total / count >= rules.mean


def _people(bodies: list[Body], peaks: Peaks, skeleton: Skeleton, back: float) -> People:
    places = np.stack([peaks.x * back, peaks.y * back, peaks.score], 1).astype(np.float32)
    missing = np.zeros((1, 3), np.float32)
    members = np.array([body.members for body in bodies], int).reshape(-1, skeleton.parts)
    totals = np.array([body.total for body in bodies], np.float32)
    key_points = np.concatenate([places, missing])[members]  # NO_PEAK is the last
    return People(key_points, totals / (skeleton.parts + len(skeleton.limbs)))
