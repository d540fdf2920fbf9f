"""Bring published checkpoints: download, hold against the published hash, import."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from infra.weights.download import Downloader, SourceError, discard
from infra.weights.entry import Checkpoint, Hub, PublishedFile, SourceKind
from infra.weights.fetch import ALL_KINDS, Progress
from infra.weights.folder import WeightsFolder, import_by_hand
from infra.weights.importing import Imported, RefusedCheckpoint, hashes_of, import_checkpoint, require_models
from infra.weights.readers import UnreadableCheckpoint

DOWNLOADS = ".downloads"  # inside the weights folder, so that a cut download goes on later
_CUT = (".part", ".incomplete")  # what names of downloads that wait to go on end in, ours and the hub's library's
_WANTS_TOKEN = (401, 403)
_ROOM = 1.5  # times the size that the catalogue tells, after which a download is no longer taken


class LicenceNotAccepted(Exception):
    """The licence does not allow every use, and nobody has said that it is accepted; the text shows it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        licence = checkpoint.licence
        super().__init__(
            f"{checkpoint.id} is not free for every use. Licence: {licence.name}. {licence.note}\n"
            f"If you accept that: everywear weights fetch {checkpoint.id} --accept-license"
        )


class NotFetched(Exception):
    """No source could give the checkpoint; the text says what was tried and how to get it by hand."""

    def __init__(self, checkpoint: Checkpoint, reasons: list[tuple[str, str]]) -> None:
        self.reasons = reasons
        tried = [f"  {place}: {reason}" for place, reason in reasons]
        if not checkpoint.fetchable:
            tried = ["  Its publisher gives it out on a file-sharing site only, to browsers."]
        elif not reasons:
            tried = ["  No source of the chosen kinds has it."]
        lines = [f"Could not fetch {checkpoint.id} ({checkpoint.purpose}).", *tried]
        super().__init__("\n".join([*lines, f"  By hand: get {import_by_hand(checkpoint)}."]))


def fetch_checkpoint(
    checkpoint: Checkpoint,
    weights: WeightsFolder,
    accepted: bool,
    progress: Progress | None = None,
    kinds: Collection[SourceKind] = ALL_KINDS,
) -> Imported | None:
    """Bring the checkpoint into the folder, from the first of its files that can be had; None where it is there.

    `accepted` says that the person accepts a licence that does not allow commercial use. Processes that fetch into the
    same folder wait for each other. Raises `ModelsMissing`, `LicenceNotAccepted`, `NotFetched`, `OSError`.
    """
    progress = progress or Progress()
    if weights.fault(checkpoint) is None:
        return None
    if not checkpoint.fetchable:
        raise NotFetched(checkpoint, [])
    if not (accepted or checkpoint.licence.commercial_use):
        raise LicenceNotAccepted(checkpoint)
    require_models()
    with weights.locked(lambda: progress.waiting(weights.folder)):
        if weights.fault(checkpoint) is None:
            return None
        return _Run(checkpoint, weights, progress).fetch(kinds)


class _Run:
    """One checkpoint's downloads, in a folder of their own."""

    def __init__(self, checkpoint: Checkpoint, weights: WeightsFolder, progress: Progress) -> None:
        self._checkpoint, self._weights, self._progress = checkpoint, weights, progress
        self._folder = weights.folder / DOWNLOADS / checkpoint.id

    def fetch(self, kinds: Collection[SourceKind]) -> Imported:
        """Try every place. What was downloaded goes when it has been imported, or is not what it should be."""
        reasons: list[tuple[str, str]] = []
        self._folder.mkdir(parents=True, exist_ok=True)
        for file, source in self._places(kinds):
            place = f"{file.name} at {'the hub' if isinstance(source, Hub) else urlsplit(source).netloc}"
            try:
                downloaded = self._bring(file, source, place)
                _check(downloaded, file)
                imported = import_checkpoint(self._checkpoint, downloaded, self._weights)
            except SourceError as error:
                reasons.append((place, str(error)))
                continue
            except (UnreadableCheckpoint, RefusedCheckpoint) as error:
                downloaded.unlink()
                reasons.append((place, str(error)))
                continue
            self._clear()
            self._progress.finished(self._checkpoint)
            return imported
        if not any(path.name.endswith(_CUT) for path in self._folder.rglob("*")):
            self._clear()
        raise NotFetched(self._checkpoint, reasons)

    def _clear(self) -> None:
        shutil.rmtree(self._folder)
        with suppress(OSError):  # other checkpoints' downloads are there
            self._folder.parent.rmdir()

    def _places(self, kinds: Collection[SourceKind]) -> Iterator[tuple[PublishedFile, Hub | str]]:
        for file in self._checkpoint.files:
            if file.hub and "hub" in kinds:
                yield file, file.hub
            if "url" in kinds:
                yield from ((file, url) for url in file.urls)

    def _bring(self, file: PublishedFile, source: Hub | str, place: str) -> Path:
        whole = self._folder / file.name
        if whole.exists():  # of a run that was stopped while importing
            return whole
        if isinstance(source, Hub):
            self._progress.handed_over(self._checkpoint, place)
            from_hub(source, self._folder)
            return whole
        self._progress.begun(self._checkpoint, place)
        part = whole.with_name(f"{file.name}.part")
        downloader = Downloader(threading.Event())
        try:
            report = partial(self._progress.advanced, self._checkpoint)
            downloader.get(source, part, report=report, limit=int(file.mb * 1e6 * _ROOM))
        finally:
            downloader.close()
        part.replace(whole)
        discard(part)
        return whole


def from_hub(source: Hub, folder: Path) -> Path:
    """Download with the hub's own library: its resume and progress, its `HF_ENDPOINT` and token. Raises `SourceError`.

    The file has the name that it has in the repository.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise SourceError("huggingface_hub is not installed; run `make models`") from error
    try:
        return Path(hf_hub_download(source.repository, source.file, revision=source.revision, local_dir=folder))
    except Exception as error:  # the library passes on those of whatever HTTP client it uses
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        answers = [getattr(each, "response", None) for each in (error, error.__cause__)]
        if any(getattr(answer, "status_code", None) in _WANTS_TOKEN for answer in answers):
            said += " It may want a token of somebody who may have the file, in HF_TOKEN."
        raise SourceError(f"the hub does not give it ({said})") from error


def _check(downloaded: Path, file: PublishedFile) -> None:
    """Throw the file away, with a `SourceError`, unless it has the published hash, where there is one."""
    if file.digest is None:
        return
    found = hashes_of(downloaded, {file.digest.algorithm})[file.digest.algorithm]
    if found != file.digest.value:
        downloaded.unlink()
        raise SourceError(f"the file there has another {file.digest.name} ({found}) and was thrown away")
