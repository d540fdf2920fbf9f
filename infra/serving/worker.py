"""One thread that owns an engine, behind a bounded queue; requests that wait together are answered in one batch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Generic

from infra.serving.context import Context
from infra.serving.deadlines import Deadline
from infra.serving.engine import Engine, EngineError, In, Out, WeightsPath
from infra.serving.problems import Problem
from infra.weights import MissingWeights

log = logging.getLogger("everywear")

STOP_SECONDS = 3.0  # that a run is waited for at the end


@dataclass
class _Job(Generic[In, Out]):
    input: In
    deadline: Deadline
    done: Future[Out] = field(default_factory=Future)
    put: float = field(default_factory=time.perf_counter)
    queued: float = 0.0  # seconds it waited
    ran: float = 0.0  # seconds its batch took


class EngineWorker(Generic[In, Out]):
    """Loads an engine in a thread of its own and feeds it."""

    def __init__(self, engine: Engine[In, Out], weights: WeightsPath, threads: int, queue_size: int) -> None:
        self.engine = engine
        self.failure: str | None = None
        self._weights, self._threads = weights, threads
        self._jobs: queue.Queue[_Job[In, Out] | None] = queue.Queue(queue_size)
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        return self._ready.is_set() and self.failure is None

    def waiting(self) -> int:
        return self._jobs.qsize()

    def start(self) -> None:
        """Load and warm up in the background; `failure` tells when that went wrong."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name=f"engine-{self.engine.name}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Turns away what waits, and lets what runs come to its end."""
        if self._thread is None:
            return
        self.failure = self.failure or f"The engine {self.engine.name} is being stopped"
        with contextlib.suppress(queue.Empty):
            while job := self._jobs.get_nowait():
                _settle(job, Problem("engine_unavailable", self.failure, retry_after=2))
        self._jobs.put_nowait(None)
        self._thread.join(timeout=STOP_SECONDS)

    async def wait_ready(self, deadline: Deadline) -> None:
        while not self._ready.is_set():
            deadline.check(f"the engine {self.engine.name} was loaded")
            await asyncio.sleep(0.02)

    async def run(self, input: In, context: Context) -> Out:
        """One input's result. Raises `Problem`: overloaded, engine_unavailable, deadline_exceeded, or the engine's."""
        if not self.ready:
            detail = self.failure or f"The engine {self.engine.name} is still loading"
            raise Problem("engine_unavailable", detail, retry_after=2)
        deadline = context.deadline
        deadline.check("the work was begun")
        job = _Job(input, deadline)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise Problem("overloaded", f"{self._jobs.maxsize} requests are waiting already", retry_after=1) from None
        result = await deadline.wait(asyncio.wrap_future(job.done), "the engine was working")
        context.timing.add("queue", job.queued)
        context.timing.add("infer", job.ran)
        return result

    def _live(self) -> None:
        try:
            self.engine.load(self._weights, self._threads)
            self.engine.warm_up()
        except MissingWeights as missing:
            self.failure = f"The engine {self.engine.name} could not be loaded: {missing}"
            log.error(self.failure)
        except Exception as error:  # whatever it is, the service says so and stays up
            log.exception("engine %s failed to load", self.engine.name)
            self.failure = f"The engine {self.engine.name} could not be loaded: {error}"
        self._ready.set()
        while self.failure is None and (batch := self._next_batch()):
            self._answer(batch)
            batch.clear()  # photos are not kept while the next request is waited for

    def _next_batch(self) -> list[_Job[In, Out]]:
        """The next jobs, at most the engine's batch; empty when it is time to stop."""
        batch: list[_Job[In, Out]] = []
        while len(batch) < self.engine.max_batch:
            try:
                job = self._jobs.get(block=not batch)
            except queue.Empty:
                break
            if job is None:
                if batch:
                    self._jobs.put(None)
                break
            if job.deadline.left <= 0:
                _settle(job, Problem("deadline_exceeded", "The deadline passed while the request was waiting"))
            elif job.done.set_running_or_notify_cancel():
                batch.append(job)
        return batch

    def _answer(self, batch: list[_Job[In, Out]]) -> None:
        begin = time.perf_counter()
        results = self._results([job.input for job in batch])
        ran = time.perf_counter() - begin
        for job, result in zip(batch, results):
            job.queued, job.ran = begin - job.put, ran
            _settle(job, result)

    def _results(self, inputs: list[In]) -> list[Any]:
        """The engine's; where it fails on several inputs each is tried alone, so that one fails for itself only."""
        try:
            results: list[Any] = self.engine.run(inputs)
            if len(results) != len(inputs):
                raise ValueError(f"{len(results)} results for {len(inputs)} inputs")
            return results
        except Exception:  # whatever it is, the thread lives on
            log.exception("engine %s failed on %d inputs", self.engine.name, len(inputs))
        if len(inputs) == 1:
            return [Problem("internal", f"The engine {self.engine.name} failed on this input")]
        return [result for each in inputs for result in self._results([each])]


def _settle(job: _Job[In, Out], result: Any) -> None:
    if isinstance(result, EngineError):
        result = Problem(result.code, result.detail)
    with contextlib.suppress(InvalidStateError):  # the request was given up meanwhile
        if isinstance(result, Exception):
            job.done.set_exception(result)
        else:
            job.done.set_result(result)
