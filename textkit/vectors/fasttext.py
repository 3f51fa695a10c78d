"""fastText's `.bin`: vectors of words from their character n-grams, known words and unknown ones
alike.

In: a file of `fasttext` or gensim, not quantized. Out: the same vectors as fastText's own, mapped
from the file.

A word's vector is the mean of its own row and the rows of its n-grams; an n-gram's row is its
32-bit FNV-1a hash modulo the number of buckets (fastText, src/dictionary.cc, `computeSubwords`).
All n-grams of many words are hashed at once.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError
from textkit.io import files
from textkit.vectors.folder import map_safetensors
from textkit.vectors.text_format import DIM_LIMIT, Batch, shown
from textkit.vectors.words import ByteWords, Int64

MAGIC = struct.pack("<i", 793_712_314)
_ARGUMENTS = struct.Struct(
    "<12id"
)  # dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate t
_SUPERVISED = 3
# floret writes its mode (2 is floret's own) and its number of hashes before lrUpdateRate.
_FLORETS_ARGUMENTS = struct.Struct("<14id")
_FLORETS_MODE, _FLORET = 11, 2
_END_OF_SENTENCE = b"</s>"
_BATCH_WORDS = 2000
_N_LIMIT = 64  # longest n-gram believed; fastText's own default is 6

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ngrams:
    """The rows of hashed character n-grams: table (n_buckets, dim) float32, lengths from
    `shortest` to `longest`.
    """

    table: Floats
    shortest: int
    longest: int

    def describe(self) -> dict[str, int]:
        """Give what the config keeps."""
        return {"shortest": self.shortest, "longest": self.longest}

    @classmethod
    def load(cls, path: Path, described: Any) -> Ngrams:
        """Map the n-grams of a saved folder."""
        tensors = map_safetensors(path)
        try:
            shortest, longest = int(described["shortest"]), int(described["longest"])
            table = tensors["ngrams"]
        except (KeyError, TypeError, ValueError) as err:
            raise ArtifactError(f"n-grams are described wrongly: {err}", where=str(path)) from err
        if (
            table.ndim != 2
            or table.dtype != np.float32
            or not len(table)
            or not 0 < shortest <= longest <= _N_LIMIT
        ):
            raise ArtifactError(
                "n-grams do not fit their description; convert the vectors again", where=str(path)
            )
        return cls(table, shortest, longest)

    def embed(self, words: Sequence[str], *, own: Floats | None = None) -> Floats:
        """Average the n-grams of each word, and its own row (n, dim) where given: (n, dim)
        float32, zeros for none.
        """
        return self.embed_bytes(ByteWords.of(words), own=own)

    def embed_bytes(self, words: ByteWords, *, own: Floats | None = None) -> Floats:
        """Do what `embed` does for words in UTF-8."""
        found = np.empty((len(words), self.table.shape[1]), np.float32)
        for first in range(0, len(words), _BATCH_WORDS):
            numbers = np.arange(first, min(first + _BATCH_WORDS, len(words)))
            part = None if own is None else own[numbers]
            found[numbers] = self._embed_batch(words.take(numbers), part)
        return found

    def _embed_batch(self, words: ByteWords, own: Floats | None) -> Floats:
        owners, hashes = hash_ngrams(words, self.shortest, self.longest)
        rows = self.table[hashes % np.uint32(len(self.table))]
        counts = np.bincount(owners, minlength=len(words))
        # Added up one after the other in fastText's order, as it does: the sums are the same to the
        # bit.
        sums = (
            np.zeros((len(words), self.table.shape[1]), np.float32)
            if own is None
            else own.astype(np.float32)
        )
        place = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged file's own numbers
            for step in range(int(counts.max(initial=0))):
                at = np.flatnonzero(place == step)
                sums[owners[at]] += rows[at]
        divisors = np.maximum(counts + (own is not None), 1).astype(np.float32)
        return np.asarray(sums * (np.float32(1) / divisors)[:, None], np.float32)


def hash_ngrams(
    words: ByteWords, shortest: int, longest: int
) -> tuple[Int64, npt.NDArray[np.uint32]]:
    """Hash the character n-grams of each `<word>`, in fastText's order: (n,) word number and
    (n,) hash of each.
    """
    marked = _mark(words)
    data, offsets = marked.data, marked.offsets
    # fastText takes bytes as signed: those above 127 flip the upper 24 bits too.
    signed = data.view(np.int8).astype(np.int32).view(np.uint32)
    starts_char = np.append((data & 0xC0) != 0x80, True)
    starts = np.flatnonzero(starts_char[:-1])
    owners = np.searchsorted(offsets, starts, side="right") - 1
    stops = offsets[owners + 1]
    position = starts.copy()
    state = np.full(len(starts), 2_166_136_261, np.uint32)
    n_chars = np.zeros(len(starts), np.int64)
    found: list[tuple[Int64, Int64, npt.NDArray[np.uint32]]] = []
    alive = np.arange(len(starts))
    while len(alive):
        at = position[alive]
        state[alive] = (state[alive] ^ signed[at]) * np.uint32(16_777_619)
        position[alive] = at + 1
        whole = starts_char[at + 1] | (at + 1 == stops[alive])
        n_chars[alive] += whole
        ends = alive[whole & (n_chars[alive] >= shortest)]
        # A single < or > is no n-gram.
        edge = (starts[ends] == offsets[owners[ends]]) | (position[ends] == stops[ends])
        ends = ends[(n_chars[ends] > 1) | ~edge]
        found.append((ends, n_chars[ends], state[ends]))
        alive = alive[(position[alive] < stops[alive]) & ~(whole & (n_chars[alive] >= longest))]
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.uint32)
    at, length, hashes = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((length, at))
    return owners[at[order]], hashes[order]


def _mark(words: ByteWords) -> ByteWords:
    """Put < and > around every word."""
    lengths = np.diff(words.offsets)
    offsets = np.zeros(len(words) + 1, np.int64)
    np.cumsum(lengths + 2, out=offsets[1:])
    data = np.full(int(offsets[-1]), ord("<"), np.uint8)
    data[offsets[1:] - 1] = ord(">")
    inside = np.repeat(offsets[:-1] + 1 - words.offsets[:-1], lengths) + np.arange(len(words.data))
    data[inside] = words.data
    return ByteWords(data, offsets)


class FastTextRows:
    """Read a fastText .bin.

    Iterate for (words as UTF-8, rows (n, dim) float32), then `ngrams` is there.
    """

    def __init__(
        self, path: Path, *, progress: Callable[[int, int | None], None] | None = None
    ) -> None:
        self.path, self.progress = path, progress
        self.notes: list[str] = []
        try:
            with open(path, "rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as err:
            raise files.storage_error(
                path, err if isinstance(err, OSError) else OSError(str(err)), action="read"
            ) from err
        try:
            self._parse()
        except struct.error as err:
            raise self._error("file ends inside its dictionary; it is cut short") from err

    def _parse(self) -> None:
        data = self._data
        magic, version = struct.unpack_from("<4si", data, 0)
        if magic != MAGIC or version not in (11, 12):
            raise self._error(f"not a fastText .bin of version 11 or 12 (it says {version})")
        *numbers, _ = _ARGUMENTS.unpack_from(data, 8)
        dim, model, bucket, shortest, longest = (
            numbers[0],
            numbers[7],
            numbers[8],
            numbers[9],
            numbers[10],
        )
        if version == 11 and model == _SUPERVISED:
            longest = 0
        if not 0 < dim <= DIM_LIMIT or not 0 <= longest <= _N_LIMIT or bucket < 0:
            raise self._error(
                f"its header says dim {dim}, longest n-gram {longest}, {bucket} buckets"
            )
        arguments = _ARGUMENTS
        if not self._has_dictionary(8 + arguments.size) and self._has_dictionary(
            8 + _FLORETS_ARGUMENTS.size
        ):
            arguments = _FLORETS_ARGUMENTS
            if arguments.unpack_from(data, 8)[_FLORETS_MODE] == _FLORET:
                raise self._error(
                    "a floret model, whose words have no rows of their own, which textkit does not"
                    " read; save the vectors of the words that you need: floret"
                    " print-word-vectors MODEL.bin < WORDS > vectors.vec, or train with"
                    " -mode fasttext"
                )
        position = self._parse_dictionary(8 + arguments.size)
        if data[position : position + 1] != b"\0":
            raise self._error(
                "a quantized model (.ftz); textkit reads .bin: train or save it without"
                " quantization"
            )
        n_rows, width = struct.unpack_from("<qq", data, position + 1)
        position += 17
        if width != dim or n_rows < len(self.words):
            raise self._error(
                f"its matrix is {n_rows:,} x {width}, expected at least {len(self.words):,} x {dim}"
            )
        if position + 4 * n_rows * dim > len(data):
            raise self._error("file ends inside its matrix; it is cut short")
        matrix = np.frombuffer(data, "<f4", n_rows * dim, position).reshape(n_rows, dim)
        self._own, rest = matrix[: len(self.words)], matrix[len(self.words) :]
        uses_ngrams = longest > 0 and shortest > 0 and shortest <= longest and len(rest) > 0
        if uses_ngrams and len(rest) != bucket:
            raise self._error(f"{len(rest):,} rows for n-grams, its header says {bucket:,} buckets")
        self.ngrams = Ngrams(rest, shortest, longest) if uses_ngrams else None

    def _has_dictionary(self, position: int) -> bool:
        """Tell whether a dictionary may begin here, by its numbers."""
        if len(self._data) < position + 12:
            return False
        size, n_words, n_labels = struct.unpack_from("<iii", self._data, position)
        return bool(size == n_words + n_labels and n_words >= 0 and n_labels >= 0)

    def _parse_dictionary(self, position: int) -> int:
        """Read the words; gives where the matrix begins."""
        data = self._data
        size, n_words, n_labels, _, n_pruned = struct.unpack_from("<iiiqq", data, position)
        if size != n_words + n_labels or n_words < 0 or n_labels < 0:
            raise self._error(
                f"its dictionary says {size:,} entries, {n_words:,} words and {n_labels:,} labels"
            )
        if not n_words:
            raise self._error("file holds no words")
        if n_pruned > 0:
            raise self._error("a pruned model; textkit reads .bin files with all n-grams")
        position += 28
        self.words: list[bytes] = []
        for number in range(size):
            end = data.find(b"\0", position, position + (1 << 20))
            if end < 0 or end + 10 > len(data):
                raise self._error(
                    f"file ends inside entry {number + 1:,} of {size:,} of its dictionary; it is"
                    f" cut short"
                )
            kind = data[end + 9]
            if kind not in (0, 1) or (kind == 1) != (number >= n_words):
                raise self._error(
                    f"entry {number + 1:,} of its dictionary is neither word nor label"
                )
            if kind == 0:
                self.words.append(data[position:end])
            position = end + 10
        return position

    def __iter__(self) -> Iterator[Batch]:
        n_words = len(self.words)
        for first in range(0, n_words, _BATCH_WORDS):
            words = self.words[first : first + _BATCH_WORDS]
            own = np.array(self._own[first : first + _BATCH_WORDS])
            rows = (
                own
                if self.ngrams is None
                else self.ngrams.embed_bytes(ByteWords.of_bytes(words), own=own)
            )
            for at, word in enumerate(words):
                if word == _END_OF_SENTENCE:
                    rows[at] = own[at]
            if not np.isfinite(rows).all():
                bad = words[int((~np.isfinite(rows).all(axis=1)).argmax())]
                raise self._error(f"{shown(bad)} has a value that is not finite")
            yield words, rows
            if self.progress is not None:
                self.progress(first + len(words), n_words)

    def _error(self, message: str) -> ArtifactError:
        return ArtifactError(message, where=str(self.path))
