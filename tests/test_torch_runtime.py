from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from infra.serving import torch_runtime
from infra.serving.pointwise import Pointwise
from infra.serving.problems import Problem
from infra.serving.settings import Settings
from infra.serving.torch_engine import TorchEngine
from infra.serving.torch_runtime import NoSuchDevice, TorchRuntime, is_out_of_memory

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")


def configured(**settings: object) -> TorchRuntime:
    return TorchRuntime.configured(Settings(_env_file=None, **settings), threads=1)


class Memory:
    """A function that holds at most `room` inputs at once, and the batches that it was given."""

    def __init__(self, room: int, error: type[BaseException] = torch.cuda.OutOfMemoryError) -> None:
        self.room, self.error, self.seen = room, error, []

    def __call__(self, batch: list[int]) -> list[int]:
        self.seen.append(len(batch))
        if sum(batch) > self.room:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB\nsecret detail")
        return [10 * each for each in batch]


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError, MemoryError])
def test_out_of_memory_is_answered_by_halves(error: type[BaseException]):
    memory = Memory(room=2, error=error)
    assert TorchRuntime().run(memory, [1] * 7) == [10] * 7
    assert memory.seen == [7, 3, 1, 2, 4, 2, 2]


def test_an_input_that_is_too_large_alone_is_answered_alone():
    results = TorchRuntime().run(Memory(room=2), [1, 5, 2])
    assert results[0] == 10 and results[2] == 20
    assert isinstance(results[1], Problem) and results[1].code == "engine_unavailable"
    assert "free memory" in results[1].detail and "secret" not in results[1].detail


def test_other_faults_are_not_taken_for_it():
    def broken(batch: list[int]) -> list[int]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        TorchRuntime().run(broken, [1, 2])


def test_the_cpu_allocator_says_it_in_words():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**56)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_results_are_made_in_inference_mode():
    assert TorchRuntime().run(lambda batch: [torch.is_inference_mode_enabled()], [0]) == [True]


def test_auto_is_float32_on_a_cpu():
    runtime = configured(device="cpu")
    assert (str(runtime.device), runtime.dtype_name, runtime.compiled) == ("cpu", "float32", False)
    assert configured(device="cpu", dtype="bfloat16").dtype == torch.bfloat16
    assert torch.get_num_threads() == 1


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(NoSuchDevice, match="EVERYWEAR_DEVICE=cuda:99"):
        configured(device="cuda:99")


@pytest.mark.parametrize(("free_gb", "batch"), [(10, 6), (1000, torch_runtime.LARGEST_BATCH), (0.5, 1)])
def test_the_batch_is_what_the_free_memory_holds(monkeypatch: pytest.MonkeyPatch, free_gb: float, batch: int):
    """One example takes 1 GB here; torch's counters are stood in for."""
    counters = {
        "memory_allocated": lambda device: 2 * 10**9,
        "max_memory_allocated": lambda device: 3 * 10**9,
        "mem_get_info": lambda device: (int(free_gb * 10**9), 10**12),
        "reset_peak_memory_stats": lambda device: None,
        "empty_cache": lambda: None,
    }
    for name, answer in counters.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    runtime = TorchRuntime(torch.device("cuda"))
    assert runtime.best_batch(lambda batch: batch, 0) == batch
    assert TorchRuntime(torch.device("cuda"), batch=3).best_batch(lambda batch: batch, 0) == 3


def test_an_engine_for_whose_example_memory_is_too_small_does_not_start():
    with pytest.raises(Problem, match="free memory"):
        TorchRuntime().best_batch(Memory(room=0), 1)


@pytest.mark.gpu
@NO_CUDA
def test_auto_takes_the_gpu_in_half_precision():
    runtime = configured()
    assert runtime.device.type == "cuda" and runtime.dtype in (torch.bfloat16, torch.float16)
    module = runtime.prepare(torch.nn.Conv2d(3, 8, 3))
    assert module.weight.is_cuda and module.weight.dtype == runtime.dtype
    picture = torch.zeros(1, 3, 64, 64)
    batch = runtime.best_batch(lambda batch: [module(each.to(module.weight)) for each in batch], picture)
    assert batch == torch_runtime.LARGEST_BATCH


@pytest.mark.parametrize("size", [(1, 24, 7, 9), (2, 24, 40, 50)])
def test_pointwise_convolutions_of_prepared_networks_are_plain_ones(size: tuple[int, ...]):
    plain = torch.nn.Sequential(torch.nn.Conv2d(24, 40, 1), torch.nn.Conv2d(40, 8, 1, stride=2, bias=False))
    prepared = TorchRuntime().prepare(copy.deepcopy(plain))
    assert all(isinstance(layer, Pointwise) for layer in prepared)
    with torch.inference_mode():
        x = torch.randn(size)
        torch.testing.assert_close(prepared(x), plain(x), rtol=0, atol=1e-5)


def test_prepared_networks_are_channels_last_and_never_train():
    module = TorchRuntime(dtype=torch.bfloat16).prepare(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3)))
    weight = module[0].weight
    assert weight.dtype == torch.bfloat16 and weight.is_contiguous(memory_format=torch.channels_last)
    assert not module.training and not weight.requires_grad


def test_opening_takes_exactly_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from safetensors.torch import save_file

    monkeypatch.setattr(torch_runtime, "build_network", lambda id: torch.nn.BatchNorm2d(4))
    written = torch.nn.BatchNorm2d(4).state_dict() | {"weight": torch.arange(4.0)}
    save_file(written, tmp_path / "good.safetensors")
    opened = TorchRuntime().open("any", lambda id: tmp_path / "good.safetensors")
    assert opened.weight.tolist() == [0, 1, 2, 3] and not opened.training and not opened.weight.requires_grad
    del written["running_var"]
    save_file(written, tmp_path / "short.safetensors")
    with pytest.raises(RuntimeError, match="running_var"):
        TorchRuntime().open("any", lambda id: tmp_path / "short.safetensors")


class Brightness(TorchEngine[np.ndarray, float]):
    name = "brightness"

    def build(self, weights, runtime, threads):
        self.ran = 0

    def answer(self, batch):
        self.ran += len(batch)
        return [float(torch.from_numpy(each).float().mean()) for each in batch]

    def example(self):
        return np.zeros((4, 4), np.uint8)


@pytest.mark.parametrize(("asked", "batch"), [(0, 1), (5, 5)])
def test_an_engine_is_loaded_warmed_up_and_run(asked: int, batch: int):
    engine = Brightness.configured(Settings(_env_file=None, device="cpu", dtype="float32", batch=asked))
    engine.load(lambda id: Path(id), threads=1)
    engine.warm_up()
    assert engine.ran == 1 and engine.max_batch == batch and (engine.device, engine.dtype) == ("cpu", "float32")
    assert engine.run([np.full((2, 3), 7, np.uint8), np.zeros((5, 5), np.uint8)]) == [7.0, 0.0]
