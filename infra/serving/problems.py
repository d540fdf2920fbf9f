"""Errors as RFC 9457 `application/problem+json`, with a `code` from a closed list."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"

# code -> HTTP status, title
CODES = {
    "bad_image": (400, "The picture cannot be read"),
    "unauthorized": (401, "Not allowed"),
    "not_found": (404, "No such address"),
    "image_too_large": (413, "The picture is too large"),
    "unsupported_media_type": (415, "This media type is not spoken here"),
    "invalid_request": (422, "The request is not of the documented form"),
    "no_person": (422, "No person was found in the picture"),
    "no_garment": (422, "No garment was found in the picture"),
    "internal": (500, "The service failed"),
    "upstream_failed": (502, "A service behind this one failed"),
    "overloaded": (503, "Too many requests at once"),
    "engine_unavailable": (503, "The engine is not ready"),
    "deadline_exceeded": (504, "The deadline has passed"),
}

log = logging.getLogger("everywear")


class Problem(Exception):
    """An error that the client is told about. `extra` members go into the answer beside the standard ones."""

    def __init__(
        self, code: str, detail: str, *, status: int | None = None, retry_after: int | None = None, **extra: Any
    ):
        super().__init__(detail)
        self.code, self.detail, self.extra, self.retry_after = code, detail, extra, retry_after
        self.status = status or CODES[code][0]

    def body(self) -> dict[str, Any]:
        return {
            "type": f"urn:everywear:problem:{self.code}",
            "title": CODES[self.code][1],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.extra,
        }

    def response(self) -> Response:
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else None
        return JSONResponse(self.body(), self.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of the app leaves as a problem; a traceback goes to the log and nowhere else."""

    async def on_problem(_request: Request, problem: Problem) -> Response:
        return problem.response()

    async def on_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return Problem("not_found", f"There is nothing at {request.url.path}; see /docs").response()
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            answer = Problem("invalid_request", f"{request.method} is not allowed here; use {allowed}", status=405)
            response = answer.response()
            response.headers["Allow"] = allowed
            return response
        return Problem("invalid_request", str(error.detail), status=error.status_code).response()

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)


def describe(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an OpenAPI operation for these codes."""
    out: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, title = CODES[code]
        said = out.get(status, {}).get("description")
        out[status] = {
            "description": f"{said}; `{code}`: {title}" if said else f"`{code}`: {title}",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return out


SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457 problem details",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": list(CODES)},
        "service": {"type": "string", "description": "The service behind this one that said so"},
    },
}
