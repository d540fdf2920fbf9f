"""Garments taken off the photos of the sample people, by their true points and parse maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from infra.preprocess.human_parser.labels import UPPER, Cihp
from infra.serving.problems import Problem
from infra.viton.worn_garment import kind_worn, taken_off
from tests.conftest import SAMPLES, read_grey, read_rgb
from tests.test_masking_embedded import pose_of, true_points

KINDS = {
    "man_stripes_chinos": "upper", "man_tank_trousers": "upper", "woman_dress": "dress", "woman_tank_skirt": "upper",
    "woman_tshirt_jeans": "upper",
}  # fmt: skip


def wearer(name: str):
    """Picture, alpha, parse map and pose."""
    truth = SAMPLES / "truth"
    return (
        read_rgb(SAMPLES / "person" / f"{name}.jpg"), read_grey(truth / f"{name}_alpha.png"),
        read_grey(truth / f"{name}_parse.png"), pose_of(true_points(name)),
    )  # fmt: skip


def refused(picture, alpha, parse, pose, kind="upper") -> str:
    with pytest.raises(Problem) as caught:
        taken_off(picture, alpha, parse, pose, kind)
    assert caught.value.code == "no_garment"
    return caught.value.detail


@pytest.mark.parametrize("name", KINDS)
def test_kind_comes_from_the_labels(name):
    _, _, parse, pose = wearer(name)
    assert kind_worn(parse, pose) == KINDS[name]


def test_top_is_taken_without_trousers_and_skin():
    picture, alpha, parse, pose = wearer("woman_tshirt_jeans")
    drawn, cut = taken_off(picture, alpha, parse, pose, "upper")
    top = np.isin(parse, UPPER)
    assert ((cut > 127) & top).sum() > 0.98 * top.sum()
    assert ((cut > 127) & np.isin(parse, (Cihp.PANTS, Cihp.FACE))).sum() < 0.01 * top.sum()
    assert cut.dtype == np.uint8 and drawn.shape == picture.shape


def test_lock_of_hair_before_the_top_is_drawn_over():
    picture, alpha, parse, pose = wearer("woman_tshirt_jeans")
    rows, columns = np.nonzero(np.isin(parse, UPPER))
    y, x = int(rows.mean()), int(columns.mean())
    lock = np.s_[y - 60 : y + 60, x : x + 10]
    cloth = picture[lock].mean((0, 1))
    picture, parse = picture.copy(), parse.copy()
    picture[lock], parse[lock] = (20, 15, 10), Cihp.HAIR
    drawn, cut = taken_off(picture, alpha, parse, pose, "upper")
    assert (cut[lock] > 250).all()
    assert np.abs(drawn[lock].mean((0, 1)) - cloth).max() < 25


def test_who_shows_too_little_is_refused_with_the_reason():
    picture, alpha, parse, pose = wearer("woman_tshirt_jeans")
    assert "from behind" in refused(picture, alpha, parse, replace(pose, view="back"))
    people = pose.people.copy()
    middle = people[0, [2, 5], 0].mean()
    people[0, [2, 5], 0] = middle + 0.3 * (people[0, [2, 5], 0] - middle)
    assert "from the side" in refused(picture, alpha, parse, replace(pose, people=people))
    people = pose.people.copy()
    people[0, [9, 12]] = 0
    assert "cuts it off" in refused(picture, alpha, parse, replace(pose, people=people))
    rows = np.flatnonzero(np.isin(parse, UPPER).any(1))
    belly = np.zeros(parse.shape, bool)
    belly[int(rows.mean()) - 50 : int(rows.mean()) + 50] = True
    folded = np.where(belly & np.isin(parse, UPPER), Cihp.LEFT_ARM, parse)
    assert "arms" in refused(picture, alpha, folded, pose)


def test_lower_garment_is_refused_where_none_is_seen():
    assert "lower garment" in refused(*wearer("woman_dress"), kind="lower")
