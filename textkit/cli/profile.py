"""`textkit profile`: what a prediction costs and where its time goes, models side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, RUNNING, gather, new_verb, verb
from textkit.cli.options import Allow, AsJsonLine, Delimiter, Format, ModelFolder, TextColumn
from textkit.cli.output import Display, note, show_line, to_json, write_line

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class ProfiledRows:
    """The texts, and how they are read."""

    group: ClassVar = INPUT
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Texts; by default Python's own docstrings."),
    ] = None
    rows: Annotated[int, typer.Option(min=1, help="Rows that are predicted, the first.")] = 256
    text_column: TextColumn = None
    delimiter: Delimiter = None
    format: Format = None


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How it is measured."""

    group: ClassVar = RUNNING
    batch_size: Annotated[int, typer.Option(min=1, help="Texts of a batch.")] = 32
    repeats: Annotated[int, typer.Option(min=1, help="Times a batch; the median counts.")] = 5


@verb(app)
def profile(
    model: ModelFolder,
    rows: ProfiledRows,
    manner: Manner,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Another model beside it; may be repeated.", rich_help_panel=MODEL),
    ] = None,
    allow: Allow = None,
    as_json: AsJsonLine = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Chart to write: .png or .svg.", rich_help_panel=OUTPUT),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Also write a trace for Chrome or Perfetto.", rich_help_panel=OUTPUT),
    ] = None,
) -> None:
    """Measure a model: weights, FLOPs, time by stage, latency, memory, growth with length.

    Examples:
        textkit profile run/model test.csv
        textkit profile run/model test.csv --beside other/model -o profile.png
    """
    from textkit.jobs import ProfileOptions, profile_models

    options = gather(ProfileOptions, rows, manner, models=[model, *(beside or [])], allow=allow)
    with Display() as watch:
        report = profile_models(options, watch=watch)
    if as_json:
        write_line(to_json(report.to_dict()))
    else:
        show_line(report.to_text())
    if out is not None:
        report.draw(out)
        note(f"chart: {out}")
    if trace is not None:
        report.write_trace(trace)
        note(f"trace: {trace}")
