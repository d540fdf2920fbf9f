"""What every service's app is made of: health, info, metrics, errors, request shell."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from infra import __version__
from infra.serving import problems
from infra.serving.context import RequestShell
from infra.serving.metrics import Metrics
from infra.serving.settings import Settings

Readiness = Callable[[], Awaitable[str | None]]  # None when ready, else why not
Info = Callable[[], Awaitable[dict[str, Any]]]


def bare_app(
    service: str,
    description: str,
    settings: Settings,
    router: APIRouter,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    why_not_ready: Readiness,
    info: Info,
) -> FastAPI:
    """An app with the router's calls and those that every service has. `why_not_ready` and `info` answer for it."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(message)s", force=True)
    logging.getLogger("everywear").setLevel(settings.log_level.upper())  # libraries may tell more than they should
    app = FastAPI(
        title=f"Everywear {service.replace('_', ' ')}", version=__version__, description=description, lifespan=lifespan
    )
    app.state.settings, app.state.metrics = settings, Metrics()
    problems.install(app)
    app.include_router(router)
    app.include_router(_operations(app, why_not_ready, info))
    app.add_middleware(RequestShell, settings=settings, metrics=app.state.metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["GET", "POST"],
            allow_headers=["*"], expose_headers=_ANSWER_HEADERS,
        )  # fmt: skip
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _operations(app: FastAPI, why_not_ready: Readiness, info: Info) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Alive")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get(
        "/readyz", summary="Ready to work", responses=problems.describe("engine_unavailable", "upstream_failed")
    )
    async def readyz() -> dict[str, str]:
        if (reason := await why_not_ready()) is not None:
            raise problems.Problem("engine_unavailable", reason, retry_after=2)
        return {"status": "ready"}

    @router.get("/v1/info", summary="Engine, weights, device")
    async def read_info() -> dict[str, Any]:
        return await info()

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = problems.SCHEMA
        for path in schema["paths"].values():
            for operation in path.values():
                operation["parameters"] = [*operation.get("parameters", []), *_REQUEST_HEADERS]
                answers = operation["responses"]
                for status, problem in problems.describe(*_ANYWHERE).items():
                    answers.setdefault(str(status), problem)
                for answer in answers.values():
                    answer["headers"] = {**answer.get("headers", {}), "X-Request-ID": _REQUEST_ID}
        app.openapi_schema = schema
    return app.openapi_schema


_ANSWER_HEADERS = (
    "X-Request-ID", "X-Engine", "X-Notes", "X-Garment-Kind", "X-View", "Server-Timing", "Retry-After",
)  # fmt: skip
_ANYWHERE = ("image_too_large", "invalid_request", "internal")  # what the shell around every call may answer
_REQUEST_ID = {"description": "The request's id, given or made", "required": True, "schema": {"type": "string"}}
_REQUEST_HEADERS = [
    {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
    for name, text, schema in (
        ("X-Request-ID", "Echoed, logged and passed on.", {"type": "string", "pattern": "^[!-~]{1,128}$"}),
        ("X-Deadline-Ms", "Milliseconds that the answer is worth waiting for.",
         {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
        ("traceparent", "W3C trace context, passed on.", {"type": "string"}),
    )
]  # fmt: skip


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Run something that takes more than a few milliseconds without holding up the event loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)
