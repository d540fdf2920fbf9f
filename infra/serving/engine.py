"""What to write to add a model: one `Engine`.

The loops that drive an engine (queue, batching, deadlines, HTTP) live in the modules beside this one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from infra.serving.settings import Settings

In = TypeVar("In")
Out = TypeVar("Out")

WeightsPath = Callable[[str], Path]
"""Catalogue id -> path of a file whose hash has been checked; raises `infra.weights.MissingWeights`."""


class EngineError(Exception):
    """The input is well formed, but this engine can make nothing of it.

    `code` is one of the closed list of error codes (`infra.serving.problems`): `no_person` or `no_garment`.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Engine(ABC, Generic[In, Out]):
    """A batch of typed inputs in, a batch of typed results out.

    One thread owns an engine: `load`, `warm_up` and `run` are never called at the same time.
    """

    name: ClassVar[str]
    weights: ClassVar[tuple[str, ...]] = ()  # catalogue ids that must be there
    wants: ClassVar[tuple[str, ...]] = ()  # other services' results that it reads: "pose", "mask", "densepose"
    requires: ClassVar[tuple[str, ...]] = ()  # packages beyond the embedded default's that must be installed
    note: ClassVar[str] = ""  # what a user should know of its answers, in one sentence
    # Known once it is loaded, and warm
    max_batch: int = 1
    device: str = "cpu"
    dtype: str = "float32"

    @classmethod
    def configured(cls, settings: Settings) -> Engine[In, Out]:
        """The engine as the settings want it, unloaded."""
        return cls()

    @abstractmethod
    def load(self, weights: WeightsPath, threads: int) -> None:
        """Open the networks. `threads` is how many CPU threads one run may use."""

    def warm_up(self) -> None:
        """Run once on something small, so that the first request is not the slow one."""

    @abstractmethod
    def run(self, batch: list[In]) -> list[Out | EngineError]:
        """Answer every input, in order; an input that cannot be answered gets an `EngineError` in its place."""
