"""Leave out the rows of a file that break bounds of quality, or that a classifier does not take for
what is wanted, and say of each why.

In: FilterOptions. Out: a file of the same format, row for row and byte for byte, and a csv of the
rows that went. Nothing is printed: what was guessed and how far it is goes to a Watch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textkit.batch import cut_rows
from textkit.data.checked_rows import excerpt
from textkit.data.quality import Bounds, Fault
from textkit.errors import UsageError, unknown_name
from textkit.io.corpus import Row, RowReader
from textkit.io.inputs import refuse_streams
from textkit.jobs.removal import check_places, name_report, to_csv, write_staying
from textkit.jobs.runs import find_model
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier

COLUMNS = ("row", "line", "reason", "value", "text")
_CHUNK_ROWS, _CHUNK_CHARACTERS = 4096, 4 << 20


@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """What rows must be, and where those that are go.

    - data: the file; out: the file of the rows that stay, of the same format.
    - report: the csv of the rows that went; by default `OUT.removed.csv`.
    - bounds: of the texts; they come first.
    - model, labels, least: a classifier with one label a text, as one of languages; a row stays
      where the labels that are wanted have together at least this probability.
    - overwrite: `out` may be replaced.
    - text_column, delimiter: by default guessed.
    - allow: each `package.module:Name` of the model that may be imported.
    """

    data: Path
    out: Path
    report: Path | None = None
    bounds: Bounds = field(default_factory=Bounds)
    model: Path | TextClassifier | None = None
    labels: Sequence[str] = ()
    least: float = 0.5
    overwrite: bool = False
    text_column: str | None = None
    delimiter: str | None = None
    allow: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if (self.model is None) != (not self.labels):
            raise UsageError("a model needs the labels that are wanted, and they a model")
        if self.model is None and not self.bounds.given():
            raise UsageError("nothing to filter by; name a bound, as --min-words, or a --model")
        if not 0 <= self.least <= 1:
            raise UsageError(f"least is {self.least}, expected 0 to 1")

    @property
    def removed(self) -> Path:
        """Where it is said which row went and why."""
        return name_report(self.out, self.report)


@dataclass(frozen=True)
class FilterReport:
    """What went: n_rows were read, `removed` of them by reason; report is None where none went."""

    out: Path
    report: Path | None
    n_rows: int
    removed: Mapping[str, int]

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
        }


def filter_file(options: FilterOptions, *, watch: Watch = Watch()) -> FilterReport:
    """Write a file without the rows that are not wanted.

    Raises UsageError where a file is in the way, DataError for a row that cannot be read.

    >>> rows = "a film of a man and his dog\\nno\\nbuy now buy now buy now buy now\\n"
    >>> _ = Path("a.txt").write_text(rows, encoding="utf-8")
    >>> bounds = Bounds(min_words=3, max_repeats=0.5)
    >>> made = filter_file(FilterOptions(data=Path("a.txt"), out=Path("b.txt"), bounds=bounds))
    >>> made.n_kept, dict(made.removed)
    (1, {'max_repeats': 1, 'min_words': 1})
    >>> Path("b.txt").read_text(encoding="utf-8")
    'a film of a man and his dog\\n'
    """
    refuse_streams([options.data])
    check_places(options.out, options.removed, inputs=[options.data], overwrite=options.overwrite)
    judging = _Judging.of(options)
    reader = RowReader(options.data, text_column=options.text_column, delimiter=options.delimiter)
    lines: list[int] = []
    staying: list[int] = []
    gone: list[tuple[int, Row, Fault]] = []
    chunks = cut_rows(
        reader, n_rows=_CHUNK_ROWS, n_characters=_CHUNK_CHARACTERS, text_of=lambda row: row.text
    )
    for rows in chunks:
        for row, fault in zip(rows, judging.judge([row.text for row in rows]), strict=True):
            if fault is None:
                staying.append(len(lines))
            else:
                gone.append((len(lines), row._replace(text=excerpt(row.text)), fault))
            lines.append(row.line)
        watch.progress(Progress("filtering", len(lines)))
    for line in reader.notes():
        watch.note(line)
    write_staying(
        options.data,
        lines,
        np.array(staying, dtype=np.int64),
        out=options.out,
        report=options.removed,
        told=_tell(gone) if gone else None,
    )
    report = options.removed if gone else None
    removed = Counter(fault.rule for _, _, fault in gone)
    return FilterReport(options.out, report, len(lines), dict(sorted(removed.items())))


@dataclass(frozen=True)
class _Judging:
    """The bounds, and the model with the places of the labels that are wanted."""

    bounds: Bounds
    classifier: TextClassifier | None
    wanted: Sequence[int]
    least: float

    @classmethod
    def of(cls, options: FilterOptions) -> _Judging:
        if options.model is None:
            return cls(options.bounds, None, (), options.least)
        classifier = options.model
        if isinstance(classifier, str | Path):
            from textkit import TextClassifier

            classifier = TextClassifier.load(find_model(classifier), allow=options.allow or ())
        if classifier.task_ != "single-label":
            raise UsageError(
                f"the model is a {classifier.task_} one; filtering takes one label a text"
            )
        known = [str(label) for label in classifier.classes_.tolist()]
        for label in options.labels:
            if label not in known:
                raise UsageError(unknown_name("label", label, known))
        wanted = [known.index(label) for label in dict.fromkeys(options.labels)]
        return cls(options.bounds, classifier, wanted, options.least)

    def judge(self, texts: Sequence[str]) -> Iterator[Fault | None]:
        """Give for each text why it goes, None where it stays."""
        faults = [self.bounds.judge(text) for text in texts]
        if self.classifier is not None:
            left = [at for at, fault in enumerate(faults) if fault is None]
            if left:
                proba = self.classifier.predict_proba([texts[at] for at in left])
                shares = proba[:, list(self.wanted)].sum(axis=1)
                for at, share in zip(left, shares.tolist(), strict=True):
                    if share < self.least:
                        faults[at] = Fault("model", round(share, 4))
        yield from faults


def _tell(gone: Sequence[tuple[int, Row, Fault]]) -> str:
    """Make a csv line for each row that went; row numbers are from 0."""
    rows = ((at, row.line, why.rule, f"{why.value:g}", row.text) for at, row, why in gone)
    return to_csv(COLUMNS, rows)
