"""BlazePose against MediaPipe's own numbers, against the rendered people's truth, and on altered pictures."""

from __future__ import annotations

import json
from functools import cache

import cv2
import numpy as np
import pytest

from infra.preprocess.pose_estimation.blazepose import landmarks as names
from infra.preprocess.pose_estimation.blazepose.engine import BlazePose
from infra.preprocess.pose_estimation.blazepose.landmarks import torso_length
from infra.preprocess.pose_estimation.blazepose.sides import facing, turned_round
from infra.preprocess.pose_estimation.blazepose.squares import Square, cut, moved, whole_square
from infra.preprocess.pose_estimation.keypoints import BODY_25
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.engine import EngineError
from tests.conftest import PEOPLE, ROOT, SAMPLES, read_rgb

GOLDEN = json.loads((ROOT / "tests/golden/mediapipe_networks.json").read_text())
TOLERANCE = GOLDEN["tolerance"]
SEEN = 2  # of the samples' key points: 2 seen, 1 hidden, 0 outside the picture


def loaded(weights, **options) -> BlazePose:
    engine = BlazePose(**options)
    engine.load(weights, 1)
    return engine


@pytest.fixture(scope="module")
def engine(weights) -> BlazePose:
    return loaded(weights)


@cache
def picture(name: str) -> np.ndarray:
    return read_rgb(SAMPLES / "person" / f"{name}.jpg")


def read(engine: BlazePose, picture: np.ndarray, near: np.ndarray | None = None) -> Pose:
    answer = engine.run([PoseInput(np.ascontiguousarray(picture), near)])[0]
    assert isinstance(answer, Pose), answer
    return answer


@pytest.fixture(scope="module")
def poses(engine) -> dict[str, Pose]:
    return {name: read(engine, picture(name)) for name in PEOPLE}


def torso_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The worst shoulder or hip over the torso, of 33 landmarks."""
    torso = list(names.TORSO)
    return float(np.hypot(*(found[torso, :2] - expected[torso, :2]).T).max()) / torso_length(expected)


@pytest.mark.parametrize("network", ["full", "heavy"])
def test_pose_is_mediapipes(weights, network):
    engine = loaded(weights, heavy=network == "heavy", as_published=True)
    for name, golden in GOLDEN["people"].items():
        image, person = picture(name), golden["person"]
        found = engine.detect(image, whole_square(image))[0]
        assert found.score == pytest.approx(person["score"], abs=TOLERANCE["person_score"])
        np.testing.assert_allclose(found.points, person["points"], atol=TOLERANCE["person_points_px"])
        square = found.square
        np.testing.assert_allclose(
            (square.x, square.y, square.side, square.angle), person["square"], atol=TOLERANCE["square_px"]
        )
        body = engine.pose(image, square)
        expected = np.array(golden[f"pose_{network}"])
        error = np.hypot(*(body.landmarks[:, :2] - expected[:, :2]).T) / golden["torso"]
        assert np.median(error) < TOLERANCE["pose_over_torso_median"]
        assert error.max() < TOLERANCE["pose_over_torso_worst"]
        np.testing.assert_allclose(body.landmarks[:, 3], expected[:, 2], atol=TOLERANCE["visibility"])
        following = body.next_square
        np.testing.assert_allclose(
            (following.x, following.y, following.side, following.angle),
            golden[f"pose_{network}_next_square"],
            atol=TOLERANCE["next_square_px"],
        )
        mask, probability = golden[f"pose_{network}_mask"], body.probability_in(image.shape[:2])
        assert (probability > 127).mean() == pytest.approx(mask["share"], abs=TOLERANCE["mask_share"])
        cells = cv2.resize(probability.astype(np.float32) / 255, (6, 8), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(cells, mask["cells"], atol=TOLERANCE["mask_cell"])


def test_hands_and_face_are_mediapipes(weights):
    """MediaPipe finds palms and faces with detectors of their own and looks once, this engine starts from the pose
    and looks twice: hence wider tolerances than the golden file's, set over what is reached."""
    engine = loaded(weights, as_published=True)
    for name, golden in GOLDEN["people"].items():
        pose = read(engine, picture(name))
        for hand in golden["hands"]:
            side = 1 if hand["mediapipe_label"] == "Left" else 0  # MediaPipe supposes a mirrored picture
            expected = np.array(hand["points"])
            error = np.hypot(*(pose.hands[0, side, :, :2] - expected).T) / np.hypot(*(expected[0] - expected[9]))
            assert error.max() < 0.08, (name, side)  # 0.071
        seen = (pose.hands[0, :, 0, 2] > 0).sum()
        assert seen == len(golden["hands"]), name
        points = golden["face"]["points"]
        eyes = np.hypot(*np.subtract(points["right eye outer corner"], points["left eye outer corner"]))
        for point, expected in points.items():
            error = np.hypot(*(pose.face[GOLDEN["face_indices"][point], :2] - expected)) / eyes
            assert error < 0.12, (name, point)  # 0.103


