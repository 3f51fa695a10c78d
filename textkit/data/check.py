"""Look over training and test files before they are trained on: what is doubled, leaks, contradicts
or is left empty.

In: a labelled file, and perhaps a test file. Out: a Report of findings with counts and examples as
file:line. Rows are kept as hashes: 600,000 rows take 275 MB at the peak. The texts of the examples
are read a second time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.data.checked_rows import (
    N_EXAMPLES,
    Example,
    Finding,
    RowNumbers,
    Table,
    fill_examples,
    make_finding,
    normalise,
    read_table,
)
from textkit.data.duplicates import find_firsts, find_near
from textkit.data.label_spelling import label_key
from textkit.data.labels import MISSING_WORDS
from textkit.errors import UsageError
from textkit.io.corpus import ReadOptions

TINY_ROWS, LONG_CHARACTERS, LIKENESS = 10, 10_000, 0.8


@dataclass
class Report:
    """What was read, and what was found in it."""

    files: list[dict[str, object]]
    findings: list[Finding]
    notes: list[str]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


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
    options: ReadOptions = {
        "text_column": text_column,
        "label_column": label_column,
        "delimiter": delimiter,
        "labelled": labelled,
        "on_bad": "skip",
    }
    names: dict[str | None, int] = {}
    notes: list[str] = []
    tables = [
        read_table(path, options, names, notes, near=near)
        for path in (train, test)
        if path is not None
    ]
    labels = list(names)
    findings: list[Finding] = []
    paths = [str(path) for path in (train, test) if path is not None]
    for table, path in zip(tables, paths, strict=True):
        findings += _check_rows(table, labels, long_characters=long_characters)
        findings += _check_duplicates(table)
        if near:
            findings += _check_near(table, path, options, likeness)
    if labelled:
        findings += _check_labels(tables, labels, tiny_rows=tiny_rows)
    if len(tables) == 2:
        findings += _check_leakage(*tables)
        if near:
            findings += _check_leakage_near(tables, paths, options, likeness)
    fill_examples(findings, tables, options, paths)
    files = [
        {
            "file": table.name,
            "n_rows": len(table.lines),
            "n_classes": len(np.unique(table.labels)) if labelled else 0,
        }
        for table in tables
    ]
    return Report(files, findings, notes)


def _check_rows(
    table: Table, labels: list[str | None], *, long_characters: int
) -> Iterator[Finding]:
    if table.rejects:
        examples = [Example(reject) for reject in table.rejects[:N_EXAMPLES]]
        yield Finding("bad-rows", table.name, len(table.rejects), "rows cannot be read", examples)
    empty = np.flatnonzero(table.characters == 0)
    yield from make_finding("empty-texts", table, empty, "rows have no text, or white space alone")
    long = np.flatnonzero(table.characters > long_characters)
    yield from make_finding(
        "long-texts", table, long, f"rows have more than {long_characters:,} characters"
    )
    blank = [
        number
        for number, name in enumerate(labels)
        if name is not None and (not name.strip() or name.strip() in MISSING_WORDS)
    ]
    yield from make_finding(
        "empty-labels", table, np.flatnonzero(np.isin(table.labels, blank)), "rows have no label"
    )


def _check_duplicates(table: Table) -> Iterator[Finding]:
    """Find rows that repeat an earlier text, to the letter or nearly, and those that have
    another label than it.
    """
    here = np.arange(len(table.lines))
    exact, normal = find_firsts(table.exact), find_firsts(table.normal)
    filled = table.characters > 0
    again = np.flatnonzero((exact != here) & filled)
    yield from make_finding(
        "duplicates", table, again, "rows repeat an earlier text", _places(table, exact[again])
    )
    nearly = np.flatnonzero((exact == here) & (normal != here) & filled)
    message = "rows repeat an earlier text but for case, white space and punctuation"
    yield from make_finding(
        "duplicates-normalised", table, nearly, message, _places(table, normal[nearly])
    )
    differs = np.flatnonzero((table.labels != table.labels[normal]) & filled)
    message = (
        "rows have another label than an earlier row with the same text (but for case,"
        " space, punctuation)"
    )
    yield from make_finding(
        "conflicting-labels", table, differs, message, _places(table, normal[differs])
    )


def _places(table: Table, rows: RowNumbers) -> list[str]:
    return [table.where(row) for row in rows[:N_EXAMPLES].tolist()]


def _check_near(table: Table, path: str, options: ReadOptions, likeness: float) -> list[Finding]:
    """Find rows nearly alike an earlier one, among those that do not repeat one."""
    rows = np.flatnonzero((find_firsts(table.normal) == np.arange(len(table.lines))) & table.usable)
    pairs, _ = find_near([table], [path], options, rows, likeness=likeness)
    later, first = np.unique(pairs[:, 1], return_index=True)
    message = f"rows are nearly alike an earlier text ({likeness:.0%} of the word pairs)"
    return make_finding("near-duplicates", table, later, message, _places(table, pairs[first, 0]))


def _check_leakage(train: Table, test: Table) -> list[Finding]:
    """Find test rows whose text is also in the training file."""
    filled = test.characters > 0
    exact, exact_at = _find(test.exact, train.exact)
    normal, normal_at = _find(test.normal, train.normal)
    rows = np.flatnonzero(exact & filled)
    findings = make_finding(
        "leakage",
        test,
        rows,
        "test rows stand in the training file",
        _places(train, exact_at[rows]),
    )
    rows = np.flatnonzero(normal & ~exact & filled)
    message = "test rows stand in the training file but for case, white space and punctuation"
    findings += make_finding(
        "leakage-normalised", test, rows, message, _places(train, normal_at[rows])
    )
    rows = np.flatnonzero(normal & filled & (test.labels != train.labels[normal_at]))
    message = "test rows have another label than the same text in the training file"
    findings += make_finding(
        "leakage-conflicts", test, rows, message, _places(train, normal_at[rows])
    )
    return findings


def _check_leakage_near(
    tables: list[Table], paths: list[str], options: ReadOptions, likeness: float
) -> list[Finding]:
    """Find test rows that are nearly alike a training row, and are none but for punctuation."""
    train, test = tables
    normal, _ = _find(test.normal, train.normal)
    ours, theirs = np.flatnonzero(train.usable), np.flatnonzero(test.usable & ~normal)
    ours = ours[find_firsts(train.normal[ours]) == np.arange(len(ours))]
    n_train = len(train.lines)
    both = np.concatenate([ours, theirs + n_train])
    pairs, _ = find_near(tables, paths, options, both, likeness=likeness)
    pairs = pairs[(pairs[:, 0] < n_train) & (pairs[:, 1] >= n_train)]
    rows, first = np.unique(pairs[:, 1] - n_train, return_index=True)
    message = f"test rows are nearly alike a training row ({likeness:.0%} of the word pairs)"
    return make_finding("leakage-near", test, rows, message, _places(train, pairs[first, 0]))


def _find(
    wanted: NDArray[np.uint64], known: NDArray[np.uint64]
) -> tuple[NDArray[np.bool_], RowNumbers]:
    """Tell which hashes are known, and the first row where (0 where not)."""
    values, first = np.unique(known, return_index=True)
    if not len(values):
        return np.zeros(len(wanted), bool), np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    found = values[at] == wanted
    return found, np.where(found, first[at], 0)


def _check_labels(
    tables: list[Table], labels: list[str | None], *, tiny_rows: int
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


def _label_example(table: Table, number: int, labels: list[str | None], text: str) -> Example:
    return Example(table.where(int(np.argmax(table.labels == number))), text, labels[number])


def near_names(names: Sequence[str]) -> list[tuple[int, int]]:
    """Find pairs of names that differ in case, white space and punctuation alone, or in one letter
    of five or more.

    >>> near_names(["Sport", "sport ", "sports", "class 1", "class 2"])
    [(0, 1), (0, 2), (1, 2)]
    >>> near_names(["2", "2.0", "20"])
    [(0, 1)]
    """
    bundles: dict[str, set[int]] = defaultdict(set)
    reduced = [normalise(name) for name in names]
    for number, name in enumerate(reduced):
        bundles[name].add(number)
        bundles[label_key(names[number])].add(number)
        if len(name) >= 5:
            for at in range(len(name)):
                bundles[name[:at] + name[at + 1 :]].add(number)
    pairs = {(a, b) for bundle in bundles.values() for a in bundle for b in bundle if a < b}
    without_digits = [re.sub(r"\d", "", name) for name in reduced]
    return sorted(
        (a, b)
        for a, b in pairs
        if reduced[a] == reduced[b]
        or without_digits[a] != without_digits[b]
        or label_key(names[a]) == label_key(names[b])
    )
