"""Results in memory: bounded in bytes, expiring, and made once even when many ask at the same time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np


class Cache:
    """Least recently used results go first. Nothing is ever written to disk."""

    def __init__(self, max_bytes: float, seconds: float) -> None:
        self.max_bytes, self.seconds = max_bytes, seconds
        self.bytes = 0
        self._entries: OrderedDict[str, tuple[Any, int, float]] = OrderedDict()
        self._making: dict[str, asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str) -> Any | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, _, made = entry
        if time.monotonic() - made > self.seconds:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: str, value: Any) -> None:
        self._drop(key)
        size = size_of(value)
        if size > self.max_bytes:
            return
        self._entries[key] = value, size, time.monotonic()
        self.bytes += size
        while self.bytes > self.max_bytes:
            self._drop(next(iter(self._entries)))

    async def get(self, key: str, make: Callable[[], Awaitable[Any]]) -> tuple[Any, bool]:
        """The value and whether it was there. Those who ask while it is being made wait for the same result.

        A maker that fails fails for the one whose request it ran in; of those who waited one makes it anew.
        """
        while True:
            if (value := self.find(key)) is not None:
                return value, True
            if (task := self._making.get(key)) is None:
                break
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is None:
                return task.result(), True
        task = self._making[key] = asyncio.ensure_future(make())
        try:
            value = await task
        finally:
            task.cancel()
            del self._making[key]
        self.put(key, value)
        return value, False

    def _drop(self, key: str) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self.bytes -= entry[1]


def size_of(value: Any) -> int:
    """Bytes of the arrays in a value, through tuples, dicts and records."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (bytes, str)):
        return len(value)
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(size_of, value))
    if hasattr(value, "__dataclass_fields__"):
        return sum(size_of(getattr(value, name)) for name in value.__dataclass_fields__)
    return 64
