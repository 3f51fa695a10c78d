"""`textkit tune`: search for the recipe that is best for a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, RUNNING, TRAINING, gather, new_verb, verb
from textkit.cli.errors import StopSignal
from textkit.cli.options import (
    Allow,
    AsJsonLine,
    Delimiter,
    LabelColumn,
    LabelSeparator,
    Overrides,
    Overwrite,
    TextColumn,
    complete_recipe,
)
from textkit.cli.output import Display, note, show_line, to_json, write_line
from textkit.cli.train import seconds
from textkit.errors import UsageError

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class SearchedRows:
    """The rows that the recipe is for."""

    group: ClassVar = INPUT
    data: Annotated[
        Path, typer.Argument(metavar="TRAIN", help="csv, tsv, jsonl, or txt with __label__NAME.")
    ]
    valid: Annotated[
        Path | None,
        typer.Option(help="Rows that choose; without it 15 % of the others do."),
    ] = None
    text_column: TextColumn = None
    label_column: LabelColumn = None
    label_separator: LabelSeparator = "|"
    delimiter: Delimiter = None


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What is searched."""

    group: ClassVar = MODEL
    recipes: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            "-r",
            metavar="FILE|NAME",
            help="Recipe to start from, or linear, ngram-bag, lstm, ...; may be repeated.",
            autocompletion=complete_recipe,
        ),
    ] = None
    space: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML file of the keys to change, and their values."),
    ] = None
    metric: Annotated[
        str,
        typer.Option(
            help="As accuracy, macro_f1, f1:LABEL, precision@recall=.3:LABEL.",
            rich_help_panel=TRAINING,
        ),
    ] = "auto"
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How long, in how many processes, and where it is written."""

    group: ClassVar = RUNNING
    trials: Annotated[int, typer.Option(help="How many trials.")] = 24
    workers: Annotated[int, typer.Option(help="Trials at once, in processes.")] = 1
    seed: Annotated[int, typer.Option(help="Seed of the draws and of the rows kept apart.")] = 0
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search in -o; also for more trials.")
    ] = False
    overwrite: Overwrite = False


@verb(app)
def tune(
    rows: SearchedRows,
    searched: Searched,
    bounds: Bounds,
    overrides: Overrides = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Most bytes of the model, as 2MB.", rich_help_panel=MODEL
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Stop after this time: 90s, 10m, 2h.", rich_help_panel=RUNNING
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write.", rich_help_panel=OUTPUT),
    ] = None,
    show_space: Annotated[
        bool,
        typer.Option(
            "--show-space",
            help="Do not search: write the keys and their values as TOML.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: AsJsonLine = False,
) -> None:
    """Search for the recipe that is best for a file, and say how far to believe its score.

    Examples:
        textkit tune train.csv -o tuned --time 10m
        textkit tune train.csv -o tuned -r word-cnn.toml --space keys.toml --workers 2
        textkit tune train.csv -o tuned --metric f1:spam --size 2MB
        textkit tune train.csv -r linear --show-space > keys.toml
    """
    from textkit.jobs import TuneOptions, open_space, tune_recipe
    from textkit.jobs.compress import parse_size

    if out is None and not show_space:
        raise UsageError("a search is written to a folder; name it with -o")
    options = gather(
        TuneOptions,
        rows,
        searched,
        bounds,
        overrides=overrides,
        size=None if size is None else parse_size(size),
        time_limit=None if time is None else seconds(time, option="--time"),
        out=out or Path("tuned"),
    )
    if show_space:
        show_line(open_space(options).to_toml())
        return
    with StopSignal() as stop, Display() as watch:
        report = tune_recipe(options, watch=replace(watch, should_stop=stop.is_set))
    if report is None:
        raise stop.error(
            f"stopped by a signal; {out} holds the trials so far; to go on: the same command with"
            " --resume" + (", without --overwrite" if bounds.overwrite else "")
        )
    if as_json:
        write_line(to_json(report.to_dict()))
    else:
        show_line(report.to_text())
    note(f"page: {options.out / 'tune.html'}")
    note(f"model: {options.out / 'model'}, recipe: {options.out / 'recipe.toml'}")
