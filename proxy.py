"""The proxy, which the world talks to: `uvicorn proxy:app --port 8000`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from infra.fleet import Fleet
from infra.serving.app import bare_app
from infra.serving.cache import Cache
from infra.serving.client import http_client
from infra.serving.settings import settings
from infra.viton.inputs import InputReader
from routers.proxy import router


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with http_client() as http:
        app.state.fleet = Fleet(http, settings())
        app.state.reader = InputReader(app.state.fleet, cache)
        yield


async def why_not_ready() -> str | None:
    unready = [service for service, info in (await app.state.fleet.infos()).items() if not info.get("ready")]
    return f"Not ready yet: {', '.join(unready)}" if unready else None


async def info() -> dict[str, Any]:
    return {
        "service": "proxy",
        "version": app.version,
        "ready": await why_not_ready() is None,
        "engines": await app.state.fleet.engines(),
        "cache": {"entries": len(cache), "bytes": cache.bytes},
    }


cache = Cache(settings().cache_mb * 2**20, settings().cache_seconds)
app = bare_app(
    "proxy",
    "Dresses the person in a photo in a garment from another.",
    settings(),
    router,
    lifespan,
    why_not_ready,
    info,
)
app.state.metrics.gauge("cache_bytes", "Memory held by cached results", lambda: cache.bytes)
