"""`textkit data filter`: rows that are of use stay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import CHECKS, INPUT, MODEL, OUTPUT, gather
from textkit.cli.options import Allow, Delimiter, TextColumn, complete_paths, split_names
from textkit.cli.output import Display, note, to_json, write_line

# What every verb has that writes the rows of a file which stay.
RowsFile = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="txt csv tsv jsonl (.gz .zst), parquet, arrow or xlsx."),
]
StayingFile = Annotated[
    Path,
    typer.Option(
        "--out", "-o", help="File of the rows that stay, as FILE.", rich_help_panel=OUTPUT
    ),
]
ReplaceFile = Annotated[
    bool, typer.Option("--overwrite", help="-o may be replaced.", rich_help_panel=OUTPUT)
]
CountsAsJson = Annotated[
    bool, typer.Option("--json", help="Write the counts as JSON.", rich_help_panel=OUTPUT)
]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where a file has its texts."""

    group: ClassVar = INPUT
    text_column: TextColumn = None
    delimiter: Delimiter = None


@dataclass(frozen=True, kw_only=True)
class TextBounds:
    """What a text must keep to."""

    group: ClassVar = CHECKS
    min_characters: Annotated[int | None, typer.Option(help="Of a text.")] = None
    max_characters: Annotated[int | None, typer.Option(help="Of a text.")] = None
    min_words: Annotated[int | None, typer.Option(help="A character of Chinese is one.")] = None
    max_words: Annotated[int | None, typer.Option(help="Of a text.")] = None
    max_repeats: Annotated[
        float | None, typer.Option(help="Share of runs of three words that come before.")
    ] = None
    max_repeated_lines: Annotated[
        float | None, typer.Option(help="Share of lines that come before.")
    ] = None
    max_symbols: Annotated[
        float | None, typer.Option(help="Share of characters that are no letter, digit or space.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class ByModel:
    """What a classifier must say."""

    group: ClassVar = MODEL
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            help="Classifier, as one of languages.",
            autocompletion=complete_paths,
        ),
    ] = None
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="Labels that are wanted, as en,de.")
    ] = None
    least: Annotated[
        float, typer.Option(min=0, max=1, help="Their probability together, at least.")
    ] = 0.5
    allow: Allow = None


def filter(
    data: RowsFile,
    out: StayingFile,
    columns: Columns,
    bounds: TextBounds,
    by_model: ByModel,
    report: Annotated[
        Path | None,
        typer.Option(
            help="csv of which row went and why; by default OUT.removed.csv.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: ReplaceFile = False,
    as_json: CountsAsJson = False,
) -> None:
    """Remove rows that are too short or long, repeat themselves, are no words, or are of another
    language, and say of each why.

    Examples:
        textkit data filter corpus.txt -o clean.txt --min-words 5 --max-repeats .3
        textkit data filter corpus.jsonl.gz -o clean.jsonl.gz --max-symbols .3
        textkit data filter web.txt -o de.txt -m languages --label de --least .8
    """
    from textkit.data.quality import Bounds
    from textkit.jobs.filter import FilterOptions, filter_file

    options = gather(
        FilterOptions,
        columns,
        data=data,
        out=out,
        report=report,
        bounds=gather(Bounds, bounds),
        model=by_model.model,
        labels=split_names(by_model.labels),
        least=by_model.least,
        allow=by_model.allow,
        overwrite=overwrite,
    )
    with Display() as watch:
        made = filter_file(options, watch=watch)
    went = ", ".join(f"{n:,} {rule}" for rule, n in made.removed.items()) or "none"
    note(f"{made.out}: {made.n_kept:,} of {made.n_rows:,} rows stay; removed: {went}")
    if made.report is not None:
        note(f"which went and why: {made.report}")
    if as_json:
        write_line(to_json(made.to_dict()))
