"""Inputs of the geometric try-on from the samples' exact truth: no network runs."""

from __future__ import annotations

import json
from functools import lru_cache

import cv2
import numpy as np

from infra.preprocess.pose_estimation.pose import Pose
from infra.viton.geometric.garment import Garment
from infra.viton.geometric.garment_analysis import analyse_garment
from infra.viton.tryon import TryOnInput
from tests.conftest import SAMPLES, read_grey, read_rgb

LOWER = ("jeans", "skirt")


def true_pose(person: str) -> Pose:
    points = json.loads((SAMPLES / "truth" / f"{person}_pose.json").read_text())["keypoints"]
    pose = np.float32(list(points.values()))
    pose[:, 2] = pose[:, 2] > 0
    pose[pose[:, 2] == 0] = 0
    return Pose(people=pose[None], hands=np.zeros((1, 2, 21, 3), np.float32), view="front")


@lru_cache
def garment_of(name: str) -> Garment:
    picture, alpha = read_rgb(SAMPLES / "garment" / f"{name}.jpg"), garment_alpha(name)
    return analyse_garment(picture, alpha, kind_of(name))


def kind_of(name: str) -> str:
    return "lower" if name in LOWER else "dress" if name.startswith("dress") else "upper"


def garment_alpha(name: str) -> np.ndarray:
    return read_grey(SAMPLES / "garment_truth" / f"{name}_alpha.png")


def dressing(person: str, garment: str) -> TryOnInput:
    truth = SAMPLES / "truth"
    return TryOnInput(
        person=read_rgb(SAMPLES / "person" / f"{person}.jpg"), mask=read_grey(truth / f"{person}_alpha.png"),
        parse=read_grey(truth / f"{person}_parse.png"), pose=true_pose(person),
        garment=read_rgb(SAMPLES / "garment" / f"{garment}.jpg"), garment_mask=garment_alpha(garment),
        kind=kind_of(garment),
    )  # fmt: skip


def bare_parts(person: str) -> np.ndarray:
    """bool HxW: the rendered body under the clothes, without the head (DensePose parts 23 and 24)."""
    part = read_grey(SAMPLES / "truth" / f"{person}_part.png")
    return (part > 0) & (part < 23)


def shrunk(region: np.ndarray, reach: int) -> np.ndarray:
    """bool HxW: `region` without a rim of `reach` pixels."""
    size = 2 * reach + 1
    return cv2.erode(region.astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def grown(region: np.ndarray, reach: int) -> np.ndarray:
    """bool HxW: `region` and everything within `reach` pixels of it."""
    size = 2 * reach + 1
    return cv2.dilate(region.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
