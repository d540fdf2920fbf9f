"""The engines that a service called alone needs beside its own, loaded in its process when first wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from infra import engines
from infra.preprocess.masking.mask import Mask, MaskInput
from infra.preprocess.pose_estimation.pose import Pose, PoseInput
from infra.serving.context import Context
from infra.serving.engine import WeightsPath
from infra.serving.settings import Settings
from infra.serving.timing import Timing
from infra.serving.worker import EngineWorker


class Companions:
    """The pose and masking engines of this process."""

    def __init__(self, settings: Settings, weights: WeightsPath) -> None:
        self._settings, self._weights = settings, weights
        self._workers: dict[str, EngineWorker[Any, Any]] = {}

    async def pose(self, picture: np.ndarray, context: Context) -> Pose:
        return await self._run("pose_estimation", PoseInput(picture), context)

    async def mask(self, picture: np.ndarray, pose: Pose | None, context: Context) -> Mask:
        """The person's mask."""
        return await self._run("masking", MaskInput(picture, "person", pose), context)

    async def _run(self, service: str, input: Any, context: Context) -> Any:
        if service not in self._workers:
            engine = engines.choose(service, self._settings, self._weights)
            settings = self._settings
            self._workers[service] = EngineWorker(engine, self._weights, settings.engine_threads, settings.queue)
        worker = self._workers[service]
        worker.start()
        await worker.wait_ready(context.deadline)
        with context.timing.step(service):
            return await worker.run(input, replace(context, timing=Timing()))

    def stop(self) -> None:
        for worker in self._workers.values():
            worker.stop()
