"""The engines that a service called alone needs beside its own, loaded in its process when first wanted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np

from infra import engines
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.app import in_thread
from infra.serving.context import Context
from infra.serving.engine import WeightsPath
from infra.serving.problems import Problem
from infra.serving.settings import Settings
from infra.serving.timing import Timing
from infra.serving.worker import EngineWorker


class Companions:
    """The pose and masking engines of this process."""

    def __init__(self, settings: Settings, weights: WeightsPath) -> None:
        self._settings, self._weights = settings, weights
        self._workers: dict[str, EngineWorker[Any, Any]] = {}
        self._starting = asyncio.Lock()

    async def pose(self, picture: np.ndarray, context: Context) -> Pose:
        return await self._run("pose_estimation", PoseInput(picture), context)

    async def mask(self, picture: np.ndarray, pose: Pose | None, context: Context) -> Mask:
        """The person's mask."""
        return await self._run("masking", MaskInput(picture, "person", pose), context)

    async def _run(self, service: str, input: Any, context: Context) -> Any:
        worker = await self._worker(service)
        await worker.wait_ready(context.deadline)
        with context.timing.step(service):
            return await worker.run(input, replace(context, timing=Timing()))

    async def _worker(self, service: str) -> EngineWorker[Any, Any]:
        async with self._starting:
            if service not in self._workers:
                settings = self._settings
                try:
                    engine = (await in_thread(engines.choose, service, settings, self._weights)).engine
                except engines.NOT_TO_BE_HAD as error:
                    raise Problem("engine_unavailable", str(error)) from None
                self._workers[service] = EngineWorker(engine, self._weights, settings.engine_threads, settings.queue)
                self._workers[service].start()
            return self._workers[service]

    def stop(self) -> None:
        for worker in self._workers.values():
            worker.stop()
