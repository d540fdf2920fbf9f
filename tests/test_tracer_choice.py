"""Persons and garments out of what stands out, on the samples: a perfect salience network, seen at 640 x 640."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from infra.preprocess.masking.mask import Mask, MaskInput, likely_kind
from infra.preprocess.masking.tracer_b7.choice import chosen_subject, read_classes
from infra.preprocess.masking.tracer_b7.pictures import SIZE, mask_of
from infra.preprocess.pose_estimation.pose import Pose
from infra.preprocess.selfie_multiclass import SelfieMulticlass
from infra.serving.engine import EngineError
from tests.conftest import GARMENTS, PEOPLE, SAMPLES, read_grey, read_rgb


@pytest.fixture(scope="module")
def classes(weights) -> SelfieMulticlass:
    return SelfieMulticlass(weights("selfie_multiclass"), threads=1)


def salient(coverage: np.ndarray) -> np.ndarray:
    """What TRACER would say of a thing of this coverage, uint8 HxW."""
    small = cv2.resize(coverage.astype(np.float32) / 255, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return mask_of(torch.from_numpy(cv2.GaussianBlur(small, (0, 0), 1)), coverage.shape)


def overlap(alpha: np.ndarray, truth: np.ndarray) -> float:
    return float(((alpha > 127) & (truth > 127)).sum() / ((alpha > 127) | (truth > 127)).sum())


def points_of(name: str) -> np.ndarray:
    told = json.loads((SAMPLES / "truth" / f"{name}_pose.json").read_text())
    points = np.float32(list(told["keypoints"].values()))
    points[:, 2] = points[:, 2] > 0
    return points


def pose_of(*people: np.ndarray) -> Pose:
    return Pose(np.stack(people), np.zeros((len(people), 2, 21, 3), np.float32), "front")


def sample(name: str) -> tuple[np.ndarray, np.ndarray, Pose]:
    """A sample person's picture, true alpha and pose."""
    truth = read_grey(SAMPLES / "truth" / f"{name}_alpha.png")
    return read_rgb(SAMPLES / "person" / f"{name}.jpg"), truth, pose_of(points_of(name))


