"""Which key points a body network finds, the limbs that join them, and where its maps hold both.

Tables as OpenPose 1.7 publishes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CELL = 8  # net pixels along a cell of the maps


@dataclass(frozen=True)
class Skeleton:
    """Maps are the heat maps of `parts` key points, that of the background, and 2 field channels for each limb."""

    parts: int
    limbs: tuple[tuple[int, int], ...]
    # of each limb the channel of its field's x, counted from the first field channel; y is the next one
    channels: tuple[int, ...]
    feet: tuple[int, ...] = ()

    def heat(self, maps: np.ndarray) -> np.ndarray:
        """Heat maps of the key points, parts x h x w."""
        return maps[: self.parts]

    def fields(self, maps: np.ndarray) -> np.ndarray:
        """complex64, limbs x h x w: the part affinity fields, x + iy."""
        first = np.array(self.channels) + self.parts + 1
        fields = np.empty((len(first), *maps.shape[1:]), np.complex64)
        fields.real, fields.imag = maps[first], maps[first + 1]
        return fields


COCO_18 = Skeleton(
    parts=18,
    limbs=(
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
        (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
    ),
    channels=(12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26),
)  # fmt: skip

BODY_25 = Skeleton(
    parts=25,
    limbs=(
        (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (8, 12), (12, 13), (13, 14),
        (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (2, 17), (5, 18), (14, 19), (19, 20), (14, 21), (11, 22),
        (22, 23), (11, 24),
    ),
    channels=(0, 14, 22, 16, 18, 24, 26, 6, 2, 4, 8, 10, 12, 30, 32, 36, 34, 38, 20, 28, 40, 42, 44, 46, 48, 50),
    feet=tuple(range(19, 25)),
)  # fmt: skip
