"""`POST /v1/pose`: everybody's key points."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from infra.preprocess.pose_estimation import drawing, keypoints
from infra.preprocess.pose_estimation.pose import PoseInput
from infra.serving.arrays import NPY, NPZ
from infra.serving.forms import RequestForm, Upload, read_form, read_record, request_body, sends_arrays
from routers.exchange import (
    JSON,
    PNG,
    engine_header,
    negotiate,
    picture_response,
    read_picture,
    record_response,
    responses,
    run_engine,
    settings_of,
)

router = APIRouter(tags=["pose estimation"])


class PoseForm(RequestForm):
    image: Upload = Field(description="Photo with people.")
    points: Literal["body_25", "coco_18"] = Field("body_25", description="Key points of the answer.")


ANSWERS = {
    JSON: "OpenPose JSON, the chosen person first",
    PNG: "skeletons on black in OpenPose's colours",
    NPY: "float32 people x 25 x (x, y, confidence)",
    NPZ: "`Pose`",
}


@router.post(
    "/v1/pose",
    summary="Find people's key points",
    response_class=Response,
    responses=responses(ANSWERS, "no_person"),
    openapi_extra=request_body(PoseForm, PoseInput, only="picture"),
)
async def pose(request: Request) -> Response:
    chosen = negotiate(request, list(ANSWERS))
    limit = settings_of(request).max_body_bytes
    if sends_arrays(request):
        given, points = await read_record(request, PoseInput, limit, only="picture"), "body_25"
    else:
        form = await read_form(request, PoseForm, limit)
        given, points = PoseInput(await read_picture(request, form.image, "image")), form.points
    result = await run_engine(request, given)
    if chosen in (NPY, NPZ):
        return await record_response(request, chosen, result, result.people)
    people = keypoints.coco_18(result.people) if points == "coco_18" else result.people
    if chosen == JSON:
        text = keypoints.openpose_json(people, result.hands)
        return Response(text, media_type=JSON, headers={**engine_header(request), "X-View": result.view})
    size = given.picture.shape[:2]
    return await picture_response(request, PNG, lambda: drawing.skeleton_picture(people, result.hands, size))
