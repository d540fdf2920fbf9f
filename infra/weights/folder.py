"""The weights folder: the only way from a catalogue id to a file that a network is read from."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import platformdirs

from infra.weights.catalogue import Entry, entry_of

FOLDER_VARIABLE = "EVERYWEAR_WEIGHTS"

_checked: dict[Path, tuple[tuple[int, int], str]] = {}  # path -> ((size, mtime_ns), SHA-256)
_checking = threading.Lock()


class MissingWeights(Exception):
    """A network's file is not there, or is not what the catalogue accepts. The text says what helps."""

    def __init__(self, id: str, path: Path, reason: str) -> None:
        self.id, self.path, self.reason = id, path, reason
        super().__init__(
            f"{id}: {reason}. Run `everywear weights fetch {id}`, or {put_by_hand(entry_of(id), path.parent)}"
        )


class WeightsFolder:
    """A folder of `ID.tflite` and `ID.onnx` files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def default(cls) -> WeightsFolder:
        """The folder that `EVERYWEAR_WEIGHTS` names, else the user's data folder by the platform's convention."""
        named = os.environ.get(FOLDER_VARIABLE)
        if named:
            return cls(Path(named).expanduser())
        return cls(platformdirs.user_data_path("everywear", appauthor=False) / "weights")

    def path(self, id: str) -> Path:
        """The network's file, once its SHA-256 is one that the catalogue accepts.

        A file is hashed once per process, and again when its size or time of change differs.
        Raises `MissingWeights` where the file is absent or other, `KeyError` for an id that is not in the catalogue.
        """
        entry = entry_of(id)
        path = self.place(entry)
        fault = self.fault(entry)
        if fault is not None:
            raise MissingWeights(id, path, fault)
        return path

    def place(self, entry: Entry) -> Path:
        """Where the entry's file belongs, there or not."""
        return self.folder / entry.file_name

    def fault(self, entry: Entry) -> str | None:
        """What is wrong with the entry's file, in a few words; None where it is good."""
        path = self.place(entry)
        try:
            size = path.stat().st_size
            if size not in {content.size for content in entry.accepted}:
                return f"{path} has {size} bytes, which is not this network's size"
            if _remembered_sha256(path) not in {content.sha256 for content in entry.accepted}:
                return f"{path} has another SHA-256 than the catalogue accepts"
        except FileNotFoundError:
            return f"{path} is not there"
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
        return None


def put_by_hand(entry: Entry, folder: Path) -> str:
    """How to install the file without a network, as the end of a sentence."""
    contents = " or ".join(f"{content.size} bytes, SHA-256 {content.sha256}" for content in entry.accepted)
    return f"put the file at {folder / entry.file_name} ({contents})"


def sha256_of(path: Path) -> str:
    """SHA-256 of the file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _remembered_sha256(path: Path) -> str:
    """SHA-256 of the file, hashed once per process while its size and time of change stay as they are."""
    path = path.resolve()
    with _checking:
        found = path.stat()
        state = (found.st_size, found.st_mtime_ns)
        if path not in _checked or _checked[path][0] != state:
            _checked[path] = (state, sha256_of(path))
        return _checked[path][1]
