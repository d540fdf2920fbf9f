"""OpenPose as an engine: batches, whose hands, who comes first, what is answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from infra.preprocess.pose_estimation.keypoints import BODY_25 as NAMES
from infra.preprocess.pose_estimation.openpose.engine import OpenPose
from infra.preprocess.pose_estimation.openpose.hands import hand_squares
from infra.preprocess.pose_estimation.openpose.maps import openpose_axis
from infra.preprocess.pose_estimation.openpose.passes import BodyPass, HandPass, MapNetwork, highest
from infra.preprocess.pose_estimation.openpose.view import view_of
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.engine import EngineError
from infra.serving.settings import Settings
from infra.serving.torch_runtime import TorchRuntime
from tests import golden_recipe
from tests.openpose_scenes import paint

CPU = TorchRuntime()
# A figure in a box of 1 x 1, from the front: its right side is on the left.
FIGURE = {
    "nose": (0.5, 0.07), "neck": (0.5, 0.17), "right_shoulder": (0.32, 0.18), "right_elbow": (0.24, 0.33),
    "right_wrist": (0.2, 0.47), "left_shoulder": (0.68, 0.18), "left_elbow": (0.76, 0.33), "left_wrist": (0.8, 0.47),
    "mid_hip": (0.5, 0.5), "right_hip": (0.4, 0.5), "right_knee": (0.38, 0.72), "right_ankle": (0.37, 0.93),
    "left_hip": (0.6, 0.5), "left_knee": (0.62, 0.72), "left_ankle": (0.63, 0.93), "right_eye": (0.46, 0.05),
    "left_eye": (0.54, 0.05), "right_ear": (0.41, 0.07), "left_ear": (0.59, 0.07), "left_big_toe": (0.68, 0.98),
    "left_small_toe": (0.72, 0.97), "left_heel": (0.62, 0.96), "right_big_toe": (0.32, 0.98),
    "right_small_toe": (0.28, 0.97), "right_heel": (0.38, 0.96),
}  # fmt: skip
COCO_NAMES = [name for name in NAMES if name in FIGURE and name != "mid_hip" and not name.endswith(("toe", "heel"))]
# Left, top, width and height of people's boxes, in shares of the picture. Odd ones: by OpenPose's rules a peak in the
# very middle between two pixels is none.
SMALL, LARGE = (0.0213, 0.4037, 0.2511, 0.5029), (0.3517, 0.0531, 0.6013, 0.8971)


class PaintedNetwork:
    """In place of a body network: people in boxes of a bright picture, whatever it shows; nobody in a dark one."""

    def __init__(self, model: str, *boxes: tuple[float, float, float, float], stretched: float = 1.0) -> None:
        self.model, self.boxes, self.stretched = model, boxes, stretched
        self.names = list(NAMES) if model == "BODY_25" else COCO_NAMES
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(pictures.shape))
        return torch.stack([self._maps(each.numpy()) for each in pictures])

    def _maps(self, picture: np.ndarray) -> torch.Tensor:
        bright = picture[..., 0] > 150  # and not what it is padded with
        height, width = bright.any(1).sum() * self.stretched, bright.any(0).sum()
        people = [
            {
                "keypoints": [
                    [(x + FIGURE[name][0] * w) * width, (y + FIGURE[name][1] * h) * height, 0.9] for name in self.names
                ],
                "limbs": [0.9] * 26,
            }
            for x, y, w, h in (self.boxes if bright.any() else ())
        ]
        cells = {"height": picture.shape[0] // 8, "width": picture.shape[1] // 8, "cell": 8}
        return torch.from_numpy(
            np.concatenate(paint({**cells, "sigma": 7, "paf_width": 8, "people": people}, self.model))
        )


class PointingNetwork:
    """In place of the hand network: every key point in cell (5, 10) of the maps, of a height that tells its number."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(pictures.shape))
        maps = torch.zeros(len(pictures), 22, 46, 46)
        maps[:, :, 5, 10] = torch.linspace(0.1, 0.9, 22)
        return maps


