"""Files of `torch.save`: the zip archive of today and the pickle of before 2020, with torch's own restricted reader."""

from __future__ import annotations

import os
import pickle
import re
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from infra.weights.readers.pickle_cost import TooCostly, check_cost
from infra.weights.readers.stored import Stored, UnreadableCheckpoint, only_tensors, unwrapped

if TYPE_CHECKING:
    import torch

ZIP_MAGIC = b"PK\x03\x04"
# The number that the old form begins with, as pickles of protocol 2 and more, and of protocol 0, write it
LEGACY_MAGIC = (b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"L119547037146038801333356L\n.")
_OLD_PICKLES = 5  # of an old file: magic number, version, system, contents, and the keys of the storages behind them
_LARGEST_PICKLE = 16_000_000  # bytes; that of a thousand tensors has a tenth of a million, the values lie elsewhere


def read_torch(path: Path, wrappers: tuple[str, ...]) -> dict[str, Stored]:
    """Tensors by name. Those of a zip archive stay in the file until they are read (`mmap`).

    Only what torch's `weights_only` admits is ever made: tensors, plain containers, numbers and strings. Nothing is
    called on the file's behalf. Raises `UnreadableCheckpoint`.
    """
    import torch

    with path.open("rb") as file:
        zipped = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    try:
        size = _size_of_values(path) if zipped else _size_of_old_values(path)
        content = torch.load(os.fspath(path), map_location="cpu", weights_only=True, mmap=zipped)
    except UnreadableCheckpoint:
        raise
    except TooCostly as error:
        raise UnreadableCheckpoint(path, str(error)) from error
    except Exception as error:  # a damaged or hostile file can raise anything
        raise UnreadableCheckpoint(path, _reason(error)) from error
    values = unwrapped(path, content, wrappers)
    tensors = {name: _plain(value) for name, value in values.items()}
    stored = {name: None if tensor is None else _stored(tensor) for name, tensor in tensors.items()}
    checked = only_tensors(path, stored, values)
    storages = [tensor.untyped_storage() for tensor in tensors.values() if tensor is not None]
    if sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values()) > size:
        raise UnreadableCheckpoint(path, "claims more values than there are in it; it is damaged or truncated")
    return checked


def _size_of_values(path: Path) -> int:
    """How many bytes of the archive may be tensors' values.

    Refuses what torch never writes: compressed members, which could unpack to any size, overlapping ones, and pickles
    that cost more than tensors do.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, archive, members)
            for member in members:
                if _is_pickle(member):
                    with archive.open(member) as file:
                        check_cost(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise UnreadableCheckpoint(path, f"is a damaged or truncated zip archive ({error})") from error
    return sum(member.file_size for member in members if not _is_pickle(member))


def _is_pickle(member: zipfile.ZipInfo) -> bool:
    return member.filename.lower().endswith(".pkl")  # torch heeds no case when it looks for it


def _check_members(path: Path, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UnreadableCheckpoint(path, "has compressed members, which torch does not write; it was not unpacked")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise UnreadableCheckpoint(path, "claims members that are larger than the file; it was not unpacked")
    # Python looks for the directory where the archive ends, torch where the archive says that it is
    if archive.comment or min((member.header_offset for member in members), default=1):
        raise UnreadableCheckpoint(path, "is an archive with something around it, which torch does not write")
    if any(member.file_size > _LARGEST_PICKLE for member in members if _is_pickle(member)):
        raise UnreadableCheckpoint(path, "has far more in its pickle than tensors need; it was not read further")


def _size_of_old_values(path: Path) -> int:
    """How many bytes lie behind the pickles of an old file, whose cost is held against that of tensors.

    Refuses the form before that one, a tar archive: torch before 2.6 runs code of it in spite of `weights_only`.
    """
    if tarfile.is_tarfile(path):
        raise UnreadableCheckpoint(path, "is a tar archive, a form of torch's first year that nothing reads safely")
    with path.open("rb") as file:
        for _ in range(_OLD_PICKLES):
            check_cost(file)
        return path.stat().st_size - file.tell()


def _plain(value: object) -> torch.Tensor | None:
    """The tensor itself, without attributes that a file gave it; None where it is not dense, or without values."""
    import torch

    if not isinstance(value, torch.Tensor):
        return None
    try:
        tensor = torch.Tensor.detach(value)
        tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # no storage
        return None
    sound = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_nested
    return tensor if sound and tensor.device.type == "cpu" else None


def _stored(tensor: torch.Tensor) -> Stored:
    return Stored(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), lambda: _array(tensor))


def _array(tensor: torch.Tensor) -> np.ndarray:
    import torch

    tensor = tensor.resolve_neg().resolve_conj()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()


def _reason(error: Exception) -> str:
    """Why torch refused. Its own text advises to switch the protection off, so only the culprit is taken from it."""
    if asked := re.search(r"GLOBAL (\S+)", str(error)):
        return f"asks for {asked[1][:100]}, which no checkpoint needs: it may be hostile. Nothing of it was run"
    told = str(error) if not isinstance(error, pickle.UnpicklingError) else str(error).partition("error: ")[2]
    said = told.strip().partition("\n")[0][:200] or type(error).__name__
    return f"cannot be read as a torch checkpoint; it is damaged, truncated or something else ({said})"
