"""Pickles of NumPy arrays, as detectron2 publishes its models, read without NumPy's or anybody's own constructors.

A pickle is a program. This reader answers the few names that a pickled array asks for with stand-ins that only note
what an array is made of, and refuses every other name, so that no function of any module is ever reached. The arrays
are then made here, from those notes.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from infra.weights.readers.pickle_cost import TooCostly, check_cost
from infra.weights.readers.stored import Stored, UnreadableCheckpoint, of_array, only_tensors, unwrapped

_PLAIN_DTYPE = re.compile(r"[fiu][1248]|b1")
_MOST_SIDES = 32  # of an array of NumPy 1


def read_numpy_pickle(path: Path, wrappers: tuple[str, ...]) -> dict[str, Stored]:
    """Arrays by name, as views of what was read. Protocols 0 to 5, written under NumPy 1 or 2 and Python 2 or 3.

    Raises `UnreadableCheckpoint`.
    """
    try:
        with path.open("rb") as file:
            check_cost(file)
            file.seek(0)
            content = _ArrayUnpickler(file, encoding="latin1").load()  # Python 2 wrote the arrays' bytes as text
    except (_Refused, TooCostly) as refused:
        raise UnreadableCheckpoint(path, str(refused)) from refused
    except Exception as error:  # a damaged or hostile file can raise anything
        said = str(error).partition("\n")[0][:200] or type(error).__name__
        reason = f"cannot be read as a pickle of arrays; it is damaged, truncated or something else ({said})"
        raise UnreadableCheckpoint(path, reason) from error
    values = unwrapped(path, content, wrappers)
    arrays = {name: _array(path, name, value) for name, value in values.items()}
    return only_tensors(path, arrays, values)


class _Refused(Exception):
    """The pickle asks for something that is no part of an array; the text is the end of a sentence about the file."""


class _DType:
    """Stands for `numpy.dtype`: a code such as f4 and a byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


class _Array:
    """Stands for `numpy.ndarray`: shape, type, memory order and raw bytes."""

    __slots__ = ("shape", "dtype", "fortran", "raw")

    def __setstate__(self, state: tuple) -> None:
        _, self.shape, self.dtype, self.fortran, self.raw = state


class _ArrayUnpickler(pickle.Unpickler):
    """Admits arrays, plain containers, numbers and text."""

    def find_class(self, module: str, name: str) -> Callable | type | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        stand_ins = {
            "numpy.multiarray._reconstruct": _Function(_reconstruct),
            "numpy.numeric._frombuffer": _Function(_frombuffer),
            "numpy.ndarray": "numpy.ndarray",  # only ever handed to _reconstruct
            "numpy.dtype": _Function(_dtype),
            "_codecs.encode": _Function(_encode),
        }
        # NumPy 1 says numpy.core, NumPy 2 numpy._core
        plain = f"{re.sub(r'^numpy[.]_?core[.]', 'numpy.', module)}.{name}"
        if plain not in stand_ins:
            asked = f"{module}.{name}"[:100]
            raise _Refused(f"asks for {asked}, which no array needs: it may be hostile. Nothing of it was run")
        return stand_ins[plain]

    def persistent_load(self, pid: object) -> None:
        raise _Refused("refers to objects outside of itself, which a pickle of arrays does not")


class _Function:
    """Stands for a function. A pickle can set attributes: a real function, or method, would keep them for good."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Callable) -> None:
        self._answer = answer

    def __call__(self, *arguments: object) -> object:
        return self._answer(*arguments)


def _reconstruct(subtype: str, shape: tuple, code: object) -> _Array:
    return _Array()


def _frombuffer(raw: bytes, dtype: _DType, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", raw))
    return array


def _dtype(code: str, *flags: object) -> _DType:
    return _DType(code)


def _encode(text: str, encoding: str) -> str:
    """The text itself: its bytes are made when an array is read, not once for every time that a pickle asks."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _Refused("encodes something in a way that a pickled array does not")
    return text


def _array(path: Path, name: str, value: object) -> Stored | None:
    """The array that the notes describe; None where they are no notes of an array."""
    if not isinstance(value, _Array):
        return None
    try:
        array = _made(value)
    except (AttributeError, TypeError, ValueError) as error:  # notes of the wrong types, or none at all
        reason = f"holds {name:.100} as what looks like an array and is none ({str(error):.200})"
        raise UnreadableCheckpoint(path, reason) from error
    if isinstance(value.raw, str):  # it becomes bytes for one array at a time
        return Stored(array.shape, array.dtype.name, lambda: _made(value))
    return of_array(array)


def _made(notes: _Array) -> np.ndarray:
    code, order, shape = notes.dtype.code, notes.dtype.order, tuple(notes.shape)
    if not _PLAIN_DTYPE.fullmatch(code) or order not in ("<", ">", "|", "="):
        raise ValueError("its values are no plain numbers")
    kind = np.dtype(order + code)
    raw = notes.raw.encode("latin1") if isinstance(notes.raw, str) else notes.raw
    sane = len(shape) <= _MOST_SIDES and all(type(side) is int and 0 <= side < 1 << 63 for side in shape)
    if not sane or prod(shape) * kind.itemsize != len(raw):
        raise ValueError(f"it has {len(raw)} bytes, and its shape needs other")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if notes.fortran else "C")