def engine(body: PaintedNetwork, hand: PointingNetwork | None = None, **settings: object) -> OpenPose:
    made = OpenPose(Settings(_env_file=None, **settings))
    made.bodies = BodyPass(body, made.preset)
    made.hands = HandPass(hand) if hand else None
    return made


def picture(height: int = 480, width: int = 360) -> np.ndarray:
    return np.full((height, width, 3), 200, np.uint8)


def at(name: str, box: tuple[float, float, float, float], size: tuple[int, int] = (480, 360)) -> np.ndarray:
    """Where a painted key point is in the picture, x, y."""
    x, y, w, h = box
    return np.array([(x + FIGURE[name][0] * w) * size[1], (y + FIGURE[name][1] * h) * size[0]])


def places_are(person: np.ndarray, box: tuple, names: list[str], size: tuple[int, int] = (480, 360)) -> None:
    for name in names:
        x, y, confidence = person[NAMES.index(name)]
        # Maps of 8 net pixels a cell, and peaks at whole pixels by the port's rules
        assert np.hypot(*((x, y) - at(name, box, size))) < 0.008 * size[0], name
        assert 0.4 < confidence <= 1, name


def test_the_checkpoints_are_those_of_the_settings():
    def weights(**settings: object) -> tuple[str, ...]:
        return OpenPose(Settings(_env_file=None, **settings)).weights

    assert weights() == ("openpose_body_25", "openpose_hand")
    assert weights(openpose_body="coco", openpose_hands="everyone") == ("openpose_coco", "openpose_hand")
    assert weights(openpose_hands="nobody") == ("openpose_body_25",)


@pytest.mark.parametrize("rules", ["openpose", "port"])
@pytest.mark.parametrize("body", ["body_25", "coco"])
def test_everybody_is_found_and_the_largest_comes_first(body, rules):
    network = PaintedNetwork("BODY_25" if body == "body_25" else "COCO_18", SMALL, LARGE)
    (pose,) = engine(network, openpose_body=body, openpose_rules=rules).answer([PoseInput(picture())])
    assert isinstance(pose, Pose) and pose.people.shape == (2, 25, 3) and pose.people.dtype == np.float32
    assert pose.hands.shape == (2, 2, 21, 3) and not pose.hands.any()
    names = list(NAMES) if body == "body_25" else [*COCO_NAMES, "mid_hip"]
    places_are(pose.people[0], LARGE, names)
    places_are(pose.people[1], SMALL, ["nose", "neck", "left_hip", "right_ankle"])
    assert pose.view == "front" and pose.landmarks is None
    if body == "coco":
        assert not pose.people[:, 19:].any()


@pytest.mark.parametrize("rules", ["openpose", "port"])
def test_a_picture_larger_than_any_map_is_no_hindrance(rules):
    size = (4500, 3300)
    (pose,) = engine(PaintedNetwork("BODY_25", LARGE), openpose_rules=rules).answer([PoseInput(picture(*size))])
    assert len(pose.people) == 1
    places_are(pose.people[0], LARGE, ["nose", "left_wrist", "right_ankle"], size)


def test_whoever_is_nearest_to_the_point_comes_first():
    near = at("left_knee", SMALL).astype(np.float32)
    made = engine(PaintedNetwork("BODY_25", LARGE, SMALL))
    first, second = made.answer([PoseInput(picture(), near), PoseInput(picture())])
    places_are(first.people[0], SMALL, ["nose", "left_knee"])
    places_are(first.people[1], LARGE, ["nose", "left_knee"])
    places_are(second.people[0], LARGE, ["nose", "left_knee"])


def test_a_batch_goes_through_the_network_once_for_each_size():
    network = PaintedNetwork("BODY_25", LARGE)
    sizes = [(480, 360), (300, 400), (960, 720), (480, 360)]
    items = [PoseInput(picture(*size)) for size in sizes]
    items.insert(2, PoseInput(np.zeros((300, 400, 3), np.uint8)))
    poses = engine(network).answer(items)
    assert sorted(network.calls) == [(2, 368, 496, 3), (3, 368, 272, 3)]
    assert isinstance(poses[2], EngineError) and poses[2].code == "no_person" and "368" in poses[2].detail
    for size, pose in zip(sizes, [*poses[:2], *poses[3:]]):
        places_are(pose.people[0], LARGE, ["neck", "left_wrist", "right_knee"], size)


