"""Files of `torch.save`: the zip archive of today and the pickle of before 2020, with torch's own restricted reader."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from infra.weights.readers.stored import Stored, UnreadableCheckpoint, only_tensors, unwrapped

if TYPE_CHECKING:
    import torch

ZIP_MAGIC = b"PK\x03\x04"
# The number that the old form begins with, as pickles of protocol 2 and more, and of protocol 0, write it
LEGACY_MAGIC = (b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"L119547037146038801333356L\n.")


def read_torch(path: Path, wrappers: tuple[str, ...]) -> dict[str, Stored]:
    """Tensors by name. Those of a zip archive stay in the file until they are read (`mmap`).

    Only what torch's `weights_only` admits is ever made: tensors, plain containers, numbers and strings. Nothing is
    called on the file's behalf. Raises `UnreadableCheckpoint`.
    """
    import torch

    with path.open("rb") as file:
        zipped = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    if zipped:
        _check_archive(path)
    try:
        content = torch.load(os.fspath(path), map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a damaged or hostile file can raise anything
        raise UnreadableCheckpoint(path, _reason(error)) from error
    values = unwrapped(path, content, wrappers)
    return only_tensors(path, {name: _stored(value) for name, value in values.items()}, values)


def _check_archive(path: Path) -> None:
    """Refuse what torch never writes: compressed members, which could unpack to any size, and overlapping ones."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnreadableCheckpoint(path, f"is a damaged or truncated zip archive ({error})") from error
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UnreadableCheckpoint(path, "has compressed members, which torch does not write; it was not unpacked")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise UnreadableCheckpoint(path, "claims members that are larger than the file; it was not unpacked")


def _stored(value: object) -> Stored | None:
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_quantized:
        return None
    if value.device.type != "cpu":  # a tensor saved without its values
        return None
    return Stored(tuple(value.shape), str(value.dtype).removeprefix("torch."), lambda: _array(value))


def _array(tensor: torch.Tensor) -> np.ndarray:
    import torch

    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()


def _reason(error: Exception) -> str:
    """Why torch refused. Its own text advises to switch the protection off, so only the culprit is taken from it."""
    if asked := re.search(r"GLOBAL (\S+)", str(error)):
        return f"asks for {asked[1][:100]}, which no checkpoint needs: it may be hostile. Nothing of it was run"
    told = str(error) if not isinstance(error, pickle.UnpicklingError) else str(error).partition("error: ")[2]
    said = told.strip().partition("\n")[0][:200] or type(error).__name__
    return f"cannot be read as a torch checkpoint; it is damaged, truncated or something else ({said})"
