from __future__ import annotations

import numpy as np
import pytest

from infra.preprocess.human_parser.labels import ARMS, Cihp, mirrored
from infra.serving.engine import EngineError
from infra.viton.geometric.arms import measure_arm, rays
from infra.viton.geometric.body import measure_body
from infra.viton.geometric.naked import naked_body
from tests.conftest import PEOPLE
from tests.dressing import bare_parts, dressing, grown

MAN = "man_longsleeve_jeans"
ARM_PARTS = (15, 16, 17, 18, 19, 20, 21, 22)  # DensePose's arms


def measured(person: str):
    inputs = dressing(person, "polo")
    return inputs, measure_body(inputs.pose.people[0], inputs.mask, inputs.parse)


@pytest.mark.parametrize("person", PEOPLE)
def test_naked_outline_is_the_body_under_the_clothes(person):
    """Against the rendered body, from the neck to the hips."""
    inputs, body = measured(person)
    level = body.below(inputs.parse.shape)
    rows = (level > 0) & (level < 0.9 * body.torso)
    naked = (naked_body(inputs.parse, body, legs_too=False).whole > 0.5) & rows
    truth = bare_parts(person) & rows
    overlap = (naked & truth).sum() / (naked | truth).sum()
    assert overlap > 0.80


def test_arms_are_as_thick_as_the_arms_in_the_sleeves():
    inputs, body = measured("man_longsleeve_jeans")
    from tests.conftest import SAMPLES, read_grey

    part = read_grey(SAMPLES / "truth" / "man_longsleeve_jeans_part.png")
    truth = np.isin(part, ARM_PARTS)
    arms = body.bare_arms[0].zone(part.shape) | body.bare_arms[1].zone(part.shape)
    assert 0.8 < arms.sum() / truth.sum() < 1.35


def test_arm_does_not_grow_with_a_bulky_sleeve():
    inputs, body = measured("man_longsleeve_jeans")
    sleeves = body.bare_arms[0].zone(inputs.parse.shape) & (inputs.parse == Cihp.UPPER_CLOTHES)
    coat = grown(sleeves, 40)
    mask = np.where(coat, np.uint8(255), inputs.mask)
    parse = np.where(coat & (inputs.parse == 0), np.uint8(Cihp.UPPER_CLOTHES), inputs.parse)
    bulky = measure_body(inputs.pose.people[0], mask, parse).bare_arms[0]
    assert (bulky.half < 1.4 * body.bare_arms[0].half).all()


def test_mirrored_person_has_mirrored_measures():
    inputs, body = measured("woman_tank_skirt")
    pose = inputs.pose.people[0].copy()
    pose[pose[:, 2] > 0, 0] = inputs.parse.shape[1] - 1 - pose[pose[:, 2] > 0, 0]
    pose[[2, 3, 4, 9, 10, 11, 5, 6, 7, 12, 13, 14]] = pose[[5, 6, 7, 12, 13, 14, 2, 3, 4, 9, 10, 11]]
    flipped = measure_body(pose, np.ascontiguousarray(inputs.mask[:, ::-1]), mirrored(inputs.parse))
    assert flipped.span == pytest.approx(body.span)
    assert np.allclose(flipped.half[::-1], body.half, atol=2.5)  # rays step by whole pixels
    assert np.allclose(flipped.arm_radius[::-1], body.arm_radius, atol=2.5)


@pytest.mark.parametrize("joint", [2, 5])
def test_unseen_shoulder_is_refused_with_the_reason(joint):
    inputs, _ = measured("woman_dress")
    pose = inputs.pose.people[0].copy()
    pose[joint] = 0
    with pytest.raises(EngineError, match="shoulders") as error:
        measure_body(pose, inputs.mask, inputs.parse)
    assert error.value.code == "no_person"


