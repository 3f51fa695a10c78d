"""What a tokenizer is: the Tokenizer protocol, the kinds that can be registered, and the checks
that every tokenizer makes of what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, cut_rows, offsets_of, within_rows
from textkit.errors import UsageError
from textkit.io import files
from textkit.io.composed import is_missing
from textkit.io.tables import TextData, take_texts
from textkit.origins import Origins
from textkit.tokenizers.lengths import OnLong, limit
from textkit.tokenizers.spans import Errors, Unit, convert_spans, replace_surrogates
from textkit.tokenizers.templates import Template

PAD, UNKNOWN = "[PAD]", "[UNK]"
COUNTED_CHARACTERS = 1 << 20
FORMAT = 1
MANIFEST_KIND = "tokenizer"
# A model folder holds its tokenizer, and opens as one.
MODEL_KIND, MODEL_FORMAT = "model", 2
EXPORTED_KIND, EXPORTED_FORMAT = "exported model", 1
# An export whose numbers are packed, which readers of format 1 cannot open.
COMPRESSED_FORMAT = 2
EXPORTED_TEXTS_KIND, EXPORTED_TEXTS_FORMAT = "exported embedder", 1
SENTENCE_KIND, SENTENCE_FORMAT = "sentence embedder", 1
# Sealed folders that hold a tokenizer beside what they are for.
SEALS = (
    (MODEL_KIND, MODEL_FORMAT),
    (EXPORTED_KIND, COMPRESSED_FORMAT),
    (EXPORTED_TEXTS_KIND, EXPORTED_TEXTS_FORMAT),
    (SENTENCE_KIND, SENTENCE_FORMAT),
)
# What other libraries write of a tokenizer, and every file that is read of a folder with one in it.
FOREIGN_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "*.model",
    "*.tiktoken",
)
SPACY_WORDS = "spacy_words.json"
# What we write of a .model file that sentencepiece itself reads; it goes before a tokenizer.json.
SENTENCEPIECE_MODEL = "textkit_sentencepiece.model"
TOKENIZER_FILES = (*FOREIGN_FILES, SPACY_WORDS)


@dataclass(frozen=True)
class Splitter:
    """What cuts a text into pieces, before any is looked up.

    find: gives the pieces of a text, in order. drops_space: a piece may have spaces before it, as
    `unicode_breaks.LEADING` finds them, and a piece of nothing but white space is no token.
    """

    find: Callable[[str], list[str]]
    drops_space: bool = False


class Tokenizer(Protocol):
    """What every tokenizer is and can do.

    Encoding is pure. One object may be used by any number of threads at once. A class of tokenizers
    inherits from this one, and writes what has no body here.

    kind: the name that `train` and `create` know it by. vocabulary: token -> id. pad_id: id of the
    padding token, or None. unknown_id: id that stands for what the vocabulary lacks, or None where
    nothing can be unknown (bytes). fingerprint: a hash of all that decides the ids. lossless:
    whether decode(encode(text)) is proven to give the text back, for every text without lone
    surrogates.
    """

    kind: str
    vocabulary: dict[str, int]
    pad_id: int | None
    unknown_id: int | None
    fingerprint: str
    lossless: bool

    def normalize(self, text: str) -> str: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def write(self, folder: Path) -> None: ...

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a tokenizer folder: what `write` writes, and a manifest.

        A folder that holds other finished work is refused unless `overwrite` says so.
        """
        with files.atomic_folder(folder, overwrite=overwrite) as temporary:
            self.write(temporary)
            files.write_manifest(temporary, kind=MANIFEST_KIND, format=FORMAT)

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def n_ids(self) -> int:
        """Rows of a table by ids: all are below it, and a file may leave numbers out."""
        return max(self.vocabulary.values(), default=-1) + 1

    @property
    def has_vocabulary(self) -> bool:
        """Whether there are tokens beside the special ones; without, every piece is unknown."""
        return len(self.vocabulary) > 2

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of padding, the unknown token and the other special tokens."""
        return frozenset(i for i in (self.pad_id, self.unknown_id) if i is not None)

    @property
    def template(self) -> Template:
        """The special tokens that `add_special_tokens` puts round a text or a pair."""
        return Template()

    @property
    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids that stand before and after a text of its own, as a network of this tokenizer may
        want it; `encode` puts them there with `add_special_tokens`.
        """
        return self.template.around

    @property
    def engine_notes(self) -> list[str]:
        """What is to be known of how texts are encoded: why something slower is used, for
        instance.
        """
        return []

    def engine_for(self, texts: Sequence[str], *, spans: bool = False) -> str:
        """Name what encodes such texts."""
        del texts, spans
        return self.kind

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Name ids as the vocabulary spells them (byte-level BPE writes a leading space as 'Ġ')."""
        names = {i: name for name, i in self.vocabulary.items()}
        return name_ids(names, ids)

    def decode_batch(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """Turn rows of ids, a TokenBatch for instance, back into texts."""
        return [self.decode(row) for row in rows]

    def count(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the tokens of each text: (n_texts,) int64; no more ids than those of about a
        million characters are held at a time.
        """
        parts = cut_rows(check_texts(texts), n_characters=COUNTED_CHARACTERS)
        counts = [self.encode(part).lengths for part in parts]
        return np.concatenate([np.zeros(0, dtype=np.int64), *counts])

    def encode(
        self,
        texts: Sequence[str],
        *,
        spans: bool = False,
        unit: Unit = "char",
        max_length: int | None = None,
        on_long: OnLong = "truncate",
        stride: int | None = None,
        errors: Errors = "replace",
        allow_special: bool = False,
        pairs: Sequence[str] | None = None,
        add_special_tokens: bool = False,
        words: bool = False,
    ) -> TokenBatch:
        """Turn texts into ids; one row a text, in order.

        spans: also give (start, end) of every token in the caller's text, counted in `unit`:
        "char", "byte" (UTF-8) or "utf16". max_length: tokens a row; what is longer is cut and
        counted in `truncated`, or with on_long="window" goes on in further rows that start `stride`
        tokens (half of max_length) after the one before, `sources` telling whose they are, or with
        "error" raises LimitError. errors: a lone surrogate becomes U+FFFD and is counted in
        `n_replaced`, or with "strict" raises DataError with its index. allow_special: text that
        spells a special token becomes that token; by default it is ordinary text. pairs: a second
        text a row. add_special_tokens: put the tokens of `template` round a text or a pair; they
        count in max_length, and a pair that is too long loses tokens of the longer text first, or
        with on_long="window" goes on in windows of its second text. words: `word_ids` of the batch
        gives the piece of the splitter that each token is from; slower, as tokenizers tells them.
        """
        if pairs is not None or add_special_tokens:
            encode = partial(
                self.encode,
                spans=spans,
                unit=unit,
                errors=errors,
                allow_special=allow_special,
                words=words,
            )
            template = self.template if add_special_tokens else self.template.without_special()
            second = None if pairs is None else encode(pairs)
            return template.join(
                encode(texts), second, max_length=max_length, on_long=on_long, stride=stride
            )
        texts, is_ascii = _look_at(texts)
        clean, n_replaced = (texts, 0) if is_ascii else replace_surrogates(texts, errors=errors)
        batch = self._encode_texts(clean, spans=spans, allow_special=allow_special, words=words)
        if n_replaced:
            batch = replace(batch, n_replaced=n_replaced)
        batch = limit(
            batch.padded_by(self.pad_id), max_length=max_length, on_long=on_long, stride=stride
        )
        return convert_spans(texts, batch, unit=unit) if spans else batch

    def _encode_texts(
        self, texts: Sequence[str], *, spans: bool, allow_special: bool, words: bool
    ) -> TokenBatch:
        """Do the part of `encode` that a class writes: of texts without lone surrogates."""
        ...

    def sample(
        self,
        texts: Sequence[str],
        *,
        seed: int,
        dropout: float | None = None,
        alpha: float | None = None,
        nbest: int | None = None,
    ) -> TokenBatch:
        """Turn texts into ids of pieces drawn by chance, where there is more than one way."""
        del texts, seed, dropout, alpha, nbest
        raise UsageError(f"a '{self.kind}' tokenizer cuts a text in one way: it cannot be sampled")

    def encode_words(
        self,
        rows: Sequence[Sequence[str]],
        *,
        spans: bool = False,
        unit: Unit = "char",
        max_length: int | None = None,
        on_long: OnLong = "truncate",
        stride: int | None = None,
        add_special_tokens: bool = False,
    ) -> TokenBatch:
        """Turn rows that are lists of words already into ids; the batch knows its words.

        Each word is encoded as a text of its own, as tokenizers does with pre-split input: what
        reads a space before a word, as GPT-2 does, finds one only where the word has it. Spans
        count within their word. `align_labels` of the batch gives labels of words to pieces.

        >>> from textkit import tokenizers
        >>> tok = tokenizers.create("wordpiece", vocabulary=["[UNK]", "play", "##ing", "well"])
        >>> batch = tok.encode_words([["playing", "well"], []])
        >>> batch.lengths.tolist(), batch.word_ids(0)
        ([3, 0], [0, 0, 1])
        """
        sizes = np.fromiter(map(len, _check_words(rows)), dtype=np.int64, count=len(rows))
        flat = self.encode([word for row in rows for word in row], spans=spans, unit=unit)
        first = offsets_of(sizes)
        words = np.repeat(within_rows(first), flat.lengths)
        batch = replace(
            flat,
            offsets=flat.offsets[first],
            truncated=np.zeros(len(rows), dtype=np.int32),
            origins=Origins(words),
        )
        if add_special_tokens:
            return self.template.join(batch, max_length=max_length, on_long=on_long, stride=stride)
        return limit(batch, max_length=max_length, on_long=on_long, stride=stride)

    def splitter(self) -> Splitter | None:
        """Give what cuts a text into pieces, or None where that cannot be had alone."""
        return None

    def extend(self, words: Sequence[str]) -> Tokenizer:
        """Give a tokenizer with more words behind its own; raises UsageError where it is no list
        of words.
        """
        del words
        raise UsageError(
            f"a '{self.kind}' tokenizer is no list of words: words cannot be added to it"
        )

    def shrink(self, size: int) -> Tokenizer:
        """Give the smaller tokenizer that training to `size` would have given; raises UsageError
        where the vocabularies of two sizes do not nest.
        """
        del size
        raise UsageError(f"{self.kind} vocabularies do not nest; train one size at a time")


