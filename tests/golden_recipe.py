"""The weight recipe behind the golden numbers of `tests/golden`, and the comparison with them.

A golden file says what a published network computes when its parameters are filled by this recipe. Whoever builds
the same network with the same parameter names and shapes, fills it the same way and feeds it the same input must get
the same numbers, so a golden file checks names, shapes, order of operations and constants without one published
weight. It is JSON:

    {"model": ..., "source": ..., "seed": 0, "gain": 1.0,
     "state_dict": {"conv1.weight": [64, 3, 7, 7], ...},
     "inputs":  [{"name": "image", "shape": [1, 3, 64, 64], "low": 0.0, "high": 1.0}, ...],
     "outputs": [{"name": ..., "shape": ..., "mean": ..., "std": ..., "absmax": ..., "samples": [...]}, ...]}
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

GOLDEN = Path(__file__).parent / "golden"


def load(name: str) -> dict:
    """The golden file `tests/golden/NAME.json`."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def state_dict(golden: dict) -> dict[str, torch.Tensor]:
    """Every parameter and buffer that the golden file names, filled by the recipe."""
    import torch

    return {
        name: torch.from_numpy(np.array(parameter(name, tuple(shape), golden["seed"], golden["gain"])))
        for name, shape in golden["state_dict"].items()
    }


def inputs(golden: dict) -> dict[str, torch.Tensor]:
    import torch

    return {
        each["name"]: torch.from_numpy(
            uniform_input(each["name"], tuple(each["shape"]), each["low"], each["high"], golden["seed"])
        )
        for each in golden["inputs"]
    }


def errors(golden: dict, outputs: dict[str, np.ndarray]) -> dict[str, float]:
    """Relative error of each recorded output; raises KeyError if one is missing."""
    return {each["name"]: error(each, np.asarray(outputs[each["name"]])) for each in golden["outputs"]}


def draw(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Standard-normal float32 values that depend on the name, shape and seed alone."""
    key = zlib.crc32(f"{seed}:{name}".encode())
    generator = np.random.Generator(np.random.PCG64(key))
    return generator.standard_normal(size=tuple(shape), dtype=np.float32)


def parameter(name: str, shape: tuple[int, ...], seed: int = 0, gain: float = 1.0) -> np.ndarray:
    """The value of one state-dict entry.

    Counters are zero; running variances lie above 1; running means and every
    bias are small; one-dimensional `weight` entries (normalisation scales)
    lie around 1; all else is normal with standard deviation
    gain / sqrt(product of shape[1:]).
    """
    shape = tuple(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    values = draw(name, shape, seed)
    if name.endswith("running_var"):
        return 1.0 + 0.1 * np.abs(values)
    if name.endswith("running_mean"):
        return 0.1 * values
    if len(shape) >= 2:
        return values * np.float32(gain / np.sqrt(np.prod(shape[1:])))
    if name.endswith("weight"):
        return 1.0 + 0.1 * values
    return 0.1 * values


def uniform_input(name: str, shape: tuple[int, ...], low: float, high: float, seed: int = 0) -> np.ndarray:
    """A float32 input, uniform in [low, high), that depends on name, shape and seed alone."""
    key = zlib.crc32(f"input:{seed}:{name}".encode())
    generator = np.random.Generator(np.random.PCG64(key))
    return (low + (high - low) * generator.random(size=tuple(shape), dtype=np.float32)).astype(np.float32)


def sample_indices(name: str, size: int, count: int = 256) -> np.ndarray:
    """`count` flat positions at which a golden file records an output."""
    key = zlib.crc32(f"sample:{name}".encode())
    generator = np.random.Generator(np.random.PCG64(key))
    return np.sort(generator.integers(0, size, size=min(count, size)))


def summarise(name: str, values: np.ndarray, count: int = 256) -> dict:
    """What a golden file keeps of one output array."""
    flat = np.asarray(values).reshape(-1).astype(np.float64)
    at = sample_indices(name, flat.size, count)
    return {
        "name": name,
        "shape": list(np.asarray(values).shape),
        "mean": float(flat.mean()),
        "std": float(flat.std()),
        "absmax": float(np.abs(flat).max()),
        "samples": [float(v) for v in flat[at]],
    }


def error(summary: dict, values: np.ndarray) -> float:
    """Relative error of an output against its summary: ||out - ref|| / ||ref|| over the samples."""
    values = np.asarray(values)
    if list(values.shape) != summary["shape"]:
        raise ValueError(f"{summary['name']}: shape {list(values.shape)}, expected {summary['shape']}")
    flat = values.reshape(-1).astype(np.float64)
    got = flat[sample_indices(summary["name"], flat.size, len(summary["samples"]))]
    want = np.asarray(summary["samples"])
    return float(np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-12))
