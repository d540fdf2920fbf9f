"""Which members of a batch are alike enough to go through a network together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def alike(keys: Iterable[Key]) -> dict[Key, list[int]]:
    """Of each key (a size, a shape) the places at which it stands, in order; keys in the order in which they come."""
    places: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return places
