"""The app of a service that owns an engine."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from infra import engines
from infra.preprocess.companions import Companions
from infra.serving.app import bare_app
from infra.serving.settings import Settings, settings
from infra.serving.worker import EngineWorker
from infra.weights import WeightsFolder
from infra.weights.catalogue import entry_of

log = logging.getLogger("everywear")


def engine_app(service: str, description: str, router: APIRouter, own: Settings | None = None) -> FastAPI:
    """`uvicorn masking:app` and the others. Raises `engines.NOT_TO_BE_HAD` for a setting that names an engine which
    cannot be."""
    configured = own or settings()
    folder = engines.weights_folder(configured)
    choice = engines.choose(service, configured, folder.path)
    engine = choice.engine
    worker = EngineWorker(engine, folder.path, configured.engine_threads, configured.queue)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker.start()
        restricted = [identity for identity in engine.weights if not entry_of(identity).licence.commercial_use]
        if restricted:
            log.warning("%s: the licence allows no commercial use; see docs/weights.md", ", ".join(restricted))
        yield
        worker.stop()
        app.state.companions.stop()

    async def why_not_ready() -> str | None:
        if worker.failure:
            return worker.failure
        return None if worker.ready else f"The engine {engine.name} is loading"

    async def info() -> dict[str, Any]:
        return {
            "service": service,
            "version": app.version,
            "ready": worker.ready,
            "engine": engine.name,
            "engines": list(engines.ENGINES[service]),
            "passed_over": choice.passed_over,
            "note": engine.note,
            "wants": list(engine.wants),
            "weights": [_weight(identity, folder) for identity in engine.weights],
            "device": engine.device,
            "dtype": engine.dtype,
            "max_batch": engine.max_batch,
            "threads": configured.engine_threads,
        }

    app = bare_app(service, description, configured, router, lifespan, why_not_ready, info)
    app.state.worker = worker
    app.state.companions = Companions(configured, folder.path)
    app.state.metrics.gauge("queue_length", "Requests waiting for the engine", worker.waiting)
    return app


def _weight(identity: str, folder: WeightsFolder) -> dict[str, Any]:
    entry = entry_of(identity)
    return {
        "id": identity,
        "sha256": folder.sha256(identity),
        "licence": entry.licence.name,
        "commercial_use": entry.licence.commercial_use,
    }
