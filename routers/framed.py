"""The person of a whole photo, framed for an engine that wants to know where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fastapi import Request

from infra.imaging.frame import Frame
from infra.imaging.shrink import SEARCH_SIDE, shrunk
from infra.preprocess.masking.mask import Mask
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.app import in_thread
from infra.serving.context import context


@dataclass(frozen=True)
class Framed:
    """What the engine gets to see. Without a frame that is the photo itself, and nothing is known of the person."""

    picture: np.ndarray
    frame: Frame | None = None
    pose: Pose | None = None
    mask: Mask | None = None

    def mask_to_photo(self, mask: np.ndarray, photo: np.ndarray) -> np.ndarray:
        return mask if self.frame is None else self.frame.mask_to_photo(mask, photo.shape[:2])

    def labels_to_photo(self, labels: np.ndarray, photo: np.ndarray) -> np.ndarray:
        return labels if self.frame is None else self.frame.labels_to_photo(labels, photo.shape[:2])


async def framed_person(request: Request, photo: np.ndarray) -> Framed:
    """Computes what the service's engine wants (pose, mask) with the companion engines of this process.

    Raises Problem("no_person") where the engine wants a person and there is none.
    """
    wants = request.app.state.worker.engine.wants
    if "pose" not in wants:
        return Framed(photo)
    companions = request.app.state.companions
    small, back = await in_thread(shrunk, photo, SEARCH_SIDE)
    pose = (await companions.pose(small, context(request))).moved(back, photo.shape[:2])
    frame = Frame.around(pose.extent(), photo.shape[:2])
    picture = await in_thread(frame.cut, photo)
    pose = pose.moved(frame.affine, picture.shape[:2])
    mask = await companions.mask(picture, pose, context(request)) if "mask" in wants else None
    return Framed(picture, frame, pose, mask)


async def with_wants(request: Request, given: Any) -> Any:
    """Arrays that came without what the engine wants: computed here, on the picture as it is."""
    wants, companions = request.app.state.worker.engine.wants, request.app.state.companions
    if "pose" in wants and given.pose is None:
        given = replace(given, pose=await companions.pose(given.picture, context(request)))
    if "mask" in wants and given.mask is None:
        given = replace(given, mask=await companions.mask(given.picture, given.pose, context(request)))
    return given