def test_several_scales_find_the_same_person():
    network = PaintedNetwork("BODY_25", LARGE)
    (pose,) = engine(network, openpose_scales=3).answer([PoseInput(picture())])
    assert [call[1:3] for call in network.calls] == [(368, 272), (272, 192), (176, 128)]
    assert len(pose.people) == 1
    places_are(pose.people[0], LARGE, ["nose", "neck", "left_wrist", "right_ankle"])


def test_the_net_height_is_the_settings():
    network = PaintedNetwork("BODY_25", LARGE)
    engine(network, openpose_net_height=480).answer([PoseInput(picture())])
    assert network.calls == [(1, 480, 368, 3)]


@pytest.mark.parametrize(("whose", "looked_for"), [("chosen", 1), ("everyone", 2)])
def test_hands_are_looked_for_where_the_arms_end(whose, looked_for):
    hand = PointingNetwork()
    (pose,) = engine(PaintedNetwork("BODY_25", LARGE, SMALL), hand, openpose_hands=whose).answer([PoseInput(picture())])
    assert hand.calls == [(2 * looked_for, 368, 368, 3)]
    seen = pose.hands[..., 2].any(-1)
    assert seen[:looked_for].all() and not seen[looked_for:].any()
    # Cell (5, 10) of the maps is pixel (43.5, 83.5), and its peak one of the two beside that; the left is mirrored.
    for (x, y, side), points, mirrored in zip(hand_squares(pose.people[:1])[0], pose.hands[0], (True, False)):
        across = 1 - 83.5 / 368 if mirrored else 83.5 / 368
        sure = np.arange(21) >= 3  # scores from 0.1 in steps of 0.04; up to 0.2 they are guesses
        assert not points[~sure].any() and (np.diff(points[sure, 2]) > 0).all()
        np.testing.assert_allclose(points[sure, 0], x + across * side, atol=0.51 * side / 368 + 1e-3)
        np.testing.assert_allclose(points[sure, 1], y + 43.5 / 368 * side, atol=0.51 * side / 368 + 1e-3)


def test_a_crowds_hands_go_through_the_network_in_several_runs():
    hand = PointingNetwork()
    boxes = [(0.02 + 0.2 * column, 0.02 + 0.5 * row, 0.17, 0.45) for row in range(2) for column in range(5)]
    body = PaintedNetwork("BODY_25", *boxes)
    (pose,) = engine(body, hand, openpose_hands="everyone").answer([PoseInput(picture(700, 1200))])
    assert len(pose.people) == 10
    assert [call[0] for call in hand.calls] == [8, 8, 4]
    assert pose.hands[..., 2].any(-1).all()


def test_points_beyond_the_picture_are_unseen_and_no_score_exceeds_1():
    body = PaintedNetwork("BODY_25", LARGE, stretched=1.08)
    (pose,) = engine(body).answer([PoseInput(picture())])
    height, width = 480, 360
    seen = pose.people[0][pose.people[0][:, 2] > 0]
    assert ((seen[:, :2] >= 0) & (seen[:, :2] <= (width - 1, height - 1))).all()
    assert (pose.people[0][pose.people[0][:, 2] == 0] == 0).all()
    # The net's input is a little higher than the picture, and the toes are painted below that.
    assert 20 < len(seen) < 25
    assert pose.people[..., 2].max() <= 1


def seen_from(change: Callable[[str, tuple[float, float]], tuple[float, float] | None]) -> str:
    person = np.zeros((25, 3), np.float32)
    for index, name in enumerate(NAMES):
        place = change(name, FIGURE[name])
        if place is not None:
            person[index] = 300 * place[0], 600 * place[1], 0.8
    return view_of(person)


FACE = ("nose", "left_eye", "right_eye")


