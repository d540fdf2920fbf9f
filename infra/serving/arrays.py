"""Arrays over HTTP: records of arrays as NumPy's own `.npz`, single arrays as `.npy`, never a pickle.

A record is a dataclass whose array fields are annotated with an `ArraySpec`; strings, numbers and nested records
are allowed beside them. `encode` and `decode` are each other's inverse; `decode` trusts nothing.
"""

from __future__ import annotations

import dataclasses
import io
import math
import sys
import types
import typing
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import IO, Annotated, Any, TypeVar

import numpy as np

NPY, NPZ = "application/x-npy", "application/x-npz"
MOST_ARRAYS = 64  # in one record; the largest has about twenty

_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

Record = TypeVar("Record")


class ArrayError(ValueError):
    """The bytes are not the arrays that were asked for; the text says which and why."""


@dataclass(frozen=True)
class ArraySpec:
    """What an array must be. A letter in `shape` stands for any length, the same one throughout a record."""

    dtype: str
    shape: tuple[int | str, ...]

    def check(self, name: str, array: np.ndarray, lengths: dict[str, int]) -> None:
        wanted = f"{self.dtype} {'x'.join(map(str, self.shape))}"
        if array.dtype != self.dtype or array.ndim != len(self.shape):
            raise ArrayError(f"{name} must be {wanted}, got {array.dtype} {'x'.join(map(str, array.shape))}")
        for want, got in zip(self.shape, array.shape, strict=True):
            want = want if isinstance(want, int) else lengths.setdefault(want, got)
            if want != got or got == 0:
                raise ArrayError(f"{name} must be {wanted} with {lengths}, got {'x'.join(map(str, array.shape))}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ArrayError(f"{name} holds numbers that are not finite")


def spec(dtype: str, *shape: int | str) -> Any:
    """The type of an array field: `Annotated[np.ndarray, ArraySpec(...)]`."""
    return Annotated[np.ndarray, ArraySpec(dtype, shape)]


@cache
def fields_of(record: type) -> dict[str, tuple[Any, ArraySpec | None, bool, bool]]:
    """name -> (plain type, array spec or None, may be None, may be left out) of a record's fields."""
    hints = typing.get_type_hints(record, include_extras=True)
    out = {}
    for field in dataclasses.fields(record):
        kind = hints[field.name]
        options = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
        (kind,) = (option for option in options if option is not type(None))
        array = next((extra for extra in getattr(kind, "__metadata__", ()) if isinstance(extra, ArraySpec)), None)
        out[field.name] = kind, array, len(options) > 1, field.default is not dataclasses.MISSING
    return out


def flatten(record: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """A record as arrays with dotted names; fields that are None are left out."""
    out = {}
    for name in fields_of(type(record)):
        value = getattr(record, name)
        if dataclasses.is_dataclass(value):
            out.update(flatten(value, f"{prefix}{name}."))
        elif value is not None:
            out[prefix + name] = np.asarray(value)
    return out


def build(record: type[Record], arrays: Mapping[str, np.ndarray]) -> Record:
    """The inverse of `flatten`, checked: raises `ArrayError` for names, dtypes or shapes that do not belong."""
    left = dict(arrays)
    built = _build(record, left, "", {})
    if left:
        raise ArrayError(f"unknown arrays: {', '.join(sorted(left))}")
    return built


def _build(record: type[Record], left: dict[str, np.ndarray], prefix: str, lengths: dict[str, int]) -> Record:
    values = {}
    for name, (kind, array, optional, has_default) in fields_of(record).items():
        key = prefix + name
        if dataclasses.is_dataclass(kind):
            if not optional or any(other.startswith(f"{key}.") for other in left):
                values[name] = _build(kind, left, f"{key}.", lengths)
            continue
        if key not in left:
            if not (optional or has_default):
                raise ArrayError(f"{key} is missing")
            continue
        value = left.pop(key)
        if array is None:
            values[name] = _plain(key, kind, value)
        else:
            array.check(key, value, lengths)
            values[name] = value
    return record(**values)


def _plain(key: str, kind: Any, value: np.ndarray) -> Any:
    if value.dtype.kind == "U" and not _is_text(value):
        raise ArrayError(f"{key} holds characters that do not exist")
    if typing.get_origin(kind) is tuple:
        return tuple(str(item) for item in value.reshape(-1))
    wanted = {str: "U", bool: "b", int: "iu", float: "fiu"}[kind]
    if value.ndim or value.dtype.kind not in wanted:
        raise ArrayError(f"{key} must be one {kind.__name__}")
    return kind(value.item())


def _is_text(value: np.ndarray) -> bool:
    """Whether a string array holds code points only; NumPy itself does not look."""
    points = np.frombuffer(value.tobytes(), np.dtype(np.uint32).newbyteorder(value.dtype.byteorder))
    return not len(points) or int(points.max()) <= sys.maxunicode


def encode(record: Any) -> bytes:
    """A record as an uncompressed `.npz`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in flatten(record).items():
            with archive.open(f"{name}.npy", "w") as member:
                _write_array(member, array)
    return out.getvalue()


def decode(record: type[Record], data: bytes) -> Record:
    """An uncompressed `.npz` as a record whose arrays are read-only views of `data`. Raises `ArrayError`."""
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ArrayError(f"not an .npz: {error}") from None
    if len(members) > MOST_ARRAYS:
        raise ArrayError(f"{len(members)} arrays are more than any record has")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ArrayError(f"{member.filename} is compressed or encrypted; use numpy.savez, not savez_compressed")
        local = data[member.header_offset : member.header_offset + 30]
        if len(local) < 30:
            raise ArrayError(f"{member.filename} lies outside the file")
        start = (
            member.header_offset + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        )
        name = member.filename.removesuffix(".npy")
        if name in arrays:
            raise ArrayError(f"{name} is there twice")
        arrays[name] = decode_array(memoryview(data)[start : start + member.file_size])
    return build(record, arrays)


def encode_array(array: np.ndarray) -> bytes:
    """One array as `.npy`."""
    out = io.BytesIO()
    _write_array(out, array)
    return out.getvalue()


def _write_array(out: IO[bytes], array: np.ndarray) -> None:
    """NumPy's own writer copies an array twice on its way into anything but a file."""
    array = np.ascontiguousarray(array) if array.ndim else array
    np.lib.format.write_array_header_1_0(out, np.lib.format.header_data_from_array_1_0(array))
    out.write(array.reshape(-1).view(np.uint8).data)


def decode_array(data: bytes | memoryview) -> np.ndarray:
    """A `.npy` as a read-only, C-contiguous view of `data`. Raises `ArrayError`; never unpickles, never allocates."""
    head = io.BytesIO(bytes(data[:4096]))
    try:
        read_header = _HEADER_READERS[np.lib.format.read_magic(head)]
        shape, fortran, dtype = read_header(head, max_header_size=4000)
    except Exception as error:  # NumPy's reader raises anything on a broken header: TokenError, IndexError, ...
        raise ArrayError(f"not an .npy: {type(error).__name__}") from None
    if dtype.hasobject or dtype.kind not in "biufU" or dtype.itemsize == 0:
        raise ArrayError(f"arrays of {dtype} are refused")
    if fortran and len(shape) > 1:
        raise ArrayError("Fortran order is refused; use numpy.ascontiguousarray")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(data) - head.tell():
        raise ArrayError(f"the .npy header promises {'x'.join(map(str, shape))} {dtype}, which is not what follows")
    try:
        return np.frombuffer(data, dtype, count, head.tell()).reshape(shape)
    except ValueError as error:  # lengths beside a zero, or dimensions, that NumPy has no room for
        raise ArrayError(f"not an array: {error}") from None
