"""`textkit data`: make the quick-start data, split a file, check files before a training, remove
rows that repeat others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from textkit.cli import data_filter
from textkit.cli.command import CHECKS, INPUT, OUTPUT, RUNNING, SPLIT, gather, new_group, verb
from textkit.cli.data_filter import CountsAsJson, ReplaceFile, RowsFile, StayingFile
from textkit.cli.errors import visible
from textkit.cli.options import Delimiter, LabelColumn, TextColumn
from textkit.cli.output import Display, note, to_json, write_line

if TYPE_CHECKING:
    from textkit.data.check import Report
    from textkit.jobs.label_noise import DoubtReport
    from textkit.jobs.shift import ShiftReport

SHOWN_DOUBTS = 30

app = new_group("Make, split, check and clean data sets.")


@dataclass(frozen=True, kw_only=True)
class LabelledColumns:
    """Where a file has its texts and labels."""

    text_column: TextColumn = None
    label_column: LabelColumn = None
    delimiter: Delimiter = None


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What goes into train and what into test."""

    group: ClassVar = SPLIT
    share: Annotated[
        float | None, typer.Option(help="Share of the rows in test.*; by default 0.2.")
    ] = None
    folds: Annotated[
        int | None, typer.Option(min=2, help="Make this many folds, each row once in a test.*.")
    ] = None
    stratify: Annotated[
        bool, typer.Option("--stratify/--no-stratify", help="Keep the classes' shares.")
    ] = True
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another split.")] = 0


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What is looked for."""

    group: ClassVar = CHECKS
    labels: Annotated[
        bool,
        typer.Option("--labels/--no-labels", help="The files have labels.", rich_help_panel=INPUT),
    ] = True
    near: Annotated[
        bool, typer.Option("--near/--no-near", help="Look for texts that are nearly alike.")
    ] = True
    tiny: Annotated[int, typer.Option(min=0, help="A class with fewer rows is tiny.")] = 10
    long: Annotated[int, typer.Option(min=1, help="A text with more characters is very long.")] = (
        10_000
    )
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Also doubt labels of TRAIN: those a cross-validated model contradicts."
        ),
    ] = False
    folds: Annotated[
        int, typer.Option(min=2, help="With --deep: so many models, each for a part of the rows.")
    ] = 5
    against: Annotated[
        Path | None,
        typer.Option(
            help="Also tell whether the texts of this file, labels or not, are like TRAIN's."
        ),
    ] = None


def _doubt(train: Path, columns: LabelledColumns, checks: Checks) -> DoubtReport:
    from textkit.jobs.label_noise import DoubtOptions, doubt_file

    with Display() as watch:
        return doubt_file(
            gather(DoubtOptions, columns, data=train, folds=checks.folds),
            watch=replace(watch, note=lambda line: None),  # as said of the check itself
        )


def _compare(train: Path, other: Path, columns: LabelledColumns) -> ShiftReport:
    from textkit.jobs.shift import ShiftOptions, compare_files

    options = ShiftOptions(
        data=train,
        against=other,
        text_column=columns.text_column,
        delimiter=columns.delimiter,
    )
    with Display() as watch:
        return compare_files(options, watch=replace(watch, note=lambda line: None))


def _show_doubts(report: DoubtReport) -> None:
    """Write a table of the rows whose label is most doubtful."""
    import sys

    from rich.console import Console
    from rich.table import Table

    if not report.doubts:
        return
    table = Table("line", "label", "rather", "probability", "text")
    for doubt in report.doubts[:SHOWN_DOUBTS]:
        shares = f"{doubt.probability:.3f} < {doubt.suggested_probability:.3f}"
        text = " ".join(doubt.text.split())[:80]
        cells = (f"{doubt.line:,}", doubt.label, doubt.suggested, shares, text)
        table.add_row(*map(visible, cells))
    more = len(report.doubts) - SHOWN_DOUBTS
    console = Console(file=sys.stdout, markup=False, highlight=False)
    console.print("\ndoubted labels, the most doubtful first")
    console.print(table)
    if more > 0:
        console.print(f"and {more:,} more: --json or --html page.html has them")


class Level(StrEnum):
    """How alike a row must be to an earlier one."""

    exact = "exact"
    normalised = "normalised"
    near = "near"


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """Which rows repeat another."""

    group: ClassVar = CHECKS
    level: Annotated[
        Level,
        typer.Option(
            help="exact: the same text; normalised: but for case, space and punctuation; near."
        ),
    ] = Level.near
    likeness: Annotated[
        float, typer.Option(help="Of near ones: the Jaccard index of their word pairs.")
    ] = 0.8
    against: Annotated[
        Path | None,
        typer.Option(metavar="TEST", help="Rows that repeat one of this file go too."),
    ] = None


@verb(app)
def docstrings(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for train.csv and test.csv.", rich_help_panel=OUTPUT
        ),
    ] = Path("data"),
) -> None:
    """Write the quick-start data: the standard library's docstrings, labelled by module family.

    Examples:
        textkit data docstrings -o data
        textkit train data/train.csv -o run
    """
    from textkit.data import quickstart

    for name, rows in quickstart.write_docstrings(out).items():
        note(f"{out / name}: {rows:,} rows")


@verb(app)
def split(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="txt csv tsv jsonl (.gz .zst), parquet, arrow or xlsx."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder for train.* and test.*, or fold-N/ with both.",
            rich_help_panel=OUTPUT,
        ),
    ],
    cut: Cut,
    columns: LabelledColumns,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Rows of one group, as an author, stay on one side.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Write the files and their rows as JSON.", rich_help_panel=OUTPUT
        ),
    ] = False,
) -> None:
    """Split a file into train and test, or into folds: the same format, row for row, byte for
    byte.

    Examples:
        textkit data split all.csv -o data
        textkit data split all.jsonl --folds 5 --group author -o folds
    """
    from textkit.jobs.data import SplitOptions, split_file

    options = gather(SplitOptions, cut, columns, data=data, out=out, group=group)
    with Display() as watch:
        written = split_file(options, watch=watch)
    for path, n_rows in written:
        note(f"{path}: {n_rows:,} rows")
    if as_json:
        write_line(to_json([{"file": str(path), "n_rows": n_rows} for path, n_rows in written]))


@verb(app)
def check(
    train: Annotated[
        Path,
        typer.Argument(
            metavar="TRAIN", help="txt csv tsv jsonl (.gz .zst), parquet, arrow or xlsx."
        ),
    ],
    columns: LabelledColumns,
    checks: Checks,
    test: Annotated[
        Path | None, typer.Argument(metavar="TEST", help="Also look for its rows in TRAIN.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit with 3 when anything was found.", rich_help_panel=RUNNING
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Write the findings as JSON.", rich_help_panel=OUTPUT),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help="With --deep: write an HTML page to correct the labels in.", rich_help_panel=OUTPUT
        ),
    ] = None,
) -> None:
    """Look for duplicates, leakage, contradictions, tiny classes, odd labels, empty and very
    long texts, with --deep for labels that are probably wrong, and with --against for other texts.

    Examples:
        textkit data check train.csv test.csv
        textkit data check train.csv --no-near --strict --json
        textkit data check train.csv --deep --html doubts.html
        textkit data check train.csv --against new.jsonl
    """
    from textkit.data.check import check_files
    from textkit.errors import DataError, UsageError

    if html is not None and not checks.deep:
        raise UsageError("--html is a page of doubted labels; ask for them with --deep")
    if checks.deep and not checks.labels:
        raise UsageError("--deep doubts labels; leave --no-labels out")
    report = check_files(
        train,
        test,
        text_column=columns.text_column,
        label_column=columns.label_column,
        delimiter=columns.delimiter,
        labelled=checks.labels,
        near=checks.near,
        tiny_rows=checks.tiny,
        long_characters=checks.long,
    )
    doubts = _doubt(train, columns, checks) if checks.deep else None
    shift = None if checks.against is None else _compare(train, checks.against, columns)
    for line in report.notes:
        note(line)
    if doubts is not None:
        report.findings += doubts.findings()
        if html is not None:
            doubts.write_html(html)
    if shift is not None:
        report.findings += shift.findings()
        note(shift.line())
    if as_json:
        more = {} if doubts is None else {"deep": doubts.to_dict()}
        more |= {} if shift is None else {"shift": shift.to_dict()}
        write_line(to_json({**report.to_dict(), **more}))
    else:
        _show(report)
        if doubts is not None:
            _show_doubts(doubts)
    if html is not None:
        note(f"page: {html}")
    if strict and report.findings:
        raise DataError(
            f"{len(report.findings)} kinds of trouble were found, and --strict was given",
            where=str(train),
        )


@verb(app)
def dedup(
    data: RowsFile,
    out: StayingFile,
    columns: LabelledColumns,
    repeated: Repeated,
    report: Annotated[
        Path | None,
        typer.Option(
            help="csv of which row went for which; by default OUT.removed.csv.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    overwrite: ReplaceFile = False,
    as_json: CountsAsJson = False,
) -> None:
    """Remove rows that repeat an earlier one, and say which row went for which.

    Examples:
        textkit data dedup all.csv -o clean.csv
        textkit data dedup train.csv --against test.csv -o clean.csv
        textkit data dedup all.jsonl --level exact -o clean.jsonl --json
    """
    from textkit.jobs.dedup import DedupOptions, dedup_file

    options = gather(
        DedupOptions,
        columns,
        repeated,
        data=data,
        out=out,
        report=report,
        overwrite=overwrite,
    )
    with Display() as watch:
        made = dedup_file(options, watch=watch)
    went = ", ".join(f"{n:,} {level}" for level, n in made.removed.items() if n) or "none"
    note(f"{made.out}: {made.n_kept:,} of {made.n_rows:,} rows stay; removed: {went}")
    if made.n_conflicts:
        note(f"{made.n_conflicts:,} removed rows had another label than the row that stays")
    if made.report is not None:
        note(f"which went for which: {made.report}")
    if as_json:
        write_line(to_json(made.to_dict()))


verb(app)(data_filter.filter)


def _show(report: Report) -> None:
    """Write a table of the findings, then the examples of each."""
    import sys

    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)
    for file in report.files:
        name = visible(str(file["file"]))
        console.print(f"{name}: {file['n_rows']:,} rows, {file['n_classes']:,} classes")
    if not report.findings:
        console.print("nothing found")
        return
    table = Table("check", "file", "count", "what")
    table.columns[2].justify = "right"
    for found in report.findings:
        table.add_row(
            found.check, visible(Path(found.file).name), f"{found.n:,}", visible(found.message)
        )
    Console(file=sys.stdout, markup=False).print(table)
    for found in report.findings:
        console.print(f"\n{found.check}: {found.n:,} {visible(found.message)}")
        for example in found.examples:
            console.print("  " + _line(example.where, example.label, example.text))
            if example.other is not None:
                console.print(
                    "    = " + _line(example.other, example.other_label, example.other_text or "")
                )


def _line(where: str, label: str | None, text: str) -> str:
    return visible(f"{where}  {'' if label is None else f'[{label}] '}{text}")
