"""From painted maps to people: the same as the published programs find, on every scene."""

from __future__ import annotations

import time

import numpy as np
import pytest

from infra.preprocess.pose_estimation.openpose.assembly import best_first, limb_by_limb, one_to_one
from infra.preprocess.pose_estimation.openpose.maps import openpose_axis, port_axis, resampled, smoothed_axis
from infra.preprocess.pose_estimation.openpose.pairs import FieldRules, Fields, Pairs, openpose_pairs, port_pairs
from infra.preprocess.pose_estimation.openpose.peaks import (
    MOST_PEAKS,
    Peaks,
    centroids,
    flat_peaks,
    scored_by,
    strict_peaks,
)
from infra.preprocess.pose_estimation.openpose.people import (
    MAXIMIZE_POSITIVES,
    OPENPOSE,
    PORT,
    People,
    Rules,
    openpose_peaks,
    openpose_people,
    port_people,
    port_whole,
)
from infra.preprocess.pose_estimation.openpose.skeletons import BODY_25, COCO_18, Skeleton
from tests import golden_recipe
from tests.openpose_scenes import paint

CPP, PORTED = golden_recipe.load("openpose_post_cpp"), golden_recipe.load("openpose_post_port")
SKELETONS = {"BODY_25": BODY_25, "COCO_18": COCO_18}
RULES = {"gpu": OPENPOSE, "maximize": MAXIMIZE_POSITIVES}
SCENES = [
    pytest.param(scene, variant, id=f"{scene['name']}-{variant}")
    for scene in CPP["people"]
    for variant in RULES
    if variant in scene["variants"]
]


def maps_of(scene: dict, model: str = "COCO_18") -> np.ndarray:
    return np.concatenate(paint(scene["scene"], model))


@pytest.mark.parametrize(("scene", "variant"), SCENES)
def test_openpose_finds_the_same_peaks_and_people(scene, variant):
    skeleton, maps = SKELETONS[scene["model"]], maps_of(scene, scene["model"])
    expected, rules = scene["variants"][variant], RULES[variant]
    axes = openpose_axis(maps.shape[1]), openpose_axis(maps.shape[2])
    peaks = openpose_peaks(skeleton.heat(maps), *axes, expected["scale"], rules)
    assert np.bincount(peaks.part, minlength=skeleton.parts).tolist() == expected["peak_count"]
    places = np.stack([peaks.x, peaks.y, peaks.score], 1)
    for part, recorded in enumerate(expected.get("peaks", [])):
        if recorded:  # the first ones of each part; centroids of float32 values, of coordinates of some hundreds
            np.testing.assert_allclose(places[peaks.part == part][: len(recorded)], recorded, atol=1e-3)

    found = openpose_people(maps, skeleton, expected["scale"], rules)
    people = np.array(expected["people"]).reshape(-1, skeleton.parts, 3)
    assert found.key_points.shape == people.shape
    np.testing.assert_array_equal(found.key_points[..., 2] > 0, people[..., 2] > 0)
    np.testing.assert_allclose(found.key_points[..., :2], people[..., :2], atol=0.02)  # 0.0011 pixels were seen
    np.testing.assert_allclose(found.key_points[..., 2], people[..., 2], atol=1e-4)
    np.testing.assert_allclose(found.scores, np.array(expected["scores"]), atol=1e-4)


def test_upsampling_is_that_of_the_cuda_kernel():
    recorded = CPP["upsample"]
    maps = golden_recipe.uniform_input(recorded["name"], (2, 5, 7), 0, 1, recorded["seed"])
    large = openpose_axis(5).matrix @ maps @ openpose_axis(7).matrix.T
    assert golden_recipe.error(recorded["catmull"], large) < 1e-6


@pytest.mark.parametrize("each", CPP["keep_top"], ids=lambda each: f"{each['people']}-{each['number_people_max']}")
def test_people_are_ranked_as_openpose_ranks_them(each):
    recorded = next(scene for scene in CPP["people"] if scene["name"] == each["people"])["variants"]["gpu"]
    people = People(np.array(recorded["people"]), np.array(recorded["scores"]))
    best = np.sort(np.argsort(-people.sizes())[: each["number_people_max"]])
    np.testing.assert_array_equal(people.key_points[best], each["expected"])


