"""The `.safetensors` files of the weights folder: written tensor by tensor, and sealed with a hash of themselves.

A file's metadata hold `sha256`: that of the whole file with those 64 digits read as zeros. So one file carries its
tensors, where they came from and what tells damage, and appears under its name whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

VERSION_KEY, VERSION = "everywear", "1"  # of what is written here; a file of another version is imported anew
DIGEST_KEY = "sha256"
_UNSEALED, _SEAL = "0" * 64, re.compile("[0-9a-f]{64}")
_LENGTH_BYTES = 8  # of the header's length, little-endian, at the file's start
_LARGEST_HEADER = 100_000_000  # the format's own limit
_DTYPES = {"float32": ("F32", "<f4"), "int64": ("I64", "<i8")}


class NoTensorFile(Exception):
    """The file is no safetensors file, or one without a seal; the text says which."""


def write(
    file: BinaryIO,
    layout: Mapping[str, tuple[tuple[int, ...], str]],
    metadata: Mapping[str, str],
    values: Callable[[str], Iterable[np.ndarray]],
) -> str:
    """Write tensors of `layout`, name -> (shape, "float32" or "int64"), and seal the file; its `sha256`.

    `values` gives a tensor's values in order, as flat arrays of its type that together are as many as its shape needs.
    Only one of them is in memory at a time.
    """
    names = sorted(layout, key=lambda name: (-np.dtype(layout[name][1]).itemsize, name))  # as the library aligns them
    header = _header(names, layout, {DIGEST_KEY: _UNSEALED, VERSION_KEY: VERSION, **metadata})
    digest = hashlib.sha256(header)
    file.write(header)
    for name in names:
        shape, dtype = layout[name]
        written = 0
        for part in values(name):
            part = np.ascontiguousarray(part, dtype=_DTYPES[dtype][1])
            digest.update(part.data)
            file.write(part.data)
            written += part.size
        if written != prod(shape):
            raise ValueError(f"{name}: {written} values for the shape {list(shape)}")
    seal = digest.hexdigest()
    file.seek(header.index(_UNSEALED.encode()))
    file.write(seal.encode())
    return seal


def _header(names: list[str], layout: Mapping[str, tuple[tuple[int, ...], str]], metadata: Mapping[str, str]) -> bytes:
    """The length field and the header, in which the seal's zeros come first of their kind."""
    described: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for name in names:
        shape, dtype = layout[name]
        end = at + prod(shape) * np.dtype(dtype).itemsize
        described[name] = {"dtype": _DTYPES[dtype][0], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata that the file was written with, and its seal. Raises `NoTensorFile`, `OSError`."""
    header = _read_header(path)
    try:
        metadata = json.loads(header[_LENGTH_BYTES:])["__metadata__"]
        sealed = _SEAL.fullmatch(metadata[DIGEST_KEY])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise NoTensorFile("has no metadata that tell its SHA-256") from error
    if not sealed:
        raise NoTensorFile("has no metadata that tell its SHA-256")
    return metadata


def digest_of(path: Path) -> str:
    """The file's SHA-256 with its seal read as zeros, which is what the seal should say.

    Raises `NoTensorFile`, `OSError`.
    """
    header = _read_header(path)
    seal = metadata_of(path)[DIGEST_KEY].encode()
    digest = hashlib.sha256(header.replace(seal, _UNSEALED.encode(), 1))
    with path.open("rb") as file:
        file.seek(len(header))
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read_header(path: Path) -> bytes:
    """The file's length field and header."""
    with path.open("rb") as file:
        length = file.read(_LENGTH_BYTES)
        size = int.from_bytes(length, "little")
        header = file.read(size) if len(length) == _LENGTH_BYTES and size <= _LARGEST_HEADER else b""
    if not header or len(header) != size:
        raise NoTensorFile("is no safetensors file, or a truncated one")
    return length + header
