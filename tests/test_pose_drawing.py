from __future__ import annotations

import numpy as np
import pytest

from infra.preprocess.pose_estimation.drawing import (
    ALPHA,
    BODY_25_COLOURS,
    COCO_18_COLOURS,
    HAND_COLOURS,
    skeleton_picture,
)
from infra.preprocess.pose_estimation.keypoints import BODY_25, coco_18

SIZE = (400, 300)


def spread() -> np.ndarray:
    """Key points far apart from each other, so that each disc is seen."""
    y, x = np.mgrid[40:361:80, 30:271:60]
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.9)], 1)[:25].astype(np.float32)


def only(*names: str) -> np.ndarray:
    points = np.zeros((1, 25, 3), np.float32)
    for name in names:
        points[0, BODY_25.index(name)] = spread()[BODY_25.index(name)]
    return points


def at(picture: np.ndarray, point: np.ndarray) -> np.ndarray:
    return picture[round(float(point[1])), round(float(point[0]))]


@pytest.mark.parametrize("name", BODY_25)
def test_a_single_point_is_a_disc_of_its_colour(name):
    picture = skeleton_picture(only(name), None, SIZE)
    index = BODY_25.index(name)
    np.testing.assert_array_equal(at(picture, spread()[index]), (BODY_25_COLOURS[index] * ALPHA).astype(np.uint8))
    assert 0 < (picture.any(-1)).sum() < 40  # a radius of 3 pixels, scaled down to a third for a small person


def test_a_limb_has_the_colour_of_its_far_end():
    points = only("right_shoulder", "right_elbow")
    picture = skeleton_picture(points, None, SIZE)
    middle = points[0, [2, 3]].mean(0)
    np.testing.assert_array_equal(at(picture, middle), (BODY_25_COLOURS[3] * ALPHA).astype(np.uint8))
    assert at(picture, middle).tolist() == [153, 102, 0]


def test_unseen_points_and_their_limbs_are_not_drawn():
    points = only("right_shoulder", "right_elbow")
    points[0, 3, 2] = 0.04  # below OpenPose's 0.05
    np.testing.assert_array_equal(
        skeleton_picture(points, None, SIZE), skeleton_picture(only("right_shoulder"), None, SIZE)
    )
    assert not skeleton_picture(np.zeros((1, 25, 3), np.float32), np.zeros((1, 2, 21, 3)), SIZE).any()


def test_coco_18_has_the_same_colours_and_arms():
    points = only("neck", "left_shoulder", "left_elbow", "left_wrist")
    np.testing.assert_array_equal(
        skeleton_picture(points, None, SIZE), skeleton_picture(coco_18(points), None, SIZE)
    )
    assert len(COCO_18_COLOURS) == 18 and (COCO_18_COLOURS[8] == BODY_25_COLOURS[9]).all()


def test_hands_lie_over_the_body():
    hand = np.zeros((1, 2, 21, 3), np.float32)
    wrist = spread()[BODY_25.index("left_wrist")]
    hand[0, 0, 0] = wrist
    body = only("left_wrist")
    both = skeleton_picture(body, hand, SIZE)
    first = BODY_25_COLOURS[7] * ALPHA
    expected = (1 - ALPHA) * first + ALPHA * HAND_COLOURS[0]
    np.testing.assert_allclose(at(both, wrist), expected, atol=1)
    hand[0, 0, 0, 2] = 0.15  # below OpenPose's 0.2 for hands
    np.testing.assert_array_equal(skeleton_picture(body, hand, SIZE), skeleton_picture(body, None, SIZE))


def test_points_at_and_beyond_the_border_do_not_fail():
    points = only("nose", "neck", "right_shoulder")
    points[0, 0, :2] = -500, -500
    points[0, 1, :2] = SIZE[1] - 1, SIZE[0] - 1
    assert skeleton_picture(points, None, SIZE).any()
