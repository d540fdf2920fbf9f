"""Where the time of a request went: `Server-Timing`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timing:
    """Named steps and their seconds; a step that comes twice adds up."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    def add(self, step: str, seconds: float) -> None:
        self.steps[step] = self.steps.get(step, 0.0) + max(seconds, 0.0)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - begin)

    def header(self) -> str:
        return ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in self.steps.items())
