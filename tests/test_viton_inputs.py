"""How often a person's pose is asked for, with stand-ins for the preprocessors."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from infra.preprocess.densepose.densepose import DensePose
from infra.preprocess.human_parser.parse import Parse
from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.cache import Cache
from infra.serving.context import Context
from infra.serving.deadlines import Deadline
from infra.serving.problems import Problem
from infra.viton.inputs import InputReader, PersonInputs


class Preprocessors:
    """A fleet that finds a person of a share of the picture's height in its middle, and keeps what it was shown."""

    def __init__(self, share: float, finds_again: bool = True) -> None:
        self.share, self.finds_again = share, finds_again
        self.shown: list[tuple[int, int]] = []

    async def engines(self) -> dict[str, str]:
        return {}

    async def infos(self) -> dict[str, dict[str, list[str]]]:
        return {service: {"wants": []} for service in ("masking", "human_parser", "densepose")}

    async def pose_estimation(self, given, context) -> Pose:
        height, width = given.picture.shape[:2]
        self.shown.append((height, width))
        if len(self.shown) > 1 and not self.finds_again:
            raise Problem("no_person", "nobody")
        tall = self.share * height if len(self.shown) == 1 else 0.7 * height
        people = np.ones((1, 25, 3), np.float32)
        people[..., 0] = width / 2 + tall * np.linspace(-0.2, 0.2, 25)
        people[..., 1] = height / 2 + tall * np.linspace(-0.5, 0.5, 25)
        people[..., 2] = 0.5 if len(self.shown) == 1 else 1.0
        return Pose(people, np.zeros((1, 2, 21, 3), np.float32), "front")

    async def masking(self, given, context) -> Mask:
        return Mask(np.zeros(given.picture.shape[:2], np.uint8))

    async def human_parser(self, given, context) -> Parse:
        return Parse(*[np.zeros(given.picture.shape[:2], np.uint8)] * 2)

    async def densepose(self, given, context) -> DensePose:
        return DensePose(np.zeros_like(given.picture))


def read(fleet: Preprocessors, height: int, width: int) -> PersonInputs:
    async def decode(data: bytes, field: str) -> np.ndarray:
        return np.zeros((height, width, 3), np.uint8)

    context = Context("id", "trace", Deadline(time.monotonic() + 30))
    return asyncio.run(InputReader(fleet, Cache(0, 0)).person(b"photo", decode, context))


@pytest.mark.parametrize(
    ("height", "width", "share", "looks"),
    [
        (1024, 768, 0.8, 1),
        (400, 300, 0.8, 1),  # enlarged, but with no detail that the search had not seen
        (3000, 2250, 0.9, 1),  # the frame shows it no larger than the search did
        (3000, 2250, 0.2, 2),
    ],
)
def test_a_second_look_is_taken_where_the_frame_shows_more(height: int, width: int, share: float, looks: int):
    fleet = Preprocessors(share)
    person = read(fleet, height, width)
    assert len(fleet.shown) == looks
    assert max(fleet.shown[0]) <= 1280
    assert (person.pose.people[0, 0, 2] == 1.0) == (looks == 2)
    assert fleet.shown[1:] == [(1024, 768)] * (looks - 1)


def test_who_is_not_found_again_stays_found():
    fleet = Preprocessors(0.2, finds_again=False)
    person = read(fleet, 3000, 2250)
    assert len(fleet.shown) == 2
    assert person.pose.people[0, 0, 2] == 0.5
