from __future__ import annotations

import json

import numpy as np
import pytest

from infra.preprocess.pose_estimation.keypoints import (
    BODY_25,
    BODY_25_LIMBS,
    COCO_18,
    COCO_18_LIMBS,
    HAND,
    HAND_LIMBS,
    coco_18,
    midpoint,
    openpose_json,
    read_openpose_json,
)


def person(seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).uniform((0, 0, 0.3), (768, 1024, 1), (25, 3)).astype(np.float32)
    points[BODY_25.index("left_ear")] = 0
    return points


def test_coco_18_has_the_neck_and_neither_mid_hip_nor_feet():
    assert COCO_18[1] == "neck"
    assert set(BODY_25) - set(COCO_18) == {"mid_hip", *(n for n in BODY_25 if "toe" in n or "heel" in n)}
    one = person()
    view = coco_18(one[None])[0]
    for index, name in enumerate(COCO_18):
        assert (view[index] == one[BODY_25.index(name)]).all()


@pytest.mark.parametrize(
    ("names", "limbs"), [(BODY_25, BODY_25_LIMBS), (COCO_18, COCO_18_LIMBS), (HAND, HAND_LIMBS)]
)
def test_limbs_are_a_tree_over_all_points(names, limbs):
    assert len(set(limbs)) == len(limbs) == len(names) - 1
    reached = {limbs[0][0]}
    for _ in names:
        reached |= {b for a, b in limbs if a in reached} | {a for a, b in limbs if b in reached}
    assert reached == set(range(len(names)))


def test_limbs_of_both_orders_join_the_same_joints():
    named = {frozenset((COCO_18[a], COCO_18[b])) for a, b in COCO_18_LIMBS}
    # BODY_25 goes through the middle of the hips, COCO-18 straight from the neck.
    assert named - {frozenset((BODY_25[a], BODY_25[b])) for a, b in BODY_25_LIMBS} == {
        frozenset(("neck", "right_hip")),
        frozenset(("neck", "left_hip")),
    }


def test_json_is_openpose_text():
    points = np.zeros((1, 25, 3), np.float32)
    points[0, 0] = 582.3492, 123456.789, 1e-5
    text = openpose_json(points)
    assert text.startswith(
        '{"version":1.3,"people":[{"person_id":[-1],"pose_keypoints_2d":[582.349,123457,1e-05,0,0,0,'
    )
    assert text.endswith(
        '],"face_keypoints_2d":[],"hand_left_keypoints_2d":[],"hand_right_keypoints_2d":[],"pose_keypoints_3d":[],'
        '"face_keypoints_3d":[],"hand_left_keypoints_3d":[],"hand_right_keypoints_3d":[]}]}'
    )
    assert openpose_json(np.zeros((0, 25, 3))) == '{"version":1.3,"people":[]}'


def test_json_round_trip_keeps_order_sides_and_unseen_points():
    people = np.stack([person(1), person(2)])
    hands = np.random.default_rng(3).uniform(1, 700, (2, 2, 21, 3)).astype(np.float32)
    hands[1, 0] = 0
    text = openpose_json(people, hands)
    lists = json.loads(text)["people"][0]
    assert len(lists["pose_keypoints_2d"]) == 75
    assert lists["hand_left_keypoints_2d"][0] == pytest.approx(float(hands[0, 0, 0, 0]), rel=1e-5)
    read, read_hands = read_openpose_json(text)
    # %.6g keeps six digits: of pixels up to 1024, 0.0005.
    np.testing.assert_allclose(read, people, atol=6e-4)
    np.testing.assert_allclose(read_hands, hands, atol=6e-4)
    assert (read[:, BODY_25.index("left_ear")] == 0).all() and (read_hands[1, 0] == 0).all()


def test_reads_coco_18_and_the_old_key():
    one = person()
    text = json.dumps({"people": [{"pose_keypoints": coco_18(one[None])[0].ravel().tolist()}]})
    read, hands = read_openpose_json(text)
    assert read.shape == (1, 25, 3) and hands.shape == (1, 2, 21, 3)
    np.testing.assert_allclose(coco_18(read[0]), coco_18(one), atol=1e-3)
    middle = midpoint(one[BODY_25.index("left_hip")], one[BODY_25.index("right_hip")])
    np.testing.assert_allclose(read[0, BODY_25.index("mid_hip")], middle, atol=1e-3)
    assert (read[0, 19:] == 0).all()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"people":[{}]}', '{"people":[{"pose_keypoints_2d":[1,2]}]}', '{"people":3}']
)
def test_refuses_what_is_no_pose(text):
    with pytest.raises(ValueError):
        read_openpose_json(text)


def test_midpoint_of_an_unseen_point_is_unseen():
    seen = np.array([10, 20, 0.5])
    assert (midpoint(seen, np.zeros(3)) == 0).all()
    np.testing.assert_allclose(midpoint(seen, np.array([20, 40, 0.9])), (15, 30, 0.5))
