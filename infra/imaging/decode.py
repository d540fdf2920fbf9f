"""Pictures from untrusted bytes.

One decoder, Pillow, restricted to the formats that cameras, phones and shops produce. What can be refused is refused
from the header, before a pixel is decoded. OpenCV decodes a JPEG in half the time, but fills what a truncated file
lacks with grey and says nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError, features

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF") + (("AVIF",) if features.check("avif") else ())
"""Pillow's names of what is accepted; of animations and multi-page files the first picture counts."""

LEAST_SIDE = 32
"""Pixels; below this nobody could tell a person or a garment."""

MOST_ASPECT = 8
"""Longer side over shorter side; beyond this it is a banner or a broken header."""

MOST_SCANS = 200
"""Scans of a progressive JPEG; cameras and encoders write about ten, and each one costs a pass over all pixels."""

PALETTE_MODES = ("P", "PA")
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF 2.3, tag Orientation: value -> what makes the picture upright."""

FOREIGN = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (4, b"ftypavi", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftyphev", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (4, b"ftypmsf1", "a HEIF picture"),
    (4, b"ftyp", "a video"),
)
"""Offset, signature and name of what people send by mistake; the first that fits counts."""


class PictureError(Exception):
    """These bytes are not taken as a picture.

    `code` is "bad_image", "image_too_large" or "unsupported_media_type"; `detail` tells the sender what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def decode_picture(
    data: bytes, *, max_pixels: int, max_bytes: int | None = None, longest: int | None = None
) -> np.ndarray:
    """The picture in `data`: uint8 HxWx3 RGB in sRGB, C-contiguous, upright, alpha flattened on white.

    `longest` shrinks a picture whose longer side has more pixels than that (a large JPEG is then also decoded at a
    half, a quarter or an eighth, which is several times faster). Raises `PictureError`.
    """
    with _decoding():
        image = _in_srgb(_eight_bits(_loaded(data, max_pixels, max_bytes, longest)))
        if longest is not None and max(image.size) > longest:
            image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return np.array(image)


def decode_mask(data: bytes, *, max_pixels: int, max_bytes: int | None = None) -> np.ndarray:
    """The mask in `data`: uint8 HxW, its alpha where that says anything, else its grey. Raises `PictureError`."""
    with _decoding():
        image = _eight_bits(_loaded(data, max_pixels, max_bytes))
        if image.has_transparency_data:
            alpha = image.convert("RGBA").getchannel("A")
            if alpha.getextrema() != (255, 255):
                return np.array(alpha)
        return np.array(image.convert("L"))


def decode_labels(data: bytes, *, max_pixels: int, max_bytes: int | None = None) -> np.ndarray:
    """The label map in `data`: uint8 HxW, palette indices as they are, or grey values. Raises `PictureError`."""
    with _decoding():
        image = _loaded(data, max_pixels, max_bytes)
        values = np.array(image)
        if image.mode == "1" or image.mode in SIXTEEN_BIT_MODES:
            if values.max() > 255:
                raise PictureError("bad_image", "The label map has labels above 255.")
            return values.astype(np.uint8)
        if values.ndim == 3:
            grey = values[..., 0]
            if image.mode not in ("LA", "PA") and not (
                image.mode in ("RGB", "RGBA") and (values[..., :3] == grey[..., None]).all()
            ):
                raise PictureError("bad_image", "A label map is a palette or grey picture; this one is in colour.")
            return np.ascontiguousarray(grey)
        return values


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("image_too_large", "The picture has far too many pixels.") from error
    except Exception as error:  # a decoder may raise anything on broken bytes: SyntaxError, struct.error, OSError, ...
        if "truncated" in str(error).lower():
            raise PictureError("bad_image", "The picture is truncated: its end is missing.") from error
        raise PictureError("bad_image", "The picture is damaged and cannot be decoded.") from error


