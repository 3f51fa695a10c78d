"""Remove the rows of a file that repeat an earlier one, and say of each which row it repeats.

In: DedupOptions. Out: a file of the same format, row for row and byte for byte, and a csv of the
rows that went. Nothing is printed: what was guessed goes to a Watch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textkit.data.check import LIKENESS
from textkit.data.checked_rows import Table, excerpt, read_table
from textkit.data.duplicates import LEVELS, Level, Repeat, find_repeats
from textkit.errors import DataError, UsageError, unknown_name
from textkit.io.corpus import ReadOptions, RowReader
from textkit.io.inputs import refuse_streams
from textkit.jobs.removal import check_places, name_report, to_csv, write_staying
from textkit.watch import Progress, Watch

COLUMNS = ("row", "line", "level", "likeness", "label", "text")
OF_KEPT = ("kept_file", "kept_row", "kept_line", "kept_label", "kept_text")


@dataclass(frozen=True, kw_only=True)
class DedupOptions:
    """What is looked over, and where the rest is written.

    - data: the file; out: the file of the rows that stay, of the same format.
    - report: the csv of the rows that went; by default `OUT.removed.csv`.
    - level: "exact" takes rows of the same text, "normalised" those of the same but for case, white
      space and punctuation too, "near" also those whose word pairs have a Jaccard index of at least
      `likeness` (of texts with 8 word pairs and more).
    - against: a further file, as the test file: rows that repeat one of its rows go too.
    - overwrite: `out` may be replaced.
    - text_column, label_column, delimiter: by default guessed; a file needs no labels.
    """

    data: Path
    out: Path
    report: Path | None = None
    level: Level = "near"
    likeness: float = LIKENESS
    against: Path | None = None
    overwrite: bool = False
    text_column: str | None = None
    label_column: str | None = None
    delimiter: str | None = None

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise UsageError(unknown_name("level", self.level, LEVELS))
        if not 0 < self.likeness <= 1:
            raise UsageError(f"likeness is {self.likeness}, expected more than 0 and at most 1")

    @property
    def removed(self) -> Path:
        """Where it is said which row went for which."""
        return name_report(self.out, self.report)


@dataclass(frozen=True)
class DedupReport:
    """What went: n_rows were read, `removed` of them by level; n_conflicts had another label than
    the row that stays. out, report: the files, report None where nothing went.
    """

    out: Path
    report: Path | None
    n_rows: int
    removed: Mapping[str, int]
    n_conflicts: int

    @property
    def n_kept(self) -> int:
        """Rows that stay."""
        return self.n_rows - sum(self.removed.values())

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {
            "file": str(self.out),
            "report": None if self.report is None else str(self.report),
            "n_rows": self.n_rows,
            "n_kept": self.n_kept,
            "removed": dict(self.removed),
            "n_conflicts": self.n_conflicts,
        }


def dedup_file(options: DedupOptions, *, watch: Watch = Watch()) -> DedupReport:
    """Write a file without the rows that repeat an earlier one.

    Raises UsageError where a file is in the way, DataError for a row that cannot be read.

    >>> rows = "text,label\\nGood film,pos\\nbad film,neg\\ngood film!,neg\\n"
    >>> _ = Path("a.csv").write_text(rows, encoding="utf-8")
    >>> report = dedup_file(DedupOptions(data=Path("a.csv"), out=Path("clean.csv")))
    >>> report.n_kept, report.removed["normalised"], report.n_conflicts
    (2, 1, 1)
    >>> Path("clean.csv").read_text(encoding="utf-8").splitlines()
    ['text,label', 'Good film,pos', 'bad film,neg']
    """
    names = [path for path in (options.against, options.data) if path is not None]
    refuse_streams(names)
    inputs = [path for path in (options.data, options.against) if path is not None]
    check_places(options.out, options.removed, inputs=inputs, overwrite=options.overwrite)
    read: ReadOptions = {
        "text_column": options.text_column,
        "label_column": options.label_column,
        "delimiter": options.delimiter,
        "labelled": True,
    }
    try:
        tables = _read(names, read, options, watch)
    except DataError as err:
        if options.label_column is not None:
            raise
        read["labelled"] = False
        tables = _read(
            names, read, options, watch
        )  # raises again where the labels are not at fault
        watch.note(f"labels are not looked at: {err}")
    n_fixed = len(tables[0].lines) if options.against is not None else 0
    repeats = find_repeats(
        tables,
        [str(path) for path in names],
        read,
        level=options.level,
        likeness=options.likeness,
        n_fixed=n_fixed,
    )
    lines = tables[-1].lines
    staying = np.ones(len(lines), dtype=bool)
    staying[[repeat.row - n_fixed for repeat in repeats]] = False
    report = options.removed if repeats else None
    told = None if report is None else _tell(repeats, tables, names, read)
    write_staying(
        options.data,
        lines,
        np.flatnonzero(staying),
        out=options.out,
        report=options.removed,
        told=told,
    )
    labels = np.concatenate([table.labels for table in tables])
    n_conflicts = sum(int(labels[repeat.row] != labels[repeat.kept]) for repeat in repeats)
    counts = Counter(repeat.level for repeat in repeats)
    removed: dict[str, int] = {level: counts[level] for level in LEVELS}
    return DedupReport(options.out, report, len(lines), removed, n_conflicts)


def _read(
    names: Sequence[Path], read: ReadOptions, options: DedupOptions, watch: Watch
) -> list[Table]:
    notes: list[str] = []
    known: dict[str | None, int] = {}
    tables: list[Table] = []
    for path in names:
        tables.append(read_table(path, read, known, notes, near=options.level == "near"))
        watch.progress(Progress("reading", sum(len(table.lines) for table in tables)))
    for line in notes:
        watch.note(line)
    return tables


def _tell(
    repeats: Sequence[Repeat],
    tables: Sequence[Table],
    names: Sequence[Path],
    read: ReadOptions,
) -> str:
    """Make a csv line for each row that went, beside the row that stays; numbers are from 0."""
    wanted = {number for repeat in repeats for number in (repeat.row, repeat.kept)}
    places: dict[int, tuple[str, int, int, str, str]] = {}
    first = 0
    for table, name in zip(tables, names, strict=True):
        for at, row in enumerate(RowReader(name, **read)):
            if first + at in wanted:
                cells = (row.label or "").replace("\x1f", "|"), excerpt(row.text)
                places[first + at] = (str(name), at, row.line, *cells)
        first += len(table.lines)
    lines = []
    for repeat in repeats:
        _, at, line, label, text = places[repeat.row]
        share = f"{repeat.likeness:.4f}".rstrip("0").rstrip(".")
        lines.append([at, line, repeat.level, share, label, text, *places[repeat.kept]])
    return to_csv([*COLUMNS, *OF_KEPT], lines)
