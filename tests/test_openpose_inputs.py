"""What the networks are given of a picture, and the way back; OpenPose's JSON and picture of what it found."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest

from infra.preprocess.pose_estimation.drawing import skeleton_picture
from infra.preprocess.pose_estimation.keypoints import BODY_25_OF_COCO_18, body_25, openpose_json
from infra.preprocess.pose_estimation.openpose.hands import (
    LEFT,
    RIGHT,
    hand_crop,
    hand_squares,
    in_picture,
    worth_a_look,
)
from infra.preprocess.pose_estimation.openpose.inputs import NetSize, fitted, net_sizes, port_fitted, port_size
from tests import golden_recipe

CPP, PORTED = golden_recipe.load("openpose_post_cpp"), golden_recipe.load("openpose_post_port")


def noise(name: str, height: int, width: int, seed: int) -> np.ndarray:
    return np.floor(golden_recipe.uniform_input(name, (height, width, 3), 0, 256, seed)).astype(np.uint8)


def as_input(picture: np.ndarray) -> np.ndarray:
    """As the network is given it: planes of values from -1/2 to 1/2."""
    return picture.transpose(2, 0, 1) / 256 - 0.5


@pytest.mark.parametrize("row", CPP["net_size"], ids=lambda row: f"{row[0]}x{row[1]}")
def test_net_size(row):
    width, height, net_width, net_height, scale = row
    assert net_sizes(width, height) == [NetSize(net_width, net_height, pytest.approx(scale, abs=1e-12))]


@pytest.mark.parametrize("row", CPP["net_size_multi"], ids=lambda row: f"{row[0]}x{row[1]}")
def test_net_sizes_of_three_scales(row):
    width, height, sides, scales = row
    found = net_sizes(width, height, scales=3)
    assert [side for net in found for side in (net.width, net.height)] == sides
    assert [net.scale for net in found] == pytest.approx(scales, abs=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (2, 5000), (30_000, 2), (1, 700), (64, 64)])
def test_any_picture_fits_somehow(size):
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    for net in net_sizes(width, height, scales=4):
        assert net.width % 16 == net.height % 16 == 0 and net.width >= 16 and net.height >= 16
        assert fitted(picture, net).shape == (net.height, net.width, 3)
        assert 0 < net.back(width, height) < np.inf
    padded = port_fitted(picture)
    assert padded.shape[0] % 8 == padded.shape[1] % 8 == 0 and 64 <= padded.size <= 3 * 2048 * 1024
    assert all(0 < side <= whole for side, whole in zip(port_size((height, width)), padded.shape))


@pytest.mark.parametrize("scene", CPP["people"], ids=lambda scene: scene["name"])
def test_the_way_back_is_rounded_as_openpose_rounds_it(scene):
    width, height = scene["image"]
    net_width, net_height = scene["variants"]["gpu"]["net"]
    scale = min((net_width - 1) / (width - 1), (net_height - 1) / (height - 1))
    assert NetSize(net_width, net_height, scale).back(width, height) == scene["variants"]["gpu"]["scale"]


@pytest.mark.parametrize("each", CPP["preprocess"], ids=lambda each: each["name"])
def test_the_fitted_picture_is_openposes(each):
    width, height = each["image"]
    picture = fitted(noise(each["name"], height, width, each["seed"]), NetSize(*each["net"], each["scale"]))
    assert golden_recipe.error(each["output"], as_input(picture)) == 0


@pytest.mark.parametrize("each", PORTED["preprocess"], ids=lambda each: each["name"])
def test_the_fitted_picture_is_the_ports(each):
    picture = port_fitted(noise(each["name"], *each["image"], each["seed"]))
    assert golden_recipe.error(each["output"], as_input(picture)[None]) == 0


@pytest.mark.parametrize("call", PORTED["call"], ids=lambda call: call["name"])
def test_the_ports_sizes(call):
    height, width = call["net_input"]
    assert port_size(tuple(call["image"])) == (height, width)
    padded = port_fitted(np.zeros((*call["image"], 3), np.uint8))
    assert padded.shape == (*call["padded"], 3)
    assert (padded[height:] == 128).all() and (padded[:, width:] == 128).all()


@pytest.mark.parametrize("each", CPP["hand_boxes"], ids=lambda each: each["people"])
def test_hand_squares(each):
    scene = next(scene for scene in CPP["people"] if scene["name"] == each["people"])
    squares = hand_squares(np.array(scene["variants"]["gpu"]["people"]))
    expected = np.array(each["expected"])
    np.testing.assert_allclose(squares, expected[..., :3], atol=2e-3)  # recorded with seven digits
    np.testing.assert_allclose(squares[..., 2], expected[..., 3], atol=2e-3)


def test_a_hand_needs_an_arm_that_is_seen():
    person = np.zeros((1, 25, 3))
    person[0, [2, 3, 4]] = (100, 50, 0.031), (100, 90, 0.5), (100, 130, 0.5)
    left, right = hand_squares(person)[0]
    assert (left == 0).all() and not worth_a_look(left)
    # Forearm and upper arm of 40 pixels: a square of 60 around a point a third of the forearm beyond the wrist
    np.testing.assert_allclose(right, (100 - 30, 130 + 0.33 * 40 - 30, 60))
    assert worth_a_look(right)
    person[0, 2, 2] = 0.03
    assert (hand_squares(person) == 0).all()
    assert not worth_a_look(np.array([5, 5, 3.1])) and worth_a_look(np.array([5, 5, 3.2]))  # an area of 10


@pytest.mark.parametrize("each", CPP["hand_crop"], ids=lambda each: each["name"])
def test_the_hands_crop_and_the_way_back(each):
    width, height = each["image"]
    hand = LEFT if each["mirror"] else RIGHT
    crop = hand_crop(noise(each["name"], height, width, each["seed"]), np.array(each["rect"]), hand, each["side"])
    assert golden_recipe.error(each["output"], as_input(crop)) == 0
    points = in_picture(np.array(each["peaks"]), np.array(each["rect"]), hand, each["side"])
    np.testing.assert_allclose(points, each["keypoints"], atol=1e-4)  # recorded with seven digits


@pytest.mark.parametrize("each", CPP["json"], ids=lambda each: each.get("people_name", "nobody"))
def test_json_is_openposes_to_the_letter(each):
    people = np.array(each["people"], np.float32).reshape(-1, 25, 3)
    hands = each["hands"] and np.array(each["hands"], np.float32).reshape(2, -1, 21, 3).swapaxes(0, 1)
    assert openpose_json(people, hands) == each["text"]


RENDERED = [(each, kind) for each in CPP["render"] for kind in ("gpu", "gpu_with_hands") if kind in each]


@pytest.mark.parametrize(("each", "kind"), RENDERED, ids=lambda value: value if isinstance(value, str) else "")
def test_the_skeleton_picture_is_openposes(each, kind):
    width, height = each["size"]
    expected = np.frombuffer(zlib.decompress(base64.b64decode(each[kind])), np.uint8).reshape(height, width, 3)
    hands = np.array([each["hands"]], np.float32) if kind == "gpu_with_hands" else None
    drawn = skeleton_picture(np.array(each["keypoints"], np.float32), hands, (height, width))
    assert drawn.any(-1).sum() > 1000
    # Float sums that are cut off to whole numbers: here and there the next one
    np.testing.assert_allclose(drawn.astype(int), expected[..., ::-1], atol=1)


def test_a_person_of_18_points_gets_the_middle_of_the_hips():
    person = np.random.default_rng(0).uniform(1, 99, (18, 3)).astype(np.float32)
    full = body_25(person)
    np.testing.assert_array_equal(full[list(BODY_25_OF_COCO_18)], person)
    np.testing.assert_allclose(full[8], [*(person[8, :2] + person[11, :2]) / 2, min(person[8, 2], person[11, 2])])
    assert (full[19:] == 0).all()
    with pytest.raises(ValueError, match="17"):
        body_25(person[:17])
