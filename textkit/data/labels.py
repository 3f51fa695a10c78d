"""Labels of rows, before the classes are known: how a file's label cells become labels, and numbers
for them while the file is read.

One rule for every reader of files (in memory, streaming, evaluation, baseline, data check):

1. single-label: the cell is the label, to the letter.
2. multi-label: where the file lists the labels (a JSON or Arrow list, `__label__` in a .txt line),
   they are taken as they are. Any other cell is cut at the separator, of any length, and white
   space at both ends of a label is dropped, which `LabelCells.notes` says. Labels of nothing but
   white space vanish.
3. regression: cut as for multi-label; each piece must be a number.

A cell that is empty, or a word that programs write for a missing value (MISSING_WORDS), is no label
unless the caller says of the word that it is one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from textkit.data.plain_labels import plain_label, plain_numbers
from textkit.data.targets import Label, Targets, Task
from textkit.errors import DataError, UsageError
from textkit.io.composed import is_missing
from textkit.io.corpus import LABEL_SEPARATOR, Row, RowReader

RowLabel = Label | Sequence[Label] | None  # of a row of the caller's
OnBad = Literal["stop", "skip"]
Missing = Literal["error", "skip", "keep"]  # what a row of a file without a label does
Read = TypeVar("Read")
FileLabel = str | list[str] | list[float]  # of a row of a file, by the task
# What pandas, numpy and spreadsheets write where a value is missing.
MISSING_WORDS = frozenset({"NaN", "nan", "NaT", "<NA>", "#N/A"})


class EmptyLabelError(ValueError):
    """A row has no label; as against one with a label that cannot be used."""

    def __init__(self, word: str = "") -> None:
        super().__init__(
            f"the label is {word!r}, a word for a missing value" if word else "the label is empty"
        )
        keep = ", --missing keep takes it for a label" if word else ""
        self.advice = f"--missing skip leaves such rows out{keep}"


class LabelCells:
    """Turn label cells into labels by the rule above; count the cells that lost white space.

    separator: what stands between the labels of a cell that is no list; None cuts nothing. words:
    labels, though they may be among MISSING_WORDS.

    >>> cells = LabelCells("||")
    >>> cells.labels("film || pos||"), cells.labels("a||b", listed=True)
    (['film', 'pos'], ['a||b'])
    >>> cells.notes("train.csv")
    ['train.csv: white space round labels was dropped in 1 rows']
    """

    def __init__(self, separator: str | None = None, *, words: Collection[str] = ()) -> None:
        self.separator = separator
        self.words = words
        self.n_stripped = 0
        self.n_words = Counter[str]()  # cells that are a word for a missing value, and labels

    def label(self, cell: str | None, *, else_: str) -> str:
        """Give the one label of a cell; ValueError where it is empty, or has several, with `else_`
        behind it.
        """
        cell = cell or ""
        if LABEL_SEPARATOR in cell:
            raise ValueError(f"the row has several labels{else_}")
        if is_missing(cell):
            raise EmptyLabelError
        self._check_word(cell)
        return cell

    def labels(self, cell: str | None, *, listed: bool = False) -> list[str]:
        """Give the labels of a cell, perhaps none; ValueError where there is no cell."""
        if cell is None:
            raise EmptyLabelError
        if not listed:
            self._check_word(cell)
        pieces, cut = self._pieces(cell, listed)
        if cut:
            stripped = [piece.strip() for piece in pieces]
            self.n_stripped += stripped != pieces
            pieces = stripped
        return [piece for piece in pieces if piece.strip()]

    def numbers(self, cell: str | None, *, listed: bool = False) -> list[float]:
        """Give the numbers of a cell; ValueError where it is empty or a piece is no finite one."""
        if cell is None or is_missing(cell):
            raise EmptyLabelError
        try:
            found = [float(piece) for piece in self._pieces(cell, listed)[0]]
        except ValueError:
            found = [math.nan]
        if not all(map(math.isfinite, found)):
            raise ValueError(f"the label is {spell_cell(cell)!r}; regression wants a finite number")
        return found

    def notes(self, name: str) -> list[str]:
        """Say what was dropped from the cells of a file since the last call."""
        n, self.n_stripped = self.n_stripped, 0
        notes = [f"{name}: white space round labels was dropped in {n:,} rows"] if n else []
        words, self.n_words = self.n_words, Counter()
        return notes + [
            f"{name}: {word!r} is taken for a label in {n:,} rows" for word, n in words.items()
        ]

    def _check_word(self, cell: str) -> None:
        """Raise EmptyLabelError where a cell is a word for a missing value, and no label."""
        word = cell if cell in MISSING_WORDS else cell.strip()
        if word not in MISSING_WORDS:
            return
        if word not in self.words:
            raise EmptyLabelError(word)
        self.n_words[word] += 1

    def _pieces(self, cell: str, listed: bool) -> tuple[list[str], bool]:
        """Take a cell apart, and tell whether it is no list of the file's."""
        if listed or LABEL_SEPARATOR in cell:
            return cell.split(LABEL_SEPARATOR), False
        return (cell.split(self.separator) if self.separator else [cell]), True


