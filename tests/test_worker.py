from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from infra.serving.context import Context
from infra.serving.deadlines import Deadline
from infra.serving.engine import Engine, EngineError
from infra.serving.problems import Problem
from infra.serving.worker import EngineWorker


class Doubling(Engine[int, int]):
    """Doubles numbers once `gate` is open; keeps the batches it saw and the threads it ran in."""

    name = "doubling"
    max_batch = 4

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()

    def load(self, weights, threads):
        self.threads.add(threading.get_ident())

    def run(self, batch):
        self.threads.add(threading.get_ident())
        self.gate.wait(10)
        self.batches.append(batch)
        if 13 in batch:
            raise RuntimeError("secret detail")
        return [EngineError("no_person", "nobody there") if each < 0 else 2 * each for each in batch]


def context(seconds: float = 10) -> Context:
    return Context("id", "trace", Deadline(time.monotonic() + seconds))


def with_worker(story, engine: Doubling | None = None, queue: int = 8):
    """Run an async story with a started worker."""
    engine = engine or Doubling()
    worker = EngineWorker(engine, lambda identity: Path(identity), 1, queue)

    async def live():
        worker.start()
        await worker.wait_ready(Deadline(time.monotonic() + 10))
        return await story(worker, engine)

    try:
        return asyncio.run(live())
    finally:
        engine.gate.set()
        worker.stop()


def test_results_come_back_to_who_asked():
    async def story(worker, _engine):
        return await asyncio.gather(*(worker.run(n, context()) for n in range(8)))

    assert with_worker(story) == [2 * n for n in range(8)]


def test_requests_that_wait_together_are_answered_in_one_batch_by_one_thread():
    async def story(worker, engine):
        engine.gate.clear()
        first = asyncio.create_task(worker.run(0, context()))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(worker.run(n, context())) for n in range(1, 7)]
        await asyncio.sleep(0.05)
        engine.gate.set()
        await asyncio.gather(first, *rest)
        return engine.batches, engine.threads

    batches, threads = with_worker(story)
    assert batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert len(threads) == 1


def test_a_full_queue_is_overloaded_and_says_when_to_come_again():
    async def story(worker, engine):
        engine.gate.clear()
        tasks = [asyncio.create_task(worker.run(n, context())) for n in range(3)]
        await asyncio.sleep(0.05)
        more = [asyncio.create_task(worker.run(n, context())) for n in range(20)]
        await asyncio.sleep(0.05)
        engine.gate.set()
        return await asyncio.gather(*tasks, *more, return_exceptions=True)

    results = with_worker(story, queue=4)
    refused = [each for each in results if isinstance(each, Problem)]
    assert refused and all(each.code == "overloaded" and each.retry_after == 1 for each in refused)
    assert len(results) - len(refused) >= 5


def test_work_whose_deadline_has_passed_is_not_started():
    async def story(worker, engine):
        engine.gate.clear()
        first = asyncio.create_task(worker.run(1, context()))
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as late:
            await worker.run(2, context(0.05))
        engine.gate.set()
        await first
        with pytest.raises(Problem) as past:
            await worker.run(3, context(-1))
        assert await worker.run(4, context()) == 8
        return late.value.code, past.value.code, [n for batch in engine.batches for n in batch]

    late, past, seen = with_worker(story)
    assert late == past == "deadline_exceeded"
    assert seen == [1, 4]


def test_one_input_that_cannot_be_answered_leaves_the_others_alone():
    async def story(worker, _engine):
        return await asyncio.gather(*(worker.run(n, context()) for n in (1, -1, 2)), return_exceptions=True)

    one, problem, two = with_worker(story)
    assert (one, two) == (2, 4)
    assert isinstance(problem, Problem) and problem.code == "no_person"


def test_an_engine_that_breaks_is_internal_and_goes_on():
    async def story(worker, _engine):
        with pytest.raises(Problem) as broken:
            await worker.run(13, context())
        return broken.value, await worker.run(1, context())

    problem, after = with_worker(story)
    assert problem.code == "internal" and "secret" not in problem.detail
    assert after == 2


def test_an_input_that_breaks_the_engine_costs_nobody_else_in_its_batch_an_answer():
    async def story(worker, engine):
        engine.gate.clear()
        first = asyncio.create_task(worker.run(0, context()))
        await asyncio.sleep(0.05)
        together = [asyncio.create_task(worker.run(n, context())) for n in (1, 13, -1)]
        await asyncio.sleep(0.05)
        engine.gate.set()
        await first
        return await asyncio.gather(*together, return_exceptions=True), engine.batches

    (one, broken, nobody), batches = with_worker(story)
    assert one == 2 and (broken.code, nobody.code) == ("internal", "no_person")
    assert batches == [[0], [1, 13, -1], [1], [13], [-1]]


def test_an_engine_that_answers_too_few_is_internal_and_goes_on():
    class Forgetful(Doubling):
        def run(self, batch):
            return super().run(batch)[1:] if batch == [7] else super().run(batch)

    async def story(worker, _engine):
        with pytest.raises(Problem) as broken:
            await worker.run(7, context())
        return broken.value.code, await worker.run(1, context())

    assert with_worker(story, Forgetful()) == ("internal", 2)


def test_stopping_turns_away_what_waits_and_is_not_held_up_by_a_full_queue():
    async def story(worker, engine):
        engine.gate.clear()
        first = asyncio.create_task(worker.run(1, context()))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(worker.run(n, context())) for n in range(2, 6)]
        await asyncio.sleep(0.05)
        stopping = asyncio.create_task(asyncio.to_thread(worker.stop))
        done = await asyncio.gather(*waiting, return_exceptions=True)
        engine.gate.set()
        await stopping
        with pytest.raises(Problem) as late:
            await worker.run(6, context())
        return await first, {each.code for each in done}, late.value.code, worker.ready

    assert with_worker(story, queue=4) == (2, {"engine_unavailable"}, "engine_unavailable", False)


def test_a_request_that_is_given_up_while_it_waits_is_never_run():
    async def story(worker, engine):
        engine.gate.clear()
        first = asyncio.create_task(worker.run(1, context()))
        await asyncio.sleep(0.05)
        given_up = asyncio.create_task(worker.run(2, context()))
        await asyncio.sleep(0.05)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        engine.gate.set()
        await first
        await worker.run(3, context())
        return [n for batch in engine.batches for n in batch]

    assert with_worker(story) == [1, 3]


def test_an_engine_that_cannot_load_says_why_and_is_unavailable():
    class Broken(Doubling):
        def load(self, weights, threads):
            raise FileNotFoundError("modnet is missing; run `everywear weights fetch modnet`")

    async def story(worker, _engine):
        with pytest.raises(Problem) as problem:
            await worker.run(1, context())
        return problem.value

    problem = with_worker(story, Broken())
    assert problem.code == "engine_unavailable" and "everywear weights fetch modnet" in problem.detail


def test_waiting_and_running_are_timed():
    async def story(worker, _engine):
        told = context()
        await worker.run(1, told)
        return told.timing.steps

    assert set(with_worker(story)) == {"queue", "infer"}
