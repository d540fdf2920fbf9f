"""What a masking engine says where the subject is not to be seen."""

from __future__ import annotations

from infra.serving.engine import EngineError

LEAST_SIDE = 32  # pixels; no garment can be made out below
NO_PERSON = EngineError("no_person", "Nobody was found in the picture. Use a photo that shows a person.")
NO_GARMENT = EngineError(
    "no_garment",
    "No garment was found in the picture. Use a photo of one garment, laid flat, on a hanger or worn, "
    "that fills a good part of the picture.",
)
TOO_SMALL = EngineError("no_garment", f"The picture is too small to hold a garment: under {LEAST_SIDE} pixels.")
