"""`textkit data`: make the quick-start data, split a file, check files before a training."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textkit.cli.output import note, to_json, write_line
from textkit.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textkit.data.check import Report
    from textkit.data.splits import Split

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

TextColumn = Annotated[str | None, typer.Option(help="Column that holds the text.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column that holds the label.")]
Delimiter = Annotated[str | None, typer.Option(help="Field delimiter of a csv file.")]


@app.callback()
def _data() -> None:
    """Make, split and check data sets."""


@app.command()
def docstrings(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for train.csv and test.csv.")
    ] = Path("data"),
) -> None:
    """Write the quick-start data: the standard library's docstrings, labelled by module family."""
    from textkit.data import quickstart

    for name, rows in quickstart.write_docstrings(out).items():
        note(f"{out / name}: {rows:,} rows")


@app.command()
def split(
    data: Annotated[
        Path, typer.Argument(metavar="FILE", help="txt csv tsv jsonl (.gz .zst), parquet or arrow.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder for train.* and test.*, or fold-N/ with both."),
    ],
    share: Annotated[
        float | None, typer.Option(help="Share of the rows in test.*; by default 0.2.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Make this many folds, each row once in a test.*.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Rows of one group, as an author, stay on one side."),
    ] = None,
    stratify: Annotated[
        bool, typer.Option("--stratify/--no-stratify", help="Keep the classes' shares.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another split.")] = 0,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    delimiter: Delimiter = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the files and their rows as JSON.")
    ] = False,
) -> None:
    """Split a file into train and test, or into folds: the same format, row for row, byte for
    byte.
    """
    from textkit.data import splits
    from textkit.io.row_files import copy_rows

    if share is not None and folds is not None:
        raise UsageError("--share and --folds exclude each other")
    lines, codes, groups = _read(
        data,
        group=group,
        stratify=stratify,
        text=text_column,
        label=label_column,
        delimiter=delimiter,
    )
    pairs: list[Split]
    if folds is None:
        wanted = 0.2 if share is None else share
        pairs = [
            splits.split_stratified(codes, share=wanted, seed=seed)
            if groups is None
            else splits.split_grouped(groups, codes=codes, share=wanted, seed=seed)
        ]
    elif groups is None:
        pairs = splits.fold_stratified(codes, n_folds=folds, seed=seed)
    else:
        pairs = splits.fold_grouped(groups, codes=codes, n_folds=folds, seed=seed)
    ending = "." + data.name.split(".", 1)[1] if "." in data.name else ""
    folders = [out] if folds is None else [out / f"fold-{number}" for number in range(1, folds + 1)]
    destinations = [
        (folder / f"{part}{ending}", rows)
        for folder, pair in zip(folders, pairs, strict=True)
        for part, rows in zip(("train", "test"), pair, strict=True)
    ]
    copy_rows(data, lines, destinations)
    for path, rows in destinations:
        note(f"{path}: {len(rows):,} rows")
    if as_json:
        write_line(
            to_json([{"file": str(path), "n_rows": len(rows)} for path, rows in destinations])
        )


@app.command()
def check(
    train: Annotated[
        Path,
        typer.Argument(metavar="TRAIN", help="txt csv tsv jsonl (.gz .zst), parquet or arrow."),
    ],
    test: Annotated[
        Path | None, typer.Argument(metavar="TEST", help="Also look for its rows in TRAIN.")
    ] = None,
    near: Annotated[
        bool, typer.Option("--near/--no-near", help="Look for texts that are nearly alike.")
    ] = True,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="The files have labels.")
    ] = True,
    tiny: Annotated[int, typer.Option(min=0, help="A class with fewer rows is tiny.")] = 10,
    long: Annotated[
        int, typer.Option(min=1, help="A text with more characters is very long.")
    ] = 10_000,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 when anything was found.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    delimiter: Delimiter = None,
) -> None:
    """Look for duplicates, leakage, contradictions, tiny classes, odd labels, empty and very
    long texts.
    """
    from textkit.data.check import check_files
    from textkit.errors import DataError

    report = check_files(
        train,
        test,
        text_column=text_column,
        label_column=label_column,
        delimiter=delimiter,
        labelled=labels,
        near=near,
        tiny_rows=tiny,
        long_characters=long,
    )
    for line in report.notes:
        note(line)
    if as_json:
        write_line(to_json(report.to_dict()))
    else:
        _show(report)
    if strict and report.findings:
        raise DataError(
            f"{len(report.findings)} kinds of trouble were found, and --strict was given",
            where=str(train),
        )


def _show(report: Report) -> None:
    """Write a table of the findings, then the examples of each."""
    import sys

    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True)
    for file in report.files:
        console.print(f"{file['file']}: {file['n_rows']:,} rows, {file['n_classes']:,} classes")
    if not report.findings:
        console.print("nothing found")
        return
    table = Table("check", "file", "count", "what")
    table.columns[2].justify = "right"
    for found in report.findings:
        table.add_row(found.check, Path(found.file).name, f"{found.n:,}", found.message)
    Console(file=sys.stdout, markup=False).print(table)
    for found in report.findings:
        console.print(f"\n{found.check}: {found.n:,} {found.message}")
        for example in found.examples:
            console.print("  " + _line(example.where, example.label, example.text))
            if example.other is not None:
                console.print(
                    "    = " + _line(example.other, example.other_label, example.other_text or "")
                )


def _line(where: str, label: str | None, text: str) -> str:
    return f"{where}  {'' if label is None else f'[{label}] '}{text}"


def _read(
    data: Path,
    *,
    group: str | None,
    stratify: bool,
    text: str | None,
    label: str | None,
    delimiter: str | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]:
    """Read where each row begins, the number of its class (0 without stratify) and of its group,
    if asked for.
    """
    import numpy as np

    from textkit.io.corpus import RowReader

    if str(data) == "-":
        raise UsageError("standard input cannot be read a second time: name a file")
    keep = () if group is None else (group,)
    reader = RowReader(
        data,
        text_column=text,
        label_column=label,
        delimiter=delimiter,
        labelled=stratify,
        keep=keep,
    )
    if group is not None and reader.format == "txt":
        raise UsageError(f"{data} has no columns; --group needs csv, tsv, jsonl, parquet or arrow")
    columns: tuple[array[int], ...] = (array("q"), array("q"), array("q"))
    known: tuple[dict[Any, int], dict[Any, int]] = ({}, {})
    for row in reader:
        if group is not None and row.kept[0] is None:
            raise reader.error(f"'{group}' is empty; every row needs a group", line=row.line)
        values = (row.label if stratify else None, row.kept[0] if group is not None else None)
        columns[0].append(row.line)
        for column, codes, value in zip(columns[1:], known, values, strict=True):
            column.append(codes.setdefault(value, len(codes)))
    for line in reader.notes():
        note(line)
    if not columns[0]:
        raise reader.error("no rows to split")
    lines, labels, groups = (np.frombuffer(column, dtype=np.int64) for column in columns)
    return lines, labels, groups if group is not None else None
