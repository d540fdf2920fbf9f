from __future__ import annotations

import io

import numpy as np
import pictures
import pytest
from PIL import Image

from infra.imaging.decode import decode_labels, decode_mask, decode_picture
from infra.imaging.encode import (
    PICTURE_TYPES,
    choose_media_type,
    encode_grey_png,
    encode_palette_png,
    encode_picture,
)

LIMIT = pictures.MAX_PIXELS
BASE = pictures.base()


@pytest.mark.parametrize(("media_type", "mean"), [("image/png", 0), ("image/jpeg", 1.5), ("image/webp", 4)])
def test_pictures_survive_the_round_trip(media_type: str, mean: float) -> None:
    back = decode_picture(encode_picture(BASE, media_type), max_pixels=LIMIT)
    assert back.shape == BASE.shape
    assert np.abs(back.astype(int) - BASE).mean() <= mean


@pytest.mark.parametrize("media_type", PICTURE_TYPES)
def test_a_view_that_is_not_contiguous_is_encoded_too(media_type: str) -> None:
    view = BASE[10:100:2, 100:20:-1]
    back = decode_picture(encode_picture(view, media_type), max_pixels=LIMIT)
    assert back.shape == view.shape
    assert np.abs(back.astype(int) - view).mean() < 6


@pytest.mark.parametrize("media_type", PICTURE_TYPES)
def test_no_metadata_leaves(media_type: str) -> None:
    image = Image.open(io.BytesIO(encode_picture(BASE, media_type)))
    image.load()
    assert image.get_format_mimetype() == media_type
    assert not image.getexif()
    assert not {"icc_profile", "exif", "xmp", "comment", "Software", "photoshop"} & image.info.keys()


def test_quality_trades_size() -> None:
    for media_type in ("image/jpeg", "image/webp"):
        assert len(encode_picture(BASE, media_type, 40)) < len(encode_picture(BASE, media_type, 95))


def test_jpeg_keeps_full_colour_resolution() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (220, 30, 30)
    stripes[:, 1::2] = (30, 30, 220)
    back = decode_picture(encode_picture(stripes, "image/jpeg"), max_pixels=LIMIT)
    assert np.abs(back.astype(int) - stripes).mean() < 8  # 4:2:0 makes one purple of the stripes: 69


def test_unknown_media_type_is_refused() -> None:
    with pytest.raises(ValueError, match="image/tiff"):
        encode_picture(BASE, "image/tiff")


def test_labels_and_masks_are_exact() -> None:
    labels = np.random.default_rng(0).integers(0, 20, (48, 64), dtype=np.uint8)
    palette = np.random.default_rng(1).integers(0, 256, (20, 3), dtype=np.uint8)
    data = encode_palette_png(labels, palette)
    assert np.array_equal(decode_labels(data, max_pixels=LIMIT), labels)
    assert np.array_equal(decode_picture(data, max_pixels=LIMIT), palette[labels])
    mask = np.random.default_rng(2).integers(0, 256, (48, 64), dtype=np.uint8)
    assert np.array_equal(decode_mask(encode_grey_png(mask), max_pixels=LIMIT), mask)


def test_label_without_a_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="label 3"):
        encode_palette_png(np.full((40, 40), 3, np.uint8), np.zeros((3, 3), np.uint8))


OFFERED = ["image/png", "image/jpeg", "image/webp", "application/json"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "image/png"),
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("application/*", "application/json"),
        ("image/jpeg", "image/jpeg"),
        ("IMAGE/JPEG", "image/jpeg"),
        (" image/webp ; q=0.4 , image/jpeg;q=0.6", "image/jpeg"),
        ("image/jpeg, */*;q=0.1", "image/jpeg"),
        ("image/*;q=0.5, application/json", "application/json"),
        ("image/png;q=0, image/*", "image/jpeg"),
        ("*/*, image/png;q=0.2, image/jpeg;q=0.3", "image/webp"),
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "image/webp"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "image/webp"),
        ("image/jpeg;level=1;q=0.3, application/json;q=0.2", "image/jpeg"),
        ("text/html", None),
        ("image/png;q=0", None),
        ("*/*;q=0", None),
        ("text/html, image/tiff;q=0.9", None),
        ("image/jpeg;q=nonsense, image/webp;q=0.1", "image/webp"),
        ("image/jpeg;q=7, image/webp;q=0.1", "image/webp"),
        ("image/jpeg;q=nan, image/webp;q=0.1", "image/webp"),
        (",,;q=1,/,*/png,", "image/png"),
    ],
)
def test_accept(accept: str | None, chosen: str | None) -> None:
    assert choose_media_type(accept, OFFERED) == chosen


def test_nothing_offered_is_nothing_chosen() -> None:
    assert choose_media_type("*/*", []) is None
    assert choose_media_type(None, []) is None
