"""Special tokens around texts: [CLS] A [SEP], pairs [CLS] A [SEP] B [SEP] with type ids, and
presets per architecture.

In: a tokenizer and texts. Out: an Encoded: the TokenBatch with its special tokens, and the type id
of every token. A special token has the empty span (0, 0). Pairs that are too long lose tokens from
the longer text first, and the loss is counted in `truncated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from textkit.batch import Padded, TokenBatch, offsets_of
from textkit.errors import UsageError, unknown_name
from textkit.tokenizers.protocol import Tokenizer


@dataclass(frozen=True)
class Encoded:
    """tokens: the batch with special tokens.

    type_ids: (n_tokens,) int32, 0 for the first text and 1 for the second.
    """

    tokens: TokenBatch
    type_ids: NDArray[np.int32]


@dataclass(frozen=True)
class IdTemplate:
    """The ids put before, between and after texts.

    `min_length` is the least width a padded batch must have.

    >>> from textkit import tokenizers
    >>> pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b"]
    >>> tok = tokenizers.create("wordpiece", vocabulary=pieces)
    >>> encoded = for_transformer(tok).encode(tok, ["a a"], ["b"])
    >>> encoded.tokens.ids.tolist(), encoded.type_ids.tolist()
    ([2, 4, 4, 3, 5, 3], [0, 0, 0, 0, 1, 1])
    """

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    min_length: int = 1

    def encode(
        self,
        tokenizer: Tokenizer,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        spans: bool = False,
        max_length: int | None = None,
    ) -> Encoded:
        """Encode texts, or texts with their pairs, within max_length tokens a row, special ones
        included.
        """
        first = tokenizer.encode(texts, spans=spans)
        second = None
        if pairs is not None:
            second = tokenizer.encode(pairs, spans=spans)
            if len(second) != len(first):
                raise UsageError(f"{len(first)} texts but {len(second)} pairs")
        n_special = len(self.before) + len(self.after) * (1 if second is None else 2)
        if max_length is not None:
            if max_length < n_special:
                raise UsageError(
                    f"max_length is {max_length}, but the template alone takes {n_special} tokens"
                )
            first, second = _fit(first, second, max_length - n_special)
        segments = [_constant(self.before, first), first, _constant(self.after, first)]
        types = [0, 0, 0]
        if second is not None:
            segments += [second, _constant(self.after, second)]
            types += [1, 1]
        return _interleave(segments, types)

    def pad(self, encoded: Encoded, *, pad_id: int | None = None) -> Padded:
        """Pad to a rectangle at least `min_length` wide, as a convolution of that width needs."""
        return encoded.tokens.pad(pad_id=pad_id, min_width=self.min_length)


@dataclass(frozen=True)
class BoundTemplate:
    """A tokenizer with the special tokens that stand round each text, as one TextEncoder.

    max_length: of a row, special tokens included.
    """

    tokenizer: Tokenizer
    template: IdTemplate
    max_length: int | None = None

    @property
    def n_ids(self) -> int:
        """Number of the tokenizer's ids."""
        return self.tokenizer.n_ids

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Encode texts with their special tokens, one row a text."""
        return self.template.encode(self.tokenizer, texts, max_length=self.max_length).tokens

    def describe(self) -> dict[str, object]:
        """Give the tokenizer's fingerprint, the template and the cut."""
        return {
            "tokenizer": self.tokenizer.fingerprint,
            "template": asdict(self.template),
            "max_length": self.max_length,
        }


def for_rnn(tokenizer: Tokenizer) -> IdTemplate:
    """No special tokens: a recurrent encoder reads the text alone."""
    del tokenizer
    return IdTemplate()


def for_cnn(tokenizer: Tokenizer, *, min_length: int = 5) -> IdTemplate:
    """No special tokens, and rows padded to at least the widest filter."""
    del tokenizer
    return IdTemplate(min_length=min_length)


def for_transformer(tokenizer: Tokenizer) -> IdTemplate:
    """The tokenizer's own [CLS] and [SEP], or <s> and </s>."""
    for before, after in (("[CLS]", "[SEP]"), ("<s>", "</s>")):
        if before in tokenizer.vocabulary and after in tokenizer.vocabulary:
            return IdTemplate((tokenizer.vocabulary[before],), (tokenizer.vocabulary[after],))
    raise UsageError(
        "the vocabulary has neither [CLS] and [SEP] nor <s> and </s>, which a transformer's"
        " template needs"
    )


PRESETS = {"rnn": for_rnn, "cnn": for_cnn, "transformer": for_transformer}


def preset(name: str, tokenizer: Tokenizer) -> IdTemplate:
    """Give a preset by its name: rnn, cnn or transformer."""
    if name not in PRESETS:
        raise UsageError(unknown_name("preset", name, PRESETS))
    return PRESETS[name](tokenizer)


def _fit(
    first: TokenBatch, second: TokenBatch | None, room: int
) -> tuple[TokenBatch, TokenBatch | None]:
    """Cut rows to `room` tokens together, the longer text of a pair first."""
    if second is None:
        return first.truncate(room), None
    a, b = first.lengths, second.lengths
    over = np.maximum(0, a + b - room)
    # First the longer one down to the shorter one's length, then both by turns.
    lead = np.minimum(over, np.abs(a - b))
    rest = over - lead
    cut_a = np.where(a > b, lead, 0) + (rest + 1) // 2
    cut_b = np.where(b > a, lead, 0) + rest // 2
    return _keep(first, a - cut_a), _keep(second, b - cut_b)


def _keep(batch: TokenBatch, lengths: NDArray[np.int64]) -> TokenBatch:
    """Keep the first `lengths[row]` tokens of each row and count the others."""
    position = np.arange(len(batch.ids)) - np.repeat(batch.offsets[:-1], batch.lengths)
    keep = position < np.repeat(lengths, batch.lengths)
    spans = None if batch.spans is None else batch.spans[keep]
    cut = (batch.lengths - lengths).astype(np.int32)
    return replace(
        batch,
        ids=batch.ids[keep],
        offsets=offsets_of(lengths),
        spans=spans,
        truncated=batch.truncated + cut,
    )


def _constant(ids: tuple[int, ...], like: TokenBatch) -> TokenBatch:
    """Give a batch with the same ids in every row."""
    n = len(like)
    spans = None if like.spans is None else np.zeros((n * len(ids), 2), np.int32)
    offsets = np.arange(n + 1, dtype=np.int64) * len(ids)
    return TokenBatch(
        np.tile(np.array(ids, dtype=np.int32), n), offsets, spans, np.zeros(n, np.int32)
    )


def _interleave(segments: list[TokenBatch], types: list[int]) -> Encoded:
    """Put the rows of several batches side by side: row i of all, one after the other."""
    n = len(segments[0])
    joined = TokenBatch.concatenate(segments)
    order = (np.arange(n)[:, None] + n * np.arange(len(segments))).reshape(-1)
    rows = joined.take(order)
    offsets = rows.offsets[:: len(segments)]
    type_ids = np.repeat(np.tile(np.array(types, dtype=np.int32), n), rows.lengths)
    truncated = np.sum([segment.truncated for segment in segments], axis=0).astype(np.int32)
    n_replaced = sum(segment.n_replaced for segment in segments)
    whole = replace(rows, offsets=offsets, truncated=truncated, n_replaced=n_replaced)
    return Encoded(whole, type_ids)
