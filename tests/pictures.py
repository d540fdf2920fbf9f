"""Odd and broken picture files, made from one base picture: what people and attackers send.

`GOOD` holds files that must decode, `BAD` files that must be refused, each with its error code. Both are made from
`base()`; `odd_pictures(picture)` and `broken_pictures(picture)` make them from another one, e.g. from a photo that an
engine finds a person in.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageCms

MAX_PIXELS = 40_000_000
"""Under this limit the codes of `BAD` hold."""


@lru_cache
def base() -> np.ndarray:
    """uint8 160x120x3 RGB: smooth, of many colours, and different in all eight orientations."""
    rows, columns = np.mgrid[0:160, 0:120].astype(np.float32)
    picture = np.stack([columns * 2, 255 - rows * 1.5, 128 + 100 * np.sin(rows / 20) * np.cos(columns / 25)], axis=-1)
    picture[20:50, 15:60] = (200, 40, 30)
    picture = picture.clip(0, 255).astype(np.uint8)
    picture.setflags(write=False)
    return picture


def saved(image: Image.Image, kind: str, **settings: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def png(picture: np.ndarray) -> bytes:
    return saved(Image.fromarray(picture), "PNG")


def jpeg(picture: np.ndarray, **settings: object) -> bytes:
    return saved(Image.fromarray(picture), "JPEG", **{"quality": 95, "subsampling": 0} | settings)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_chunks(width: int, height: int, *, depth: int, colour: int, chunks: list[tuple[bytes, bytes]]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in parts)


def bomb_png(side: int = 50_000) -> bytes:
    """A few hundred bytes that claim to be `side` x `side` pixels, as one would have to decode to find out."""
    rows = zlib.compress(bytes(4096), 9)
    return png_of_chunks(side, side, depth=8, colour=2, chunks=[(b"IDAT", rows)])


def text_bomb_png(picture: np.ndarray) -> bytes:
    """A small picture with a compressed comment of 20 MB."""
    comment = zlib.compressobj(9)
    packed = b"".join(comment.compress(bytes(1 << 20)) for _ in range(20)) + comment.flush()
    data = png(picture)
    return data[:33] + png_chunk(b"zTXt", b"Comment\x00\x00" + packed) + data[33:]


def scan_bomb_jpeg(picture: np.ndarray, scans: int = 5000) -> bytes:
    """A progressive JPEG whose last scan is repeated: each one costs the decoder a pass over the picture."""
    data = jpeg(picture, progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * scans + data[-2:]


def exif_rotated(picture: np.ndarray, orientation: int, kind: str = "PNG") -> bytes:
    """A file that shows `picture` once its EXIF orientation (1 to 8) is applied."""
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }[orientation](picture)
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    return saved(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **settings)


def rgb16_png(picture: np.ndarray) -> bytes:
    """16 bits per channel: every value times 257."""
    return cv2.imencode(".png", picture[..., ::-1].astype(np.uint16) * 257)[1].tobytes()


def grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).convert("L"))


def grey16_png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", grey(picture).astype(np.uint16) * 257)[1].tobytes()


def cmyk_jpeg(picture: np.ndarray) -> bytes:
    """As Adobe's programs write it: four inverted channels and an APP14 marker, without a transform."""
    return saved(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=95, subsampling=0)


def ycck_jpeg(picture: np.ndarray) -> bytes:
    """The same with the YCCK transform: libjpeg reads the stored channels by what APP14 says of them."""
    red, green, blue = (Image.fromarray(picture[..., i]) for i in range(3))
    luma, cb, cr = Image.merge("RGB", (red, green, blue)).convert("YCbCr").split()
    # The file holds YCC of CMY, which is RGB inverted, and Pillow inverts the channels when it writes them.
    black = Image.new("L", luma.size, 0)
    data = saved(Image.merge("CMYK", (luma, cb, cr, black)), "JPEG", quality=95, subsampling=0)
    marker = data.index(b"\xff\xee\x00\x0eAdobe") + 15
    return data[:marker] + b"\x02" + data[marker + 1 :]


def transparent(picture: np.ndarray) -> np.ndarray:
    """RGBA: the left third see-through over hidden red, the middle half, the right opaque."""
    third = picture.shape[1] // 3
    out = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    out[:, :third] = (255, 0, 0, 0)
    out[:, third : 2 * third, 3] = 128
    return out


