from __future__ import annotations

import asyncio

import numpy as np
import pytest

from infra.serving.cache import Cache, size_of


def kilobytes(count: int) -> np.ndarray:
    return np.zeros(1024 * count, np.uint8)


def test_the_least_recently_used_goes_first():
    cache = Cache(max_bytes=3 * 1024, seconds=60)
    for name in "abc":
        cache.put(name, kilobytes(1))
    assert cache.find("a") is not None
    cache.put("d", kilobytes(1))
    assert cache.find("b") is None
    assert all(cache.find(name) is not None for name in "acd")
    assert cache.bytes == 3 * 1024


def test_what_is_larger_than_the_whole_cache_is_not_kept():
    cache = Cache(max_bytes=1024, seconds=60)
    cache.put("a", kilobytes(2))
    assert len(cache) == 0 and cache.bytes == 0


def test_results_expire():
    cache = Cache(max_bytes=1024, seconds=0)
    cache.put("a", kilobytes(1))
    assert cache.find("a") is None and cache.bytes == 0


def test_the_same_result_is_made_once_for_all_who_ask_at_the_same_time():
    made = 0

    async def story():
        cache = Cache(max_bytes=2**20, seconds=60)

        async def make():
            nonlocal made
            made += 1
            await asyncio.sleep(0.02)
            return kilobytes(1)

        return await asyncio.gather(*(cache.get("a", make) for _ in range(10)))

    results = asyncio.run(story())
    assert made == 1
    assert sum(was_there for _, was_there in results) == 9


def test_a_failure_is_not_remembered_and_hits_no_one_else():
    attempts = 0

    async def story():
        cache = Cache(max_bytes=2**20, seconds=60)

        async def make():
            nonlocal attempts
            attempts += 1
            await asyncio.sleep(0.01)
            if attempts == 1:
                raise ValueError("the first one fails")
            return kilobytes(1)

        return await asyncio.gather(*(cache.get("a", make) for _ in range(2)), return_exceptions=True)

    first, second = asyncio.run(story())
    assert isinstance(first, ValueError)
    assert second[0].nbytes == 1024


def test_after_a_failure_one_of_those_who_wait_tries_again_and_not_all():
    running, most, attempts = 0, 0, 0

    async def story():
        cache = Cache(max_bytes=2**20, seconds=60)

        async def make():
            nonlocal running, most, attempts
            running, attempts = running + 1, attempts + 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            if attempts == 1:
                raise ValueError("the first one fails")
            return kilobytes(1)

        return await asyncio.gather(*(cache.get("a", make) for _ in range(10)), return_exceptions=True)

    results = asyncio.run(story())
    assert (attempts, most) == (2, 1)
    assert sum(isinstance(each, ValueError) for each in results) == 1


def test_a_request_that_is_given_up_does_not_break_who_waits_with_it():
    async def story():
        cache = Cache(max_bytes=2**20, seconds=60)

        async def make():
            await asyncio.sleep(0.05)
            return kilobytes(1)

        given_up = asyncio.create_task(cache.get("a", make))
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(cache.get("a", make))
        await asyncio.sleep(0.01)
        given_up.cancel()
        value, _ = await waiting
        with pytest.raises(asyncio.CancelledError):
            await given_up
        return value.nbytes

    assert asyncio.run(story()) == 1024


def test_sizes_are_those_of_the_arrays_within():
    assert size_of((kilobytes(1), {"a": kilobytes(2)}, None)) == 3 * 1024 + 64
