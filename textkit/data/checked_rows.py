"""The rows that a data check looks at, kept as hashes, and what it says of them.

In: a labelled file. Out: a Table of hashes, and findings whose examples are read a second time.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.data import near_duplicates
from textkit.data.labels import spell_cell
from textkit.io.bulk import cut_parts
from textkit.io.corpus import ReadOptions, RowReader
from textkit.io.inputs import refuse_streams

N_EXAMPLES = 5
_PLACE = re.compile(r"(\d+)(?: \(row \d+\))?")


_SHOWN_CHARACTERS = 80
_PART_ROWS, _PART_CHARACTERS = 4096, 4 << 20


RowNumbers = NDArray[np.int64]


@dataclass
class Example:
    """One case: where it stands, its text and label, and the row that it repeats or contradicts."""

    where: str
    text: str = ""
    label: str | None = None
    other: str | None = None
    other_text: str | None = None
    other_label: str | None = None


@dataclass
class Finding:
    """One kind of trouble: how many rows (or labels) have it, and the first examples."""

    check: str
    file: str
    n: int
    message: str
    examples: list[Example] = field(default_factory=list)


@dataclass
class Table:
    """The rows of one file as columns of numbers."""

    name: str
    lines: RowNumbers
    exact: NDArray[np.uint64]
    normal: NDArray[np.uint64]
    labels: NDArray[np.int32]  # numbers of names that all files share
    characters: RowNumbers
    signatures: near_duplicates.Signatures
    usable: NDArray[np.bool_]
    rejects: list[str]

    def where(self, row: int) -> str:
        """Name a row by its line, and where it shares that, as in a JSON array, by its number."""
        line = self.lines[row]
        shares = np.count_nonzero(self.lines[max(row - 1, 0) : row + 2] == line) > 1
        return f"{self.name}:{line}" + (f" (row {row + 1})" if shares else "")


class _PunctuationTable(dict[int, int | str]):
    """For str.translate: apostrophes vanish, other punctuation and symbols become spaces."""

    def __missing__(self, code: int) -> int | str:
        char = chr(code)
        value: int | str = code
        if char in "'’":
            value = ""
        elif unicodedata.category(char)[0] in "PS":
            value = " "
        self[code] = value
        return value


_PUNCTUATION = _PunctuationTable()


def normalise(text: str) -> str:
    """Reduce a text to its words: no case, no punctuation, single spaces.

    One of punctuation alone stays what it is.

    >>> normalise("  The CAT's\\there! "), normalise(":-)")
    ('the cats here', ':-)')
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    words = text.casefold().translate(_PUNCTUATION).split()
    return " ".join(words or text.split())


def read_table(
    path: str | Path,
    options: ReadOptions,
    names: dict[str | None, int],
    notes: list[str],
    *,
    near: bool,
) -> Table:
    refuse_streams([path])
    reader = RowReader(path, **options)
    lines, exact, normal, labels, characters = (
        array("q"),
        array("Q"),
        array("Q"),
        array("i"),
        array("q"),
    )
    signatures, usable = [np.zeros((0, near_duplicates.N_HASHES), np.uint8)], [np.zeros(0, bool)]
    for part in cut_parts(reader, n_rows=_PART_ROWS, n_characters=_PART_CHARACTERS):
        reduced = [normalise(row.text) for row in part.rows]
        for row, words in zip(part.rows, reduced, strict=True):
            lines.append(row.line)
            exact.append(hash_text(row.text))
            normal.append(hash_text(words))
            label = (row.label or "") if reader.labelled else None
            labels.append(names.setdefault(label, len(names)))
            characters.append(len(row.text) if row.text.strip() else 0)
        if near:
            signed, enough = near_duplicates.sign(reduced)
            signatures.append(signed)
            usable.append(enough)
    notes += [note for note in reader.notes() if "bad rows" not in note]
    return Table(
        reader.name,
        np.frombuffer(lines, np.int64),
        np.frombuffer(exact, np.uint64),
        np.frombuffer(normal, np.uint64),
        np.frombuffer(labels, np.int32),
        np.frombuffer(characters, np.int64),
        np.concatenate(signatures),
        np.concatenate(usable),
        reader.rejects,
    )


def hash_text(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def make_finding(
    check: str, table: Table, rows: RowNumbers, message: str, others: Sequence[str] | None = None
) -> list[Finding]:
    """Make a finding of these rows, or none.

    `others` are the places of the rows that the first of them belong to.
    """
    if not len(rows):
        return []
    examples = [Example(table.where(row)) for row in rows[:N_EXAMPLES].tolist()]
    for example, other in zip(examples, others or (), strict=False):
        example.other = other
    return [Finding(check, table.name, len(rows), message, examples)]


def fill_examples(
    findings: list[Finding], tables: list[Table], options: ReadOptions, paths: list[str]
) -> None:
    """Read the files again for the texts and labels of the examples."""
    wanted: dict[str, tuple[str, str | None]] = {}
    examples = [example for found in findings for example in found.examples]
    for example in examples:
        wanted |= {
            place: ("", None) for place in (example.where, example.other) if place is not None
        }
    for table, path in zip(tables, paths, strict=True):
        ends = (_PLACE.fullmatch(place.removeprefix(f"{table.name}:")) for place in wanted)
        lines = {int(end[1]) for end in ends if end is not None}
        for number, row in enumerate(RowReader(path, **options) if lines else ()):
            if row.line in lines and (place := table.where(number)) in wanted:
                wanted[place] = (row.text, row.label)
    for example in examples:
        text, label = wanted[example.where]
        example.text, example.label = (
            example.text or excerpt(text),
            spell_cell(example.label or label),
        )
        if example.other is not None:
            other_text, other_label = wanted[example.other]
            example.other_text, example.other_label = (
                excerpt(other_text),
                spell_cell(example.other_label or other_label),
            )


def excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
