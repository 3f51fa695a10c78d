"""Look over training and test files before they are trained on: what is doubled, leaks, contradicts
or is left empty.

In: a labelled file, and perhaps a test file. Out: a Report of findings with counts and examples as
file:line. Rows are kept as hashes: 600,000 rows take 275 MB at the peak. The texts of the examples
are read a second time.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.data import near_duplicates
from textkit.data.labels import spell_cell
from textkit.errors import UsageError
from textkit.io.bulk import cut_parts
from textkit.io.corpus import RowReader

N_EXAMPLES = 5
TINY_ROWS, LONG_CHARACTERS, LIKENESS = 10, 10_000, 0.8
_SHOWN_CHARACTERS = 80
_PART_ROWS, _PART_CHARACTERS = 4096, 4 << 20

Rows = NDArray[np.int64]


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
class Report:
    """What was read, and what was found in it."""

    files: list[dict[str, Any]]
    findings: list[Finding]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Table:
    """The rows of one file as columns of numbers."""

    name: str
    lines: Rows
    exact: NDArray[np.uint64]
    normal: NDArray[np.uint64]
    labels: NDArray[np.int32]  # numbers of names that all files share
    characters: Rows
    signatures: near_duplicates.Signatures
    usable: NDArray[np.bool_]
    rejects: list[str]

    def where(self, row: int) -> str:
        return f"{self.name}:{self.lines[row]}"


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


def check_files(
    train: str | Path,
    test: str | Path | None = None,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    delimiter: str | None = None,
    labelled: bool = True,
    near: bool = True,
    tiny_rows: int = TINY_ROWS,
    long_characters: int = LONG_CHARACTERS,
    likeness: float = LIKENESS,
) -> Report:
    """Check one or two files; bad rows are a finding too, unless they damage more than themselves.

    near: also look for texts that are nearly alike. tiny_rows: a class with fewer is tiny.
    long_characters: a longer text is very long. likeness: from 0 to 1, the share of word pairs that
    near duplicates have in common.

    >>> rows = "text,label\\nGood film,pos\\ngood film!,neg\\n"
    >>> _ = Path("a.csv").write_text(rows, encoding="utf-8")
    >>> [(found.check, found.n) for found in check_files("a.csv", tiny_rows=1).findings]
    [('duplicates-normalised', 1), ('conflicting-labels', 1)]
    """
    if not 0 < likeness <= 1:
        raise UsageError(f"likeness is {likeness}, expected more than 0 and at most 1")
    options = {
        "text_column": text_column,
        "label_column": label_column,
        "delimiter": delimiter,
        "labelled": labelled,
    }
    names: dict[str | None, int] = {}
    notes: list[str] = []
    tables = [
        _read(path, options, names, notes, near=near) for path in (train, test) if path is not None
    ]
    labels = list(names)
    findings: list[Finding] = []
    for table in tables:
        findings += _check_rows(table, labels, long_characters=long_characters)
        findings += _check_duplicates(table)
        if near:
            findings += _check_near(table, likeness)
    if labelled:
        findings += _check_labels(tables, labels, tiny_rows=tiny_rows)
    if len(tables) == 2:
        findings += _check_leakage(tables[0], tables[1], likeness if near else None)
    _fill_examples(
        findings, tables, options, [str(path) for path in (train, test) if path is not None]
    )
    files = [
        {
            "file": table.name,
            "n_rows": len(table.lines),
            "n_classes": len(np.unique(table.labels)) if labelled else 0,
        }
        for table in tables
    ]
    return Report(files, findings, notes)


def _read(
    path: str | Path,
    options: dict[str, Any],
    names: dict[str | None, int],
    notes: list[str],
    *,
    near: bool,
) -> _Table:
    if str(path) == "-":
        raise UsageError("standard input cannot be read a second time: name a file")
    reader = RowReader(path, on_bad="skip", **options)
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
            exact.append(_hash(row.text))
            normal.append(_hash(words))
            labels.append(names.setdefault(row.label, len(names)))
            characters.append(len(row.text) if row.text.strip() else 0)
        if near:
            signed, enough = near_duplicates.sign(reduced)
            signatures.append(signed)
            usable.append(enough)
    notes += [note for note in reader.notes() if "bad rows" not in note]
    return _Table(
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


def _hash(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _finding(
    check: str, table: _Table, rows: Rows, message: str, others: Sequence[str] | None = None
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


def _firsts(hashes: NDArray[np.uint64]) -> Rows:
    """Give for each row the first row with the same hash."""
    _, index, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return np.asarray(index[inverse], dtype=np.int64)


def _check_rows(
    table: _Table, labels: list[str | None], *, long_characters: int
) -> Iterator[Finding]:
    if table.rejects:
        examples = [Example(reject) for reject in table.rejects[:N_EXAMPLES]]
        yield Finding("bad-rows", table.name, len(table.rejects), "rows cannot be read", examples)
    empty = np.flatnonzero(table.characters == 0)
    yield from _finding("empty-texts", table, empty, "rows have no text, or white space alone")
    long = np.flatnonzero(table.characters > long_characters)
    yield from _finding(
        "long-texts", table, long, f"rows have more than {long_characters:,} characters"
    )
    blank = [number for number, name in enumerate(labels) if name is not None and not name.strip()]
    yield from _finding(
        "empty-labels", table, np.flatnonzero(np.isin(table.labels, blank)), "rows have no label"
    )


def _check_duplicates(table: _Table) -> Iterator[Finding]:
    """Find rows that repeat an earlier text, to the letter or nearly, and those that have
    another label than it.
    """
    here = np.arange(len(table.lines))
    exact, normal = _firsts(table.exact), _firsts(table.normal)
    filled = table.characters > 0
    again = np.flatnonzero((exact != here) & filled)
    yield from _finding(
        "duplicates", table, again, "rows repeat an earlier text", _places(table, exact[again])
    )
    nearly = np.flatnonzero((exact == here) & (normal != here) & filled)
    message = "rows repeat an earlier text but for case, white space and punctuation"
    yield from _finding(
        "duplicates-normalised", table, nearly, message, _places(table, normal[nearly])
    )
    differs = np.flatnonzero((table.labels != table.labels[normal]) & filled)
    message = (
        "rows have another label than an earlier row with the same text (but for case,"
        " space, punctuation)"
    )
    yield from _finding(
        "conflicting-labels", table, differs, message, _places(table, normal[differs])
    )


def _places(table: _Table, rows: Rows) -> list[str]:
    return [table.where(row) for row in rows[:N_EXAMPLES].tolist()]


def _check_near(table: _Table, likeness: float) -> list[Finding]:
    """Find rows nearly alike an earlier one, among those that do not repeat one."""
    rows = np.flatnonzero((_firsts(table.normal) == np.arange(len(table.lines))) & table.usable)
    pairs, _ = near_duplicates.alike(table.signatures[rows], threshold=likeness)
    later, first = np.unique(rows[pairs[:, 1]], return_index=True)
    message = f"rows are nearly alike an earlier text (estimated: {likeness:.0%} of the word pairs)"
    return _finding("near-duplicates", table, later, message, _places(table, rows[pairs[first, 0]]))


def _check_leakage(train: _Table, test: _Table, likeness: float | None) -> list[Finding]:
    """Find test rows whose text is also in the training file."""
    filled = test.characters > 0
    exact, exact_at = _find(test.exact, train.exact)
    normal, normal_at = _find(test.normal, train.normal)
    rows = np.flatnonzero(exact & filled)
    findings = _finding(
        "leakage",
        test,
        rows,
        "test rows stand in the training file",
        _places(train, exact_at[rows]),
    )
    rows = np.flatnonzero(normal & ~exact & filled)
    message = "test rows stand in the training file but for case, white space and punctuation"
    findings += _finding("leakage-normalised", test, rows, message, _places(train, normal_at[rows]))
    rows = np.flatnonzero(normal & filled & (test.labels != train.labels[normal_at]))
    message = "test rows have another label than the same text in the training file"
    findings += _finding("leakage-conflicts", test, rows, message, _places(train, normal_at[rows]))
    if likeness is not None:
        ours, theirs = np.flatnonzero(train.usable), np.flatnonzero(test.usable & ~normal)
        ours = ours[_firsts(train.normal[ours]) == np.arange(len(ours))]
        both = np.concatenate([train.signatures[ours], test.signatures[theirs]])
        pairs, _ = near_duplicates.alike(both, threshold=likeness)
        pairs = pairs[(pairs[:, 0] < len(ours)) & (pairs[:, 1] >= len(ours))]
        rows, first = np.unique(theirs[pairs[:, 1] - len(ours)], return_index=True)
        message = (
            f"test rows are nearly alike a training row (estimated: {likeness:.0%} of the"
            f" word pairs)"
        )
        findings += _finding(
            "leakage-near", test, rows, message, _places(train, ours[pairs[first, 0]])
        )
    return findings


def _find(wanted: NDArray[np.uint64], known: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], Rows]:
    """Tell which hashes are known, and the first row where (0 where not)."""
    values, first = np.unique(known, return_index=True)
    if not len(values):
        return np.zeros(len(wanted), bool), np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    found = values[at] == wanted
    return found, np.where(found, first[at], 0)


def _check_labels(
    tables: list[_Table], labels: list[str | None], *, tiny_rows: int
) -> Iterator[Finding]:
    """Find classes with few rows, names that are nearly equal, and labels that only the test
    file has.
    """
    train = tables[0]
    counts = np.bincount(train.labels, minlength=len(labels))
    tiny = [
        number
        for number in np.argsort(counts, kind="stable").tolist()
        if 0 < counts[number] < tiny_rows
    ]
    if tiny:
        examples = [
            _label_example(train, number, labels, f"{counts[number]} rows")
            for number in tiny[:N_EXAMPLES]
        ]
        message = f"classes have fewer than {tiny_rows} rows"
        yield Finding("tiny-classes", train.name, len(tiny), message, examples)
    pairs = near_names([str(name) for name in labels])
    if pairs:
        examples = []
        for one, two in pairs[:N_EXAMPLES]:
            table, other = (
                next(t for t in tables if (t.labels == number).any()) for number in (one, two)
            )
            example = _label_example(table, one, labels, "")
            example.other = other.where(int(np.argmax(other.labels == two)))
            example.other_label = labels[two]
            examples.append(example)
        yield Finding(
            "near-equal-labels",
            train.name,
            len(pairs),
            "pairs of labels have nearly equal names",
            examples,
        )
    for test in tables[1:]:
        only = [
            n
            for n in np.unique(test.labels).tolist()
            if not counts[n] and (labels[n] or "").strip()
        ]
        if only:
            examples = [_label_example(test, number, labels, "") for number in only[:N_EXAMPLES]]
            yield Finding(
                "labels-only-in-test",
                test.name,
                len(only),
                "labels are not in the training file",
                examples,
            )


def _label_example(table: _Table, number: int, labels: list[str | None], text: str) -> Example:
    return Example(table.where(int(np.argmax(table.labels == number))), text, labels[number])


def near_names(names: Sequence[str]) -> list[tuple[int, int]]:
    """Find pairs of names that differ in case, white space and punctuation alone, or in one letter
    of five or more.

    >>> near_names(["Sport", "sport ", "sports", "class 1", "class 2"])
    [(0, 1), (0, 2), (1, 2)]
    """
    bundles: dict[str, set[int]] = defaultdict(set)
    reduced = [normalise(name) for name in names]
    for number, name in enumerate(reduced):
        bundles[name].add(number)
        if len(name) >= 5:
            for at in range(len(name)):
                bundles[name[:at] + name[at + 1 :]].add(number)
    pairs = {(a, b) for bundle in bundles.values() for a in bundle for b in bundle if a < b}
    without_digits = [re.sub(r"\d", "", name) for name in reduced]
    return sorted(
        (a, b)
        for a, b in pairs
        if reduced[a] == reduced[b] or without_digits[a] != without_digits[b]
    )


def _fill_examples(
    findings: list[Finding], tables: list[_Table], options: dict[str, Any], paths: list[str]
) -> None:
    """Read the files again for the texts and labels of the examples."""
    wanted: dict[str, tuple[str, str | None]] = {}
    examples = [example for found in findings for example in found.examples]
    for example in examples:
        wanted |= {
            place: ("", None) for place in (example.where, example.other) if place is not None
        }
    for table, path in zip(tables, paths, strict=True):
        ends = (place.removeprefix(f"{table.name}:") for place in wanted)
        lines = {int(end) for end in ends if end.isdigit()}
        if lines:
            for row in RowReader(path, on_bad="skip", **options):
                if row.line in lines:
                    wanted[f"{table.name}:{row.line}"] = (row.text, row.label)
    for example in examples:
        text, label = wanted[example.where]
        example.text, example.label = (
            example.text or _shorten(text),
            spell_cell(example.label or label),
        )
        if example.other is not None:
            other_text, other_label = wanted[example.other]
            example.other_text, example.other_label = (
                _shorten(other_text),
                spell_cell(example.other_label or other_label),
            )


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