def test_key_points_are_true(poses):
    errors = []
    for name, pose in poses.items():
        truth = json.loads((SAMPLES / "truth" / f"{name}_pose.json").read_text())["keypoints"]
        neck, hip = np.array(truth["neck"][:2]), np.array(truth["mid_hip"][:2])
        for index, joint in enumerate(BODY_25):
            x, y, visibility = truth[joint]
            found = pose.people[0, index]
            if visibility == 0:
                assert (found == 0).all(), (name, joint)
            elif visibility == SEEN and found[2] > 0:
                errors.append(np.hypot(*(found[:2] - (x, y))) / np.hypot(*(neck - hip)))
            elif visibility == SEEN:
                errors.append(np.inf)
    assert len(errors) == 118
    assert np.mean(errors) < 0.0275  # 0.0261
    assert np.percentile(errors, 95) < 0.068  # 0.063


def test_probability_covers_the_person(poses):
    for name, pose in poses.items():
        alpha = cv2.imread(str(SAMPLES / "truth" / f"{name}_alpha.png"), cv2.IMREAD_GRAYSCALE) > 127
        mask = pose.probability > 127
        assert (alpha & mask).sum() / (alpha | mask).sum() > 0.955, name  # 0.961 at worst


def test_shapes_and_view(poses):
    for pose in poses.values():
        assert pose.people.shape == (1, 25, 3) and pose.hands.shape == (1, 2, 21, 3)
        assert pose.landmarks.shape == (33, 5) and pose.world.shape == (33, 3) and pose.face.shape == (468, 3)
        assert pose.probability.shape == (1024, 768) and pose.probability.dtype == np.uint8
        assert pose.view == "front"
        assert {a.dtype for a in (pose.people, pose.hands, pose.landmarks, pose.world, pose.face)} == {np.dtype("f4")}
        # x right, y down, z away: the left shoulder on the picture's right, the nose above and before the hips.
        assert pose.world[11, 0] > 0.1 > pose.world[12, 0] and pose.world[0, 1] < -0.4 and pose.world[0, 2] < 0


def test_hands_hang_on_their_wrists(poses):
    for pose in poses.values():
        for side, wrist in enumerate(("left_wrist", "right_wrist")):
            hand, joint = pose.hands[0, side, 0], pose.people[0, BODY_25.index(wrist)]
            if hand[2] > 0 and joint[2] > 0:
                assert np.hypot(*(hand[:2] - joint[:2])) < 0.15 * torso_length(pose.landmarks)


