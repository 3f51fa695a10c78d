"""Tokenizers that cut a text by a pattern and look each piece up: `word` (also called `unicode`:
UAX 29), `whitespace`, `grapheme` (UAX 29 clusters: an emoji family is one token) and `char` (code
points); and `byte`, which needs no pattern.

In: texts to count, or a vocabulary. Out: a PipelineTokenizer whose vocabulary is [PAD], [UNK] and
then the pieces by falling frequency, ties in code point order: the same on every run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import tokenizers as hf
from tokenizers import Regex, decoders, models, pre_tokenizers

from textkit.errors import UsageError
from textkit.tokenizers.counting import check_size, count_texts
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import PAD, UNKNOWN, Kind
from textkit.tokenizers.splitters import AS_IT_STANDS, Normalization, byte_names
from textkit.tokenizers.unicode_breaks import (
    CHARACTERS,
    GRAPHEMES,
    NOT_SPACE,
    SPACE,
    TILINGS,
    WORDS,
    WORDS_ONLY,
)

# WORDS_ONLY tries every alternative at each space; WORDS takes the space and goes on, ten times
# faster.
_COUNTED = {WORDS_ONLY: WORDS}


@dataclass(frozen=True)
class Lookup:
    """A kind whose tokens are the matches of a pattern, each looked up as it stands."""

    kind: str
    pattern: str
    decoder: decoders.Decoder | None = None

    def train(
        self,
        texts: Iterable[str],
        *,
        size: int = 30_000,
        min_frequency: int = 1,
        normalization: Normalization = AS_IT_STANDS,
    ) -> PipelineTokenizer:
        """Learn the `size` most frequent pieces that occur at least `min_frequency` times."""
        counts = count_texts(texts, self.pieces(normalization=normalization))
        return self.learn(
            counts, size=size, min_frequency=min_frequency, normalization=normalization
        )

    def pieces(self, *, normalization: Normalization = AS_IT_STANDS) -> Callable[[str], list[str]]:
        """Give the function that normalises a text and finds its pieces."""
        normalizer = normalization.build()
        find = _finder(self.pattern)
        return find if normalizer is None else lambda text: find(normalizer.normalize_str(text))

    def learn(
        self,
        counts: Iterable[tuple[str, int]],
        *,
        size: int = 30_000,
        min_frequency: int = 1,
        normalization: Normalization = AS_IT_STANDS,
    ) -> PipelineTokenizer:
        """Take the most frequent of counted pieces; ties stand in code point order."""
        check_size(size, at_least=2)
        # The pattern that is counted with finds white space too.
        is_space = re.compile(f"{SPACE}+" if self.pattern in _COUNTED else "(?!)").fullmatch
        known = {
            piece: n
            for piece, n in counts
            if n >= min_frequency and piece not in (PAD, UNKNOWN) and not is_space(piece)
        }
        ranked = sorted(known, key=lambda piece: (-known[piece], piece))
        return self.create(vocabulary=ranked[: size - 2], normalization=normalization)

    def create(
        self, *, vocabulary: Sequence[str] = (), normalization: Normalization = AS_IT_STANDS
    ) -> PipelineTokenizer:
        """Make a tokenizer from a list of pieces; with none it still splits, and every piece is
        unknown.

        [PAD] and [UNK] are put first where the list does not hold them.
        """
        missing = [token for token in (PAD, UNKNOWN) if token not in vocabulary]
        tokens = dict.fromkeys([*missing, *vocabulary])
        if len(tokens) != len(missing) + len(vocabulary):
            twice = next(token for token, count in Counter(vocabulary).items() if count > 1)
            raise UsageError(f"vocabulary holds {twice!r} more than once")
        ids = {token: i for i, token in enumerate(tokens)}
        backend = hf.Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
        backend.normalizer = normalization.build()
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(self.pattern), "removed", invert=True)
        if self.decoder is not None:
            backend.decoder = self.decoder
        backend.add_special_tokens([PAD, UNKNOWN])
        return PipelineTokenizer(backend, kind=self.kind)


def pattern_kind(kind: str, pattern: str, *, decoder: decoders.Decoder | None = None) -> Kind:
    """Make the kind whose tokens are the matches of a pattern."""
    made = Lookup(kind, pattern, decoder)
    return Kind(train=made.train, create=made.create, pieces=made.pieces, learn=made.learn)


def _finder(pattern: str) -> Callable[[str], list[str]]:
    """Give the function that finds the pieces of a text: our own patterns at once, a user's with
    its cutter.
    """
    if pattern in TILINGS or pattern == CHARACTERS:
        return re.compile(_COUNTED.get(pattern, pattern)).findall
    from textkit.tokenizers.patterns import cutter  # which our own patterns do not need

    cut = cutter(pattern).cut
    return lambda text: cut(text)[1::2]


def create_byte() -> PipelineTokenizer:
    """Make the tokenizer of UTF-8 bytes: [PAD] is 0 and byte b is b + 1.

    Nothing is unknown, nothing is lost.

    >>> create_byte().encode(["aé"]).ids.tolist()
    [98, 196, 170]
    """
    names = byte_names()
    vocabulary = {PAD: 0, **{names[byte]: byte + 1 for byte in range(256)}}
    backend = hf.Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([PAD])
    return PipelineTokenizer(backend, kind="byte")


def train_byte(texts: Iterable[str], *, size: int = 257) -> PipelineTokenizer:
    """Make the byte tokenizer; there is nothing to learn, and `size` is always 257."""
    del texts, size
    return create_byte()


CHAR = pattern_kind("char", CHARACTERS, decoder=decoders.Fuse())
GRAPHEME = pattern_kind("grapheme", GRAPHEMES, decoder=decoders.Fuse())
WORD = pattern_kind("word", WORDS_ONLY)
WHITESPACE = pattern_kind("whitespace", NOT_SPACE)
BYTE = Kind(train=train_byte, create=create_byte)