@pytest.mark.parametrize("scene", PORTED["assembly"], ids=lambda scene: scene["name"])
def test_the_port_finds_the_same_candidates_connections_and_rows(scene):
    maps, expected = maps_of(scene), scene["expected"]
    rows, columns = (smoothed_axis(np.eye(side)) for side in maps.shape[1:])
    heat = COCO_18.heat(maps)
    peaks = flat_peaks(heat, rows.smoothed, columns.smoothed, PORT.peak)
    peaks = scored_by(heat, rows.plain, columns.plain, peaks)
    candidates = np.array([row[:3] for row in expected["candidate"]]).reshape(-1, 3)
    np.testing.assert_allclose(np.stack([peaks.x, peaks.y, peaks.score], 1), candidates, atol=1e-6)
    pairs = port_pairs(Fields(COCO_18.fields(maps), rows.plain, columns.plain), peaks, COCO_18, PORT.field)
    connections = [(limb, *each[:2]) for limb, of_limb in enumerate(expected["connections"]) for each in of_limb]
    assert [each[:3] for each in one_to_one(pairs)] == [tuple(map(int, each)) for each in connections]
    bodies = port_whole(limb_by_limb(pairs, peaks, COCO_18))
    rows_found = np.array([[*body.members, body.total, body.count] for body in bodies]).reshape(-1, 20)
    np.testing.assert_allclose(rows_found, np.array(expected["subset"]).reshape(-1, 20), atol=1e-5)


@pytest.mark.parametrize("call", PORTED["call"], ids=lambda call: call["name"])
def test_the_port_finds_the_same_people_in_a_whole_picture(call):
    maps = maps_of(call)
    axes = [port_axis(*each) for each in zip(maps.shape[1:], call["net_input"], call["image"])]
    found = port_people(maps, COCO_18, *axes)
    candidates = np.array([*(row[:3] for row in call["expected"]["candidate"]), (0, 0, 0)])
    subset = np.array(call["expected"]["subset"])
    np.testing.assert_allclose(found.key_points, candidates[subset[:, :18].astype(int)], atol=1e-5)
    np.testing.assert_allclose(found.scores * (18 + 19), subset[:, 18], atol=1e-4)


def bump(points: list[tuple[float, float, float]], size: tuple[int, int] = (6, 9), sigma: float = 7) -> np.ndarray:
    """1 x h x w: a heat map with peaks at x, y (net pixels), of a height."""
    y, x = (np.mgrid[: size[0], : size[1]] + 0.5) * 8 - 0.5
    return np.maximum.reduce(
        [height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py, height in points]
    )[None].astype(np.float32)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (6, 9), (13, 7)])
