"""The one place that knows on which device, in which precision and in how large batches torch networks run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import nn

from infra.serving.engine import WeightsPath
from infra.serving.pointwise import with_fast_pointwise
from infra.serving.problems import Problem
from infra.serving.settings import Settings
from infra.weights.catalogue import build_network

log = logging.getLogger("everywear")

In = TypeVar("In")
Out = TypeVar("Out")

LARGEST_BATCH = 16  # beyond this throughput hardly grows, and everybody in the batch waits for all of it
_SHARE_OF_FREE_MEMORY = 0.6  # the rest is for other services on the same device, and for larger pictures
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class NoSuchDevice(RuntimeError):
    """A setting names a device that torch does not see."""


@dataclass(frozen=True)
class TorchRuntime:
    """`batch` 0: as many as free memory holds on CUDA, and one on a CPU, which gains nothing by more."""

    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    compiled: bool = False
    batch: int = 0

    @classmethod
    def configured(cls, settings: Settings, threads: int) -> TorchRuntime:
        """As the settings want it; `threads` is how many CPU threads this thread's runs may use.

        Raises `NoSuchDevice`.
        """
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = False  # float32 is to mean float32: labels hang on it
        device = _device(settings.device)
        dtype = _fastest_dtype(device) if settings.dtype == "auto" else _DTYPES[settings.dtype]
        return cls(device, dtype, settings.compile, settings.batch)

    @property
    def dtype_name(self) -> str:
        """As people write it: "float32", "bfloat16", "float16"."""
        return str(self.dtype).removeprefix("torch.")

    def open(self, id: str, weights: WeightsPath) -> nn.Module:
        """The catalogue's network with its imported checkpoint: float32, on the CPU, for inference alone.

        Raises `infra.weights.MissingWeights`.
        """
        path = weights(id)
        with torch.device("meta"):
            module = build_network(id)
        module.load_state_dict(load_file(path), strict=True, assign=True)
        return module.eval().requires_grad_(False)

    def prepare(self, module: nn.Module) -> nn.Module:
        """The network on the device, in the precision, channels last, and compiled where the setting says so.

        `module` is used up.
        """
        if self.device.type == "cpu":
            module = with_fast_pointwise(module)
        module = module.eval().requires_grad_(False).to(self.device, self.dtype).to(memory_format=torch.channels_last)
        return torch.compile(module) if self.compiled else module  # type: ignore[return-value]

    def run(self, function: Callable[[list[In]], list[Out]], batch: list[In]) -> list[Out | Problem]:
        """`function`'s results for the batch. Where memory runs out the halves are tried, down to single inputs; one
        that is too large even alone is answered by the problem `engine_unavailable`."""
        try:
            with torch.inference_mode():
                return list(function(batch))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).partition("\n")[0]
        self._free_cache()  # outside the handler: its traceback would hold on to the tensors
        if len(batch) == 1:
            log.error("out of memory on %s: %s", self.device, reason)
            detail = f"The device {self.device} has too little free memory for this picture"
            return [Problem("engine_unavailable", detail, retry_after=2)]
        half = len(batch) // 2
        log.warning("out of memory on %s with %d inputs; trying %d", self.device, len(batch), half)
        return [*self.run(function, batch[:half]), *self.run(function, batch[half:])]

    def best_batch(self, function: Callable[[list[In]], list[Any]], example: In) -> int:
        """How many inputs like the example one run may take; runs it once or twice, which warms everything up.

        Raises `Problem` where memory does not even suffice for one.
        """
        for result in self.run(function, [example]):
            if isinstance(result, Problem):
                raise result
        if self.batch or self.device.type != "cuda":
            return self.batch or 1
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        self.run(function, [example])
        each = max(torch.cuda.max_memory_allocated(self.device) - before, 1)
        self._free_cache()
        free, _ = torch.cuda.mem_get_info(self.device)
        return max(1, min(LARGEST_BATCH, int(free * _SHARE_OF_FREE_MEMORY / each)))

    def _free_cache(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """torch has a type of its own for CUDA alone; on a CPU the allocator's name is in the text."""
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        seen = torch.cuda.device_count()
        raise NoSuchDevice(f"EVERYWEAR_DEVICE={wanted}: torch sees {seen} CUDA devices; auto takes what there is")
    return device


def _fastest_dtype(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
