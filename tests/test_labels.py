from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from infra.preprocess.human_parser import labels as scheme
from infra.preprocess.human_parser.drawing import parse_overlay, parse_picture, parse_png
from infra.preprocess.human_parser.labels import Cihp


def test_names_and_constants_agree():
    assert [name.replace("-", "_").upper() for name in scheme.CIHP] == [label.name for label in Cihp]
    assert {key: len(names) for key, names in scheme.NAMES.items()} == {"cihp": 20, "lip": 20, "atr": 18, "pascal": 7}
    assert [n for n in range(20) if scheme.CIHP[n] != scheme.LIP[n]] == [Cihp.TORSO_SKIN]


@pytest.mark.parametrize("key", ["cihp", "lip", "atr"])
def test_left_and_right_are_pairs_of_the_same_thing(key: str):
    for left, right in scheme.LEFT_RIGHT[key]:
        assert scheme.NAMES[key][left].replace("Left", "Right") == scheme.NAMES[key][right]


def test_palette_is_the_published_one():
    palette = scheme.voc_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    published = {
        0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 4: (0, 0, 128), 5: (128, 0, 128), 8: (64, 0, 0),
        13: (192, 0, 128), 14: (64, 128, 128), 15: (192, 128, 128), 19: (128, 192, 0), 20: (0, 64, 128),
        64: (32, 0, 0), 255: (224, 224, 192),
    }  # fmt: skip
    assert {index: tuple(palette[index].tolist()) for index in published} == published


def test_cihp_in_other_schemes():
    everything = np.arange(20, dtype=np.uint8)[None]
    lip = scheme.from_cihp(everything, "lip")[0]
    assert lip[Cihp.TORSO_SKIN] == 0 and all(lip[n] == n for n in range(20) if n != Cihp.TORSO_SKIN)
    words = [scheme.ATR[n] for n in scheme.from_cihp(everything, "atr")[0]]
    assert words == [
        "Background", "Hat", "Hair", "Background", "Sunglasses", "Upper-clothes", "Dress", "Upper-clothes",
        "Background", "Pants", "Face", "Scarf", "Skirt", "Face", "Left-arm", "Right-arm", "Left-leg", "Right-leg",
        "Left-shoe", "Right-shoe",
    ]  # fmt: skip
    pascal = [scheme.PASCAL[n] for n in scheme.from_cihp(everything, "pascal")[0]]
    assert pascal[Cihp.FACE] == pascal[Cihp.HAIR] == pascal[Cihp.SCARF] == "Head"
    assert pascal[Cihp.UPPER_CLOTHES] == pascal[Cihp.TORSO_SKIN] == "Torso"
    assert pascal[Cihp.PANTS] == "Upper Legs" and pascal[Cihp.LEFT_SHOE] == "Lower Legs"
    with pytest.raises(KeyError):
        scheme.from_cihp(everything, "coco")


def test_checkpoints_schemes_in_cihp():
    lip = scheme.to_cihp(np.arange(20, dtype=np.uint8)[None], "lip")[0]
    assert lip[10] == Cihp.DRESS and all(lip[n] == n for n in range(20) if n != 10)
    atr = scheme.to_cihp(np.arange(18, dtype=np.uint8)[None], "atr")[0].tolist()
    assert atr == [0, 1, 2, 4, 5, 12, 9, 6, 9, 18, 19, 13, 16, 17, 14, 15, 0, 11]


@pytest.mark.parametrize("key", ["lip", "atr"])
def test_there_and_back_keeps_what_both_schemes_have(key: str):
    for label in Cihp:
        there = scheme.from_cihp(np.uint8([[label]]), key)
        name = scheme.NAMES[key][int(there[0, 0])]
        if name == scheme.CIHP[label]:
            assert scheme.to_cihp(there, key)[0, 0] == label


def test_mirrored_exchanges_sides():
    labels = np.uint8([[Cihp.LEFT_ARM, Cihp.UPPER_CLOTHES, Cihp.RIGHT_SHOE]])
    assert scheme.mirrored(labels).tolist() == [[Cihp.LEFT_SHOE, Cihp.UPPER_CLOTHES, Cihp.RIGHT_ARM]]
    atr = np.uint8([[9, 12, 15]])
    assert scheme.mirrored(atr, "atr").tolist() == [[14, 13, 10]]


def test_png_holds_labels_as_indices():
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    picture = Image.open(io.BytesIO(parse_png(labels)))
    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), labels)
    assert np.array_equal(np.asarray(picture.convert("RGB")), parse_picture(labels))


def test_overlay_leaves_the_background():
    picture = np.full((2, 2, 3), 100, np.uint8)
    labels = np.uint8([[0, Cihp.FACE], [0, 0]])
    overlay = parse_overlay(picture, labels, strength=0.5)
    assert (overlay[labels == 0] == 100).all()
    assert overlay[0, 1].tolist() == [146, 50, 114]
