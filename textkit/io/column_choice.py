"""Which columns of a file hold the text, the label and what is kept, where nobody said.

In: the names of a header, and for a header that tells nothing some of the rows. Out: a
ColumnChoice, or a ValueError that says what to name with which option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textkit.errors import unknown_name
from textkit.io.composed import IndicatorColumns, TextTemplate, find_composed

TEXT_NAMES = (
    "text",
    "sentence",
    "content",
    "review",
    "document",
    "question",
    "utterance",
    "body",
    "message",
    "comment",
)
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "intent",
    "sentiment",
    "tag",
    "topic",
    "y",
)
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class ColumnChoice:
    """The columns that are read, by name; label is None where no label is asked for.

    template, indicators: what text and label are made of where they are no column themselves.
    """

    text: str
    label: str | None
    guessed: bool
    template: TextTemplate | None = None
    indicators: IndicatorColumns | None = None

    @property
    def composed(self) -> bool:
        """Tell whether the text or the label is made of several columns."""
        return self.template is not None or self.indicators is not None

    @property
    def sources(self) -> list[str]:
        """The columns of the file that text and label come from."""
        texts = (self.text,) if self.template is None else self.template.names
        labels = [] if self.label is None else [self.label]
        return [*texts, *(labels if self.indicators is None else self.indicators.names)]

    def places(
        self, header: Sequence[str], keep: Sequence[str]
    ) -> tuple[int, int | None, list[int]]:
        """Give the numbers of the text, the label and the kept columns in a header."""
        label_at = None if self.label is None else header.index(self.label)
        return header.index(self.text), label_at, [header.index(name) for name in keep]

    def compose(self, record: Mapping[str, object]) -> tuple[object, object]:
        """Give the text and the label of a record of the sources; ValueError for what cannot be
        one.
        """
        text = record[self.text] if self.template is None else self.template.fill(record)
        if self.indicators is not None:
            return text, self.indicators.labels(record)
        return text, None if self.label is None else record[self.label]


@dataclass(frozen=True)
class WantedColumns:
    """What the caller asks of a header: names where they are known, else None.

    labelled: a label is wanted too.
    """

    text: str | None = None
    label: str | None = None
    labelled: bool = False
    keep: tuple[str, ...] = ()

    def known_by_name(self, header: Sequence[str]) -> bool:
        """Tell whether the names of the header are enough to choose."""
        named = self.text is not None and (self.label is not None or not self.labelled)
        return not self.labelled or named or bool(_candidates(header, TEXT_NAMES))

    def choose(self, header: Sequence[str], sample: Sequence[Sequence[str]] = ()) -> ColumnChoice:
        """Choose the columns; ValueError for none, and for several that could be meant.

        >>> WantedColumns(labelled=True).choose(["id", "Review", "stars"], [])
        Traceback (most recent call last):
        ValueError: no label column found in id, Review, stars; name it with --label-column
        """
        text, label = self.text, self.label
        template, indicators = find_composed(text, label, header)
        texts = (text,) if template is None else template.names
        labels = (label,) if indicators is None else indicators.names
        for wanted in (*texts, *labels, *self.keep):
            if wanted is not None and wanted not in header:
                raise ValueError(unknown_name("column", wanted, header))
        if self.labelled and label is None:
            label = known_name(header, LABEL_NAMES, role="label")
        if text is None:
            text = known_name(header, TEXT_NAMES, role="text")
        others = [name for name in header if name not in (text, label, *texts, *labels)]
        if text is None and len(others) == 1:
            text = others.pop()
        if self.labelled and label is None and len(others) == 1:
            label = others.pop()
        if self.labelled and text is None and label is None and len(others) == 2:
            text, label = _guess_pair(header, sample)
        if text is None or (self.labelled and label is None):
            missing = "text" if text is None else "label"
            raise ValueError(
                f"no {missing} column found in {', '.join(header)}; name it with --{missing}-column"
            )
        guessed = self.text is None or (self.labelled and self.label is None)
        choice = ColumnChoice(text, label, guessed, template, indicators)
        for name in (*choice.sources, *self.keep):
            if header.count(name) > 1:
                places = [str(at) for at, other in enumerate(header, start=1) if other == name]
                raise ValueError(
                    f"{len(places)} columns are named '{name}' (columns {', '.join(places)});"
                    " rename all but one of them"
                )
        _refuse_data_as_header(choice, header, sample)
        return choice


def known_name(header: Sequence[str], known: Sequence[str], *, role: str) -> str | None:
    """Give the name of a header that is known first; ValueError where case or white space alone
    tells two such names apart.
    """
    found = _candidates(header, known)
    if len(set(found)) > 1:
        both = " and ".join(repr(name) for name in found[:2])
        raise ValueError(f"{both} could both be the {role}; name one with --{role}-column")
    return found[0] if found else None


def guess_delimiter(header: str, text_column: str | None = None) -> str:
    """Take the one delimiter that leaves a name of texts standing alone in the header; else the
    first of , ; tab | that the header has.

    >>> guess_delimiter("text;a,b"), guess_delimiter("a;b")
    (';', ';')
    """
    there = [mark for mark in _DELIMITERS if mark in header] or [","]
    template = TextTemplate.read(text_column)
    wanted = () if text_column is None else (text_column,) if template is None else template.names
    names = tuple(name.strip().lower() for name in wanted) or TEXT_NAMES
    telling = [
        mark
        for mark in there
        if any(field.strip().strip('"').lower() in names for field in header.split(mark))
    ]
    return telling[0] if len(telling) == 1 else there[0]


def _candidates(header: Sequence[str], known: Sequence[str]) -> list[str]:
    """Give the names of the header that are, but for case and space, the first that is known."""
    lowered = [name.strip().lower() for name in header]
    first = next((name for name in known if name in lowered), None)
    return [name for name, low in zip(header, lowered, strict=True) if low == first]


def _guess_pair(header: Sequence[str], sample: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Of two columns, the one with fewer distinct values is the label.

    On a tie, the shorter one.
    """
    rows = [row for row in sample if len(row) == 2]
    columns = [[row[i] for row in rows] for i in (0, 1)]
    weight = [(len(set(column)), sum(map(len, column))) for column in columns]
    return (header[0], header[1]) if weight[0] >= weight[1] else (header[1], header[0])


def _refuse_data_as_header(
    choice: ColumnChoice, header: Sequence[str], sample: Sequence[Sequence[str]]
) -> None:
    """Refuse a header that is a row: its label is one of the labels below it."""
    known = choice.text in TEXT_NAMES or choice.composed
    if not choice.guessed or known or choice.label is None:
        return
    at = header.index(choice.label)
    if any(list(row[at : at + 1]) == [choice.label] for row in sample):
        raise ValueError(
            f"no header: '{choice.label}' is a label further down; add a first line text,label"
        )
