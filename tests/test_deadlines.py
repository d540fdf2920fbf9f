from __future__ import annotations

import time

import pytest

from infra.serving.deadlines import HEADER, Deadline
from infra.serving.problems import Problem


def test_without_a_header_the_default_holds():
    assert 1.9 < Deadline.of(None, 2000).left <= 2.0


def test_a_header_shortens_the_default_and_never_lengthens_it():
    assert 0.4 < Deadline.of("500", 2000).left <= 0.5
    assert Deadline.of("999999999", 2000).left <= 2.0


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "1e3", "+5", " 5", "0x10", "٣", "1234567890"])
def test_anything_but_whole_milliseconds_is_refused(header: str):
    with pytest.raises(Problem) as refused:
        Deadline.of(header, 2000)
    assert refused.value.code == "invalid_request" and "X-Deadline-Ms" in refused.value.detail


def test_a_long_wrong_header_is_not_echoed_whole():
    with pytest.raises(Problem) as refused:
        Deadline.of("x" * 5000, 2000)
    assert len(refused.value.detail) < 200


def test_nothing_is_begun_after_it():
    Deadline.of("1000", 2000).check("work")
    with pytest.raises(Problem) as late:
        Deadline(time.monotonic() - 1).check("the engine was asked")
    assert late.value.code == "deadline_exceeded" and "the engine was asked" in late.value.detail


def test_the_next_service_is_told_what_is_left():
    left = int(Deadline.of("800", 2000).header()[HEADER])
    assert 700 < left <= 800
    assert Deadline(time.monotonic() - 5).header() == {HEADER: "0"}
