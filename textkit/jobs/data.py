"""Split a file into train and test, or into folds: a whole piece of work as one call.

In: a file of any known format. Out: files of the same format, row for row, byte for byte. Nothing
is printed: what was guessed goes to a Watch.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.data import splits
from textkit.errors import UsageError
from textkit.io.corpus import RowReader
from textkit.io.inputs import refuse_streams, split_sheet
from textkit.io.row_files import copy_rows
from textkit.watch import Watch

Int64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """What is split and how.

    out: folder of train.* and test.*, or of folders fold-N with both. share: of the rows in test.*;
    by default 0.2. folds: make so many pairs, each row once in a test.*; not together with share.
    group: column; rows of one group, as an author, stay on one side. stratify: keep the shares of
    the classes.
    """

    data: Path
    out: Path
    share: float | None = None
    folds: int | None = None
    group: str | None = None
    stratify: bool = True
    seed: int = 0
    text_column: str | None = None
    label_column: str | None = None
    delimiter: str | None = None


def split_file(options: SplitOptions, *, watch: Watch = Watch()) -> list[tuple[Path, int]]:
    """Split a file; give the files that were written, each with its number of rows.

    >>> _ = Path("a.txt").write_text("one\\ntwo\\nthree\\nfour\\n", encoding="utf-8")
    >>> half = SplitOptions(data=Path("a.txt"), out=Path("o"), share=0.5, stratify=False)
    >>> [(str(path), n_rows) for path, n_rows in split_file(half)]
    [('o/train.txt', 2), ('o/test.txt', 2)]
    """
    if options.share is not None and options.folds is not None:
        raise UsageError("--share and --folds exclude each other")
    lines, codes, groups = _read(options, watch)
    pairs = _pair(options, codes, groups)
    name, out = split_sheet(options.data)[0].name, options.out
    ending = "." + name.split(".", 1)[1] if "." in name else ""
    folders = (
        [out]
        if options.folds is None
        else [out / f"fold-{number}" for number in range(1, options.folds + 1)]
    )
    destinations = [
        (folder / f"{part}{ending}", rows)
        for folder, pair in zip(folders, pairs, strict=True)
        for part, rows in zip(("train", "test"), pair, strict=True)
    ]
    copy_rows(options.data, lines, destinations)
    return [(path, len(rows)) for path, rows in destinations]


def _pair(options: SplitOptions, codes: Int64, groups: Int64 | None) -> list[splits.Split]:
    """Draw which rows are in train and which in test, once or for each fold."""
    seed = options.seed
    if options.folds is not None:
        if groups is None:
            return splits.fold_stratified(codes, n_folds=options.folds, seed=seed)
        return splits.fold_grouped(groups, codes=codes, n_folds=options.folds, seed=seed)
    share = 0.2 if options.share is None else options.share
    if groups is None:
        return [splits.split_stratified(codes, share=share, seed=seed)]
    return [splits.split_grouped(groups, codes=codes, share=share, seed=seed)]


def _read(options: SplitOptions, watch: Watch) -> tuple[Int64, Int64, Int64 | None]:
    """Read where each row begins, the number of its class (0 without stratify) and of its group,
    if asked for.
    """
    group, stratify = options.group, options.stratify
    refuse_streams([options.data])
    reader = RowReader(
        options.data,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
        labelled=stratify,
        keep=() if group is None else (group,),
    )
    if group is not None and reader.format == "txt":
        raise UsageError(
            f"{options.data} has no columns; --group needs csv, tsv, jsonl, parquet, arrow or xlsx"
        )
    columns: tuple[array[int], ...] = (array("q"), array("q"), array("q"))
    known: tuple[dict[Hashable, int], dict[Hashable, int]] = ({}, {})
    for row in reader:
        if group is not None and row.kept[0] is None:
            raise reader.error(f"'{group}' is empty; every row needs a group", line=row.line)
        values = (
            (row.label or "") if stratify else None,
            row.kept[0] if group is not None else None,
        )
        columns[0].append(row.line)
        for column, codes, value in zip(columns[1:], known, values, strict=True):
            column.append(codes.setdefault(value, len(codes)))
    for line in reader.notes():
        watch.note(line)
    if not columns[0]:
        raise reader.error("no rows to split")
    lines, labels, groups = (np.frombuffer(column, dtype=np.int64) for column in columns)
    return lines, labels, groups if group is not None else None
