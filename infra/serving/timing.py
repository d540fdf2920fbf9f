"""Where the time of a request went: `Server-Timing`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Timing:
    """Named steps and their seconds; a step that comes twice adds up. Steps may overlap.

    `spans` are the times at which a model or geometry was at work, wherever; the header's `work` is their union, so
    that what a request took beyond it is decoding, transport, queueing and encoding.
    """

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.spans: list[tuple[float, float]] = []  # time.perf_counter()

    def add(self, step: str, seconds: float) -> None:
        self.steps[step] = self.steps.get(step, 0.0) + max(seconds, 0.0)

    @contextmanager
    def step(self, name: str, work: bool = False) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            end = time.perf_counter()
            self.add(name, end - begin)
            if work:
                self.spans.append((begin, end))

    def worked_until(self, end: float, seconds: float) -> None:
        self.spans.append((end - seconds, end))

    def header(self) -> str:
        steps = self.steps | ({"work": _union(self.spans)} if self.spans else {})
        return ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in steps.items())


def durations(header: str) -> dict[str, float]:
    """The seconds of each step in a `Server-Timing` header; parts that are not understood are left out."""
    steps = {}
    for part in header.split(","):
        name, _, milliseconds = part.strip().partition(";dur=")
        with suppress(ValueError):
            steps[name] = float(milliseconds) / 1000
    return steps


def _union(spans: list[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
