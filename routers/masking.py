"""`POST /v1/mask`: a person's or a garment's coverage."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from infra.imaging.encode import encode_grey_png
from infra.imaging.frame import FRAME_HEIGHT, Frame
from infra.imaging.shrink import shrunk
from infra.preprocess.masking.mask import KINDS, SUBJECTS, Mask, MaskInput, likely_kind
from infra.preprocess.pose_estimation.pose import Pose
from infra.serving.app import in_thread
from infra.serving.arrays import NPY, NPZ
from infra.serving.forms import RequestForm, Upload, read_form, read_record, request_body, sends_arrays
from infra.serving.problems import Problem
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

router = APIRouter(tags=["masking"])


class MaskForm(RequestForm):
    image: Upload = Field(description="Photo of a person, or of a garment.")
    subject: Literal["person", "garment"] = Field(
        "person", description="What to cut out; of several people the largest."
    )


ANSWERS = {
    PNG: "grey picture, 255 inside",
    JSON: "size, coverage, box; for garments the kind",
    NPY: "uint8 HxW",
    NPZ: "`Mask`",
}


@router.post(
    "/v1/mask",
    summary="Cut out a person or a garment",
    response_class=Response,
    responses=responses(ANSWERS, "no_person", "no_garment"),
    openapi_extra=request_body(MaskForm, MaskInput, only="picture"),
)
async def mask(request: Request) -> Response:
    chosen = negotiate(request, list(ANSWERS))
    limit = settings_of(request).max_body_bytes
    if sends_arrays(request):
        given = await read_record(request, MaskInput, limit, only="picture")
        if given.subject not in SUBJECTS:
            raise Problem("invalid_request", f"subject must be one of {', '.join(SUBJECTS)}")
        given = await with_wants(request, given) if given.subject == "person" else given
        result = await run_engine(request, given)
    else:
        form = await read_form(request, MaskForm, limit)
        photo = await read_picture(request, form.image, "image")
        result = await _mask_of_photo(request, photo, form.subject)
    if chosen in (NPY, NPZ):
        return await record_response(request, chosen, result, result.alpha)
    if chosen == JSON:
        return await json_response(request, lambda: _summary(result))
    body = await encoded(request, lambda: encode_grey_png(result.alpha))
    return Response(body, media_type=PNG, headers=engine_header(request))


async def _mask_of_photo(request: Request, photo: np.ndarray, subject: str) -> Mask:
    if subject == "garment":
        return await run_engine(request, MaskInput(photo, "garment"))
    framed = await framed_person(request, photo)
    if framed.frame is not None and framed.frame.shows_most_of(photo.shape[:2]):
        return await _mask_of_whole_photo(request, photo, framed.frame, framed.pose)
    result = await run_engine(request, MaskInput(framed.picture, "person", framed.pose))
    return Mask(await in_thread(framed.mask_to_photo, result.alpha, photo))


async def _mask_of_whole_photo(request: Request, photo: np.ndarray, frame: Frame, pose: Pose) -> Mask:
    """The frame's border would cut off outstretched arms where the photo goes on."""
    picture, back = await in_thread(shrunk, photo, FRAME_HEIGHT)
    from_frame = cv2.invertAffineTransform(back) @ np.vstack([frame.inverse, (0, 0, 1)])
    given = MaskInput(picture, "person", pose.moved(from_frame, picture.shape[:2]))
    alpha = (await run_engine(request, given)).alpha
    return Mask(await in_thread(cv2.resize, alpha, photo.shape[1::-1], None, 0, 0, cv2.INTER_CUBIC))


def _summary(result: Mask) -> dict[str, object]:
    inside = result.alpha > 127
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1] if len(rows) else None
    height, width = inside.shape
    summary: dict[str, object] = {
        "width": width, "height": height, "coverage": round(float(result.alpha.mean()) / 255, 6), "box": box,
    }  # fmt: skip
    if result.kinds is not None:
        shares = {kind: round(float(share), 4) for kind, share in zip(KINDS, result.kinds, strict=True)}
        summary |= {"kind": likely_kind(result.kinds), "kinds": shares, "worn": result.worn}
    return summary
