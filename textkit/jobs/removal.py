"""Removing rows of a file: where the rest may be written, and in which order it is.

In: a file, and which of its rows stay. Out: a file of the same format, byte for byte, and a csv of
the rows that went, which has its name first: the file never lies there without it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.errors import UsageError
from textkit.io import files
from textkit.io.inputs import guess_format, split_sheet
from textkit.io.packed import PACKED_ENDINGS
from textkit.io.row_files import copy_rows


def name_report(out: Path, report: Path | None) -> Path:
    """Give the place of the csv of the rows that went."""
    return report or out.with_name(f"{out.name}.removed.csv")


def check_places(out: Path, report: Path, *, inputs: Sequence[Path], overwrite: bool) -> None:
    """Refuse to write over what is there, or rows of the first input under another format's name.

    Raises UsageError.
    """
    _refuse_other_kind(out, inputs[0])
    sources = [split_sheet(path)[0].resolve() for path in inputs]
    for path in (out, report):
        if path.resolve() in sources:
            raise UsageError(f"{path} is an input itself; choose another -o")
        if path.exists() and not overwrite:
            raise UsageError(
                f"{path} is there already; choose another -o, or replace it with --overwrite"
            )


def write_staying(
    data: Path,
    lines: Sequence[int] | NDArray[np.int64],
    staying: NDArray[np.int64],
    *,
    out: Path,
    report: Path,
    told: str | None,
) -> None:
    """Write the rows that stay, sorted numbers from 0, into `out`, and `told` into the report; with
    nothing to tell none lies there.

    lines: (n_rows,) the line on which each row begins, as `copy_rows` takes them.
    """

    def write_report() -> None:
        if told is None:
            report.unlink(missing_ok=True)
        else:
            files.write_text(report, told)

    copy_rows(data, lines, [(out, staying)], last=write_report)


def to_csv(header: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    """Make the text of a csv.

    >>> to_csv(["row", "text"], [(0, "a, b")])
    'row,text\\n0,"a, b"\\n'
    """
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return made.getvalue()


def _kind_of(path: Path) -> tuple[str, str]:
    """Tell by its name what a file's format is, and how it is packed."""
    ending = split_sheet(path)[0].suffix.lower()
    return guess_format(path), ending if ending in PACKED_ENDINGS else ""


def _refuse_other_kind(out: Path, data: Path) -> None:
    """Refuse a file for rows of another whose name says another format or packing."""
    if _kind_of(out) != _kind_of(data):
        packed = _kind_of(data)[1] != ""
        ending = "".join(split_sheet(data)[0].suffixes[-2 if packed else -1 :])
        raise UsageError(
            f"-o {out}: rows stay byte for byte as in {data}; choose a name that ends as it does,"
            f" in {ending or 'nothing'}"
        )
