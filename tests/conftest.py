from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from infra.serving.engine import WeightsPath
from infra.weights import WeightsFolder

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
PEOPLE = sorted(path.stem for path in (SAMPLES / "person").glob("*.jpg"))
GARMENTS = sorted(path.stem for path in (SAMPLES / "garment").glob("*.jpg"))


def read_rgb(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])


def read_grey(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


@pytest.fixture(scope="session")
def weights() -> WeightsPath:
    """Catalogue id -> checked file, of the embedded networks that `make test` has fetched."""
    return WeightsFolder.default().path
