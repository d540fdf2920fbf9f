"""Turning a published checkpoint into the one file that services open, once."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from infra.weights import tensor_file
from infra.weights.catalogue import CHECKPOINTS, build_network
from infra.weights.entry import Checkpoint
from infra.weights.folder import WeightsFolder
from infra.weights.names import Match, Wanted, listed, match
from infra.weights.readers import FileFormat, Stored, UnreadableCheckpoint, format_of, read

LIBRARIES = ("torch", "safetensors")
CHUNK = 1 << 20  # values that are converted and written at a time
LARGEST = 10  # times the published size: room for float64 and wordy forms, not for anything


class RefusedCheckpoint(Exception):
    """The file can be read and is not the network; `faults` say why, a line for each kind."""

    def __init__(self, id: str, path: Path, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n  ".join([f"{path} is not {id}; nothing was imported.", *faults]))


class ModelsMissing(Exception):
    """torch or safetensors is not installed."""

    def __init__(self) -> None:
        super().__init__(
            f"This needs {' and '.join(LIBRARIES)}. Run `make models`, or "
            '`pip install -c backend_requirements.txt "everywear[models]"`'
        )


@dataclass(frozen=True)
class Imported:
    """What an import did. `known` tells whether the file's hash is one that is published: None where none is."""

    path: Path
    tensors: int
    source: str
    source_sha256: str
    known: bool | None
    left_out: tuple[str, ...]
    filled: tuple[str, ...]
    rounded: tuple[str, ...]


def require_models() -> None:
    """Raise `ModelsMissing` unless torch and safetensors are installed; neither is imported."""
    if any(importlib.util.find_spec(library) is None for library in LIBRARIES):
        raise ModelsMissing


def import_checkpoint(checkpoint: Checkpoint, file: Path, weights: WeightsFolder) -> Imported:
    """Write `file` into the folder as the checkpoint's `.safetensors`, checked and whole, or leave what was there.

    float16, bfloat16 and float64 become the float32 of the network, counters int64. A value that is no finite number
    is a fault: a network with one gives nothing but such. Memory: about the file's size (as mapped pages, where its
    format allows), whatever its form.

    Raises `ModelsMissing`, `UnreadableCheckpoint`, `RefusedCheckpoint`, and `OSError` where the folder cannot be
    written. The caller holds the folder's lock.
    """
    require_models()
    try:
        file_format = format_of(file, {published.format for published in checkpoint.files})
        _check_name(checkpoint, file)
        _check_size(checkpoint, file)
        digests = hashes_of(file, {"sha256", *(each.digest.algorithm for each in checkpoint.files if each.digest)})
        stored = read(file, file_format, checkpoint.names.wrappers)
    except OSError as error:
        raise UnreadableCheckpoint(file, f"cannot be read ({error.strerror})") from error
    wanted = wanted_by(checkpoint)
    # Caffe itself skips the layers of a file that the network does not have
    found = match(stored, wanted, checkpoint.names, drops_unknown=file_format == "caffe")
    if found.faults:
        raise RefusedCheckpoint(checkpoint.id, file, found.faults)
    known = _is_known(checkpoint, digests)
    metadata = _metadata(checkpoint, file, file_format, digests["sha256"], known)
    path = weights.place(checkpoint)
    _write(path, file, checkpoint.id, found, wanted, metadata)
    return Imported(
        path=path,
        tensors=len(wanted),
        source=file.name,
        source_sha256=digests["sha256"],
        known=known,
        left_out=tuple(found.left_out),
        filled=tuple(found.filled),
        rounded=tuple(found.rounded),
    )


def wanted_by(checkpoint: Checkpoint) -> dict[str, Wanted]:
    """What the network's state dict has, without memory for its values."""
    import torch

    with torch.device("meta"):
        network = build_network(checkpoint.id)
    return {
        name: Wanted(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in network.state_dict().items()
    }


def hashes_of(file: Path, algorithms: set[str]) -> dict[str, str]:
    """Hashes of the whole file, read once."""
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            for digest in digests.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _check_name(checkpoint: Checkpoint, file: Path) -> None:
    """Refuse the published file of another checkpoint, told by its name: the shapes of some are the same."""
    for other in CHECKPOINTS:
        if other.id != checkpoint.id and any(published.name == file.name for published in other.files):
            command = f"everywear weights import {other.id} {file}"
            raise UnreadableCheckpoint(file, f"is {other.id} by its name. Run `{command}`")


def _check_size(checkpoint: Checkpoint, file: Path) -> None:
    size = file.stat().st_size / 1e6
    if size > LARGEST * checkpoint.mb:
        reason = f"has {size:.0f} MB, and {checkpoint.id} about {checkpoint.mb:.0f}; it was not read"
        raise UnreadableCheckpoint(file, reason)


def _is_known(checkpoint: Checkpoint, digests: Mapping[str, str]) -> bool | None:
    """Whether the file is one that was published; None where not every form of it has a published hash."""
    published = [each.digest for each in checkpoint.files]
    if any(digest is not None and digests[digest.algorithm] == digest.value for digest in published):
        return True
    return None if None in published else False


def _metadata(
    checkpoint: Checkpoint, file: Path, file_format: FileFormat, sha256: str, known: bool | None
) -> dict[str, str]:
    """What the file says of itself. No dates: the same source makes the same file, byte for byte."""
    hash_known: Literal["yes", "no", "none published"] = "none published" if known is None else "yes" if known else "no"
    return {
        "network": checkpoint.id,
        "licence": checkpoint.licence.name,
        "commercial_use": "yes" if checkpoint.licence.commercial_use else "no",
        "source": file.name.encode(errors="replace").decode(),
        "source_format": file_format,
        "source_sha256": sha256,
        "source_hash_is_published": hash_known,
    }


def _write(
    path: Path, file: Path, id: str, found: Match, wanted: Mapping[str, Wanted], metadata: Mapping[str, str]
) -> None:
    """Write beside `path`, and put the file in its place once it is on the disk and all its values are finite."""
    for left in path.parent.glob("*.safetensors.part"):  # of an import that was killed
        left.unlink()
    part = path.with_name(f"{path.name}.part")
    infinite: list[str] = []

    def values(name: str) -> Iterator[np.ndarray]:
        shape, dtype = wanted[name].shape, np.dtype(wanted[name].dtype)
        if name in found.filled:
            yield np.full(prod(shape), found.filled[name], dtype)
            return
        finite = True
        for chunk in _chunks(found.tensors[name], dtype):
            finite = finite and (dtype.kind != "f" or bool(np.isfinite(chunk).all()))
            yield chunk
        if not finite:
            infinite.append(name)

    try:
        with part.open("wb") as target:
            layout = {name: (entry.shape, entry.dtype) for name, entry in wanted.items()}
            tensor_file.write(target, layout, metadata, values)
            target.flush()
            os.fsync(target.fileno())
        if infinite:
            raise RefusedCheckpoint(id, file, [listed("with values that are no finite numbers", infinite)])
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _chunks(tensor: Stored, dtype: np.dtype) -> Iterator[np.ndarray]:
    flat = tensor.read().reshape(-1)
    for start in range(0, flat.size, CHUNK):
        with np.errstate(over="ignore", invalid="ignore"):  # told as not finite
            yield flat[start : start + CHUNK].astype(dtype, copy=False)
