"""The weights folder: the only way from a catalogue id to a file that a network is read from."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from infra.weights.catalogue import entry_of
from infra.weights.entry import Checkpoint, Entry
from infra.weights.tensor_file import DIGEST_KEY, VERSION, VERSION_KEY, NoTensorFile, digest_of, metadata_of

FOLDER_VARIABLE = "EVERYWEAR_WEIGHTS"

_checked: dict[Path, tuple[tuple[int, int], str]] = {}  # path -> ((size, mtime_ns), SHA-256)
_checking = threading.Lock()


class MissingWeights(Exception):
    """A network's file is not there, or is not what the catalogue accepts. The text says what helps."""

    def __init__(self, id: str, path: Path, reason: str) -> None:
        self.id, self.path, self.reason = id, path, reason
        super().__init__(f"{id}: {reason}. {what_helps(entry_of(id), path.parent)}")


class WeightsFolder:
    """A folder of `ID.tflite` and `ID.onnx` files as published, and `ID.safetensors` files that import wrote."""

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
        """The network's file, once its SHA-256 is one that the catalogue accepts, or the one that import noted.

        A file is hashed once per process, and again when its size or time of change differs.
        Raises `MissingWeights` where the file is absent or other, `KeyError` for an id that is not in the catalogue.
        """
        entry = entry_of(id)
        path = self.place(entry)
        fault = self.fault(entry)
        if fault is not None:
            raise MissingWeights(id, path, fault)
        return path

    def place(self, entry: Entry | Checkpoint) -> Path:
        """Where the entry's file belongs, there or not."""
        return self.folder / entry.file_name

    def fault(self, entry: Entry | Checkpoint) -> str | None:
        """What is wrong with the entry's file, in a few words; None where it is good."""
        path = self.place(entry)
        try:
            return _fault_of_import(path, entry) if isinstance(entry, Checkpoint) else _fault_of_copy(path, entry)
        except FileNotFoundError:
            return f"{path} is not there"
        except NoTensorFile as error:
            return f"{path} {error}"
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"

    def sha256(self, id: str) -> list[str]:
        """The hashes that tell the network: what the catalogue accepts, or that of the file that was imported.

        Empty for a checkpoint that has not been imported. Raises `KeyError` for an id that is not in the catalogue.
        """
        entry = entry_of(id)
        if isinstance(entry, Entry):
            return [content.sha256 for content in entry.accepted]
        try:
            return [metadata_of(self.place(entry))["source_sha256"]]
        except (NoTensorFile, OSError, KeyError):
            return []

    @contextmanager
    def locked(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Make the folder and keep other processes from writing to it; `waiting` is called where one does already."""
        from filelock import FileLock, Timeout  # tries out links in a temporary folder, which services must not

        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".fetching.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def what_helps(entry: Entry | Checkpoint, folder: Path) -> str:
    """The command that brings the network's file, as a sentence."""
    if isinstance(entry, Entry):
        return f"Run `everywear weights fetch {entry.id}`, or {put_by_hand(entry, folder)}"
    if entry.fetchable:
        accept = "" if entry.licence.commercial_use else " --accept-license"
        return f"Run `everywear weights fetch {entry.id}{accept}`"
    return f"Get {import_by_hand(entry)}"


def put_by_hand(entry: Entry, folder: Path) -> str:
    """How to install the file without a network, as the end of a sentence."""
    contents = " or ".join(f"{content.size} bytes, SHA-256 {content.sha256}" for content in entry.accepted)
    return f"put the file at {folder / entry.file_name} ({contents})"


def import_by_hand(checkpoint: Checkpoint) -> str:
    """Where to get the file with a browser, and the command that imports it, as the end of a sentence."""
    places: dict[str, list[str]] = {}
    for file in checkpoint.files:
        places.setdefault(file.page, []).append(file.name)
    files = ", or ".join(f"{' or '.join(names)} from {page}" for page, names in places.items())
    return f"{files}, and run `everywear weights import {checkpoint.id} FILE`"


def sha256_of(path: Path) -> str:
    """SHA-256 of the file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _fault_of_copy(path: Path, entry: Entry) -> str | None:
    size = path.stat().st_size
    if size not in {content.size for content in entry.accepted}:
        return f"{path} has {size} bytes, which is not this network's size"
    if _remembered(path, sha256_of) not in {content.sha256 for content in entry.accepted}:
        return f"{path} has another SHA-256 than the catalogue accepts"
    return None


def _fault_of_import(path: Path, checkpoint: Checkpoint) -> str | None:
    noted = metadata_of(path)
    if noted.get("network") != checkpoint.id:
        return f"{path} was not imported as {checkpoint.id}"
    if noted.get(VERSION_KEY) != VERSION:
        return f"{path} was imported by another version of Everywear"
    if _remembered(path, digest_of) != noted[DIGEST_KEY]:
        return f"{path} has another SHA-256 than when it was imported"
    return None


def _remembered(path: Path, hashing: Callable[[Path], str]) -> str:
    """The file's hash, taken once per process while its size and time of change stay as they are."""
    path = path.resolve()
    with _checking:
        found = path.stat()
        state = (found.st_size, found.st_mtime_ns)
        if path not in _checked or _checked[path][0] != state:
            _checked[path] = (state, hashing(path))
        return _checked[path][1]
