"""The try-on's inputs: from the bytes of two photos to everything that a try-on engine reads."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from infra.fleet import Fleet
from infra.imaging.frame import Frame
from infra.imaging.shrink import SEARCH_SIDE, shrunk
from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.preprocess.masking.mask import Mask, MaskInput, likely_kind
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.app import in_thread
from infra.serving.cache import Cache
from infra.serving.context import Context
from infra.serving.problems import Problem
from infra.viton.tryon import TryOnInput
from infra.viton.worn_garment import kind_worn, taken_off

T = TypeVar("T")

Decode = Callable[[bytes, str], Awaitable[np.ndarray]]
"""Bytes and the name of their field -> picture uint8 HxWx3; raises Problem."""

LOOK_AGAIN = 1.5  # a frame with this much more of the photo's detail than the search saw is worth a second look
GARMENT_SIDE = 1024  # garments are read at this longer side at most: the frame shows them smaller

_WORDS = {"upper": "an upper garment", "lower": "a lower garment", "dress": "a dress"}


@dataclass(frozen=True)
class PersonInputs:
    """What is known of one person. All but `photo` are of the frame."""

    photo: np.ndarray
    frame: Frame
    picture: np.ndarray
    pose: Pose
    mask: Mask
    parse: Parse
    densepose: DensePose


@dataclass(frozen=True)
class GarmentInputs:
    picture: np.ndarray
    mask: np.ndarray
    kind: str
    notes: tuple[str, ...]


def try_on_input(person: PersonInputs, garment: GarmentInputs, wants: Collection[str]) -> TryOnInput:
    """Only what try-on engines read goes along: bytes between services are time.

    Body parts go where the engine wants "densepose"; what BlazePose alone knows for the preprocessors stays behind.
    """
    return TryOnInput(
        person=person.picture,
        mask=person.mask.alpha,
        parse=person.parse.labels,
        pose=replace(person.pose, probability=None, face=None),
        garment=garment.picture,
        garment_mask=garment.mask,
        kind=garment.kind,
        densepose=person.densepose.iuv if "densepose" in wants else None,
    )


class InputReader:
    """Reads persons and garments through the preprocessors; what it has read before it remembers."""

    def __init__(self, fleet: Fleet, cache: Cache) -> None:
        self._fleet, self._cache = fleet, cache

    async def person(self, data: bytes, decode: Decode, context: Context) -> PersonInputs:
        """Everything about the largest person of a photo. Raises Problem."""
        return await self._remembered("person", data, lambda: self._read_person(data, decode, context), context)

    async def garment(self, data: bytes, kind: str | None, decode: Decode, context: Context) -> GarmentInputs:
        """A garment cut out of its photo; `kind` None lets its silhouette decide. Raises Problem."""
        return await self._remembered(
            f"garment {kind}", data, lambda: self._read_garment(data, kind, decode, context), context
        )

    async def _remembered(self, what: str, data: bytes, read: Callable[[], Awaitable[T]], context: Context) -> T:
        """What these engines make of these bytes, now or before."""
        engines = await self._fleet.engines()
        digest = await in_thread(lambda: hashlib.sha256(data).hexdigest())
        made = self._cache.get(f"{what} {digest} {sorted(engines.items())}", read)
        value, _ = await context.deadline.wait(made, f"the {what.partition(' ')[0]} was being read")
        return value

    async def _read_person(self, data: bytes, decode: Decode, context: Context) -> PersonInputs:
        return await self._person_of(await decode(data, "person"), context)

    async def _person_of(self, photo: np.ndarray, context: Context) -> PersonInputs:
        pose = await self._find(photo, context)
        frame = Frame.around(pose.extent(), photo.shape[:2])
        with context.timing.step("frame", work=True):
            picture = await in_thread(frame.cut, photo)
            pose = pose.moved(frame.affine, picture.shape[:2])
        if min(frame.scale, 1) > LOOK_AGAIN * min(SEARCH_SIDE / max(photo.shape[:2]), 1):
            pose = await self._look_again(picture, pose, context)
        mask, parse, densepose = await self._preprocess(picture, pose, context)
        return PersonInputs(photo, frame, picture, pose, mask, parse, densepose)

    async def _find(self, photo: np.ndarray, context: Context) -> Pose:
        """The people of a photo, in its own pixels."""
        with context.timing.step("pose_estimation"):
            small, back = await in_thread(shrunk, photo, SEARCH_SIDE)
            pose = await self._fleet.pose_estimation(PoseInput(small), context)
            return pose if small is photo else pose.moved(back, photo.shape[:2])

    async def _look_again(self, picture: np.ndarray, pose: Pose, context: Context) -> Pose:
        """The pose in the frame itself, which shows more of the person than the search did; else what that found."""
        middle = pose.people[0][pose.people[0, :, 2] > 0, :2].mean(0).astype(np.float32)
        try:
            with context.timing.step("pose_estimation"):
                return await self._fleet.pose_estimation(PoseInput(picture, middle), context)
        except Problem as problem:
            if problem.code == "no_person":
                return pose
            raise

    async def _preprocess(self, picture: np.ndarray, pose: Pose, context: Context) -> tuple[Mask, Parse, DensePose]:
        """Mask, parse map and body parts of a framed person, at the same time as far as the engines' wants allow."""
        infos = await self._fleet.infos()
        wants = {service: set(info.get("wants", ())) for service, info in infos.items()}

        def wanted_pose(service: str) -> Pose | None:
            return pose if "pose" in wants[service] else None

        async def mask() -> Mask:
            with context.timing.step("masking"):
                return await self._fleet.masking(MaskInput(picture, "person", wanted_pose("masking")), context)

        async def wanted_mask(service: str) -> Mask | None:
            return await asyncio.shield(masking) if "mask" in wants[service] else None

        async def parse() -> Parse:
            given = ParseInput(picture, wanted_pose("human_parser"), await wanted_mask("human_parser"))
            with context.timing.step("human_parser"):
                return await self._fleet.human_parser(given, context)

        async def densepose() -> DensePose:
            given = DensePoseInput(picture, wanted_pose("densepose"), await wanted_mask("densepose"))
            with context.timing.step("densepose"):
                return await self._fleet.densepose(given, context)

        masking = asyncio.ensure_future(mask())
        results = await all_or_nothing(masking, parse(), densepose())
        return results[0], results[1], results[2]

    async def _read_garment(self, data: bytes, kind: str | None, decode: Decode, context: Context) -> GarmentInputs:
        photo = await decode(data, "garment")
        picture, _ = await in_thread(shrunk, photo, GARMENT_SIDE)
        with context.timing.step("garment"):
            mask = await self._fleet.masking(MaskInput(picture, "cutout"), context)
        wearer = await self._wearer(photo, context) if mask.worn else None
        if wearer is not None:
            return await in_thread(_taken_off, wearer, kind)
        chosen, notes = _kind_of(mask, kind)
        return GarmentInputs(picture, mask.alpha, chosen, notes)

    async def _wearer(self, photo: np.ndarray, context: Context) -> PersonInputs | None:
        """Who wears the garment of a photo; None where nobody is found: black mohair may look like hair."""
        try:
            return await self._person_of(photo, context)
        except Problem as problem:
            if problem.code == "no_person":
                return None
            raise


async def all_or_nothing(*work: Awaitable) -> list:
    """Run at the same time; the first failure cancels the rest and is raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _kind_of(mask: Mask, wanted: str | None) -> tuple[str, tuple[str, ...]]:
    if wanted is not None:
        return wanted, ()
    if mask.kinds is None:
        return "upper", ("the garment was taken for an upper garment; send kind to say what it is",)
    guess = likely_kind(mask.kinds)
    return guess, (f"the garment was taken for {_WORDS[guess]} by its shape; send kind to say what it is",)


def _taken_off(wearer: PersonInputs, wanted: str | None) -> GarmentInputs:
    kind = wanted or kind_worn(wearer.parse.labels, wearer.pose)
    picture, alpha = taken_off(wearer.picture, wearer.mask.alpha, wearer.parse.labels, wearer.pose, kind)
    notes = ("the garment was cut from a photo of somebody wearing it, which is less exact than a product photo",)
    if wanted is None:
        notes = (f"of what the garment photo's wearer has on, {_WORDS[kind]} was taken; send kind to choose", *notes)
    return GarmentInputs(picture, alpha, kind, notes)
