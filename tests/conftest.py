from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from infra.serving.engine import WeightsPath
from infra.weights import WeightsFolder
from infra.weights.folder import FOLDER_VARIABLE
from tests.checkpoints import with_embedded
from tests.fleet import RunningFleet, started_fleet
from tests.weights_server import FileServer

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
PEOPLE = sorted(path.stem for path in (SAMPLES / "person").glob("*.jpg"))
GARMENTS = sorted(path.stem for path in (SAMPLES / "garment").glob("*.jpg"))


def pytest_configure(config: pytest.Config) -> None:
    """Checkpoints that a developer has imported would change what `auto` takes: tests see the embedded networks."""
    own = WeightsFolder.default().folder
    if any(own.glob("*.safetensors")):
        folder = tempfile.TemporaryDirectory()
        config.add_cleanup(folder.cleanup)
        with_embedded(Path(folder.name), own)
        os.environ[FOLDER_VARIABLE] = folder.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the guard has seen counts when all other tests have used the fleet."""
    items.sort(key=lambda item: item.path.name == "test_fleet_guard.py")


def read_rgb(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])


def read_grey(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


@pytest.fixture(scope="session")
def weights() -> WeightsPath:
    """Catalogue id -> checked file, of the embedded networks that `make test` has fetched."""
    return WeightsFolder.default().path


@pytest.fixture
def server() -> Iterator[FileServer]:
    """What weights are fetched from in tests, on this machine."""
    server = FileServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def guard_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guard has seen in the shared fleet; what its processes would write for a while goes to `tmp` beside."""
    return tmp_path_factory.mktemp("guard") / "guard.log"


@pytest.fixture(scope="session")
def fleet(guard_log: Path) -> Iterator[RunningFleet]:
    """A real fleet under the guard, for every test that only talks to it."""
    with started_fleet(guard_log.with_name("fleet.log"), guard_log) as running:
        yield running


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=120, trust_env=False) as client:
        yield client
