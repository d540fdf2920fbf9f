"""Caffe's `.caffemodel`: one protobuf message, read by its wire format (protobuf.dev/programming-guides/encoding).

Field numbers are those of the published `caffe.proto`: NetParameter, LayerParameter and the older V1LayerParameter,
BlobProto, BlobShape. Every other field is skipped.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np

from infra.weights.readers.stored import Stored, UnreadableCheckpoint, of_array

VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5  # wire types
LAYER, V1_LAYER = 100, 2  # of NetParameter
NAME, BLOBS = 1, 7  # of LayerParameter
V1_NAME, V1_BLOBS = 4, 6  # of V1LayerParameter
LEGACY_SIDES, DATA, SHAPE, DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8  # of BlobProto; the first are num to width
SIDES = 1  # of BlobShape
_UNPACKED_VALUE = DATA << 3 | FOUR_BYTES  # the key in front of every value where the list is not packed
_BLOB_NAMES = ("weight", "bias")
_MANY = 10_000  # more than a network has layers, a layer blobs, or a list of numbers pieces
_MOST_SIDES, _LONGEST_SIDE = 32, (1 << 31) - 1  # of a blob, in Caffe
_FIRST_LOOK = 1024  # unpacked values


class _Malformed(ValueError):
    """The bytes are no message."""


def read_caffe(path: Path) -> dict[str, Stored]:
    """`LAYER.weight` and `LAYER.bias` of every layer that has values, as views of the mapped file.

    Shapes of the older form, padded to four sides with leading ones, are marked so. Raises `UnreadableCheckpoint`.
    """
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        tensors = {
            f"{layer}.{_blob_name(number)}": of_array(*_blob(blob))
            for layer, blobs in _layers(content)
            for number, blob in enumerate(blobs)
        }
    except _Malformed as error:
        raise UnreadableCheckpoint(path, f"cannot be read as a Caffe model: {error}") from error
    if not tensors:
        raise UnreadableCheckpoint(path, "is no Caffe model, or one without any values")
    return tensors


def _check_count(count: int) -> None:
    """Refuse small things in large numbers, which take many times the file's memory."""
    if count > _MANY:
        raise _Malformed("it has more parts than any network")


def _blob_name(number: int) -> str:
    return _BLOB_NAMES[number] if number < len(_BLOB_NAMES) else f"blob{number}"


def _layers(net: memoryview) -> Iterator[tuple[str, list[memoryview]]]:
    """Name and blobs of every layer, in the file's order."""
    numbers = {LAYER: (NAME, BLOBS), V1_LAYER: (V1_NAME, V1_BLOBS)}
    count = 0
    for field, value in _fields(net):
        if field not in numbers or not isinstance(value, memoryview):
            continue
        count += 1
        _check_count(count)
        name_field, blobs_field = numbers[field]
        name, blobs = "", []
        for inner, part in _fields(value):
            if isinstance(part, memoryview) and inner == name_field:
                name = bytes(part).decode(errors="replace")
            elif isinstance(part, memoryview) and inner == blobs_field:
                blobs.append(part)
                _check_count(len(blobs))
        yield name, blobs


def _blob(blob: memoryview) -> tuple[np.ndarray, bool]:
    """The values in their shape, and whether that may be padded with leading ones."""
    parts: list[np.ndarray] = []
    legacy: dict[int, int] = {}
    shape: tuple[int, ...] | None = None
    for field, value in _fields(blob):
        if field in (DATA, DOUBLE_DATA) and isinstance(value, np.ndarray):
            parts.append(value)
        elif field in (DATA, DOUBLE_DATA) and isinstance(value, memoryview):
            kind = np.dtype("<f4" if field == DATA else "<f8")
            if len(value) % kind.itemsize:
                raise _Malformed("a list of numbers ends in the middle of one")
            parts.append(np.frombuffer(value, kind))
        elif field == SHAPE and isinstance(value, memoryview):
            shape = tuple(islice(_sides(value), _MOST_SIDES + 1))
        elif field in LEGACY_SIDES and isinstance(value, int):
            legacy[field] = value
        _check_count(len(parts))
    values = parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0, np.float32)])
    padded = shape is None
    if shape is None:
        shape = tuple(legacy.get(field, 1) for field in LEGACY_SIDES) if legacy else values.shape
    if len(shape) > _MOST_SIDES or any(side > _LONGEST_SIDE for side in shape) or prod(shape) != values.size:
        raise _Malformed(f"a layer has {values.size} values for the shape {list(shape)}")
    return values.reshape(shape), padded


def _sides(message: memoryview) -> Iterator[int]:
    for field, value in _fields(message):
        if field == SIDES and isinstance(value, int):
            yield value
        elif field == SIDES and isinstance(value, memoryview):  # packed
            at = 0
            while at < len(value):
                side, at = _varint(value, at)
                yield side


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview | np.ndarray]]:
    """Number and value of every field: an int for a varint, bytes for a delimited one, an array for unpacked floats."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield field, value
        elif wire == DELIMITED:
            length, at = _varint(message, at)
            yield field, _taken(message, at, length)
            at += length
        elif key == _UNPACKED_VALUE and at == start + 1:  # no writer takes more bytes for it than one
            values = _unpacked(message[start:])
            yield field, values
            at = start + 5 * values.size
        elif wire in (FOUR_BYTES, EIGHT_BYTES):
            length = 4 if wire == FOUR_BYTES else 8
            _taken(message, at, length)
            at += length
        else:
            raise _Malformed(f"it has a field of wire type {wire}, which none of its messages has")


def _unpacked(message: memoryview) -> np.ndarray:
    """The floats that `message` begins with, each behind its own key."""
    _taken(message, 1, 4)
    most = len(message) // 5
    looked = min(most, _FIRST_LOOK)
    while True:  # looking further only where all so far are values, so that many short lists do not take long
        pairs = np.frombuffer(message[: 5 * looked], np.uint8).reshape(-1, 5)
        others = np.flatnonzero(pairs[:, 0] != _UNPACKED_VALUE)
        if others.size or looked == most:
            break
        looked = min(most, 4 * looked)
    pairs = pairs[: others[0]] if others.size else pairs
    return np.ascontiguousarray(pairs[:, 1:]).view("<f4").reshape(-1)


def _taken(message: memoryview, start: int, length: int) -> memoryview:
    if start + length > len(message):
        raise _Malformed("it ends in the middle of a field, so it is truncated, or no Caffe model at all")
    return message[start : start + length]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, least significant first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _Malformed("it ends in the middle of a number, so it is truncated, or no Caffe model at all")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Malformed("it has a number of more than 64 bits")
