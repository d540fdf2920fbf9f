"""The ground of a product shot: one calm colour whose light falls off smoothly, and what differs from it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Noise of a studio's ground in Lab: 49 of 50 product shots lie below, photos of garments on floors above 1.1.
CALM = 0.7
_BORDER = 10  # pixels of the picture's rim that are taken for ground
_EVERY = 7  # of the rim's pixels this one is looked at


@dataclass(frozen=True)
class StudioGround:
    """All float32 HxW, in units of CIE Lab, of the slightly smoothed picture."""

    lab: np.ndarray  # HxWx3
    colour: np.ndarray  # HxWx3: the ground, also where the garment hides it
    noise: float  # median residual of the rim's pixels
    lightness: np.ndarray  # L above the ground's
    tint: np.ndarray  # distance in a, b from the ground's colour under as much light as here: none in a shadow
    distance: np.ndarray  # distance from the ground
    gradient: np.ndarray  # length of the colour's gradient, per pixel

    @classmethod
    def of(cls, picture: np.ndarray) -> StudioGround:
        """Of uint8 HxWx3 RGB."""
        smooth = cv2.GaussianBlur(picture, (0, 0), 1.0)
        lab = cv2.cvtColor(smooth.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2LAB)
        colour, noise = ground_colour(lab)
        lightness, a, b = cv2.split(lab - colour)
        distance = cv2.magnitude(lightness, cv2.magnitude(a, b))
        # Less light shrinks L + 16, a and b in one proportion: they are cube roots of light, and differences of such.
        dimmed = lightness / (colour[..., 0] + 16)
        tint = cv2.magnitude(a - dimmed * colour[..., 1], b - dimmed * colour[..., 2])
        return cls(lab, colour, noise, lightness, tint, distance, _gradient(lab))


def ground_colour(lab: np.ndarray) -> tuple[np.ndarray, float]:
    """Quadratic colour surface through the rim of float32 HxWx3 Lab, and its noise.

    Garments may touch the rim: pixels off the surface are left out, three times over.
    """
    height, width = lab.shape[:2]
    edge = np.zeros((height, width), bool)
    edge[:_BORDER] = edge[-_BORDER:] = edge[:, :_BORDER] = edge[:, -_BORDER:] = True
    rows, columns = (i[::_EVERY] for i in np.nonzero(edge))
    colour = lab[rows, columns]
    basis = _quadratic(columns / width - 0.5, rows / height - 0.5)
    distance = np.abs(colour - np.median(colour, 0)).sum(1)
    chosen = distance < max(12.0, np.percentile(distance, 60))
    for _ in range(3):
        weights, *_ = np.linalg.lstsq(basis[chosen], colour[chosen], rcond=None)
        residual = np.sqrt(((colour - basis @ weights) ** 2).sum(1))
        chosen = residual < max(3.0, 2.5 * np.median(residual[chosen]))
    y, x = np.mgrid[0:height:8, 0:width:8]
    surface = (_quadratic(x.ravel() / width - 0.5, y.ravel() / height - 0.5) @ weights).reshape(*x.shape, 3)
    surface = cv2.resize(surface.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return surface, float(np.median(residual[chosen])) + 0.3


def _quadratic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], 1)


def _gradient(lab: np.ndarray) -> np.ndarray:
    total = None
    for plane in cv2.split(lab):
        length = cv2.magnitude(
            cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8)
        )
        total = length if total is None else cv2.magnitude(total, length)
    return total
