"""`POST /v1/parse`: labels of a person's pixels."""

from __future__ import annotations

from typing import Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from infra.preprocess.human_parser import labels as tables
from infra.preprocess.human_parser.drawing import parse_png
from infra.preprocess.human_parser.parse import Parse, ParseInput
from infra.serving.app import in_thread
from infra.serving.arrays import NPY, NPZ
from infra.serving.forms import RequestForm, Upload, read_form, read_record, request_body, sends_arrays
from routers.exchange import (
    JSON,
    PNG,
    encoded,
    engine_header,
    json_response,
    negotiate,
    read_picture,
    record_response,
    responses,
    run_engine,
    settings_of,
)
from routers.framed import framed_person, with_wants

router = APIRouter(tags=["human parser"])


class ParseForm(RequestForm):
    image: Upload = Field(description="Photo of a person; of several the largest is parsed.")
    labels: Literal["cihp", "lip", "atr", "pascal"] = Field("cihp", description="Label set of the answer.")


ANSWERS = {PNG: "palette picture of label ids", JSON: "share of every label", NPY: "uint8 HxW", NPZ: "`Parse`"}


@router.post(
    "/v1/parse",
    summary="Label clothes, skin and hair",
    response_class=Response,
    responses=responses(ANSWERS, "no_person"),
    openapi_extra=request_body(ParseForm, ParseInput, only="picture"),
)
async def parse(request: Request) -> Response:
    chosen = negotiate(request, list(ANSWERS))
    limit = settings_of(request).max_body_bytes
    if sends_arrays(request):
        given = await read_record(request, ParseInput, limit, only="picture")
        result, label_set = await run_engine(request, await with_wants(request, given)), "cihp"
    else:
        form = await read_form(request, ParseForm, limit)
        photo = await read_picture(request, form.image, "image")
        result, label_set = await _parse_of_photo(request, photo, form.labels), form.labels
    if chosen in (NPY, NPZ):
        return await record_response(request, chosen, result, result.labels)
    if chosen == JSON:
        return await json_response(request, lambda: _summary(result, label_set))
    body = await encoded(request, lambda: parse_png(result.labels, label_set))
    return Response(body, media_type=PNG, headers=engine_header(request))


async def _parse_of_photo(request: Request, photo: np.ndarray, label_set: str) -> Parse:
    framed = await framed_person(request, photo)
    result = await run_engine(request, ParseInput(framed.picture, framed.pose, framed.mask))

    def in_photo() -> Parse:
        labels = framed.labels_to_photo(tables.from_cihp(result.labels, label_set), photo)
        return Parse(labels, framed.mask_to_photo(result.confidence, photo))

    return await in_thread(in_photo)


def _summary(result: Parse, label_set: str) -> dict[str, object]:
    names = tables.NAMES[label_set]
    counts = np.bincount(result.labels.reshape(-1), minlength=len(names)) / result.labels.size
    present = [
        {"id": i, "name": names[i], "share": round(float(share), 6)} for i, share in enumerate(counts) if share > 0
    ]
    height, width = result.labels.shape
    return {"width": width, "height": height, "labels": label_set, "present": present}
