"""The structure of a garment lying flat: what the warp needs to know of a product photo.

"Left" and "right" are those of the picture; index 0 is left. Coordinates are pixels of the analysed picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infra.viton.geometric.polyline import polyline_length


@dataclass(frozen=True)
class Strip:
    """A tube of cloth (sleeve or trouser leg) as paired points along its two long edges, root first.

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


@dataclass(frozen=True)
class Garment:
    """A garment and its parts. For "lower" the strips are legs, and neck, shoulder and armpit are the waist's corners."""

    kind: str  # "upper", "lower" or "dress"
    rgb: np.ndarray  # uint8 HxWx3, colours freed of the background
    alpha: np.ndarray  # uint8 HxW, the whole cut-out
    torso: np.ndarray  # uint8 HxW, alpha without sleeves (legs) and inner back
    strips: tuple[np.ndarray | None, np.ndarray | None]  # uint8 HxW, alpha of each sleeve (leg)
    back: np.ndarray  # uint8 HxW, the inner back seen through the neckline, label included
    axis: float  # x of the mirror axis
    neck: np.ndarray  # (2, 2) where neckline and shoulder line meet
    neckline: np.ndarray  # (n, 2) front neckline from left to right
    shoulder: np.ndarray  # (2, 2) top of the armhole
    armpit: np.ndarray  # (2, 2)
    sides: np.ndarray  # (2, n, 2) the torso's sides from armpit (or waist) to hem
    sleeves: tuple[Strip | None, Strip | None]  # upper, dress: sleeves; lower: legs; both or none
    collar: bool  # stands up around the neck (turtleneck, shirt collar)

    @property
    def chest(self) -> float:
        """Width between the armpits."""
        return max(float(self.armpit[1, 0] - self.armpit[0, 0]), 1.0)

    @property
    def shoulders(self) -> float:
        """Width between the tops of the armholes."""
        return max(float(self.shoulder[1, 0] - self.shoulder[0, 0]), 1.0)

    @property
    def sleeved(self) -> bool:
        return self.sleeves[0] is not None and self.sleeves[1] is not None

    def sleeve_length(self) -> float:
        """Along the outside, mean of the pair; 0 without sleeves."""
        return float(np.mean([polyline_length(s.outer) if s else 0.0 for s in self.sleeves]))

    def sleeve_index(self) -> float:
        """How long the sleeves are, free of the garment's size: 0.3 short, 0.6 elbow, 0.9 three quarters, 1 and up long.

        Length against the armhole's width and length against the chest, each over what a plain long-sleeved
        shirt has (2.5 and 1.15); their geometric mean, because wide cuts lower both in different measure.
        """
        if not self.sleeved:
            return 0.0
        armhole = float(np.mean([np.hypot(*(s.outer[0] - s.inner[0])) for s in self.sleeves]))
        slender = float(np.mean([s.length for s in self.sleeves])) / max(armhole, 1.0) / 2.5
        return float(np.sqrt(slender * self.sleeve_length() / self.chest / 1.15))

    def sleeve_taper(self) -> float:
        """Cuff width over armhole width, mean of the pair; 1 without sleeves."""
        return float(np.mean([s.widths[-1] / max(s.widths[0], 1.0) if s else 1.0 for s in self.sleeves]))