def test_what_is_out_of_the_picture_is_completed():
    inputs, full = measured("woman_tshirt_jeans")
    pose = np.zeros((25, 3), np.float32)
    pose[[2, 5]] = inputs.pose.people[0][[2, 5]]
    body = measure_body(pose, inputs.mask, inputs.parse)
    assert body.seen == (False, False)
    assert 0.6 < body.torso / full.torso < 1.6
    for values in (*body.arms, *body.legs, body.half, body.armpit):
        assert np.isfinite(values).all()


def test_unseen_wrist_without_a_hand_in_sight_lies_before_the_belly():
    """Not straight down, where no hand is: that arm would hang bare beside the trunk."""
    inputs, full = measured(MAN)
    pose = inputs.pose.people[0].copy()
    pose[7] = 0
    parse = np.where(np.isin(inputs.parse, ARMS), np.uint8(Cihp.UPPER_CLOTHES), inputs.parse)
    pose[6, :2] = pose[5, :2] + (10, 0.5 * full.torso)
    wrist = measure_body(pose, inputs.mask, parse).arms[1][2]
    level = (wrist - full.neck) @ full.down
    assert abs((wrist - full.neck) @ full.right) < full.half_width(1, level)
    assert 0.3 * full.torso < level < 1.1 * full.torso


def test_unseen_elbow_is_bent_outwards_to_a_raised_wrist():
    inputs, full = measured(MAN)
    pose = inputs.pose.people[0].copy()
    pose[6] = 0
    pose[7, :2] = pose[5, :2] + (0.1 * full.span, -0.8 * full.torso)
    pose[7, 2] = 1
    elbow = measure_body(pose, inputs.mask, inputs.parse).arms[1][1]
    assert elbow[0] > pose[5, 0] + 0.1 * full.span
    assert pose[7, 1] < elbow[1] < pose[5, 1]


def test_open_jacket_is_not_the_width_of_its_wearer():
    """The trousers under it tell: a jacket standing off by a third of a span makes no stout man."""
    inputs, slim = measured(MAN)
    y = np.arange(inputs.parse.shape[0])[:, None]
    trunk = (inputs.parse == Cihp.UPPER_CLOTHES) & (y < slim.neck[1] + 1.15 * slim.torso)
    jacket = grown(trunk, int(0.3 * slim.span)) & (y < slim.neck[1] + 1.15 * slim.torso)
    mask = np.where(jacket, np.uint8(255), inputs.mask)
    parse = np.where(jacket & (inputs.parse == 0), np.uint8(Cihp.UPPER_CLOTHES), inputs.parse)
    wide = measure_body(inputs.pose.people[0], mask, parse)
    assert wide.half.max() < 1.3 * slim.half.max()


@pytest.mark.parametrize("reach", [0.3, 0.6, 1.0])
def test_arm_with_its_hand_anywhere_is_measured(reach):
    """Broken poses put a hand's skin up to the last station of the arm."""
    inputs, body = measured(MAN)
    joints = body.arms[0].copy()
    joints[1:] = joints[0] + (joints[1:] - joints[0]) * reach
    everywhere = np.full_like(inputs.parse, Cihp.RIGHT_ARM)
    arm = measure_arm(inputs.mask > 127, everywhere, joints, body.span, 1.0)
    assert len(arm.line) == len(arm.half) == len(arm.place)
    assert np.isfinite(arm.half).all()


def test_shoulder_tips_lie_on_the_silhouette():
    for person in PEOPLE:
        inputs, body = measured(person)
        rim = grown(inputs.mask > 127, 8) & ~(inputs.mask > 250)
        for x, y in np.rint(body.tip).astype(int):
            near = rim[y - 40 : y + 41, x - 40 : x + 41]
            assert near.any(), person


def test_rays_stop_at_the_edge_and_jump_gaps():
    inside = np.zeros((10, 60), bool)
    inside[:, :20] = inside[:, 22:40] = True
    start, right = np.array([[5.0, 5.0]]), np.array([[1.0, 0.0]])
    assert rays(inside, start, right, 100) == [35]
    assert rays(inside, start, right, 12) == [12]
    assert rays(inside, np.array([[50.0, 5.0]]), right, 9) == [0]
