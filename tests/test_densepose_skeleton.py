from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.preprocess.densepose.parts import MIRRORED, PARTS, part_colours, part_picture
from infra.preprocess.densepose.skeleton.charts import between, forearm, hand, head, shin, thigh, torso, upper_arm
from infra.preprocess.densepose.skeleton.engine import Skeleton, skeleton_iuv
from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.blazepose import landmarks as names
from infra.preprocess.pose_estimation.blazepose.engine import BlazePose
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.engine import EngineError
from tests.conftest import PEOPLE, SAMPLES, read_grey, read_rgb

TORSO_FRONT, TORSO_BACK = PARTS.index("torso_front"), PARTS.index("torso_back")


@cache
def picture(name: str) -> np.ndarray:
    return read_rgb(SAMPLES / "person" / f"{name}.jpg")


@cache
def alpha(name: str) -> np.ndarray:
    return read_grey(SAMPLES / "truth" / f"{name}_alpha.png")


@pytest.fixture(scope="module")
def poses(weights) -> dict[str, Pose]:
    engine = BlazePose()
    engine.load(weights, 1)
    return {name: engine.run([PoseInput(picture(name))])[0] for name in PEOPLE}


def iuv_of(pose: Pose, mask: np.ndarray) -> np.ndarray:
    return skeleton_iuv(pose.landmarks, pose.world, pose.hands[0], mask)


def parts_of(pose: Pose, mask: np.ndarray) -> np.ndarray:
    return iuv_of(pose, mask)[..., 0]


def answer(pose: Pose | None, mask: np.ndarray | None) -> DensePose | EngineError:
    blank = np.zeros((1024, 768, 3), np.uint8)
    return Skeleton().run([DensePoseInput(blank, pose, None if mask is None else Mask(mask))])[0]


