"""`POST /v1/densepose`: which part of the body's surface every pixel shows."""

from __future__ import annotations

from typing import Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from infra.preprocess.densepose import parts
from infra.preprocess.densepose.densepose import DensePose, DensePoseInput
from infra.serving.app import in_thread
from infra.serving.arrays import NPY, NPZ
from infra.serving.forms import RequestForm, Upload, read_form, read_record, request_body, sends_arrays
from routers.exchange import (
    JSON,
    PNG,
    json_response,
    negotiate,
    picture_response,
    read_picture,
    record_response,
    responses,
    run_engine,
    settings_of,
)
from routers.framed import framed_person, with_wants

router = APIRouter(tags=["densepose"])


class DensePoseForm(RequestForm):
    image: Upload = Field(description="Photo of a person; of several the largest.")
    picture: Literal["parts", "iuv"] = Field(
        "parts", description="`parts`: the coloured parts of VITON-HD's image-densepose; `iuv`: part, U, V as R, G, B."
    )


ANSWERS = {
    PNG: "coloured parts, or part, U, V",
    JSON: "share of every part",
    NPY: "uint8 HxWx3 IUV",
    NPZ: "`DensePose`",
}


@router.post(
    "/v1/densepose",
    summary="Map pixels to the body's surface",
    response_class=Response,
    responses=responses(ANSWERS, "no_person"),
    openapi_extra=request_body(DensePoseForm, DensePoseInput, only="picture"),
)
async def densepose(request: Request) -> Response:
    chosen = negotiate(request, list(ANSWERS))
    limit = settings_of(request).max_body_bytes
    if sends_arrays(request):
        given = await read_record(request, DensePoseInput, limit, only="picture")
        result, picture = await run_engine(request, await with_wants(request, given)), "parts"
    else:
        form = await read_form(request, DensePoseForm, limit)
        photo = await read_picture(request, form.image, "image")
        framed = await framed_person(request, photo)
        result = await run_engine(request, DensePoseInput(framed.picture, framed.pose, framed.mask))
        result, picture = DensePose(await in_thread(framed.labels_to_photo, result.iuv, photo)), form.picture
    if chosen in (NPY, NPZ):
        return await record_response(request, chosen, result, result.iuv)
    if chosen == JSON:
        return await json_response(request, lambda: _summary(result))
    shown = parts.part_picture if picture == "parts" else np.asarray
    return await picture_response(request, PNG, lambda: shown(result.iuv))


def _summary(result: DensePose) -> dict[str, object]:
    counts = np.bincount(result.iuv[..., 0].reshape(-1), minlength=25)
    present = [
        {"id": i, "name": parts.PARTS[i], "share": round(int(counts[i]) / counts.sum(), 6)}
        for i in range(1, 25) if counts[i]
    ]  # fmt: skip
    height, width = result.iuv.shape[:2]
    return {"width": width, "height": height, "present": present}
