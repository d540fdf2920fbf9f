"""The label schemes that human parsers speak, and how they map onto each other.

Inside the fleet a parse map is CIHP (Gong et al. 2018, "Instance-level Human Parsing via Part Grouping Network"); LIP
(Gong et al. 2017), ATR (Liang et al. 2015) and Pascal-Person-Part (Chen et al. 2014) are what some checkpoints and
callers speak. Left and right are the person's own. Arms and legs are bare skin, hands belong to arms; Pascal's parts
ignore clothing.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Cihp(IntEnum):
    BACKGROUND = 0
    HAT = 1
    HAIR = 2
    GLOVE = 3
    SUNGLASSES = 4
    UPPER_CLOTHES = 5
    DRESS = 6
    COAT = 7
    SOCKS = 8
    PANTS = 9
    TORSO_SKIN = 10  # neck and bare chest; LIP has jumpsuits here
    SCARF = 11
    SKIRT = 12
    FACE = 13
    LEFT_ARM = 14
    RIGHT_ARM = 15
    LEFT_LEG = 16
    RIGHT_LEG = 17
    LEFT_SHOE = 18
    RIGHT_SHOE = 19


# Names by index, as the data sets write them.
CIHP = (
    "Background", "Hat", "Hair", "Glove", "Sunglasses", "Upper-clothes", "Dress", "Coat", "Socks", "Pants",
    "Torso-skin", "Scarf", "Skirt", "Face", "Left-arm", "Right-arm", "Left-leg", "Right-leg", "Left-shoe",
    "Right-shoe",
)  # fmt: skip
LIP = CIHP[:10] + ("Jumpsuits",) + CIHP[11:]
ATR = (
    "Background", "Hat", "Hair", "Sunglasses", "Upper-clothes", "Skirt", "Pants", "Dress", "Belt", "Left-shoe",
    "Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm", "Bag", "Scarf",
)  # fmt: skip
PASCAL = ("Background", "Head", "Torso", "Upper Arms", "Lower Arms", "Upper Legs", "Lower Legs")

NAMES = {"cihp": CIHP, "lip": LIP, "atr": ATR, "pascal": PASCAL}

# Labels to exchange where a picture is mirrored.
LEFT_RIGHT = {
    "cihp": ((14, 15), (16, 17), (18, 19)),
    "lip": ((14, 15), (16, 17), (18, 19)),
    "atr": ((9, 10), (12, 13), (14, 15)),
    "pascal": (),
}

# Groups that consumers treat as one: checkpoints confuse coats with upper clothes, and skirts with dresses.
UPPER = (Cihp.UPPER_CLOTHES, Cihp.COAT)
LOWER = (Cihp.PANTS, Cihp.SKIRT)
CLOTHES = (Cihp.UPPER_CLOTHES, Cihp.DRESS, Cihp.COAT, Cihp.PANTS, Cihp.SKIRT)
HEADWEAR = (Cihp.HAT, Cihp.SCARF)  # cloth on the head is kept whatever garment is put on
HEAD = (Cihp.HAT, Cihp.HAIR, Cihp.SUNGLASSES, Cihp.SCARF, Cihp.FACE)
ARMS = (Cihp.LEFT_ARM, Cihp.RIGHT_ARM)
LEGS = (Cihp.LEFT_LEG, Cihp.RIGHT_LEG)
SHOES = (Cihp.LEFT_SHOE, Cihp.RIGHT_SHOE)
SKIN = (Cihp.TORSO_SKIN, *ARMS, *LEGS)  # without the face


def _table(entries: list[int]) -> np.ndarray:
    table = np.zeros(256, np.uint8)
    table[: len(entries)] = entries
    table.setflags(write=False)
    return table


# Look-up tables, 256 entries: index by a uint8 label map. LIP annotates no neck, ATR counts it as face. Labels that the
# target lacks go to what they lie on where that is one label (gloves and socks lie on limbs of either side: background
# in ATR). Pascal cannot be told from clothes alone: a bare arm is mostly forearm, a bare leg mostly shin.
FROM_CIHP = {
    "cihp": _table(list(range(20))),
    "lip": _table([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
    "atr": _table([0, 1, 2, 0, 3, 4, 7, 4, 0, 6, 11, 17, 5, 11, 14, 15, 12, 13, 9, 10]),
    "pascal": _table([0, 1, 1, 4, 1, 2, 2, 2, 6, 5, 2, 1, 5, 1, 4, 4, 6, 6, 6, 6]),
}
# Jumpsuits become dresses; belts pants; bags background. Pascal's torso and upper legs are taken for clothed, its arms
# and lower legs for bare and, until somebody tells the sides apart, for left.
TO_CIHP = {
    "cihp": _table(list(range(20))),
    "lip": _table([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 6, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
    "atr": _table([0, 1, 2, 4, 5, 12, 9, 6, 9, 18, 19, 13, 16, 17, 14, 15, 0, 11]),
    "pascal": _table([0, 13, 5, 14, 14, 9, 16]),
}

# What HR-VITON (Lee et al. 2022) makes of a parse map: the channels of its condition generator, by CIHP labels, and
# those of its image generator, by the former.
HR_VITON_13 = (
    ("background", (0, 10)), ("hair", (1, 2)), ("face", (4, 13)), ("upper", (5, 6, 7)), ("bottom", (9, 12)),
    ("left_arm", (14,)), ("right_arm", (15,)), ("left_leg", (16,)), ("right_leg", (17,)), ("left_shoe", (18,)),
    ("right_shoe", (19,)), ("socks", (8,)), ("noise", (3, 11)),
)  # fmt: skip
HR_VITON_7 = (
    ("background", (0,)), ("paste", (2, 4, 7, 8, 9, 10, 11)), ("upper", (3,)), ("hair", (1,)), ("left_arm", (5,)),
    ("right_arm", (6,)), ("noise", (12,)),
)  # fmt: skip


def grouping(groups: tuple[tuple[str, tuple[int, ...]], ...]) -> np.ndarray:
    """Look-up table (uint8, 256 entries) from labels to the groups' places; what is in none goes to 0."""
    table = np.zeros(256, np.uint8)
    for place, (_, members) in enumerate(groups):
        table[list(members)] = place
    return table


def from_cihp(labels: np.ndarray, scheme: str) -> np.ndarray:
    """A CIHP map (uint8 HxW) in another scheme: "cihp", "lip", "atr" or "pascal". KeyError for any other."""
    return FROM_CIHP[scheme][labels]


def to_cihp(labels: np.ndarray, scheme: str) -> np.ndarray:
    """A map (uint8 HxW) of a "cihp", "lip", "atr" or "pascal" checkpoint in CIHP labels. KeyError for any other."""
    return TO_CIHP[scheme][labels]


def mirrored(labels: np.ndarray, scheme: str = "cihp") -> np.ndarray:
    """The map (uint8 HxW) of the mirrored picture: flipped, with the left and right labels exchanged."""
    table = np.arange(256, dtype=np.uint8)
    for left, right in LEFT_RIGHT[scheme]:
        table[[left, right]] = right, left
    return table[labels[:, ::-1]]


def voc_palette() -> np.ndarray:
    """Colours uint8 256x3 RGB of the PASCAL VOC map, which published parse maps carry.

    Bits 0, 1, 2 of the index are bit 7 of red, green, blue; bits 3, 4, 5 bit 6; bits 6, 7 bit 5.
    """
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for step in range(3):
        for channel in range(3):
            palette[:, channel] |= ((index >> (3 * step + channel) & 1) << (7 - step)).astype(np.uint8)
    return palette
