"""Label sets, colours and look-up tables as published."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from infra.preprocess.human_parser import labels as tables
from infra.preprocess.human_parser.drawing import parse_png
from infra.preprocess.human_parser.schp.engine import INPUT_SIZES
from tests import golden_recipe

PUBLISHED = golden_recipe.load("schp_labels")
SCHEMES = sorted(PUBLISHED["tables"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tables(scheme: str):
    published = PUBLISHED["tables"][scheme]
    assert list(tables.NAMES[scheme]) == published["labels"]
    assert list(INPUT_SIZES[scheme]) == published["size_hw"]
    assert [list(pair) for pair in tables.LEFT_RIGHT[scheme]] == published["left_right"]
    assert tables.voc_palette()[: len(published["labels"])].tolist() == published["palette"]


def test_palette_of_256():
    assert tables.voc_palette().ravel().tolist() == PUBLISHED["palette256"]


@pytest.mark.parametrize("name", ["hr_viton_13", "hr_viton_7"])
def test_groups_of_hr_viton(name: str):
    groups, published = getattr(tables, name.upper()), PUBLISHED[name]
    assert [[group, list(members)] for group, members in groups] == published["groups"]
    assert tables.grouping(groups)[: len(published["lut"])].tolist() == published["lut"]


@pytest.mark.parametrize(("scheme", "depth"), [("cihp", 8), ("lip", 8), ("atr", 8), ("pascal", 4)])
def test_png_is_the_published_one(scheme: str, depth: int):
    """Indices are labels, the palette holds the scheme's colours alone, and its length tells the bits of a pixel."""
    published = PUBLISHED["tables"][scheme]
    labels = np.arange(len(published["labels"]), dtype=np.uint8)[None].repeat(3, 0)
    png = parse_png(labels, scheme)
    assert png[24] == depth and png[25] == 3  # of the header: bit depth, palette picture
    picture = Image.open(io.BytesIO(png))
    assert np.array_equal(np.asarray(picture), labels)
    assert np.array_equal(np.asarray(picture.convert("RGB"))[0], published["palette"])
    with pytest.raises(ValueError, match="no colour"):
        parse_png(labels + 1, scheme)


def test_pascal_in_cihp():
    """Parts say nothing of clothes: what mostly is clothed is taken for that."""
    found = [tables.CIHP[label] for label in tables.to_cihp(np.arange(7, dtype=np.uint8)[None], "pascal")[0]]
    assert found == ["Background", "Face", "Upper-clothes", "Left-arm", "Left-arm", "Pants", "Left-leg"]