@dataclass(frozen=True)
class Kind:
    """A registered kind of tokenizer: how to train one from texts, and how to make one from a given
    vocabulary.

    Where training is counting and then learning, its halves stand here too: `pieces(**options)`
    gives the function that cuts a text into the pieces to count, `learn(counts, **options)` makes
    the tokenizer of (piece, count) pairs.
    """

    train: Callable[..., Tokenizer]
    create: Callable[..., Tokenizer]
    pieces: Callable[..., Callable[[str], list[str]]] | None = None
    learn: Callable[..., Tokenizer] | None = None


def check_texts(texts: TextData) -> list[str]:
    """Refuse what is not a batch of str: a bare str would silently become a batch of characters, a
    table one of its columns' names.
    """
    return _look_at(texts)[0]


def _look_at(texts: TextData) -> tuple[list[str], bool]:
    """Check a batch of str, and tell whether all of it is ASCII."""
    rows = texts if isinstance(texts, list) else list(take_texts(texts))
    try:
        return rows, "".join(rows).isascii()  # the quickest look at every text
    except TypeError:
        row, text = next((row, text) for row, text in enumerate(rows) if not isinstance(text, str))
        what = f"missing ({text})" if is_missing(text) else f"a {type(text).__name__}"
        raise UsageError(f"text {row} is {what}, expected str") from None


def _check_words(rows: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    """Refuse rows that are no lists of words: a str would become a row of characters."""
    if isinstance(rows, str):
        raise UsageError("expected a list of rows of words, found one str")
    for number, row in enumerate(rows):
        if isinstance(row, str) or not isinstance(row, Sequence | np.ndarray):
            raise UsageError(
                f"row {number} is a {type(row).__name__}, expected a list of words; encode takes"
                " texts"
            )
    return rows


def name_ids(names: dict[int, str], ids: Sequence[int]) -> list[str]:
    """Give the name of each id; UsageError for one that has none."""
    try:
        return [names[int(i)] for i in ids]
    except KeyError as err:
        raise UsageError(
            f"id {err} is not in the vocabulary (0 to {max(names, default=-1)})"
        ) from None
