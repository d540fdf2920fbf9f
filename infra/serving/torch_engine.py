"""What to write to add a model that runs in torch: one `TorchEngine`.

Nothing here imports torch, so services that run another engine never load it; `build` is where an engine does.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import cv2

from infra.serving.engine import Engine, EngineError, In, Out, WeightsPath
from infra.serving.settings import Settings

if TYPE_CHECKING:
    from infra.serving.torch_runtime import TorchRuntime


class TorchEngine(Engine[In, Out]):
    """Its networks run on the device, and in the precision, that the settings ask for."""

    requires = ("torch", "safetensors")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def configured(cls, settings: Settings) -> TorchEngine[In, Out]:
        return cls(settings)

    def load(self, weights: WeightsPath, threads: int) -> None:
        from infra.serving.torch_runtime import TorchRuntime

        cv2.setNumThreads(threads)
        self.runtime = TorchRuntime.configured(self.settings, threads)
        self.device, self.dtype = str(self.runtime.device), self.runtime.dtype_name
        self.build(weights, self.runtime, threads)

    def warm_up(self) -> None:
        """Runs the example, and finds how many like it the device's free memory holds."""
        self.max_batch = self.runtime.best_batch(self.answer, self.example())

    def run(self, batch: list[In]) -> list[Out | EngineError]:
        return self.runtime.run(self.answer, batch)

    @abstractmethod
    def build(self, weights: WeightsPath, runtime: TorchRuntime, threads: int) -> None:
        """Open the networks: `runtime.open`, what makes them fast, `runtime.prepare`."""

    @abstractmethod
    def answer(self, batch: list[In]) -> list[Out | EngineError]:
        """What `run` promises. It is called in inference mode, again in halves where memory has run out."""

    @abstractmethod
    def example(self) -> In:
        """An input of the usual size, to warm up with."""
