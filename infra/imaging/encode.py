"""Pictures to bytes, without any metadata, and the choice of the media type."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp")

FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
"""On photos of 768x1024 the fastest setting and the smallest file too: 25 to 35 ms; Pillow takes 70 to 150."""

QUALITY = 92
"""Of JPEG and WebP: no artefact that a viewer sees at arm's length."""


def encode_picture(picture: np.ndarray, media_type: str, quality: int = QUALITY) -> bytes:
    """uint8 HxWx3 RGB to one of `PICTURE_TYPES`. `quality` 1 to 100 is for JPEG and WebP.

    JPEG keeps full colour resolution (4:4:4): a red print on a white shirt bleeds without.
    """
    if media_type == "image/webp":
        out = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(out, "WEBP", quality=quality, method=0)
        return out.getvalue()
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if media_type == "image/png":
        return _encoded(".png", bgr, FAST_PNG)
    if media_type == "image/jpeg":
        full_colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
        return _encoded(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour))
    raise ValueError(f"no encoder for {media_type}")


def encode_grey_png(values: np.ndarray) -> bytes:
    """uint8 HxW to a grey PNG."""
    return _encoded(".png", values, FAST_PNG)


def encode_palette_png(labels: np.ndarray, palette: np.ndarray) -> bytes:
    """uint8 HxW labels to a palette PNG whose indices are the labels; `palette` uint8 Nx3 RGB, N above every label."""
    if labels.max(initial=0) >= len(palette):
        raise ValueError(f"label {labels.max()} has no colour in a palette of {len(palette)}")
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def choose_media_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """Which of `offered` (best first) an Accept header asks for; None where it wants none of them (RFC 9110, 12.5.1).

    The most specific range that covers an offer gives its quality; among equals the first offered wins. A missing
    header, or one without a single range that can be read, takes anything. Parameters other than `q` are not looked at.
    """
    ranges = dict(filter(None, map(_media_range, (accept or "").split(","))))
    if not ranges:
        return offered[0] if offered else None

    def quality(media_type: str) -> float:
        kind = media_type.partition("/")[0]
        return next((ranges[name] for name in (media_type, f"{kind}/*", "*/*") if name in ranges), 0.0)

    best = max(offered, key=quality, default=None)
    return best if best is not None and quality(best) > 0 else None


def _media_range(text: str) -> tuple[str, float] | None:
    """ "image/*;q=0.8" -> ("image/*", 0.8); None where it is not a media range."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    kind, slash, subtype = name.partition("/")
    if not (kind and slash and subtype) or (kind == "*" and subtype != "*"):
        return None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return None
            return (name, quality) if 0 <= quality <= 1 else None
    return name, 1.0


def _encoded(extension: str, values: np.ndarray, settings: tuple[int, ...]) -> bytes:
    done, data = cv2.imencode(extension, values, settings)
    if not done:
        raise ValueError(f"cannot encode {values.dtype} {values.shape} as {extension}")
    return data.tobytes()