def agreement(parts: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Share of equal labels where both have one, and the outlines' IoU."""
    both = (parts > 0) & (truth > 0)
    return float((parts == truth)[both].mean()), float(both.sum() / ((parts > 0) | (truth > 0)).sum())


@pytest.mark.parametrize("name", PEOPLE)
def test_parts_agree_with_the_truth(poses, name):
    truth = read_grey(SAMPLES / "truth" / f"{name}_part.png")
    labels, outline = agreement(parts_of(poses[name], alpha(name)), truth)
    assert labels > 0.895  # 0.903 to 0.933
    assert outline > 0.81  # 0.821 to 0.908; the truth is the body under clothes and hair


@pytest.mark.parametrize("name", PEOPLE)
def test_a_pose_without_landmarks_serves_nearly_as_well(poses, name):
    truth = read_grey(SAMPLES / "truth" / f"{name}_part.png")
    plain = replace(poses[name], landmarks=None, world=None)
    labels, outline = agreement(answer(plain, alpha(name)).iuv[..., 0], truth)
    assert labels > 0.86  # 0.875 to 0.921
    assert outline > 0.82


def test_mirroring_swaps_the_sides(poses):
    pose, mask = poses["woman_tank_skirt"], alpha("woman_tank_skirt")
    order, width = list(names.MIRRORED), mask.shape[1]
    landmarks, world = pose.landmarks[order], pose.world[order] * (-1, 1, 1)
    landmarks[:, 0] = width - 1 - landmarks[:, 0]
    hands = pose.hands[0, ::-1].copy()
    hands[..., 0] = np.where(hands[..., 2] > 0, width - 1 - hands[..., 0], 0)
    plain = iuv_of(pose, mask)
    mirrored = skeleton_iuv(landmarks, world, hands, np.ascontiguousarray(mask[:, ::-1]))[:, ::-1]
    same = MIRRORED[mirrored[..., 0]] == plain[..., 0]
    assert same[plain[..., 0] > 0].mean() > 0.999  # 0.9994: ties at borders fall either way
    body = same & (plain[..., 0] > 0)
    assert np.abs(mirrored[..., 2].astype(int) - plain[..., 2])[body & (plain[..., 0] > 2)].max() <= 2  # V is the same


def test_the_trunk_lies_before_the_thighs(poses):
    """Standing, the torso ends in a V between the thighs: under its middle, below both its sides."""
    for name in ("man_stripes_chinos", "woman_dress"):
        parts = parts_of(poses[name], alpha(name))
        rows, columns = np.nonzero(parts == TORSO_FRONT)
        middle = int(np.median(columns))
        lowest = [rows[columns == x].max() for x in (middle - 40, middle, middle + 40)]
        assert lowest[1] > max(lowest[0], lowest[2]) + 5


def test_sides_are_the_persons(poses):
    parts = parts_of(poses["man_stripes_chinos"], alpha("man_stripes_chinos"))
    for right, left in (("right_hand", "left_hand"), ("right_foot", "left_foot"), ("head_right", "head_left"),
                        ("right_shin_front", "left_shin_front")):  # fmt: skip
        columns = [np.nonzero(parts == PARTS.index(part))[1].mean() for part in (right, left)]
        assert columns[0] < columns[1] - 10, (right, left)


def test_an_arm_across_the_body_lies_over_it(poses):
    parts = parts_of(poses["man_longsleeve_jeans"], alpha("man_longsleeve_jeans"))
    x, y = poses["man_longsleeve_jeans"].landmarks[[names.HAND["left"][0]], :2].round().astype(int)[0]
    assert PARTS[parts[y, x]].startswith(("left_forearm", "left_hand"))


def test_a_back_view_shows_the_back(poses):
    """The same silhouette read from behind: sides exchanged, depths reversed."""
    pose, mask = poses["man_stripes_chinos"], alpha("man_stripes_chinos")
    order = list(names.MIRRORED)
    parts = skeleton_iuv(pose.landmarks[order], pose.world[order] * (1, 1, -1), pose.hands[0, ::-1], mask)[..., 0]
    pixels = np.bincount(parts.ravel(), minlength=25)
    assert pixels[TORSO_BACK] > 50000 and pixels[TORSO_FRONT] == 0
    for limb in ("left_thigh", "right_thigh", "left_shin", "right_shin"):
        back, front = (pixels[PARTS.index(f"{limb}_{side}")] for side in ("back", "front"))
        assert back > 10 * front, limb  # a leg turned aside shows a strip of its front


@pytest.mark.parametrize("size", [(1023, 767), (517, 389), (1500, 1001)])
def test_shape_and_outline_follow_the_mask(poses, size):
    name = "man_tank_trousers"
    affine = np.array([[size[1] / 768, 0, 0], [0, size[0] / 1024, 0]])
    mask = cv2.resize(alpha(name), size[::-1], interpolation=cv2.INTER_AREA)
    iuv = iuv_of(poses[name].moved(affine, size), mask)
    assert iuv.shape == (*size, 3) and iuv.dtype == np.uint8 and iuv[..., 0].max() <= 24
    assert iuv.flags.c_contiguous
    near = cv2.dilate(mask, np.ones((25, 25), np.uint8)) > 127
    assert (iuv[..., 0] > 0)[~near].sum() == 0
    assert not iuv[iuv[..., 0] == 0].any()


def test_u_runs_down_the_torso_and_v_across_it(poses):
    name = "woman_tshirt_jeans"
    iuv = iuv_of(poses[name], alpha(name))
    front = iuv[..., 0] == TORSO_FRONT
    x = int(np.median(np.nonzero(front)[1]))
    down = iuv[front[:, x], x, 1].astype(int)
    assert (np.diff(down) >= 0).all() and down[0] < 40 and down[-1] > 190
    y = int(np.median(np.nonzero(front)[0]))
    across = iuv[y, front[y], 2].astype(int)
    # 0.2 at the person's left edge, 0.78 at the right one, which lies on the picture's left.
    assert across[0] > 180 and across[-1] < 70 and (np.diff(across) <= 0).all()


@pytest.mark.parametrize("chart", [upper_arm, forearm, hand, thigh, shin])
@pytest.mark.parametrize("side", [1, -1])
def test_charts_cover_a_limb_and_stay_in_range(chart, side):
    charts = chart(side)
    t, phi = (a.ravel() for a in np.meshgrid(np.linspace(0.05, 0.9, 9), np.radians(np.arange(-180, 180, 5))))
    parts = charts.part(t, phi)
    assert set(np.unique(parts)) == set(charts.parts)
    for part in charts.parts:
        u, v = charts.uv(part, t[parts == part], phi[parts == part])
        assert -0.2 < u.min() and u.max() < 1.05 and 0 <= v.min() and v.max() <= 1
    mirrored = chart(-side)
    np.testing.assert_array_equal(MIRRORED[mirrored.part(t, phi)], parts)


def test_head_and_torso_charts_split_where_they_should():
    t = np.full(3, 0.5)
    assert head(0.3, 0.6).part(t, np.radians([-30, 30, 100])).tolist() == [23, 24, 24]
    assert torso(-0.26).part(t, np.radians([0, 170, -100])).tolist() == [2, 1, 1]
    assert torso(-0.26).part(np.array([-0.5, 1.4]), np.zeros(2)).tolist() == [0, 0]


def test_between_goes_round():
    assert between(np.radians([-100, 100, 200, 30]), 28, 255).tolist() == [False, True, True, True]


def test_answers_without_its_wants_are_errors(poses):
    pose = poses[PEOPLE[0]]
    assert isinstance(answer(None, alpha(PEOPLE[0])), EngineError)
    assert isinstance(answer(pose, None), EngineError)
    shoulderless = pose.people.copy()
    shoulderless[0, 2] = 0
    error = answer(replace(pose, people=shoulderless, landmarks=None, world=None), alpha(PEOPLE[0]))
    assert isinstance(error, EngineError) and error.code == "no_person" and "shoulders" in error.detail


def test_an_empty_mask_and_a_tiny_person_are_empty(poses):
    pose = poses[PEOPLE[0]]
    assert not iuv_of(pose, np.zeros((1024, 768), np.uint8)).any()
    assert not skeleton_iuv(pose.landmarks * 0.005, pose.world, pose.hands[0], np.full((64, 64), 255, np.uint8)).any()


def test_colours_are_those_of_viton_hd():
    colours = part_colours()
    assert len(PARTS) == len(colours) == 25
    assert colours[0].tolist() == [0, 0, 0]
    for part, rgb in ((1, (37, 60, 163)), (2, (20, 80, 194)), (3, (4, 97, 223)), (10, (22, 173, 185)),
                      (15, (145, 191, 116)), (22, (251, 220, 36)), (24, (249, 251, 14))):  # fmt: skip
        assert colours[part].tolist() == list(rgb)
    parts = np.arange(25, dtype=np.uint8).reshape(5, 5)
    np.testing.assert_array_equal(part_picture(parts).reshape(25, 3), colours)
    np.testing.assert_array_equal(part_picture(np.dstack([parts] * 3)).reshape(25, 3), colours)


def test_mirror_pairs_have_mirrored_names():
    for part in range(3, 25):
        other = PARTS[MIRRORED[part]]
        swapped = other.replace("left", "?").replace("right", "left").replace("?", "right")
        assert swapped == PARTS[part] and MIRRORED[MIRRORED[part]] == part
