"""The public API: `POST /v1/tryon`, `POST /v1/inputs`, and the five services' own calls passed through."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from infra.fleet import Fleet
from infra.imaging.encode import encode_picture
from infra.serving import problems
from infra.serving.app import in_thread
from infra.serving.context import Context, context
from infra.serving.forms import OptionalUpload, RequestForm, Upload, read_body, read_form, request_body
from infra.viton.inputs import GarmentInputs, InputReader, PersonInputs, all_or_nothing, try_on_input
from infra.viton.tryon import TryOn
from infra.viton.viton_hd import inputs_zip
from routers import densepose, human_parser, masking, pose_estimation, viton
from routers.exchange import (
    JPEG,
    JSON,
    PNG,
    WEBP,
    ZIP,
    encoded,
    negotiate,
    notes_header,
    read_picture,
    responses,
    settings_of,
)

router = APIRouter(tags=["try-on"])

Kind = Literal["auto", "upper", "lower", "dress"]
_KIND = Field("auto", description="What the garment is; `auto` tells by its shape, which is right for nine of ten.")


class TryOnForm(RequestForm):
    person: Upload = Field(description="Photo of the person; of several the largest is dressed.")
    garment: Upload = Field(description="Product photo of the garment, or of somebody wearing it.")
    kind: Kind = _KIND
    output: Literal["photo", "frame"] = Field(
        "photo", description="`photo`: the person's photo at its own size; `frame`: the 768x1024 working frame."
    )


class InputsForm(RequestForm):
    person: Upload = Field(description="Photo of the person.")
    garment: OptionalUpload = Field(None, description="Photo of the garment; without it only the person's files.")
    kind: Kind = _KIND


TRYON_ANSWERS = {
    PNG: "the dressed person",
    JPEG: "the same",
    WEBP: "the same",
    JSON: "the PNG in base64, engines, notes",
}
UPSTREAM = ("no_person", "no_garment", "upstream_failed")


@router.post(
    "/v1/tryon",
    summary="Dress a person in a garment",
    response_class=Response,
    responses=responses(TRYON_ANSWERS, *UPSTREAM),
    openapi_extra=request_body(TryOnForm),
)
async def tryon(request: Request) -> Response:
    chosen = negotiate(request, list(TRYON_ANSWERS))
    form = await read_form(request, TryOnForm, settings_of(request).max_body_bytes)
    person, garment = await _read_both(request, form.person, form.garment, form.kind)
    wants = (await _fleet(request).infos())["viton"].get("wants", ())
    with context(request).timing.step("viton"):
        result: TryOn = await _fleet(request).viton(try_on_input(person, garment, wants), context(request))
    picture = result.picture
    if form.output == "photo":
        with context(request).timing.step("put_back", work=True):
            picture = await in_thread(person.frame.put_back, person.photo, person.picture, picture)
    return await _answer(request, chosen, picture, person, garment, result)


async def _read_both(request: Request, person: bytes, garment: bytes, kind: Kind) -> tuple[PersonInputs, GarmentInputs]:
    """Both photos at the same time: neither waits for the other until the try-on."""
    reader: InputReader = request.app.state.reader
    wanted = None if kind == "auto" else kind

    async def decode(data: bytes, field: str) -> np.ndarray:
        return await read_picture(request, data, field)

    both = await all_or_nothing(
        reader.person(person, decode, context(request)), reader.garment(garment, wanted, decode, context(request))
    )
    return both[0], both[1]


async def _answer(
    request: Request, chosen: str, picture: np.ndarray, person: PersonInputs, garment: GarmentInputs, result: TryOn
) -> Response:
    engines = await _fleet(request).engines()
    notes = garment.notes + result.notes
    headers = _told(engines, notes) | {"X-Garment-Kind": garment.kind, "X-View": person.pose.view}
    if chosen != JSON:
        body = await encoded(request, lambda: encode_picture(picture, chosen))
        return Response(body, media_type=chosen, headers=headers)

    def as_json() -> bytes:
        content = {
            "image": base64.b64encode(encode_picture(picture, PNG)).decode(),
            "media_type": PNG,
            "width": picture.shape[1],
            "height": picture.shape[0],
            "kind": garment.kind,
            "view": person.pose.view,
            "engines": engines,
            "notes": notes,
        }
        return json.dumps(content).encode()

    return Response(await encoded(request, as_json), media_type=JSON, headers=headers)


def _told(engines: dict[str, str], notes: tuple[str, ...]) -> dict[str, str]:
    return {"X-Engine": ", ".join(f"{service}={engine}" for service, engine in engines.items()), **notes_header(notes)}


@router.post(
    "/v1/inputs",
    summary="Every input of a try-on, named as VITON-HD names them",
    response_class=Response,
    responses=responses({ZIP: "the files"}, *UPSTREAM),
    openapi_extra=request_body(InputsForm),
)
async def inputs(request: Request) -> Response:
    negotiate(request, [ZIP])
    form = await read_form(request, InputsForm, settings_of(request).max_body_bytes)
    reader: InputReader = request.app.state.reader
    garment = None

    async def decode(data: bytes, field: str) -> np.ndarray:
        return await read_picture(request, data, field)

    if form.garment is None:
        person = await reader.person(form.person, decode, context(request))
    else:
        person, garment = await _read_both(request, form.person, form.garment, form.kind)
    body = await encoded(request, lambda: inputs_zip(person, garment))
    headers = _told(await _fleet(request).engines(), garment.notes if garment else ())
    return Response(
        body, media_type=ZIP, headers=headers | {"Content-Disposition": 'attachment; filename="inputs.zip"'}
    )


@router.get("/v1/fleet", summary="The services behind this one", tags=["operations"])
async def fleet(request: Request) -> dict[str, Any]:
    services = await _fleet(request).status()
    return {"ready": all(service["ready"] for service in services.values()), "services": services}


def _fleet(request: Request) -> Fleet:
    return request.app.state.fleet


# What an upstream answer keeps on its way out; ids, lengths and connections are this service's own matter.
_KEPT = ("content-type", "x-engine", "x-notes", "x-view", "retry-after", "server-timing")


async def _passed_through(request: Request) -> Response:
    """The request's body as it is to the service that owns the path, and its answer as it is back."""
    body = await read_body(request, settings_of(request).max_body_bytes)
    told: Context = context(request)
    headers = {name: request.headers[name] for name in ("content-type", "accept") if name in request.headers}
    client = next(client for client in _fleet(request).clients() if client.path == request.url.path)
    with told.timing.step(client.service):
        answer = await client.send("POST", client.path, told, content=body, headers=headers | told.headers())
    kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    return Response(answer.content, answer.status_code, kept)


for _service in (masking, human_parser, pose_estimation, densepose, viton):
    for _route in _service.router.routes:
        router.add_api_route(
            _route.path, _passed_through, methods=["POST"], summary=_route.summary, tags=list(_route.tags),
            response_class=Response, responses=_route.responses | problems.describe("upstream_failed"),
            openapi_extra=_route.openapi_extra, name=f"pass_{_route.name}",
        )  # fmt: skip
