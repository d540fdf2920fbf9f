"""The structure of a garment lying flat: what the warp needs to know of a product photo.

"Left" and "right" are those of the picture; index 0 is left. Coordinates are pixels of the analysed picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from infra.viton.geometric.garment_parts import leg_alphas, sleeve_alphas
from infra.viton.geometric.polyline import polyline_length
from infra.viton.geometric.strip import Strip


@dataclass(frozen=True, eq=False)
class Garment:
    """A garment and its parts. Of a "lower" one, neck, shoulder and armpit are the waist's corners."""

    kind: str  # "upper", "lower" or "dress"
    rgb: np.ndarray  # uint8 HxWx3, colours freed of the background
    alpha: np.ndarray  # uint8 HxW, the whole cut-out
    back: np.ndarray  # uint8 HxW, the inner back seen through the neckline, label included
    axis: float  # x of the mirror axis
    neck: np.ndarray  # (2, 2) where neckline and shoulder line meet
    neckline: np.ndarray  # (n, 2) front neckline from left to right
    shoulder: np.ndarray  # (2, 2) top of the armhole
    armpit: np.ndarray  # (2, 2)
    sides: np.ndarray  # (2, n, 2) the torso's sides from armpit (or waist) to hem
    sleeves: tuple[Strip | None, Strip | None]  # upper, dress: sleeves; lower: legs; both or none
    collar: bool  # stands up around the neck (turtleneck, shirt collar)

    @cached_property
    def parts(self) -> tuple[np.ndarray, tuple[np.ndarray | None, np.ndarray | None]]:
        """uint8 HxW: alpha of the torso without the inner back (of the hips), and of each sleeve (leg)."""
        if self.kind == "lower":
            return leg_alphas(self.alpha, self.axis, self.sleeves)
        return sleeve_alphas(
            self.alpha, self.back, self.axis, self.shoulder, self.armpit, self.sides, self.sleeves
        )

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

    @property
    def strapless(self) -> bool:
        """Held up by the chest alone: a wide neckline straight between the armpits."""
        wide = self.neck[1, 0] - self.neck[0, 0] > 0.8 * self.shoulders
        return not self.sleeved and bool(wide) and self.shoulders > 0.9 * self.chest

    def sleeve_length(self) -> float:
        """Along the outside, mean of the pair; 0 without sleeves."""
        return float(np.mean([polyline_length(s.outer) if s else 0.0 for s in self.sleeves]))

    def sleeve_index(self) -> float:
        """How long the sleeves are, whatever the garment's size: about 0.4 short, 0.85 three quarters, 1 long.

        Length against the armhole's width, the chest and the body's length, each over what a plain long-sleeved
        shirt has. Their geometric mean, the last counted twice: wide cuts lower the first two in different measure.
        """
        if not self.sleeved:
            return 0.0
        armhole = float(np.mean([np.hypot(*(s.outer[0] - s.inner[0])) for s in self.sleeves]))
        slender = float(np.mean([s.length for s in self.sleeves])) / max(armhole, 1.0)
        outside = self.sleeve_length()
        longest = 1.6 * self.chest if self.kind == "dress" else np.inf  # dresses: a shirt's length
        length = np.clip(self.sides[:, -1, 1].mean() - self.neck[:, 1].mean(), 1.2 * self.chest, longest)
        return float((slender / 2.5 * outside / self.chest / 1.15 * (outside / length / 0.9) ** 2) ** 0.25)

    def sleeve_taper(self) -> float:
        """Cuff width over armhole width, mean of the pair; 1 without sleeves."""
        return float(np.mean([s.widths[-1] / max(s.widths[0], 1.0) if s else 1.0 for s in self.sleeves]))
