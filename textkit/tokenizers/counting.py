"""Piece counts: what a vocabulary is learnt from, in bounded memory, to and from files that can be
merged.

In: texts and the function that cuts one into pieces. Out: (piece, count) in code point order, the
same whatever the order of the texts. Counts beyond the memory go to disk as sorted runs and are
merged. A counts file is one line of JSON that says what was counted, then `count<tab>piece as
JSON`, so that machines can count apart and train together.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import tokenizers as hf

from textkit.errors import DataError, StorageError, UsageError
from textkit.io import files
from textkit.io.tables import take_texts
from textkit.tokenizers.spans import replace_surrogates

# A dict entry, a short str and an int of CPython, measured on 2 million English pieces.
PIECE_BYTES = 170
# What a trainer holds for a piece beside that: its symbols, and where each pair of them stands.
TRAINER_BYTES = 800
# However little memory is given, a vocabulary is learnt from so many pieces at least (50 MB).
LEAST_PIECES = 50_000
FORMAT = 1
# Pieces of a text that a trainer is given to count again.
_REPEATS = 4000

# What a line of a counts file may be at most, and the count in it: no corpus has a longer word, nor
# ten million million of one.
_LINE_CHARACTERS = 1 << 26
_HIGHEST_COUNT = 10**13

# Words between spaces that are counted before they are cut: a bound on their memory, about 170 MB.
WORDS_HELD = 1_000_000

Counted = Iterable[tuple[str, int]]


def check_size(size: int, *, at_least: int) -> None:
    """Refuse a vocabulary too small for its special tokens and alphabet."""
    if size < at_least:
        raise UsageError(f"size is {size}, expected at least {at_least}")


def iterate_checked(texts: Iterable[str]) -> Iterable[str]:
    """Pass texts on to a trainer, without lone surrogates; refuse what is not a str."""
    for text in take_texts(texts):
        if not isinstance(text, str):
            raise UsageError(f"expected texts to train on, found a {type(text).__name__}")
        yield replace_surrogates([text], errors="replace")[0][0]


@dataclass(frozen=True)
class CutAtSpaces:
    """A function to pieces by which those of a text are those of its words between spaces, one
    after the other.

    Such a word is cut once, however often it comes.
    """

    find: Callable[[str], list[str]]

    def __call__(self, text: str) -> list[str]:
        return self.find(text)


def split_pieces(backend: hf.Tokenizer, text: str) -> list[str]:
    """Cut a text as the tokenizer does before it looks pieces up."""
    seen = text if backend.normalizer is None else backend.normalizer.normalize_str(text)
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(seen)]


def count_texts(
    texts: Iterable[str], pieces: Callable[[str], list[str]], *, memory_bytes: int | None = None
) -> Iterator[tuple[str, int]]:
    """Count the pieces of texts.

    Beyond `memory_bytes` sorted runs are spilt to a temporary folder and merged.

    >>> list(count_texts(["b a b"], str.split))
    [('a', 1), ('b', 2)]
    """
    counts: Counter[str] = Counter()
    words: Counter[str] = Counter()
    at_spaces = isinstance(pieces, CutAtSpaces)
    limit = (
        None
        if memory_bytes is None
        else max(1, memory_bytes // PIECE_BYTES // (2 if at_spaces else 1))
    )
    words_limit = WORDS_HELD if limit is None else min(WORDS_HELD, limit)
    with _Runs(counts, limit) as runs:
        for text in iterate_checked(texts):
            if not at_spaces:
                counts.update(pieces(text))
            else:
                words.update(text.split(" "))
                if len(words) > words_limit:
                    _cut_words(words, pieces, counts)
            runs.spill_when_full()
        _cut_words(words, pieces, counts)
        yield from runs.merged()


def add_counts(
    sources: Iterable[Counted], *, memory_bytes: int | None = None
) -> Iterator[tuple[str, int]]:
    """Add up counts that come one after the other, as those of the parts of a corpus, beyond
    `memory_bytes` on disk.

    >>> list(add_counts([[("a", 1), ("b", 2)], [("b", 40)]]))
    [('a', 1), ('b', 42)]
    """
    counts: Counter[str] = Counter()
    limit = None if memory_bytes is None else max(1, memory_bytes // PIECE_BYTES)
    with _Runs(counts, limit) as runs:
        for source in sources:
            counts.update(dict(source))
            runs.spill_when_full()
        yield from runs.merged()


class _Runs(contextlib.ExitStack):
    """Counts of which those that pass the limit are on disk, as sorted runs."""

    def __init__(self, counts: Counter[str], limit: int | None) -> None:
        super().__init__()
        self._counts, self._limit = counts, limit
        self._paths: list[Path] = []

    def spill_when_full(self) -> None:
        """Let the counts go to disk where there are more than the limit."""
        if self._limit is None or len(self._counts) <= self._limit:
            return
        if not self._paths:
            import tempfile

            made = tempfile.TemporaryDirectory(prefix="textkit-counts-")
            self._folder = Path(self.enter_context(made))
        self._paths.append(self._folder / f"run-{len(self._paths):05d}")
        _write_lines(self._paths[-1], sorted(self._counts.items()))
        self._counts.clear()

    def merged(self) -> Iterator[tuple[str, int]]:
        """Give all counts in order."""
        runs = (_read_lines(path) for path in self._paths)
        return merge_counts([*runs, sorted(self._counts.items())])


def _cut_words(
    words: Counter[str], pieces: Callable[[str], list[str]], counts: Counter[str]
) -> None:
    """Add the pieces of counted words to the counts, and forget the words."""
    for word, number in words.items():
        for piece in pieces(word):
            counts[piece] += number
    words.clear()


def keep_frequent(
    counts: Counted, *, memory_bytes: int | None, say: Callable[[str], None] | None = None
) -> list[tuple[str, int]]:
    """Hold the counts that a vocabulary is learnt from.

    The rarest pieces are left out where memory ends, and said.

    >>> keep_frequent([("a", 1), ("b", 2)], memory_bytes=None)
    [('a', 1), ('b', 2)]
    """
    if memory_bytes is None:
        return list(counts)
    limit = learnable_pieces(memory_bytes)
    held: list[tuple[str, int]] = []
    least = 1
    n_pieces = n_occurrences = 0
    for piece, count in counts:
        n_pieces, n_occurrences = n_pieces + 1, n_occurrences + count
        if count >= least:
            held.append((piece, count))
        while len(held) > limit:
            least += 1
            held = [found for found in held if found[1] >= least]
    if len(held) < n_pieces and say is not None:
        lost = 1 - sum(count for _, count in held) / n_occurrences
        say(
            f"left out {n_pieces - len(held):,} pieces that occur less than {least} times"
            f" ({lost:.2%} of the text)"
        )
    return held


def learnable_pieces(memory_bytes: int) -> int:
    """Give the number of different pieces that a trainer has room for."""
    return max(LEAST_PIECES, memory_bytes // (PIECE_BYTES + TRAINER_BYTES))


def merge_counts(sources: Iterable[Counted]) -> Iterator[tuple[str, int]]:
    """Merge sorted counts, adding up equal pieces.

    >>> list(merge_counts([[("a", 1), ("b", 2)], [("b", 40)]]))
    [('a', 1), ('b', 42)]
    """
    piece, total = None, 0
    for found, count in heapq.merge(*sources):
        if found == piece:
            total += count
            continue
        if piece is not None:
            yield piece, total
        piece, total = found, count
    if piece is not None:
        yield piece, total


def write_counts(path: Path, counts: Counted, *, facts: dict[str, object]) -> int:
    """Write a counts file; facts say what was counted. Returns the number of pieces."""
    number = 0
    with files.atomic_file(path) as file:
        file.write(json.dumps({"format": FORMAT, **facts}, ensure_ascii=False).encode() + b"\n")
        for piece, count in counts:
            file.write(f"{count}\t{json.dumps(piece, ensure_ascii=False)}\n".encode())
            number += 1
    return number


def read_counts(paths: list[Path], *, facts: dict[str, object]) -> Iterator[tuple[str, int]]:
    """Read and merge counts files, which must all have counted the same things."""
    for path in paths:
        with _open_lines(path) as file:
            try:
                known = json.loads(file.readline(_LINE_CHARACTERS))
            except (ValueError, RecursionError) as err:
                raise DataError("not a counts file: no header", where=f"{path}:1") from err
        wanted = {"format": FORMAT, **facts}
        for key, value in wanted.items():
            if not isinstance(known, dict) or known.get(key) != value:
                found = known.get(key) if isinstance(known, dict) else None
                raise DataError(
                    f"{key} is {found!r}, expected {value!r}; count again with the same options",
                    where=f"{path}:1",
                )
    return merge_counts([_read_lines(path, skip=1) for path in paths])


def repeat_pieces(counts: Counted) -> Iterator[str]:
    """Give a trainer that counts for itself texts with these counts, one space between pieces.

    >>> list(repeat_pieces([("a", 2), ("b", 1)]))
    ['a a b']
    """
    held: list[str] = []
    for piece, count in counts:
        while count:
            some = min(count, _REPEATS - len(held))
            held += [piece] * some
            count -= some
            if len(held) == _REPEATS:
                yield " ".join(held)
                held = []
    if held:
        yield " ".join(held)


def parse_memory(text: str) -> int:
    """Read an amount of memory such as 500M or 2G, in bytes.

    >>> parse_memory("2G")
    2147483648
    """
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    number, unit = text[:-1], text[-1:].upper()
    if unit not in units or not number.replace(".", "", 1).isdigit() or float(number) <= 0:
        raise UsageError(f"expected memory such as 500M or 2G, found '{text}'")
    return int(float(number) * 2 ** units[unit])


@contextlib.contextmanager
def _open_lines(path: Path) -> Iterator[TextIO]:
    try:
        file = open(path, encoding="utf-8", newline="\n")  # noqa: SIM115 - closed below
    except OSError as err:
        raise StorageError(f"cannot open: {err.strerror}", where=str(path)) from err
    with file:
        yield file


def _write_lines(path: Path, counts: Counted) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{count}\t{json.dumps(piece)}\n" for piece, count in counts)


def _read_lines(path: Path, *, skip: int = 0) -> Iterator[tuple[str, int]]:
    with _open_lines(path) as file:
        before = ""
        for number in itertools.count(1):
            try:
                line = file.readline(_LINE_CHARACTERS)
                if not line:
                    return
                if number <= skip:
                    continue
                piece, count = _parse_line(line)
            except (ValueError, RecursionError) as err:
                raise DataError("expected count<tab>piece", where=f"{path}:{number}") from err
            if piece < before:
                raise DataError(
                    f"{piece[:40]!r} stands behind {before[:40]!r}, expected pieces in the order of"
                    " their characters; count again",
                    where=f"{path}:{number}",
                )
            before = piece
            yield piece, count


def _parse_line(line: str) -> tuple[str, int]:
    """Read a line of a counts file; ValueError for what is none.

    >>> _parse_line('3\\t"king"\\n')
    ('king', 3)
    """
    digits, _, quoted = line.partition("\t")
    piece, count = json.loads(quoted), int(digits)
    if not isinstance(piece, str) or not 0 < count <= _HIGHEST_COUNT:
        raise ValueError(f"count is {count} of {piece!r}")
    return piece, count