@pytest.mark.parametrize("name", PEOPLE)
def test_a_mirrored_picture_gives_the_mirrored_pose(engine, poses, name):
    mirrored, pose = read(engine, picture(name)[:, ::-1]), poses[name]
    back = mirrored.landmarks[list(names.MIRRORED)]
    back[:, 0] = 767 - back[:, 0]
    assert mirrored.view == "front"
    assert torso_error(back, pose.landmarks) < 0.08  # 0.063 for one, 0.03 in general
    torso = list(names.TORSO)
    leaning = (mirrored.world[list(names.MIRRORED)] * (-1, 1, 1) - pose.world)[torso, 1]
    # Metres; 0.021 at worst. As published the left shoulder hangs 0.064 too low in either picture.
    assert np.abs(leaning).max() < 0.04
    assert ((mirrored.hands[0, ::-1, 0, 2] > 0) == (pose.hands[0, :, 0, 2] > 0)).all()


def test_world_points_are_turned_with_the_picture(engine, poses):
    name = PEOPLE[0]
    turn = cv2.getRotationMatrix2D((384, 512), 25, 0.8)  # anticlockwise
    turned = read(engine, cv2.warpAffine(picture(name), turn, (768, 1024), borderMode=cv2.BORDER_REPLICATE))
    plain_angle, turned_angle = (
        np.degrees(np.arctan2(*(pose.world[11] - pose.world[12])[1::-1])) for pose in (poses[name], turned)
    )
    assert turned_angle - plain_angle == pytest.approx(-25, abs=8)  # y runs down


@pytest.mark.parametrize("name", PEOPLE)
def test_a_head_cut_at_the_chin_leaves_the_torso(engine, poses, name):
    pose = poses[name]
    mouth = pose.landmarks[[9, 10], 1].mean()
    cropped = int(mouth + 0.3 * (pose.landmarks[[11, 12], 1].mean() - mouth))
    found = read(engine, picture(name)[cropped:])
    expected = pose.landmarks - np.float32([0, cropped, 0, 0, 0])
    assert torso_error(found.landmarks, expected) < 0.1
    assert found.view == "front"
    assert (found.people[0, [0, 15, 16, 17, 18]] == 0).all()  # the face is outside the picture


@pytest.mark.parametrize("name", PEOPLE)
def test_a_covered_face_is_no_back_view(engine, poses, name):
    """A phone before the face makes the network exchange the sides; the hands tell."""
    pose, image = poses[name], picture(name).copy()
    eyes, mouth = pose.landmarks[[2, 5], :2].mean(0), pose.landmarks[[9, 10], :2].mean(0)
    reach = 1.6 * np.hypot(*(mouth - eyes))
    low, high = ((eyes + mouth) / 2 + np.outer((-1, 1), (0.7 * reach, reach))).astype(int)
    image[low[1] : high[1], low[0] : high[0]] = (35, 30, 30)
    found = read(engine, image)
    assert found.view == "front"
    assert torso_error(found.landmarks, pose.landmarks) < 0.2


def test_a_dark_picture_is_stretched(engine, poses):
    name = "woman_tshirt_jeans"
    found = read(engine, (picture(name) * 0.06).astype(np.uint8))
    assert torso_error(found.landmarks, poses[name].landmarks) < 0.1


def test_two_people_the_larger_first_or_the_near_one(engine, poses):
    large, small = picture("man_stripes_chinos"), cv2.resize(picture("woman_dress"), (576, 768))
    both = np.full((1024, 1344, 3), 200, np.uint8)
    both[:, :768] = large
    both[256:, 768:] = small
    pose = read(engine, both)
    assert len(pose.people) == len(pose.hands) == 2
    assert torso_error(pose.landmarks, poses["man_stripes_chinos"].landmarks) < 0.1
    near = read(engine, both, near=np.array([1056.0, 700.0], np.float32))
    assert len(near.people) == 2
    expected = poses["woman_dress"].landmarks.copy()
    expected[:, :2] = expected[:, :2] * 0.75 + (768, 256)
    assert torso_error(near.landmarks, expected) < 0.1
    np.testing.assert_allclose(near.people[1, 1], pose.people[0, 1], atol=20)
    assert (near.probability[:, :700] < 128).all()


