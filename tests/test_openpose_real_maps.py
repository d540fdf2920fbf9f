"""Grouping of what a trained network sees: the sample people, alone and side by side, against where they are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from infra.preprocess.pose_estimation.keypoints import BODY_25, COCO_18
from infra.preprocess.pose_estimation.openpose.engine import OpenPose
from infra.preprocess.pose_estimation.openpose.passes import BodyPass
from infra.preprocess.pose_estimation.pose import PoseInput
from infra.serving.settings import Settings
from tests.conftest import PEOPLE, SAMPLES, read_rgb
from tests.tf_pose import NotToBeHad, TfPose

NET_HEIGHT = 432  # what the network was published for
VISIBLE = 2  # in the truth, as in COCO: neither hidden nor outside


@pytest.fixture(scope="module")
def network() -> TfPose:
    try:
        return TfPose()
    except NotToBeHad as reason:
        pytest.skip(str(reason))


def engine(network: TfPose, rules: str) -> OpenPose:
    # The port halves the net's height.
    height = {"openpose": NET_HEIGHT, "port": 2 * NET_HEIGHT}[rules]
    settings = Settings(
        _env_file=None, openpose_body="coco", openpose_hands="nobody", openpose_rules=rules, openpose_net_height=height
    )
    made = OpenPose(settings)
    made.bodies = BodyPass(lambda pictures: torch.from_numpy(network(pictures.numpy())), made.preset)
    made.hands = None
    return made


def truth(name: str) -> np.ndarray:
    """18x3: x, y and visibility of the key points of COCO-18; 0 where one is not in plain sight."""
    points = json.loads((SAMPLES / "truth" / f"{name}_pose.json").read_text())["keypoints"]
    every = np.array([points[key] for key in COCO_18], float)
    return every * (every[:, 2:] == VISIBLE)


def distances(person: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Pixels from each visible key point of the truth to where it was found; infinite where it was not."""
    found = person[[BODY_25.index(key) for key in COCO_18]]
    apart = np.where(found[:, 2] > 0, np.hypot(*(found - true)[:, :2].T), np.inf)
    return apart[true[:, 2] > 0]


# How far the median and the farthest key point may be from the truth, in pixels of pictures 1024 high, and how many may
# be missing. Reached: 8.4 and 61 (a hip beneath a wide garment); the port lacks an elbow and a wrist before a skirt of
# much the same colour. OpenPose makes a row of people fit into its input, each 70 pixels high: 18 and 45.
ALONE, IN_A_ROW = (10, 65, 0), (20, 50, 0)
PORT = (10, 65, 2)


def is_found(person: np.ndarray, true: np.ndarray, median: float, farthest: float, missing: int) -> None:
    apart = distances(person, true)
    found = apart[np.isfinite(apart)]
    assert len(apart) >= 13 and len(found) >= len(apart) - missing
    assert np.median(found) < median and found.max() < farthest


def alone(network: TfPose, rules: str, name: str) -> np.ndarray:
    (pose,) = engine(network, rules).answer([PoseInput(read_rgb(SAMPLES / "person" / f"{name}.jpg"))])
    assert len(pose.people) == 1 and pose.view == "front"
    return pose.people[0]


@pytest.mark.parametrize("name", PEOPLE)
def test_a_person_alone_is_found(network, name):
    is_found(alone(network, "openpose", name), truth(name), *ALONE)


@pytest.mark.slow
@pytest.mark.parametrize("name", PEOPLE)
def test_the_port_finds_a_person_alone(network, name):
    is_found(alone(network, "port", name), truth(name), *PORT)


@pytest.mark.parametrize(("rules", "within"), [("openpose", IN_A_ROW), ("port", PORT)])
def test_people_side_by_side_are_told_apart(network, rules, within):
    pictures = [read_rgb(SAMPLES / "person" / f"{name}.jpg") for name in PEOPLE]
    row = np.concatenate(pictures, 1)
    left = np.cumsum([0, *(each.shape[1] for each in pictures[:-1])])
    wanted = 3
    near = np.array((left[wanted] + pictures[wanted].shape[1] / 2, 500), np.float32)
    (pose,) = engine(network, rules).answer([PoseInput(row, near)])
    assert len(pose.people) == len(PEOPLE)
    places = [int(np.median(each[each[:, 2] > 0, 0])) for each in pose.people]
    columns = np.searchsorted(left, places, side="right") - 1
    assert sorted(columns) == list(range(len(PEOPLE))) and columns[0] == wanted
    for column, person in zip(columns, pose.people):
        is_found(person, truth(PEOPLE[column]) + (left[column], 0, 0), *within)
