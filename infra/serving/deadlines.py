"""How long a request may still take, carried from service to service as `X-Deadline-Ms`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from infra.serving.problems import Problem

HEADER = "x-deadline-ms"

T = TypeVar("T")


@dataclass(frozen=True)
class Deadline:
    at: float  # time.monotonic()

    @classmethod
    def of(cls, header: str | None, default_ms: int) -> Deadline:
        """From the header's milliseconds, never later than the default. Raises Problem("invalid_request")."""
        milliseconds = float(default_ms)
        if header is not None:
            if not (header.isascii() and header.isdigit() and len(header) <= 9):
                raise Problem("invalid_request", f"X-Deadline-Ms must be whole milliseconds, got {header[:40]!r}")
            milliseconds = min(float(header), milliseconds)
        return cls(time.monotonic() + milliseconds / 1000)

    @property
    def left(self) -> float:
        """Seconds, negative once it has passed."""
        return self.at - time.monotonic()

    def check(self, before: str) -> None:
        if self.left <= 0:
            raise Problem("deadline_exceeded", f"The deadline passed before {before}")

    async def wait(self, work: Awaitable[T], during: str) -> T:
        """The work's result. Cancels it and raises Problem("deadline_exceeded") where it takes too long."""
        try:
            return await asyncio.wait_for(work, max(self.left, 0.001))
        except asyncio.TimeoutError:
            raise Problem("deadline_exceeded", f"The deadline passed while {during}") from None

    def header(self) -> dict[str, str]:
        """What is left, for the next service."""
        return {HEADER: str(max(0, int(self.left * 1000)))}
