from __future__ import annotations

import io
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pictures
import pytest
from PIL import Image

from infra.imaging.decode import PictureError, decode_labels, decode_mask, decode_picture

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of what is wrong with a broken EXIF block

LIMIT = pictures.MAX_PIXELS
BASE = pictures.base()
GREY = np.repeat(pictures.grey(BASE)[..., None], 3, axis=2)

# Mean and largest difference in levels that the file format itself brings; what is exact is not listed.
LOSSY = {
    "jpeg": (2, 25),
    "jpeg_progressive": (2, 25),
    "mpo": (2, 25),
    "polyglot_zip": (2, 25),
    "exif_broken": (2, 25),
    "cmyk_jpeg": (2, 25),
    "ycck_jpeg": (2, 25),
    "palette_png": (6, 60),
    "animated_gif": (6, 60),
    "icc_tagged": (1, 15),
} | {f"exif_rotated_{n}": (2, 25) for n in range(1, 9)}
OTHER_CONTENT = {"grey_png", "grey16_png", "one_bit_png", "palette_transparent_png", "rgba_png", "grey_alpha_png"}


def decoded(data: bytes) -> np.ndarray:
    return decode_picture(data, max_pixels=LIMIT)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b)


@pytest.mark.parametrize("name", pictures.GOOD)
def test_odd_pictures_decode(name: str) -> None:
    picture = decoded(pictures.GOOD[name])
    assert picture.shape == BASE.shape and picture.dtype == np.uint8
    assert picture.flags.c_contiguous and picture.flags.writeable
    if name not in OTHER_CONTENT:
        mean, largest = LOSSY.get(name, (0, 0))
        off = difference(picture, BASE)
        assert off.mean() <= mean and off.max() <= largest, (off.mean(), off.max())


@pytest.mark.parametrize("name", pictures.BAD)
def test_broken_pictures_are_refused(name: str) -> None:
    data, code = pictures.BAD[name]
    with pytest.raises(PictureError) as caught:
        decoded(data)
    assert caught.value.code == code
    assert len(caught.value.detail) > 15


@pytest.mark.parametrize("name", ["grey_png", "grey16_png"])
def test_grey_becomes_rgb_without_clipping(name: str) -> None:
    assert np.array_equal(decoded(pictures.GOOD[name]), GREY)


def test_one_bit_is_black_and_white() -> None:
    assert set(np.unique(decoded(pictures.GOOD["one_bit_png"]))) == {0, 255}


@pytest.mark.parametrize("name", ["rgba_png", "palette_transparent_png", "grey_alpha_png"])
def test_alpha_is_flattened_on_white(name: str) -> None:
    picture = decoded(pictures.GOOD[name])
    third = BASE.shape[1] // 3
    assert (picture[:, :third] == 255).all()
    opaque = GREY if name == "grey_alpha_png" else BASE
    # A palette of 200 colours is off by a few levels; the others are exact.
    assert difference(picture, opaque)[:, 2 * third :].mean() < (6 if "palette" in name else 0.001)
    if name == "rgba_png":
        half = BASE[:, third : 2 * third] * (128 / 255) + 255 * (127 / 255)
        assert np.abs(picture[:, third : 2 * third] - half).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_made_upright(orientation: int, kind: str) -> None:
    data = pictures.exif_rotated(BASE, orientation, kind)
    off = difference(decoded(data), BASE)
    assert off.mean() < (3 if kind == "WEBP" else 0.001)


def test_wide_gamut_without_its_profile_would_look_pale() -> None:
    image = Image.open(io.BytesIO(pictures.GOOD["icc_tagged"]))
    assert difference(np.asarray(image), BASE).mean() > 8


def test_cmyk_profile_is_used() -> None:
    cyan = Image.new("CMYK", (64, 64), (255, 0, 0, 0))
    plain = decoded(pictures.saved(cyan, "JPEG", quality=95))
    printed = decoded(pictures.saved(cyan, "JPEG", quality=95, icc_profile=pictures.ink_profile()))
    assert np.abs(plain.mean((0, 1)) - (0, 255, 255)).max() < 3
    # Lab 55, -37, -50 (D50) in sRGB, red out of its gamut; black point compensation moves it by a few levels.
    assert np.abs(printed.mean((0, 1)) - (0, 149, 222)).max() < 8


def test_profile_of_another_colour_space_is_ignored() -> None:
    image = Image.fromarray(BASE).convert("CMYK")
    data = pictures.saved(image, "JPEG", quality=95, subsampling=0, icc_profile=pictures.wide_gamut_profile())
    assert difference(decoded(data), BASE).mean() < 1


def test_bomb_is_refused_from_its_header() -> None:
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(PictureError) as caught:
        decoded(pictures.bomb_png())
    seconds = time.perf_counter() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "image_too_large"
    assert seconds < 0.1 and peak < 1_000_000