def test_the_view_is_told_by_the_order_of_the_sides_and_by_the_face():
    def mirrored(name: str, place: tuple[float, float]) -> tuple[float, float]:
        return 1 - place[0], place[1]

    assert seen_from(lambda name, place: place) == "front"
    assert seen_from(lambda name, place: None if name in FACE else mirrored(name, place)) == "back"
    assert seen_from(mirrored) == "back"  # looking over the shoulder
    assert seen_from(lambda name, place: None if name in FACE else place) == "front"  # the head is turned away

    def in_profile(name: str, place: tuple[float, float]) -> tuple[float, float]:
        return 0.5 + (place[0] - 0.5) / 20, place[1]

    assert seen_from(in_profile) == "front"
    assert seen_from(lambda name, place: mirrored(name, place) if "shoulder" in name or "wrist" in name else None) == (
        "back"
    )
    assert seen_from(lambda name, place: place if name == "left_ear" else None) == "back"
    assert seen_from(lambda name, place: None) == "front"


@pytest.mark.parametrize("size", [(1, 1), (4, 7), (46, 46)])
def test_the_highest_pixel_is_that_of_the_upsampled_map(size):
    maps = np.random.default_rng(size[1]).uniform(-1, 1, (2, 3, *size)).astype(np.float32)
    large = openpose_axis(size[0]).matrix @ maps @ openpose_axis(size[1]).matrix.T
    points = highest(torch.from_numpy(maps)).numpy()
    for index in np.ndindex(2, 3):
        y, x = np.unravel_index(large[index].argmax(), large[index].shape)
        np.testing.assert_allclose(points[index], (x, y, large[index].max()), atol=1e-6)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    for id, golden in (("openpose_body_25", "body25"), ("openpose_hand", "hand")):
        state = golden_recipe.state_dict(golden_recipe.load(f"openpose_{golden}"))
        save_file(state, folder / f"{id}.safetensors")
    return lambda id: folder / f"{id}.safetensors"


@pytest.mark.slow
def test_loads_warms_up_and_answers_in_full_size(checkpoints):
    made = OpenPose(Settings(_env_file=None, device="cpu", openpose_net_height=64))
    made.load(checkpoints, 1)
    made.warm_up()
    random = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
    answers = made.run([PoseInput(picture()), PoseInput(random)])
    # Random weights make no person, or one of noise.
    assert all(isinstance(each, Pose | EngineError) for each in answers) and len(answers) == 2
    hands = made.hands.infer(torch.from_numpy(random[None, :56, :56]))
    assert hands.shape == (1, 21, 3) and bool(hands.isfinite().all())


@pytest.mark.slow
def test_what_the_network_is_given_is_bgr_from_minus_a_half_to_a_half(checkpoints):
    golden = golden_recipe.load("openpose_hand")
    rgb = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3), np.uint8)
    network = MapNetwork("openpose_hand", checkpoints, CPU)
    with torch.inference_mode():
        maps = network(torch.from_numpy(rgb))
        image = torch.from_numpy(np.ascontiguousarray(rgb[..., ::-1].transpose(0, 3, 1, 2)) / np.float32(256) - 0.5)
        bare = CPU.open("openpose_hand", checkpoints)
        torch.testing.assert_close(maps, bare(image.float()), rtol=1e-4, atol=1e-5)
    assert maps.dtype == torch.float32 and golden["model"] == "openpose-hand"


@pytest.mark.slow
def test_reduced_precision_is_close(checkpoints):
    rgb = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8))
    with torch.inference_mode():
        full = MapNetwork("openpose_body_25", checkpoints, CPU)(rgb)
        reduced = MapNetwork("openpose_body_25", checkpoints, TorchRuntime(dtype=torch.bfloat16))(rgb)
    assert reduced.dtype == torch.float32
    assert float((reduced - full).norm() / full.norm()) < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_maps(checkpoints):
    rgb = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 48, 3), np.uint8))
    with torch.inference_mode():
        cpu = MapNetwork("openpose_body_25", checkpoints, CPU)(rgb)
        for dtype, tolerance in ((torch.float32, 5e-3), (torch.bfloat16, 0.1)):
            gpu = MapNetwork("openpose_body_25", checkpoints, TorchRuntime(torch.device("cuda"), dtype))(rgb)
            assert float((gpu.cpu() - cpu).norm() / cpu.norm()) < tolerance