def _loaded(data: bytes, max_pixels: int, max_bytes: int | None, longest: int | None = None) -> Image.Image:
    """Decoded and upright, in the file's own mode."""
    if not data:
        raise PictureError("bad_image", "The file is empty.")
    if max_bytes is not None and len(data) > max_bytes:
        raise PictureError("image_too_large", f"The file has {len(data)} bytes; at most {max_bytes} are taken.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise _refusal(data) from error
    _check_size(*image.size, max_pixels)
    if image.format in ("JPEG", "MPO"):
        # Between scans 0xFF is always followed by 0 or a marker, so this counts scans (and a thumbnail's).
        if data.count(b"\xff\xda") > MOST_SCANS:
            raise PictureError("bad_image", "The JPEG has more scans than any camera writes.")
        if longest is not None:
            factor = min(longest / max(image.size), 1.0)
            image.draft(None, (round(image.width * factor), round(image.height * factor)))
    image.load()
    if image.mode in ("I", "F"):
        raise PictureError("unsupported_media_type", "Pictures with 32 bits per channel are not taken; send 8 or 16.")
    return _upright(image)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PictureError(
            "image_too_large",
            f"The picture has {width} x {height} = {width * height / 1e6:.1f} million pixels; "
            f"at most {max_pixels / 1e6:.1f} million are taken.",
        )
    if min(width, height) < LEAST_SIDE:
        raise PictureError(
            "bad_image", f"The picture is {width} x {height} pixels; each side needs at least {LEAST_SIDE}."
        )
    if max(width, height) > MOST_ASPECT * min(width, height):
        raise PictureError(
            "bad_image", f"The picture is {width} x {height} pixels: longer than {MOST_ASPECT} times its other side."
        )


def _refusal(data: bytes) -> PictureError:
    """Why no decoder wanted these bytes."""
    accepted = ", ".join(FORMATS[:-1]) + " or " + FORMATS[-1]
    for offset, signature, name in FOREIGN:
        if data.startswith(signature, offset):
            return PictureError("unsupported_media_type", f"This is {name}; send {accepted}.")
    start = data[:1024].lower()
    if b"<svg" in start:
        return PictureError("unsupported_media_type", f"This is an SVG drawing; send {accepted}.")
    if b"%pdf-" in start:
        return PictureError("unsupported_media_type", f"This is a PDF document; send {accepted}.")
    return PictureError("bad_image", f"This is not a picture; send {accepted}.")


def _upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF says (Pillow has already turned a TIFF while loading it)."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # broken EXIF is no reason to refuse a good picture; its reader raises anything
        return image
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits, where Pillow's own conversion clips; every other mode as it is."""
    if image.mode not in SIXTEEN_BIT_MODES:
        return image
    scaled = Image.fromarray(((np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    scaled.info = {key: value for key, value in image.info.items() if key == "icc_profile"}
    return scaled


def _in_srgb(image: Image.Image) -> Image.Image:
    """Mode RGB, flattened on white, the embedded profile applied."""
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        flat = Image.new("RGB", image.size, "white")
        image = image.convert("RGBA")
        flat.paste(image, mask=image)
        image = flat
    elif image.mode in PALETTE_MODES:
        image = image.convert("RGB")
    if profile and image.mode in PROFILE_SPACES:
        transform = _to_srgb(bytes(profile), image.mode)
        if transform is not None:
            return transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


PROFILE_SPACES = {"RGB": "RGB ", "CMYK": "CMYK", "L": "GRAY"}
"""Pillow's mode -> the colour space that a profile of such pixels declares (ICC.1, table 19)."""

SAME_COLOUR = 2
"""Levels: a profile that moves no colour further than this is sRGB in other words, and is skipped."""


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None where the profile is broken, of another colour space, or sRGB itself."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != PROFILE_SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "RGB":
        steps = np.linspace(0, 255, 9).astype(np.uint8)
        colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        moved = np.asarray(transform.apply(Image.fromarray(colours)))
        if np.abs(moved.astype(int) - colours).max() <= SAME_COLOUR:
            return None
    return transform