def spell_cell(cell: str | None) -> str | None:
    """Write a label cell for people: commas between the labels of a list.

    >>> spell_cell("film\\x1fpos")
    'film, pos'
    """
    return None if cell is None else cell.replace(LABEL_SEPARATOR, ", ")


@dataclass(frozen=True)
class LabelledRows:
    """Texts and their labels, as the task wants them: str, lists of str, or lists of float.

    rejects: why each row that is not among them was left out, as file:line: reason.
    """

    texts: list[str]
    labels: list[FileLabel]
    rejects: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def all_labels(self) -> Iterator[str]:
        """Give the labels of all rows, one after the other."""
        for label in self.labels:
            yield from [label] if isinstance(label, str) else map(str, label)

    def respell(self, spelling: Mapping[str, str]) -> LabelledRows:
        """Give the rows with other labels in the place of theirs; a row has each once."""
        labels: list[FileLabel] = []
        for label in self.labels:
            several = [label] if isinstance(label, str) else map(str, label)
            spelt = [*dict.fromkeys(spelling[name] for name in several)]
            labels.append(spelt[0] if isinstance(label, str) else spelt)
        return replace(self, labels=labels)


def read_labelled(
    path: str | Path,
    *,
    task: Task = "single-label",
    separator: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    delimiter: str | None = None,
    on_bad: OnBad = "stop",
    missing: Missing | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> LabelledRows:
    """Read all rows of a file with their labels; `note` hears what was guessed and dropped.

    separator: for multi-label, what stands between the labels of a row; such a row may have none.
    on_bad="skip" leaves out what cannot be used, missing="skip" what has no label; `rejects` says
    why. missing="keep" takes a word for a missing value for a label; None is "error" without the
    advice of the other two.
    Raises DataError for a file without rows and for a label that the task cannot use.

    >>> _ = Path("a.csv").write_text("text,label\\ngood film,film; pos\\n", encoding="utf-8")
    >>> read_labelled("a.csv", task="multi-label", separator=";").labels
    [['film', 'pos']]
    """
    reader = RowReader(
        path,
        text_column=text_column,
        label_column=label_column,
        delimiter=delimiter,
        labelled=True,
        on_bad=on_bad,
    )
    cells = LabelCells(separator, words=MISSING_WORDS if missing == "keep" else ())
    pairs = list(read_usable(reader, reader, lambda row: _read_cell(row, task, cells), missing))
    for line in (*reader.notes(), *cells.notes(reader.name)):
        note(line)
    if not pairs:
        raise no_rows(reader)
    return LabelledRows(
        [row.text for row, _ in pairs], [label for _, label in pairs], tuple(reader.rejects)
    )


def read_usable(
    reader: RowReader, rows: Iterable[Row], read: Callable[[Row], Read], missing: Missing | None
) -> Iterator[tuple[Row, Read]]:
    """Give rows with what `read` makes of their label; a row for which it raises ValueError ends
    the work as file:line, or joins the reader's rejects where it is to be skipped.
    """
    for row in rows:
        try:
            label = read(row)
        except ValueError as err:
            error = reader.error(str(err), line=row.line)
            is_empty = isinstance(err, EmptyLabelError)
            if reader.on_bad == "stop" and not (missing == "skip" and is_empty):
                if isinstance(err, EmptyLabelError) and missing is not None:
                    raise reader.error(f"{err}; {err.advice}", line=row.line) from err
                raise error from err
            reader.rejects.append(str(error))
            continue
        yield row, label


def no_rows(reader: RowReader) -> DataError:
    """Make the error of a file without a row to use."""
    if reader.rejects:
        return reader.error(f"no row can be used; the first was left out: {reader.rejects[0]}")
    return reader.error("no rows after the header; expected texts and labels")


def _read_cell(row: Row, task: Task, cells: LabelCells) -> FileLabel:
    if task == "multi-label":
        return cells.labels(row.label, listed=row.listed)
    if task == "single-label":
        return cells.label(row.label, else_="; train with --task multi-label")
    return cells.numbers(row.label, listed=row.listed)


class LabelReader:
    """Number labels as they come; ValueError says what is wrong with one.

    It is what TokenShards writes while it reads: memory grows with the different labels alone.
    task: as of a recipe, or None for texts without labels. classes: the only ones allowed, in their
    order. separator: as in LabelCells.

    >>> reader = LabelReader("single-label")
    >>> [reader.read(label) for label in ("b", "a", "b")]
    [0, 1, 0]
    >>> reader.classes(), reader.table().tolist()
    (['a', 'b'], [1, 0])
    """

    def __init__(
        self,
        task: Task | None,
        *,
        classes: Sequence[Label] | None = None,
        separator: str | None = None,
    ) -> None:
        if task not in ("single-label", "multi-label", "regression", None):
            raise UsageError(
                f"task is '{task}', expected 'single-label', 'multi-label', 'regression' or None"
            )
        if classes is not None and len(set(classes)) < len(classes):
            raise UsageError("classes has the same class twice")
        self.task = task
        self.cells = LabelCells(separator, words=MISSING_WORDS)
        self.given = None if classes is None else list(classes)
        self.known: dict[Label, int] = {}
        # Multi-label: the different sets of classes, numbered.
        self.sets: dict[tuple[int, ...], int] = {}
        self.width = len(classes) if task == "regression" and classes is not None else 0
        for label in classes or ():
            self.known[label] = len(self.known)
        # By type too: 1, True and 1.0 are equal, and not one label.
        self.codes: dict[tuple[type, Label | None], int] = {}

    def read(self, label: RowLabel, *, listed: bool = False) -> int | list[float]:
        """Give the number of a row's label, or its list of numbers for regression.

        A str is the cell of a file; listed: see Row.
        """
        if self.task is None:
            return 0
        if self.task == "single-label":
            several = "; expected one, or task = 'multi-label'"
            if isinstance(label, str):
                return self._class(self.cells.label(label, else_=several))
            if isinstance(label, Sequence):
                raise ValueError(f"the row has several labels{several}")
            return self._class(label)
        if self.task == "regression":
            return self._numbers(label, listed)
        items: Sequence[Label | None] = (
            self.cells.labels(label, listed=listed) if isinstance(label, str) else _items(label)
        )
        codes = tuple(sorted({self._class(item) for item in items if not is_missing(item)}))
        return self.sets.setdefault(codes, len(self.sets))

    def _class(self, label: Label | None) -> int:
        if is_missing(label):
            raise ValueError("the label is empty")
        code = self.codes.get((type(label), label))
        if code is not None:
            return code
        try:
            plain = plain_label(label)
        except ValueError as err:
            raise ValueError(f"the label {err}") from None
        if self.given is not None and plain not in self.known:
            raise ValueError(f"label {label!r} is not among the {len(self.given)} known classes")
        first = next(iter(self.known), plain)
        if self.given is None and type(plain) is not type(first):
            raise ValueError(
                f"label {label!r} is a {type(plain).__name__}, the first a {type(first).__name__}"
            )
        code = self.known.setdefault(plain, len(self.known))
        self.codes[type(label), label] = code
        return code

    def _numbers(self, label: RowLabel, listed: bool) -> list[float]:
        if isinstance(label, str):
            numbers = self.cells.numbers(label, listed=listed)
        else:
            try:
                numbers = plain_numbers(label)
            except ValueError as err:
                raise ValueError(f"the label {err}") from None
        self.width = self.width or len(numbers)
        if len(numbers) != self.width:
            raise ValueError(f"the label has {len(numbers)} numbers, expected {self.width}")
        return numbers

    def classes(self) -> list[Label]:
        """Give the classes, as given or sorted; for regression the names of the outputs."""
        if self.given is not None:
            return self.given
        if self.task == "regression":
            return ["value"] if self.width <= 1 else [f"value{i}" for i in range(self.width)]
        if self.sets and not self.known:
            raise DataError("none of the rows has a label; is the label column the right one?")
        return sorted(self.known)

    def table(self) -> Targets:
        """Give the target of each number that `read` gave: (n,) int64, or (n_sets, n_classes)
        float32.
        """
        place = {label: i for i, label in enumerate(self.classes())}
        codes = np.array([place[label] for label in self.known], dtype=np.int64)
        if self.task != "multi-label":
            return codes
        targets = np.zeros((len(self.sets), len(codes)), dtype=np.float32)
        for members, row in self.sets.items():
            targets[row, codes[list(members)]] = 1
        return targets


def _items(label: float | Sequence[Label] | None) -> Sequence[Label | None]:
    return label if isinstance(label, Sequence) else [label]
