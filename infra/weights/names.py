"""Holding a file's tensors against the network that they are for: names, shapes, types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from infra.weights.entry import NameMap
from infra.weights.readers import Stored

SHOWN = 20  # names of one kind of fault that an error lists; a wrong file has hundreds

_WIDER = {"float32": {"float16", "bfloat16", "float32", "float64"}}
_WIDER["int64"] = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)} | {"int64"}


@dataclass(frozen=True)
class Wanted:
    """One entry of the network's state dict."""

    shape: tuple[int, ...]
    dtype: str


@dataclass
class Match:
    """A file's tensors under the network's names.

    `left_out` are names of the file that the network does not want; `filled` are names of the network that the file
    lacks, with the value that they get; `rounded` are stored in more digits than the network has. `faults` says, a line
    for each kind, what keeps the file from being this network.
    """

    tensors: dict[str, Stored] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    filled: dict[str, float] = field(default_factory=dict)
    rounded: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def match(stored: Mapping[str, Stored], wanted: Mapping[str, Wanted], names: NameMap, drops_unknown: bool) -> Match:
    """Every name that `wanted` has, once, with the shape that it has there, or the faults that say why not.

    Types: the network's float32 may be stored as float16, bfloat16 or float64, its int64 counters as any integer.
    `drops_unknown`: what the network lacks is left out, not a fault.
    """
    found = Match()
    twice = []
    for name, tensor in stored.items():
        ours = renamed(name, names)
        if _matches(ours, names.dropped) or _is_constant(ours, tensor, names):
            found.left_out.append(name)
        elif ours in found.tensors:
            twice.append(f"{ours} ({name})")
        else:
            found.tensors[ours] = tensor
    for kind in _foreign(found.tensors, names):
        found.faults.append(f"this is {kind}")
    unknown = [name for name in found.tensors if name not in wanted]
    if drops_unknown:
        found.left_out += unknown
    for name in unknown:
        del found.tensors[name]
    _fill(found, wanted, names)
    faulty = {
        "missing": [name for name in wanted if name not in found.tensors and name not in found.filled],
        "unknown to the network": [] if drops_unknown else unknown,
        "there twice": twice,
        "of another shape": _misshapen(found.tensors, wanted),
        "of another type": _mistyped(found.tensors, wanted),
    }
    found.faults += [listed(kind, which) for kind, which in faulty.items() if which]
    found.rounded = [name for name, tensor in found.tensors.items() if tensor.dtype == "float64"]
    return found


def renamed(name: str, names: NameMap) -> str:
    """The network's name for a name of the file."""
    for prefix in names.prefixes:
        name = re.sub(f"^{prefix}", "", name)
    for pattern, replacement in names.replacements:
        name = re.sub(pattern, replacement, name)
    return name


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(re.match(pattern, name) for pattern in patterns)


def _is_constant(name: str, tensor: Stored, names: NameMap) -> bool:
    """Whether the network has these very values built in."""
    values = dict(names.constants).get(name)
    if values is None or prod(tensor.shape) != len(values) or tensor.dtype not in _WIDER["float32"]:
        return False
    return np.allclose(tensor.read().ravel(), values)


def _foreign(tensors: Iterable[str], names: NameMap) -> list[str]:
    return [kind for pattern, kind in names.foreign if any(re.match(pattern, name) for name in tensors)]


def _fill(found: Match, wanted: Mapping[str, Wanted], names: NameMap) -> None:
    for name in wanted:
        value = next((value for pattern, value in names.filled if re.match(pattern, name)), None)
        if name not in found.tensors and value is not None:
            found.filled[name] = value


def _misshapen(tensors: Mapping[str, Stored], wanted: Mapping[str, Wanted]) -> list[str]:
    return [
        f"{name} {list(tensor.shape)}, not {list(wanted[name].shape)}"
        for name, tensor in tensors.items()
        if not _same_shape(tensor, wanted[name].shape)
    ]


def _same_shape(tensor: Stored, shape: tuple[int, ...]) -> bool:
    if tensor.padded:
        return _without_leading_ones(tensor.shape) == _without_leading_ones(shape)
    return tensor.shape == shape


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[next((at for at, side in enumerate(shape) if side != 1), len(shape)) :]


def _mistyped(tensors: Mapping[str, Stored], wanted: Mapping[str, Wanted]) -> list[str]:
    return [
        f"{name} {tensor.dtype}, not {wanted[name].dtype}"
        for name, tensor in tensors.items()
        if tensor.dtype not in _WIDER.get(wanted[name].dtype, {wanted[name].dtype})
    ]


def listed(kind: str, names: list[str]) -> str:
    """A fault and the names that have it, as many as a person reads."""
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {kind}: {', '.join(name[:200] for name in names[:SHOWN])}{more}"
