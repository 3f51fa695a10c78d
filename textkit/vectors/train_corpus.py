"""The corpus of a training as numbers on disk: read and tokenized once, gone through once an epoch.

In: texts and a tokenizer. Out: a folder with every token's word number, sentence lengths, words and
counts. A word is what the tokenizer's vocabulary names; a tokenizer without a vocabulary (`word`,
`whitespace`, ...) gives all the pieces that it cuts. Words are numbered as they come, so ties in
frequency fall as gensim's own scan lets them fall.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textkit.batch import cut_rows
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.io import files
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.unicode_breaks import LEADING, SPACE
from textkit.vectors.folder import Array, map_safetensors, write_arrays

TOKENS, SHAPE, WORDS = "tokens.i32", "corpus.safetensors", "words.json"
# gensim trains on at most this many words at a time, and cuts longer sentences.
SENTENCE_WORDS = 10_000
_CHUNK_ROWS = 1024


@dataclass(frozen=True)
class Corpus:
    """A corpus as numbers: tokens (n_tokens,) int32, sentence lengths (n_sentences,), words and
    their counts.
    """

    tokens: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]
    words: list[str]
    counts: npt.NDArray[np.int64]


def write_corpus(
    texts: Iterable[str],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Tokenize texts into a folder.

    Rows without tokens are no sentences, long rows become several.
    """
    numbered = _ByVocabulary(tokenizer) if tokenizer.has_vocabulary else _ByPieces(tokenizer)
    lengths = array("q")
    n_tokens = 0
    with files.atomic_file(folder / TOKENS) as file:
        for chunk in cut_rows(texts, n_rows=_CHUNK_ROWS):
            tokens, row_lengths = numbered.encode(chunk)
            file.write(tokens.astype("<i4").data)
            n_tokens += len(tokens)
            for length in row_lengths.tolist():
                lengths.extend([SENTENCE_WORDS] * (length // SENTENCE_WORDS))
                if length % SENTENCE_WORDS:
                    lengths.append(length % SENTENCE_WORDS)
            if progress is not None:
                progress(n_tokens)
    if not n_tokens:
        raise DataError("the corpus has no words to train on")
    words = numbered.words()
    counts = np.zeros(len(words), np.int64)
    tokens = np.memmap(folder / TOKENS, "<i4", "r")
    for first in range(0, n_tokens, 1 << 22):
        counts += np.bincount(tokens[first : first + (1 << 22)], minlength=len(words))
    files.write_json(folder / WORDS, words)
    write_arrays(folder / SHAPE, {"lengths": np.frombuffer(lengths, np.int64), "counts": counts})


def read_corpus(folder: Path) -> Corpus:
    """Map a corpus that `write_corpus` wrote."""
    arrays: dict[str, Array] = map_safetensors(folder / SHAPE)
    words = files.read_json(folder / WORDS)
    size = (folder / TOKENS).stat().st_size
    lengths, counts = arrays["lengths"], arrays["counts"]
    if size != 4 * int(lengths.sum()) or len(words) != len(counts) or size != 4 * int(counts.sum()):
        raise ArtifactError(
            "the tokenized corpus is damaged; remove this folder and train anew", where=str(folder)
        )
    return Corpus(np.memmap(folder / TOKENS, "<i4", "r").view(np.ndarray), lengths, words, counts)


class _ByVocabulary:
    """Word numbers from the ids of a vocabulary, in the order of their first use.

    Unknown tokens count as one word.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._names = {i: name for name, i in tokenizer.vocabulary.items()}
        self._numbers = np.full(max(self._names) + 1, -1, np.int64)
        self._used: list[int] = []

    def encode(self, texts: list[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        batch = self._tokenizer.encode(texts)
        ids, first = np.unique(batch.ids, return_index=True)
        for i in ids[np.argsort(first)].tolist():
            if self._numbers[i] < 0:
                self._numbers[i] = len(self._used)
                self._used.append(i)
        return self._numbers[batch.ids].astype(np.int32), batch.lengths.astype(np.int64)

    def words(self) -> list[str]:
        return [self._names[i] for i in self._used]


class _ByPieces:
    """Word numbers of every piece that a tokenizer without a vocabulary cuts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        splitter = tokenizer.splitter()
        if splitter is None:
            raise UsageError(f"tokenizer '{tokenizer.kind}' has no vocabulary to train vectors for")
        self._find = splitter.find
        self._table = _NumberTable(drop_space=splitter.drops_space)

    def encode(self, texts: list[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        found = [self._find(text) for text in texts]
        counts = np.fromiter(map(len, found), np.int64, len(found))
        pieces = list(chain.from_iterable(found))
        numbers = np.fromiter(map(self._table.__getitem__, pieces), np.int32, len(pieces))
        kept = numbers >= 0
        lengths = np.bincount(
            np.repeat(np.arange(len(texts)), counts), weights=kept, minlength=len(texts)
        )
        return numbers[kept], lengths.astype(np.int64)

    def words(self) -> list[str]:
        return list(self._table.numbers)


class _NumberTable(dict[str, int]):
    """Piece, with the spaces before it, -> the number of its word; -1 for white space."""

    def __init__(self, *, drop_space: bool) -> None:
        self.numbers: dict[str, int] = {}
        self._dropped = re.compile(f"{SPACE}+" if drop_space else "(?!)")
        self._leading = re.compile(LEADING if drop_space else "(?!)")

    def __missing__(self, piece: str) -> int:
        if self._dropped.fullmatch(piece):
            number = -1
        else:
            lead = self._leading.match(piece)
            number = self.numbers.setdefault(
                piece[lead.end() :] if lead else piece, len(self.numbers)
            )
        self[piece] = number
        return number


def clean_texts(texts: Iterable[str]) -> Iterator[str]:
    """Replace lone surrogates, which no vector file can hold, by U+FFFD."""
    for text in texts:
        yield (
            text
            if text.isascii()
            else text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        )
