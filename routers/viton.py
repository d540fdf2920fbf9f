"""`POST /v1/synthesize`: the try-on itself, from inputs that are ready."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from infra.preprocess.human_parser import labels
from infra.preprocess.masking.mask import KINDS
from infra.preprocess.pose_estimation.keypoints import read_openpose_json
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.app import in_thread
from infra.serving.arrays import NPY, NPZ
from infra.serving.forms import OptionalUpload, RequestForm, Upload, read_form, read_record, request_body, sends_arrays
from infra.serving.problems import Problem
from infra.viton.tryon import TryOnInput
from routers.exchange import (
    JPEG,
    PNG,
    WEBP,
    negotiate,
    notes_header,
    picture_response,
    read_picture,
    record_response,
    responses,
    run_engine,
    settings_of,
)

router = APIRouter(tags=["try-on"])


class SynthesizeForm(RequestForm):
    person: Upload = Field(description="The person's picture, 768x1024 as the proxy frames it, or any other size.")
    mask: Upload = Field(description="The person's alpha, as `POST /v1/mask` gives it; the size of `person`.")
    parse: Upload = Field(
        description="CIHP parse map, as `POST /v1/parse` gives it; the size of `person`.",
        json_schema_extra={"contentMediaType": "image/png"},
    )
    pose: Upload = Field(
        description="OpenPose JSON, as `POST /v1/pose` gives it.",
        json_schema_extra={"contentMediaType": "application/json"},
    )
    garment: Upload = Field(description="The garment's product photo.")
    garment_mask: Upload = Field(description="The garment's alpha; the size of `garment`.")
    densepose: OptionalUpload = Field(None, description="Part, U, V as a PNG (`picture=iuv`); the size of `person`.")
    kind: Literal["upper", "lower", "dress"] = Field("upper", description="What the garment is.")
    view: Literal["front", "back"] = Field("front", description="Which side of the person the picture shows.")


ANSWERS = {
    PNG: "the dressed person",
    JPEG: "the same",
    WEBP: "the same",
    NPY: "uint8 HxWx3",
    NPZ: "`TryOn`",
}


@router.post(
    "/v1/synthesize",
    summary="Dress a person from preprocessed inputs",
    response_class=Response,
    responses=responses(ANSWERS, "no_person", "no_garment"),
    openapi_extra=request_body(SynthesizeForm, TryOnInput),
)
async def synthesize(request: Request) -> Response:
    chosen = negotiate(request, list(ANSWERS))
    limit = settings_of(request).max_body_bytes
    if sends_arrays(request):
        given = await read_record(request, TryOnInput, limit)
    else:
        given = await _given(request, await read_form(request, SynthesizeForm, limit))
    result = await run_engine(request, _checked(given))
    if chosen in (NPY, NPZ):
        return await record_response(request, chosen, result, result.picture)
    return await picture_response(request, chosen, lambda: result.picture, notes_header(result.notes))


def _checked(given: TryOnInput) -> TryOnInput:
    """The same with points outside the picture taken for unknown. Raises Problem for words and labels that are none."""
    if given.kind not in KINDS:
        raise Problem("invalid_request", f"kind must be one of {', '.join(KINDS)}")
    if given.pose.view not in ("front", "back"):
        raise Problem("invalid_request", "view must be front or back")
    if given.parse.max() >= len(labels.NAMES["cihp"]):
        raise Problem("invalid_request", f"parse: {given.parse.max()} is no CIHP label")
    return replace(given, pose=given.pose.moved(np.eye(2, 3), given.person.shape[:2]))


async def _given(request: Request, form: SynthesizeForm) -> TryOnInput:
    person = await read_picture(request, form.person, "person")
    garment = await read_picture(request, form.garment, "garment")
    try:
        people, hands = await in_thread(lambda: read_openpose_json(form.pose.decode("utf-8")))
    except (ValueError, RecursionError) as error:
        raise Problem("invalid_request", f"pose: {error}") from None
    if not (np.isfinite(people).all() and np.isfinite(hands).all()):
        raise Problem("invalid_request", "pose: there are numbers that are not finite")
    if not len(people):
        raise Problem("no_person", "pose: the key points hold nobody")
    given = TryOnInput(
        person=person,
        mask=await read_picture(request, form.mask, "mask", "mask"),
        parse=await read_picture(request, form.parse, "parse", "labels"),
        pose=Pose(people, hands, form.view),
        garment=garment,
        garment_mask=await read_picture(request, form.garment_mask, "garment_mask", "mask"),
        kind=form.kind,
        densepose=await read_picture(request, form.densepose, "densepose") if form.densepose is not None else None,
    )
    for field, of in (("mask", "person"), ("parse", "person"), ("densepose", "person"), ("garment_mask", "garment")):
        value, want = getattr(given, field), getattr(given, of).shape[:2]
        if value is not None and value.shape[:2] != want:
            got = f"{value.shape[1]}x{value.shape[0]}"
            raise Problem("invalid_request", f"{field} is {got}, but {of} is {want[1]}x{want[0]}")
    return given
