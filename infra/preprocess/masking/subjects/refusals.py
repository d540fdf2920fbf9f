"""Where a masking engine sees no subject, and what it says then."""

from __future__ import annotations

from infra.serving.engine import EngineError

GARMENT_SIDE = 1024  # pixels of the longer side, at most, at which garments are cut out: lengths there are meant for it
LEAST_SIDE = 32  # pixels of the shorter side then; no garment can be made out below
NO_PERSON = EngineError("no_person", "Nobody was found in the picture. Use a photo that shows a person.")
NO_GARMENT = EngineError(
    "no_garment",
    "No garment was found in the picture. Use a photo of one garment, laid flat, on a hanger or worn, "
    "that fills a good part of the picture.",
)
TOO_SMALL = EngineError(
    "no_garment",
    f"The picture is too small or too narrow to hold a garment: under {LEAST_SIDE} pixels, or over "
    f"{GARMENT_SIDE // LEAST_SIDE} times as long as wide.",
)


def holds_no_garment(size: tuple[int, int]) -> bool:
    """Whether a picture of this (height, width) is too small, or too narrow a strip, to make out a garment in it."""
    return min(size) * min(1, GARMENT_SIDE / max(size)) < LEAST_SIDE
