"""Reading published checkpoints without running anything of them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from infra.weights.entry import CheckpointFormat
from infra.weights.readers.caffe import read_caffe
from infra.weights.readers.numpy_pickle import read_numpy_pickle
from infra.weights.readers.safetensors_file import read_safetensors
from infra.weights.readers.stored import Stored, UnreadableCheckpoint
from infra.weights.readers.torch_file import LEGACY_MAGIC, ZIP_MAGIC, read_torch

__all__ = ["FileFormat", "Stored", "UnreadableCheckpoint", "format_of", "read"]

FileFormat = CheckpointFormat | Literal["safetensors"]

_HEAD = 512  # enough to tell every format by
_PICKLE = 0x80  # what a pickle of protocol 2 or later begins with
_OTHER_THINGS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file that it stands for",
    b"<!doctype": "is a web page, not the file that it links to",
    b"<html": "is a web page, not the file that it links to",
}


def read(path: Path, file_format: FileFormat, wrappers: tuple[str, ...]) -> dict[str, Stored]:
    """The file's tensors by name; `wrappers` are keys under which they may lie. Raises `UnreadableCheckpoint`."""
    if file_format == "caffe":
        return read_caffe(path)
    if file_format == "safetensors":
        return read_safetensors(path)
    return read_torch(path, wrappers) if file_format == "torch" else read_numpy_pickle(path, wrappers)


def format_of(path: Path, published: Collection[CheckpointFormat]) -> FileFormat:
    """The format, told by how the file begins; a Caffe model, which begins with anything, only where `published`.

    Raises `UnreadableCheckpoint` for what is no checkpoint, `OSError` where the file cannot be read.
    """
    if not path.is_file():
        raise UnreadableCheckpoint(path, "is not there" if not path.exists() else "is no file")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise UnreadableCheckpoint(path, "is empty")
    for beginning, reason in _OTHER_THINGS.items():
        if head.lstrip().lower().startswith(beginning):
            raise UnreadableCheckpoint(path, reason)
    if head.startswith(ZIP_MAGIC) or any(magic in head[:40] for magic in LEGACY_MAGIC):
        return "torch"
    if head[8:10] == b'{"':
        return "safetensors"
    if "caffe" in published and head[0] != _PICKLE:
        return "caffe"
    return "detectron2"
