"""`textkit data`: make data sets that need no download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textkit import quickstart
from textkit.cli.output import note

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Make data sets that need no download."""


@app.command()
def docstrings(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for train.csv and test.csv.")] = Path("data"),
) -> None:
    """Write the quick-start data: the standard library's docstrings, labelled by module family."""
    for name, rows in quickstart.write_docstrings(out).items():
        note(f"{out / name}: {rows:,} rows")