def test_no_pixel_of_a_refused_picture_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    for name in ("bomb_png", "scan_bomb_jpeg", "one_pixel", "extreme_aspect"):
        data, code = pictures.BAD[name]
        with pytest.raises(PictureError) as caught:
            decoded(data)
        assert caught.value.code == code
        assert not isinstance(caught.value.__cause__, AssertionError)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "animated_gif", "mpo", "icc_tagged", "exif_rotated_6"])
def test_damage_anywhere_is_decoded_or_refused(name: str) -> None:
    rng = np.random.default_rng(len(name))
    for _ in range(25):
        data = np.frombuffer(pictures.GOOD[name], np.uint8).copy()
        # Headers are where decoders break: half of the damage goes there.
        reach = rng.choice([60, len(data)])
        data[rng.integers(0, reach, 4)] = rng.integers(0, 256, 4)
        try:
            picture = decoded(data.tobytes())
        except PictureError as error:
            assert error.code in ("bad_image", "image_too_large", "unsupported_media_type")
        else:
            assert picture.ndim == 3 and picture.dtype == np.uint8


def test_limits_are_the_callers() -> None:
    data = pictures.GOOD["png"]
    pixels = BASE.shape[0] * BASE.shape[1]
    assert decode_picture(data, max_pixels=pixels, max_bytes=len(data)).shape == BASE.shape
    for limits in ({"max_pixels": pixels - 1}, {"max_pixels": pixels, "max_bytes": len(data) - 1}):
        with pytest.raises(PictureError) as caught:
            decode_picture(data, **limits)
        assert caught.value.code == "image_too_large"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(("longest", "size"), [(80, (80, 60)), (40, (40, 30)), (1000, (160, 120))])
def test_longest_shrinks_and_never_enlarges(kind: str, longest: int, size: tuple[int, int]) -> None:
    data = pictures.saved(Image.fromarray(BASE), kind, quality=95)
    picture = decode_picture(data, max_pixels=LIMIT, longest=longest)
    assert picture.shape[:2] == size
    same = np.asarray(Image.fromarray(BASE).resize(size[::-1], Image.Resampling.BOX))
    assert difference(picture, same).mean() < 5


def test_mask_comes_from_alpha_or_grey() -> None:
    rgba = pictures.transparent(BASE)
    assert np.array_equal(decode_mask(pictures.GOOD["rgba_png"], max_pixels=LIMIT), rgba[..., 3])
    opaque = pictures.png(np.dstack([BASE, np.full(BASE.shape[:2], 255, np.uint8)]))
    for data in (opaque, pictures.GOOD["grey_png"], pictures.GOOD["grey16_png"]):
        assert np.array_equal(decode_mask(data, max_pixels=LIMIT), GREY[..., 0])
    assert set(np.unique(decode_mask(pictures.GOOD["one_bit_png"], max_pixels=LIMIT))) == {0, 255}


def test_labels_are_never_coloured() -> None:
    labels = np.arange(20, dtype=np.uint8).repeat(16)[:, None].repeat(64, axis=1)
    image = Image.fromarray(labels)
    palette = image.copy()
    palette.putpalette(np.random.default_rng(0).integers(0, 255, 60, dtype=np.uint8).tobytes())
    alike = Image.fromarray(np.repeat(labels[..., None], 3, axis=2))
    sixteen = Image.fromarray(labels.astype(np.uint16))
    for file in (image, palette, alike, sixteen):
        found = decode_labels(pictures.saved(file, "PNG"), max_pixels=LIMIT)
        assert found.dtype == np.uint8 and np.array_equal(found, labels)


@pytest.mark.parametrize("picture", [BASE, np.full((64, 64), 300, np.uint16)], ids=["colour", "above 255"])
def test_labels_that_are_none_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(PictureError) as caught:
        decode_labels(pictures.saved(Image.fromarray(picture), "PNG"), max_pixels=LIMIT)
    assert caught.value.code == "bad_image"


def test_threads_do_not_disturb_each_other() -> None:
    names = list(pictures.GOOD) * 4
    alone = {name: decoded(data) for name, data in pictures.GOOD.items()}
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda name: decoded(pictures.GOOD[name]), names))
    assert all(np.array_equal(picture, alone[name]) for name, picture in zip(names, together, strict=True))


def test_usual_photo_decodes_quickly() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (64, 48, 3), dtype=np.uint8)
    data = pictures.saved(Image.fromarray(photo).resize((768, 1024), Image.Resampling.BICUBIC), "JPEG", quality=92)
    seconds = []
    for _ in range(7):
        began = time.perf_counter()
        decoded(data)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05  # 4 ms on one core; a slower path (ICC, a second copy) or a busy machine stays below
