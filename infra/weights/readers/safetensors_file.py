"""`.safetensors` files, with the library's own reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from infra.weights.readers.stored import Stored, UnreadableCheckpoint

_DTYPES = {
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "BF16": "bfloat16",
    "BOOL": "bool",
}


def read_safetensors(path: Path) -> dict[str, Stored]:
    """Tensors by name, each read from the file when it is asked for. Raises `UnreadableCheckpoint`."""
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
        slices = {name: file.get_slice(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableCheckpoint(path, f"is a damaged or truncated safetensors file ({error})") from error

    def stored(name: str) -> Stored:
        kind = slices[name].get_dtype()
        return Stored(tuple(slices[name].get_shape()), _DTYPES.get(kind, kind), lambda: array(name))

    def array(name: str) -> np.ndarray:
        tensor = file.get_tensor(name)
        return (tensor.float() if slices[name].get_dtype() == "BF16" else tensor).numpy()

    return {name: stored(name) for name in slices}
