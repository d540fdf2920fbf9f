"""What every reader gives: a file's tensors by name, described before they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class UnreadableCheckpoint(Exception):
    """The file cannot be read, or must not be; the text names it and says why."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} {reason}")


@dataclass(frozen=True)
class Stored:
    """One tensor of a file.

    `dtype` is NumPy's name, or torch's where NumPy has none. `read` gives the values, in the byte order and strides
    that they are stored in; bfloat16, which NumPy lacks, as float32. `padded`: `shape` may carry leading ones that the
    network's does not.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]
    padded: bool = False


def of_array(array: np.ndarray, padded: bool = False) -> Stored:
    """A tensor that is an array already."""
    return Stored(array.shape, array.dtype.name, lambda: array, padded)


def unwrapped(path: Path, content: object, wrappers: tuple[str, ...]) -> Mapping[str, object]:
    """The mapping of names to tensors: what lies under the first of `wrappers` that is there, else `content` itself."""
    if not isinstance(content, dict):
        raise UnreadableCheckpoint(path, f"holds a {type(content).__name__}, not tensors by name")
    # Methods of dict itself: a pickle can hide those of an OrderedDict behind attributes of its own
    inner = next((each for key in wrappers if isinstance(each := dict.get(content, key), dict)), content)
    values = dict(dict.items(inner))
    nameless = {type(key).__name__ for key in values if not isinstance(key, str)}
    if nameless:
        raise UnreadableCheckpoint(path, f"has keys that are no names, of type {', '.join(sorted(nameless))}")
    return values


def only_tensors(path: Path, tensors: Mapping[str, Stored | None], values: Mapping[str, object]) -> dict[str, Stored]:
    """`tensors`, once none of them is None, which stands for something that is no dense tensor."""
    others = [f"{name:.100} ({type(values[name]).__name__})" for name, stored in tensors.items() if stored is None]
    if others:
        more = f" and {len(others) - 10} more" if len(others) > 10 else ""
        raise UnreadableCheckpoint(path, f"holds what is no dense tensor: {', '.join(others[:10])}{more}")
    return dict(tensors)