@pytest.mark.parametrize(("name", "height"), [("woman_dress", 400), ("man_tank_trousers", 300)])
def test_a_small_person_in_a_large_photo(engine, poses, name, height):
    scale = height / 1024
    small = cv2.resize(picture(name), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    photo = np.full((2000, 3000, 3), 190, np.uint8)
    photo[1300 : 1300 + small.shape[0], 2100 : 2100 + small.shape[1]] = small
    pose = read(engine, photo)
    expected = poses[name].landmarks.copy()
    expected[:, :2] = (expected[:, :2] + 0.5) * scale - 0.5 + (2100, 1300)
    assert len(pose.people) == 1
    assert torso_error(pose.landmarks, expected) < 0.12


@pytest.mark.parametrize("name", [path.stem for path in sorted((SAMPLES / "garment").glob("*.jpg"))])
def test_a_garment_is_nobody(engine, name):
    answer = engine.run([PoseInput(read_rgb(SAMPLES / "garment" / f"{name}.jpg"))])[0]
    assert isinstance(answer, EngineError) and answer.code == "no_person" and "picture" in answer.detail


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (700, 500)])
def test_noise_is_nobody(engine, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    answer = engine.run([PoseInput(noise)])[0]
    assert isinstance(answer, EngineError) and answer.code == "no_person"


def test_a_batch_is_answered_in_order(engine, poses):
    blank = np.zeros((64, 64, 3), np.uint8)
    nobody, somebody = engine.run([PoseInput(blank), PoseInput(picture(PEOPLE[0]))])
    assert isinstance(nobody, EngineError)
    np.testing.assert_array_equal(somebody.people, poses[PEOPLE[0]].people)


def test_a_square_maps_its_middle_and_its_up():
    square = Square(100.0, 50.0, 40.0, np.pi / 2)  # its up is the picture's right
    to_picture = square.to_picture(256)
    np.testing.assert_allclose(moved(np.array([[128.0, 128.0], [128.0, 0.0]]), to_picture), [[100, 50], [120, 50]])
    mirrored = square.to_picture(256, mirrored=True)
    np.testing.assert_allclose(
        moved(np.array([[28.0, 70.0]]), mirrored), moved(np.array([[228.0, 70.0]]), to_picture), atol=1e-9
    )


def test_a_cut_out_repeats_the_border():
    image = np.full((10, 10, 3), 7, np.uint8)
    assert (cut(image, Square(0, 0, 100).to_picture(64), 64) == 7).all()


def test_turned_round_is_its_own_inverse(engine, poses):
    image = picture(PEOPLE[0])
    body = engine.pose(image, engine.detect(image, whole_square(image))[0].square)
    other = turned_round(body)
    assert facing(body.landmarks)[0] > 0.3 and facing(other.landmarks)[0] < -0.3
    np.testing.assert_array_equal(turned_round(other).landmarks, body.landmarks)


def test_moved_there_and_back(poses):
    pose = poses["woman_dress"]
    affine = np.array([[0.5, 0.0, 30.0], [0.0, 0.5, 60.0]])
    there = pose.moved(affine, (640, 480))
    np.testing.assert_allclose(there.landmarks[:, :2], pose.landmarks[:, :2] * 0.5 + (30, 60), rtol=1e-5)
    np.testing.assert_allclose(there.landmarks[:, 2], pose.landmarks[:, 2] * 0.5, rtol=1e-5)
    back = there.moved(cv2.invertAffineTransform(affine), (1024, 768))
    np.testing.assert_allclose(back.people, pose.people, atol=1e-2)
    np.testing.assert_allclose(back.face, pose.face, atol=1e-2)
    cropped = pose.moved(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -300.0]]), (724, 768))
    assert (cropped.people[0, BODY_25.index("nose")] == 0).all()  # left the picture
    np.testing.assert_allclose(cropped.people[0, 8, :2], pose.people[0, 8, :2] - (0, 300))
