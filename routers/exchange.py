"""What the routers share: pictures and records in, the chosen media type out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from fastapi.responses import JSONResponse, Response

from infra.imaging.decode import PictureError, decode_labels, decode_mask, decode_picture
from infra.imaging.encode import choose_media_type, encode_picture
from infra.serving import arrays, problems
from infra.serving.app import in_thread
from infra.serving.context import context
from infra.serving.problems import Problem
from infra.serving.settings import Settings

PNG, JPEG, WEBP, JSON, ZIP = "image/png", "image/jpeg", "image/webp", "application/json", "application/zip"

READERS: dict[str, Callable[..., np.ndarray]] = {
    "picture": decode_picture,
    "mask": decode_mask,
    "labels": decode_labels,
}

INPUT_PROBLEMS = ("bad_image", "not_found", "image_too_large", "unsupported_media_type", "invalid_request")
ENGINE_PROBLEMS = ("internal", "overloaded", "engine_unavailable", "deadline_exceeded")

ANSWER_HEADERS = {
    "X-Engine": {"description": "Who made it", "required": True, "schema": {"type": "string"}},
    "Server-Timing": {"description": "Milliseconds by step", "required": True, "schema": {"type": "string"}},
}

T = TypeVar("T")


def responses(media_types: dict[str, str], *codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses`: what comes back as each media type, and the problems."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    content = {name: {} if name == JSON else schema for name in media_types}
    text = "; ".join(f"`{name}`: {what}" for name, what in media_types.items())
    said = problems.describe(*INPUT_PROBLEMS, *codes, *ENGINE_PROBLEMS)
    said[406] = {"description": "`Accept` names nothing that is offered", "content": said[415]["content"]}
    return {200: {"description": text, "content": content, "headers": ANSWER_HEADERS}, **said}


def settings_of(request: Request) -> Settings:
    return request.app.state.settings


def negotiate(request: Request, offered: list[str]) -> str:
    """The media type to answer with; the first offered is the default. Raises Problem, status 406."""
    chosen = choose_media_type(request.headers.get("accept"), offered)
    if chosen is None:
        raise Problem("unsupported_media_type", f"This call answers with {', '.join(offered)}", status=406)
    return chosen


async def read_picture(request: Request, data: bytes, field: str, kind: str = "picture") -> np.ndarray:
    """A picture, mask or label map that came as a file. Raises Problem: bad_image, image_too_large, ..."""
    with context(request).timing.step("decode"):
        try:
            return await in_thread(lambda: READERS[kind](data, max_pixels=settings_of(request).max_pixels))
        except PictureError as error:
            raise Problem(error.code, f"{field}: {error.detail}") from None


def notes_header(notes: Sequence[str]) -> dict[str, str]:
    """Notes as a header, which holds printable ASCII and nothing else."""
    text = "; ".join(notes).encode("ascii", "replace").decode()
    return {"X-Notes": "".join(letter if letter.isprintable() else " " for letter in text)} if notes else {}


async def encoded(request: Request, encode: Callable[[], T]) -> T:
    with context(request).timing.step("encode"):
        return await in_thread(encode)


async def record_response(request: Request, chosen: str, record: Any, only: np.ndarray) -> Response:
    """A result as arrays: all of it as `.npz`, or the one array that matters as `.npy`."""
    body = await encoded(request, lambda: arrays.encode(record) if chosen == arrays.NPZ else arrays.encode_array(only))
    return Response(body, media_type=chosen, headers=engine_header(request))


async def picture_response(
    request: Request, chosen: str, draw: Callable[[], np.ndarray], headers: Mapping[str, str] | None = None
) -> Response:
    body = await encoded(request, lambda: encode_picture(draw(), chosen))
    return Response(body, media_type=chosen, headers={**engine_header(request), **(headers or {})})


async def json_response(request: Request, summary: Callable[[], dict[str, Any]]) -> Response:
    return JSONResponse(await encoded(request, summary), headers=engine_header(request))


def engine_header(request: Request) -> dict[str, str]:
    return {"X-Engine": request.app.state.worker.engine.name}


async def run_engine(request: Request, input: Any) -> Any:
    return await request.app.state.worker.run(input, context(request))
