"""The command line: `everywear up`, `tryon`, `demo`, `weights`, `doctor`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from infra import __version__
from infra.serving.settings import settings
from infra.weights.cli import app as weights
from infra.weights.folder import FOLDER_VARIABLE

app = typer.Typer(help="Virtual try-on on your own machines.", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(weights, name="weights")
console = Console()


@app.callback()
def main() -> None:
    """Virtual try-on on your own machines."""
    if settings().weights:  # a .env file counts for the weights commands too
        os.environ.setdefault(FOLDER_VARIABLE, str(settings().weights))


@app.command()
def version() -> None:
    """Say which version this is."""
    console.print(__version__)


@app.command()
def up() -> None:
    """Start all services, keep them running, stop them on Ctrl-C."""
    from infra.commands import up

    raise typer.Exit(up.run(settings(), console))


@app.command()
def demo(once: Annotated[bool, typer.Option("--once", help="Stop after the sample.")] = False) -> None:
    """Start all services, dress the sample person, write out/sample.png and the maps, keep serving."""
    from infra.commands import demo

    raise typer.Exit(demo.run(settings(), once, console))


@app.command()
def tryon(
    person: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Photo of the person.")],
    garment: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Photo of the garment.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Result: .png, .jpg or .webp.")] = Path("out/tryon.png"),
    kind: Annotated[Literal["auto", "upper", "lower", "dress"], typer.Option(help="What the garment is.")] = "auto",
) -> None:
    """Dress a person in a garment with the running fleet."""
    from infra.commands import tryon

    raise typer.Exit(tryon.run(settings().url("proxy"), person, garment, out, kind, console))


@app.command()
def doctor() -> None:
    """Check Python, libraries, weights, engines, ports and GPU, and say what to do."""
    from infra.commands import doctor

    raise typer.Exit(doctor.run(settings(), console))


if __name__ == "__main__":
    app()