def product(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A sample garment's picture and true alpha."""
    picture = read_rgb(SAMPLES / "garment" / f"{name}.jpg")
    return picture, read_grey(SAMPLES / "garment_truth" / f"{name}_alpha.png")


def asked(classes: SelfieMulticlass, one: MaskInput, alpha: np.ndarray) -> Mask | EngineError:
    return chosen_subject(one, alpha, read_classes(one, classes))


def person_of(classes: SelfieMulticlass, picture: np.ndarray, alpha: np.ndarray, pose: Pose | None) -> Mask:
    answer = asked(classes, MaskInput(picture, "person", pose), alpha)
    assert isinstance(answer, Mask)
    return answer


@pytest.mark.parametrize("name", PEOPLE)
def test_a_person_alone_keeps_the_mask(classes, name):
    picture, truth, pose = sample(name)
    for known in (pose, None):
        answer = person_of(classes, picture, salient(truth), known)
        assert overlap(answer.alpha, truth) > 0.99  # 0.995 and more reached
        assert answer.alpha.dtype == np.uint8 and answer.alpha.shape == truth.shape
        assert answer.class_logits.dtype == np.float16 and answer.class_logits.shape == (256, 256, 6)


def test_only_the_chosen_one_of_two_people_who_stand_out(classes):
    picture = np.full((1024, 1400, 3), 180, np.uint8)
    alphas, points = [], []
    for name, left in (("woman_tshirt_jeans", 0), ("man_tank_trousers", 632)):
        cut, truth, _ = sample(name)
        alphas.append(np.zeros((1024, 1400), np.uint8))
        alphas[-1][:, left : left + 768] = truth
        window = picture[:, left : left + 768]
        window[truth > 127] = cut[truth > 127]
        points.append(points_of(name) + np.float32([left, 0, 0]))
    everybody = salient(np.maximum(*alphas))
    for one, other in ((0, 1), (1, 0)):
        answer = person_of(classes, picture, everybody, pose_of(points[one], points[other]))
        assert overlap(answer.alpha, alphas[one]) > 0.97
        assert (answer.alpha[cv2.erode(alphas[other], np.ones((41, 41))) > 250] > 20).mean() < 0.01


def test_what_stands_out_beside_the_person_is_left_out(classes):
    picture, truth, pose = sample("woman_dress")
    beside = truth.copy()
    beside[40:240, 20:160] = 255
    assert not (truth[20:260, :180] > 0).any()
    answer = person_of(classes, picture, salient(beside), pose)
    assert overlap(answer.alpha, truth) > 0.99 and not answer.alpha[40:240, 20:160].any()


@pytest.mark.parametrize("name", PEOPLE)
def test_a_person_who_does_not_stand_out_is_still_found(classes, name):
    picture, truth, pose = sample(name)
    for overlooked in (np.zeros_like(truth), np.where(np.arange(768) < 150, 255, 0) * np.ones_like(truth)):
        answer = person_of(classes, picture, overlooked.astype(np.uint8), pose)
        assert overlap(answer.alpha, truth) > 0.95  # by the multi-class network alone


@pytest.mark.parametrize("standing_out", [0, 255])
def test_an_empty_wall_holds_nobody_and_no_garment(classes, standing_out):
    wall = np.full((512, 384, 3), 200, np.uint8)
    alpha = np.full(wall.shape[:2], standing_out, np.uint8)
    nobody = asked(classes, MaskInput(wall, "person"), alpha)
    assert isinstance(nobody, EngineError) and nobody.code == "no_person"
    nothing = asked(classes, MaskInput(wall, "garment"), np.zeros_like(alpha))
    assert isinstance(nothing, EngineError) and nothing.code == "no_garment"


@pytest.mark.parametrize("name", GARMENTS)
def test_garments_are_found_and_their_kind_guessed(classes, name):
    picture, truth = product(name)
    for subject in ("garment", "cutout"):
        answer = asked(classes, MaskInput(picture, subject), salient(truth))
        assert isinstance(answer, Mask) and not answer.worn
        np.testing.assert_array_equal(answer.alpha, salient(truth))
    expected = {"jeans": "lower", "skirt": None, "dress_floral": "dress"}.get(name, "upper")
    assert expected in (None, likely_kind(answer.kinds))  # the skirt's outline passes for a dress


@pytest.mark.parametrize("name", PEOPLE)
def test_clothes_on_somebody_are_told_and_cut_from_the_wearer(classes, name):
    picture, truth, _ = sample(name)
    cutout = asked(classes, MaskInput(picture, "cutout"), salient(truth))
    assert cutout.worn
    np.testing.assert_array_equal(cutout.alpha, salient(truth))
    alone = asked(classes, MaskInput(picture, "garment"), salient(truth))
    assert alone.worn and alone.alpha.shape == truth.shape
    labels = read_grey(SAMPLES / "truth" / f"{name}_parse.png")
    face = cv2.erode((labels == 13).astype(np.uint8), np.ones((9, 9))) > 0
    assert (alone.alpha[face] < 60).mean() > 0.95 and (truth[face] > 127).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 40)])
def test_strips_and_dots_are_answered(classes, size):
    """With a pose, as the service may be handed one: of nobody, and of somebody who fills the picture."""
    shares = (0.5, 0, 1), (0, 0.3, 1), (1, 0.3, 1), (0, 1, 1), (1, 1, 1)  # nose, shoulders, hips
    somebody = np.zeros((25, 3), np.float32)
    somebody[[0, 2, 5, 9, 12]] = np.multiply(shares, (size[1] - 1, size[0] - 1, 1))
    black, nothing = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    for points in (np.zeros_like(somebody), somebody):
        answer = asked(classes, MaskInput(black, "person", pose_of(points)), nothing)
        assert isinstance(answer, EngineError) or answer.alpha.shape == size


def test_a_ball_is_no_garment(classes):
    picture = np.full((600, 600, 3), 240, np.uint8)
    alpha = np.zeros((600, 600), np.uint8)
    for drawn, colour in ((picture, (180, 40, 30)), (alpha, 255)):
        cv2.circle(drawn, (300, 300), 200, colour, -1)
    answer = asked(classes, MaskInput(picture, "garment"), alpha)
    assert isinstance(answer, EngineError) and answer.code == "no_garment"


def test_large_photos_are_read_small_and_answered_large(classes):
    picture, truth = (cv2.resize(each, None, fx=3, fy=3) for each in product("polo"))
    answer = asked(classes, MaskInput(picture, "garment"), salient(truth))
    assert answer.alpha.shape == truth.shape
    worn, coverage = (cv2.resize(each, None, fx=2, fy=2) for each in sample("woman_dress")[:2])
    answer = asked(classes, MaskInput(worn, "garment"), salient(coverage))
    assert answer.worn and answer.alpha.shape == coverage.shape
