"""A tube of cloth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.viton.geometric.polyline import polyline_length


@dataclass(frozen=True, eq=False)
class Strip:
    """A sleeve or trouser leg as paired points along its two long edges, root first.

    Two edges, never an axis with a width: sleeves that are spread, hang or bend then need no cases.
    """

    outer: np.ndarray  # (n, 2)
    inner: np.ndarray  # (n, 2)

    @property
    def length(self) -> float:
        """Along the middle."""
        return polyline_length((self.outer + self.inner) / 2)

    @property
    def widths(self) -> np.ndarray:
        """(n,) from edge to edge."""
        return np.hypot(*(self.outer - self.inner).T)
