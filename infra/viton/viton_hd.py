"""The inputs of a try-on as files, named and formatted as the folders of VITON-HD are (Choi et al. 2021)."""

from __future__ import annotations

import io
import zipfile

import cv2
import numpy as np

from infra.imaging.encode import encode_grey_png, encode_picture
from infra.imaging.frame import FRAME_HEIGHT, FRAME_WIDTH
from infra.preprocess.densepose.parts import part_picture
from infra.preprocess.human_parser.drawing import parse_png
from infra.preprocess.pose_estimation.drawing import skeleton_picture
from infra.preprocess.pose_estimation.keypoints import openpose_json
from infra.viton.inputs import GarmentInputs, PersonInputs

PERSON, GARMENT = "person", "garment"  # the files' names
JPEG_QUALITY = 95

GROUND = 246  # grey level around a garment in the data set, which the networks have seen
_MARGIN = 0.04  # of the frame, around a garment


def inputs_zip(person: PersonInputs, garment: GarmentInputs | None) -> bytes:
    """A zip: all pictures 768x1024; `test_pairs.txt` where there is a garment."""
    files = person_files(person)
    if garment is not None:
        files |= garment_files(garment) | {"test_pairs.txt": f"{PERSON}.jpg {GARMENT}.jpg\n".encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def person_files(person: PersonInputs) -> dict[str, bytes]:
    size = person.picture.shape[:2]
    people, hands = person.pose.people, person.pose.hands
    return {
        f"image/{PERSON}.jpg": _jpeg(person.picture),
        f"mask/{PERSON}.png": encode_grey_png(person.mask.alpha),
        f"image-parse-v3/{PERSON}.png": parse_png(person.parse.labels),
        f"openpose_json/{PERSON}_keypoints.json": openpose_json(people, hands).encode(),
        f"openpose_img/{PERSON}_rendered.png": encode_picture(skeleton_picture(people, hands, size), "image/png"),
        f"image-densepose/{PERSON}.jpg": _jpeg(part_picture(person.densepose.iuv)),
        f"densepose-iuv/{PERSON}.png": encode_picture(person.densepose.iuv, "image/png"),
    }


def garment_files(garment: GarmentInputs) -> dict[str, bytes]:
    picture, mask = laid_out(garment.picture, garment.mask)
    return {
        f"cloth/{GARMENT}.jpg": _jpeg(picture),
        f"cloth-mask/{GARMENT}.jpg": _grey_jpeg(mask),
    }


def laid_out(picture: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The garment in the middle of a 768x1024 picture on the data set's grey, and its alpha there."""
    x, y, w, h = cv2.boundingRect((alpha > 8).astype(np.uint8))
    scale = min(FRAME_WIDTH / w, FRAME_HEIGHT / h) * (1 - 2 * _MARGIN)
    size = max(1, round(w * scale)), max(1, round(h * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    box = np.s_[y : y + h, x : x + w]
    small, coverage = cv2.resize(picture[box], size, interpolation=how), cv2.resize(alpha[box], size, interpolation=how)
    left, top = (FRAME_WIDTH - size[0]) // 2, (FRAME_HEIGHT - size[1]) // 2
    at = np.s_[top : top + size[1], left : left + size[0]]
    out = np.full((FRAME_HEIGHT, FRAME_WIDTH, 3), GROUND, np.uint8)
    mask = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.uint8)
    share = coverage[..., None] / np.float32(255)
    out[at] = np.rint(small * share + GROUND * (1 - share)).astype(np.uint8)
    mask[at] = coverage
    return out, mask


def _jpeg(picture: np.ndarray) -> bytes:
    return encode_picture(picture, "image/jpeg", JPEG_QUALITY)


def _grey_jpeg(values: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