def test_peaks_are_those_of_the_fully_upsampled_map(size):
    heat = np.random.default_rng(sum(size)).uniform(-0.3, 1, (3, *size)).astype(np.float32)
    rows, columns = openpose_axis(size[0]), openpose_axis(size[1])
    large = rows.matrix @ heat @ columns.matrix.T
    expected = []
    for part, y, x in np.argwhere(large > 0.05):
        around = large[part, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        on_the_border = around.size < 9
        if not on_the_border and (around < large[part, y, x]).sum() == 8:
            expected.append((part, y, x))
    found = strict_peaks(heat, rows, columns, 0.05)
    assert list(zip(found.part, found.y, found.x)) == expected


def test_the_centroid_leaves_negative_values_out_and_stops_at_the_border():
    heat = np.full((1, 6, 9), -3, np.float32)
    heat[0, 2, 0], heat[0, 2, 1] = 0.9, -1.2
    rows, columns = openpose_axis(6), openpose_axis(9)
    peaks = strict_peaks(heat, rows, columns, 0.05)
    large = (rows.matrix @ heat @ columns.matrix.T)[0]
    assert len(peaks.x) == 1 and 1 <= peaks.x[0] < 3
    x, y = int(peaks.x[0]), int(peaks.y[0])
    v, u = np.mgrid[y - 3 : y + 4, max(x - 3, 0) : x + 4]
    assert large[v, u].min() < -0.1
    weights = np.maximum(large[v, u], 0)
    moved = centroids(heat, rows, columns, peaks)
    np.testing.assert_allclose(moved.x[0], (weights * u).sum() / weights.sum(), atol=1e-4)
    np.testing.assert_allclose(moved.y[0], (weights * v).sum() / weights.sum(), atol=1e-4)


def test_a_plateau_has_no_strict_peak_and_many_flat_ones():
    heat = np.full((1, 4, 4), 0.5, np.float32)
    axis = openpose_axis(4)
    assert len(strict_peaks(heat, axis, axis, 0.05).x) == 0
    assert len(flat_peaks(heat, axis, axis, 0.05).x) == MOST_PEAKS == 127


def test_of_each_part_the_first_peaks_are_kept():
    heat = np.random.default_rng(0).uniform(0, 1, (2, 40, 40)).astype(np.float32)
    axis = openpose_axis(40)
    peaks = strict_peaks(heat, axis, axis, 0.05)
    assert np.bincount(peaks.part).tolist() == [MOST_PEAKS, MOST_PEAKS]
    order = np.lexsort((peaks.x, peaks.y, peaks.part))
    np.testing.assert_array_equal(order, np.arange(2 * MOST_PEAKS))
    assert peaks.y.max() < 320 / 2  # 40 x 40 cells of noise hold several hundred peaks


def test_the_ports_heat_maps_end_in_a_relu():
    scene = PORTED["call"][0]
    maps = maps_of(scene)
    axes = [port_axis(*each) for each in zip(maps.shape[1:], scene["net_input"], scene["image"])]
    expected = port_people(maps, COCO_18, *axes)
    below = maps.copy()
    below[:18][below[:18] < 1e-3] = -1
    assert port_people(below, COCO_18, *axes).key_points[..., 2] == pytest.approx(expected.key_points[..., 2], abs=2e-3)


TWO_PARTS = Skeleton(parts=2, limbs=((0, 1),), channels=(0,))


def one_pair(field: np.ndarray, length: int, rules: FieldRules = OPENPOSE.field) -> list[float]:
    """Score of the pair of two peaks `length` pixels apart, along which the field is `field` at each pixel."""
    axis = smoothed_axis(np.eye(max(length + 3, len(field)))).plain
    peaks = Peaks(np.array([0, 1]), np.array([1.0, 1.0 + length]), np.array([1.0, 1.0]), np.array([0.9, 0.9]), 2)
    maps = np.zeros((1, axis.pixels, axis.pixels), np.complex64)
    maps[0, 1, : len(field)] = field
    return openpose_pairs(Fields(maps, axis, axis), peaks, TWO_PARTS, rules).score.tolist()


def test_a_pair_scores_the_mean_of_the_samples_that_pass():
    # 25 samples of a line of 125 pixels, every fifth pixel; one of them may lack the field, two may not.
    field = np.full(128, 0.5, np.float32)
    assert one_pair(field, 125) == pytest.approx([0.5])
    field[1] = 0.0
    assert one_pair(field, 125) == pytest.approx([0.5])
    field[6] = 0.05  # not above the threshold
    assert one_pair(field, 125) == []
    field[6] = 0.051
    assert one_pair(field, 125) == pytest.approx([(23 * 0.5 + 0.051) / 24])


def test_a_pair_of_few_samples_must_have_the_field_everywhere_but_at_its_end():
    field = np.full(20, 0.5, np.float32)  # 5 samples of a line of 5 pixels
    field[6] = -1  # its end
    assert one_pair(field, 5) == pytest.approx([0.5])
    field[5] = 0
    assert one_pair(field, 5) == []
    assert one_pair(field, 5, MAXIMIZE_POSITIVES.field) == pytest.approx([0.5])


def test_of_ten_samples_the_port_misses_one():
    axis = smoothed_axis(np.eye(60)).plain
    peaks = Peaks(np.array([0, 1]), np.array([1, 46]), np.array([1, 1]), np.array([0.9, 0.9]), 2)

    def scores(*missed: int) -> list[float]:
        maps = np.full((1, 60, 60), 0.5, np.complex64)
        maps[0, 1, [1 + 5 * sample for sample in missed]] = 0.05
        return port_pairs(Fields(maps, axis, axis), peaks, TWO_PARTS, PORT.field).score.tolist()

    # A line longer than half the picture's height scores less.
    assert scores() == pytest.approx([0.5 + 0.5 * 60 / 45 - 1])
    for sample in range(10):
        assert scores(sample) == pytest.approx([(9 * 0.5 + 0.05) / 10 + 0.5 * 60 / 45 - 1])
    assert scores(0, 9) == scores(2, 5) == []


def test_ends_that_all_but_coincide_are_joined_without_a_field():
    axis = smoothed_axis(np.eye(300)).plain
    fields = Fields(np.zeros((1, 300, 300), np.complex64), axis, axis)

    def scores(apart: float) -> list[float]:
        peaks = Peaks(np.array([0, 1]), np.array([9, 9 + apart]), np.array([5.0, 5.0]), np.array([0.9, 0.9]), 2)
        return openpose_pairs(fields, peaks, TWO_PARTS, OPENPOSE.field).score.tolist()

    assert scores(1.9) == pytest.approx([0.05 + 1e-6], abs=1e-8)  # nearer than a 150th of the map's side
    assert scores(2.1) == [] and scores(0.0) == []


def test_of_equal_pairs_the_later_limb_and_peaks_come_first():
    skeleton = Skeleton(parts=3, limbs=((0, 1), (1, 2)), channels=(0, 2))
    peaks = Peaks(*(np.array(each) for each in ([0, 0, 1, 2], [0] * 4, [0] * 4, [0.5] * 4)), 3)
    pairs = Pairs(np.array([0, 0, 1]), np.array([0, 1, 2]), np.array([2, 2, 3]), np.full(3, 0.7))
    (body,) = best_first(pairs, peaks, skeleton)
    assert body.members == [1, 2, 3]  # the second peak of part 0
    # Two new parts, one more, and a pair whose one end is taken by another peak of its part counts nothing.
    assert body.count == 3 and body.total == pytest.approx(3 * 0.5 + 2 * 0.7)


def test_of_equal_pairs_of_two_limbs_the_later_limb_comes_first():
    # Whichever is first takes the only peak of part 1, the other one's own peak stays alone.
    skeleton = Skeleton(parts=3, limbs=((0, 1), (1, 2)), channels=(0, 2))
    peaks = Peaks(*(np.array(each) for each in ([0, 1, 1, 2], [0] * 4, [0] * 4, [0.5] * 4)), 3)
    pairs = Pairs(np.array([0, 0, 1]), np.array([0, 0, 2]), np.array([1, 2, 3]), np.array([0.7, 0.3, 0.7]))
    first, second = best_first(pairs, peaks, skeleton)
    assert (first.members, second.members) == ([-1, 2, 3], [0, 1, -1])


def test_bodies_with_a_part_in_common_stay_two_and_others_are_joined_into_the_first():
    skeleton = Skeleton(parts=4, limbs=((0, 1), (2, 3), (1, 2)), channels=(0, 2, 4))
    peaks = Peaks(np.array([0, 1, 2, 3]), *(np.zeros(4) for _ in range(2)), np.full(4, 0.5), 4)
    limb, a, b = np.array([0, 1, 2]), np.array([0, 2, 1]), np.array([1, 3, 2])
    (body,) = best_first(Pairs(limb, a, b, np.array([0.8, 0.9, 0.3])), peaks, skeleton)
    assert body.members == [0, 1, 2, 3] and body.count == 4 and body.total == pytest.approx(4 * 0.5 + 2.0)


def test_the_port_replaces_an_end_and_counts_it_again():
    skeleton = Skeleton(parts=3, limbs=((0, 1), (0, 2), (1, 2)), channels=(0, 2, 4))
    peaks = Peaks(np.array([0, 1, 2, 2]), *(np.zeros(4) for _ in range(2)), np.full(4, 0.5), 3)
    pairs = Pairs(np.array([0, 1, 2]), np.array([0, 0, 1]), np.array([1, 2, 3]), np.full(3, 0.6))
    (body,) = limb_by_limb(pairs, peaks, skeleton)
    assert body.members == [0, 1, 3] and body.count == 4 and body.total == pytest.approx(4 * 0.5 + 3 * 0.6)


def person_of(*parts: int, left: float = 0) -> dict:
    """A person with those parts of BODY_25, joined by its limbs, in 200 x 200 net pixels from `left` on."""
    places = np.random.default_rng(1).permutation(25).tolist()
    return {
        "keypoints": [
            [left + 20 + 40 * (place % 5), 20 + 40 * (place // 5), 0.9] if part in parts else None
            for part, place in enumerate(places)
        ],
        "limbs": [0.9] * len(BODY_25.limbs),
    }


def people_in(*people: dict, rules: Rules = OPENPOSE) -> list[int]:
    """Of everybody who is found the number of parts."""
    scene = {"height": 28, "width": 28 * len(people), "cell": 8, "sigma": 7, "paf_width": 8, "people": list(people)}
    found = openpose_people(np.concatenate(paint(scene, "BODY_25")), BODY_25, 2.0, rules)
    return sorted((found.key_points[..., 2] > 0).sum(1).tolist())


LEG, FOOT = (9, 10, 11), (22, 23, 24)


def test_a_person_has_three_parts_and_by_the_generous_rules_two():
    assert people_in(person_of(0, 1, 2)) == [3]
    assert people_in(person_of(2, 3)) == []
    assert people_in(person_of(2, 3), rules=MAXIMIZE_POSITIVES) == [2]


def test_whoever_has_feet_needs_five_parts_besides_when_others_are_whole():
    whole = person_of(0, 1, 2, 3, 4, 5)
    assert people_in(whole, person_of(1, 8, *LEG, *FOOT, left=224)) == [6, 8]
    assert people_in(whole, person_of(8, *LEG, *FOOT, left=224)) == [6]
    assert people_in(whole, person_of(8, *LEG, left=224)) == [4, 6]
    assert people_in(whole, person_of(8, *LEG, *FOOT, left=224), rules=MAXIMIZE_POSITIVES) == [6, 7]
    assert people_in(person_of(8, *LEG, *FOOT)) == [7]  # nobody else is there


def test_the_generous_rules_take_lower_peaks_and_weaker_fields():
    axis = openpose_axis(9)
    for height, thresholds in ((0.04, [MAXIMIZE_POSITIVES]), (0.06, [MAXIMIZE_POSITIVES, OPENPOSE]), (0.015, [])):
        heat = bump([(30, 30, height)], (9, 9))
        seen = [rules for rules in (MAXIMIZE_POSITIVES, OPENPOSE) if len(strict_peaks(heat, axis, axis, rules.peak).x)]
        assert seen == thresholds
    weak = np.full(20, 0.02, np.float32)
    assert one_pair(weak, 5) == [] and one_pair(weak, 5, MAXIMIZE_POSITIVES.field) == pytest.approx([0.02])
    assert one_pair(weak / 3, 5, MAXIMIZE_POSITIVES.field) == []


def test_two_scales_on_one_grid_agree_where_both_see_the_same():
    def seen(cells: tuple[int, int], scale: float) -> np.ndarray:
        """A smooth picture's values at the cells of a map."""
        y, x = ((np.mgrid[: cells[0], : cells[1]] + 0.5) * 8 - 0.5) / scale
        return (np.sin(x / 90) + np.cos(y / 70))[None].astype(np.float32)

    fine, coarse = seen((30, 40), 0.5), seen((22, 30), 0.375)
    again = resampled(coarse, 0.375, (30, 40), 0.5)
    np.testing.assert_allclose(again[:, 2:-2, 2:-2], fine[:, 2:-2, 2:-2], atol=0.01)


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_noise_takes_bounded_time(low):
    random = np.random.default_rng(0)
    maps = random.uniform(low, 1, (78, 46, 82)).astype(np.float32)
    begin = time.thread_time()
    openpose_people(maps, BODY_25, 2.0)
    port_people(maps[:57], COCO_18, port_axis(46, 368, 1024), port_axis(82, 656, 1780))
    assert time.thread_time() - begin < 20  # 2 seconds, on a machine that had other work


def test_maps_of_nobody_and_broken_maps_give_nobody():
    for value in (0.0, np.nan):
        maps = np.full((78, 6, 8), value, np.float32)
        found = openpose_people(maps, BODY_25, 2.0)
        assert found.key_points.shape == (0, 25, 3) and found.scores.shape == (0,) and found.sizes().shape == (0,)
        assert len(port_people(maps[:57], COCO_18, port_axis(6, 48, 90), port_axis(8, 60, 100)).scores) == 0