def palette_transparent_png(picture: np.ndarray) -> bytes:
    """Palette whose first colour is see-through; it fills the left third."""
    image = Image.fromarray(picture).quantize(200)
    indices = np.asarray(image) + 1
    indices[:, : picture.shape[1] // 3] = 0
    out = Image.fromarray(indices)
    out.putpalette([255, 0, 0, *image.getpalette()[: 3 * 200]])
    return saved(out, "PNG", transparency=0)


def animated(picture: np.ndarray, kind: str, **settings: object) -> bytes:
    frames = [Image.fromarray(np.ascontiguousarray(p)) for p in (picture, picture[::-1], 255 - picture)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **settings)


def icc_number(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc_profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 profile of these tags, to which it adds the white point, a name and a copyright line."""
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(8 + 3 + 67)
    white = b"XYZ \0\0\0\0" + icc_number(0.9642, 1.0, 0.8249)
    tags = {b"desc": name, b"cprt": b"text\0\0\0\0free\0", b"wtpt": white} | tags
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = bytes(8) + b"\x02\x10\0\0" + kind + space + connection + bytes(12) + b"acsp" + bytes(28)
    profile = header + icc_number(0.9642, 1.0, 0.8249) + bytes(48) + table + body
    return struct.pack(">I", len(profile)) + profile[4:]


def wide_gamut_profile() -> bytes:
    """The colour space of Adobe RGB (1998): its primaries adapted to D50, gamma 563/256."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563)
    primaries = {
        b"rXYZ": (0.60974, 0.31111, 0.01947),
        b"gXYZ": (0.20528, 0.62567, 0.06087),
        b"bXYZ": (0.14919, 0.06322, 0.74457),
    }
    tags = {tag: b"XYZ \0\0\0\0" + icc_number(*xyz) for tag, xyz in primaries.items()}
    return icc_profile(b"mntr", b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def ink_profile() -> bytes:
    """CMYK inks of which cyan prints Lab 55, -37, -50, as on coated paper (ISO 12647-2); the rest is any dark grey."""
    paper, cyan, dark = (255, 128, 128), (140, 91, 78), (60, 128, 128)
    corners = [paper if not any(inks) else cyan if inks == (1, 0, 0, 0) else dark for inks in np.ndindex(2, 2, 2, 2)]
    ramp = bytes(range(256))
    matrix = icc_number(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + 4 * ramp + bytes(np.ravel(corners).tolist()) + 3 * ramp
    return icc_profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def icc_tagged(picture: np.ndarray) -> bytes:
    """The picture's colours (where sRGB holds them) written as Adobe RGB values, and tagged so."""
    image = Image.fromarray(picture)
    wide = ImageCms.ImageCmsProfile(io.BytesIO(wide_gamut_profile()))
    moved = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), wide, outputMode="RGB")
    return saved(moved, "PNG", icc_profile=wide_gamut_profile())


def odd_pictures(picture: np.ndarray) -> dict[str, bytes]:
    """Name -> file; every one must decode, most of them to `picture` itself."""
    image = Image.fromarray(picture)
    rgba = Image.fromarray(transparent(picture))
    odd = {
        "png": png(picture),
        "jpeg": jpeg(picture),
        "jpeg_progressive": jpeg(picture, progressive=True),
        "webp": saved(image, "WEBP", lossless=True),
        "bmp": saved(image, "BMP"),
        "tiff": saved(image, "TIFF", compression="tiff_lzw"),
        "cmyk_jpeg": cmyk_jpeg(picture),
        "ycck_jpeg": ycck_jpeg(picture),
        "rgb16_png": rgb16_png(picture),
        "grey_png": png(grey(picture)),
        "grey16_png": grey16_png(picture),
        "one_bit_png": saved(image.convert("1"), "PNG"),
        "palette_png": saved(image.quantize(256), "PNG"),
        "palette_transparent_png": palette_transparent_png(picture),
        "rgba_png": saved(rgba, "PNG"),
        "grey_alpha_png": saved(rgba.convert("LA"), "PNG"),
        "animated_gif": animated(picture, "GIF"),
        "animated_webp": animated(picture, "WEBP", lossless=True),
        "animated_png": animated(picture, "PNG"),
        "mpo": animated(picture, "MPO", quality=95, subsampling=0),
        "icc_tagged": icc_tagged(picture),
        "icc_broken": saved(image, "PNG", icc_profile=b"not a profile" * 20),
        "exif_broken": jpeg(picture, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "polyglot_zip": jpeg(picture) + b"PK\x03\x04" + bytes(100),
    }
    odd |= {f"exif_rotated_{n}": exif_rotated(picture, n, "JPEG") for n in range(1, 9)}
    return odd


def broken_pictures(picture: np.ndarray) -> dict[str, tuple[bytes, str]]:
    """Name -> file and the code that it must be refused with, at a limit of `MAX_PIXELS`."""
    as_jpeg, as_png = jpeg(picture), png(picture)
    height, width = picture.shape[:2]
    return {
        "empty": (b"", "bad_image"),
        "text": (b"I am no picture.\n" * 20, "bad_image"),
        "noise": (np.random.default_rng(1).bytes(3000), "bad_image"),
        "truncated_jpeg": (as_jpeg[: len(as_jpeg) // 2], "bad_image"),
        "truncated_png": (as_png[: len(as_png) // 2], "bad_image"),
        "jpeg_header_only": (as_jpeg[:20], "bad_image"),
        "damaged_png": (as_png[:60] + b"damage" + as_png[66:], "bad_image"),
        "bomb_png": (bomb_png(), "image_too_large"),
        "text_bomb_png": (text_bomb_png(picture), "bad_image"),
        "scan_bomb_jpeg": (scan_bomb_jpeg(picture), "bad_image"),
        "one_pixel": (png(picture[:1, :1]), "bad_image"),
        "tiny": (png(picture[:31, :40]), "bad_image"),
        "extreme_aspect": (png(np.resize(picture, (40, 400, 3))), "bad_image"),
        "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n", "unsupported_media_type"),
        "svg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_media_type"),
        "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "unsupported_media_type"),
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "unsupported_media_type"),
        "zip": (b"PK\x03\x04" + bytes(200), "unsupported_media_type"),
        "polyglot_pdf": (b"%PDF-1.4\n" + as_jpeg, "unsupported_media_type"),
        "ppm": (b"P6 %d %d 255\n" % (width, height) + picture.tobytes(), "bad_image"),
    }


GOOD = odd_pictures(base())
BAD = broken_pictures(base())
