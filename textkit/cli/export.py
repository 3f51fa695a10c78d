"""`textkit export`: a model in, one sealed folder or .zip file that predicts without torch out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import CHECKS, INPUT, OUTPUT, gather, new_verb, verb
from textkit.cli.options import (
    Allow,
    AsJsonLine,
    Delimiter,
    Format,
    ModelFolder,
    Overwrite,
    TextColumn,
)
from textkit.cli.output import Display, show_line, to_json, write_line

app = new_verb()


class Layout(StrEnum):
    """Who reads what is written."""

    graph = "graph"
    sentence_transformers = "sentence-transformers"


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """The model, and the texts that it is checked on."""

    group: ClassVar = INPUT
    model: ModelFolder
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Compare both on these texts, too; hard ones are always there.",
            rich_help_panel=CHECKS,
        ),
    ] = None
    text_column: TextColumn = None
    delimiter: Delimiter = None
    format: Format = None
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class ExportPlace:
    """Where it is written."""

    group: ClassVar = OUTPUT
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write, or one file that ends in .zip.")
    ]
    layout: Annotated[
        Layout,
        typer.Option(
            help="graph: predicts without torch; sentence-transformers: what makes vectors of"
            " texts, as that library opens it."
        ),
    ] = Layout.graph
    overwrite: Overwrite = False


@verb(app)
def export(model: ExportedModel, place: ExportPlace, as_json: AsJsonLine = False) -> None:
    """Write a model so that it predicts without torch.

    What was written is run beside the original and refused where they differ by more than 1e-5.

    Examples:
        textkit export run/model -o exported
        textkit export run/model -o model.zip --check test.csv
        textkit predict exported texts.csv
        textkit export minilm -o saved --layout sentence-transformers
    """
    from textkit.jobs import ExportOptions, export_model

    with Display() as watch:
        report = export_model(gather(ExportOptions, model, place), watch=watch)
    if as_json:
        write_line(to_json(report.to_dict()))
        return
    checked = report.certificate
    show_line(f"{report.out}: {report.n_bytes:,} bytes, computed by {report.engine}")
    show_line(
        f"differs by at most {checked.difference:.1e} on {checked.n_texts:,} texts and"
        f" {checked.n_rows} rows of tokens ({checked.tolerance:.0e} is allowed)"
    )
