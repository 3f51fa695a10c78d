"""What an engine is, and the one that defines the ids and the spans: Hugging Face's tokenizers.

In: texts without lone surrogates. Out: a TokenBatch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

import numpy as np
import tokenizers as hf

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import ArtifactError, LimitError, TextkitError
from textkit.origins import Origins
from textkit.tokenizers.engines.clock import NO_CLOCK, Clock
from textkit.tokenizers.engines.forking import is_alone, keep_forks_safe, native_calls

# What Oniguruma says where one match takes so many steps.
_ONIGURUMA_GAVE_UP = "retry-limit-in-match"


class Encode(Protocol):
    """How to encode: the method of an engine."""

    def __call__(self, texts: Sequence[str], *, spans: bool) -> TokenBatch: ...


class Engine(Protocol):
    """One way to encode: texts without lone surrogates in, a TokenBatch out.

    has_clock: a text may take so long that LimitError ends it.
    """

    name: str
    has_clock: bool

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch: ...


class ReferenceEngine:
    """Hugging Face's tokenizers, under a clock where a pattern of its may be slow."""

    name = "reference"

    def __init__(self, backend: hf.Tokenizer, clock: Clock = NO_CLOCK) -> None:
        self._backend, self.clock = backend, clock
        self.has_clock = clock.is_needed
        keep_forks_safe()

    def encode(self, texts: Sequence[str], *, spans: bool, words: bool = False) -> TokenBatch:
        """Encode texts; with words, the batch's origins have the piece of the splitter that each
        token is from.
        """
        rows = self._encode_rows(texts, spans=spans or words)
        ids = [row.ids for row in rows]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        offsets = offsets_of(lengths)
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(offsets[-1]))
        edges = None
        if spans:
            values = chain.from_iterable(chain.from_iterable(row.offsets for row in rows))
            edges = np.fromiter(values, dtype=np.int32, count=2 * len(flat)).reshape(-1, 2)
        n_cut = np.zeros(len(ids), dtype=np.int32)
        if not words:
            return TokenBatch(flat, offsets, edges, n_cut)
        numbers = chain.from_iterable(row.word_ids for row in rows)
        origins = Origins(np.fromiter(numbers, dtype=np.int32, count=len(flat)))
        return TokenBatch(flat, offsets, edges, n_cut, origins=origins)

    def normalize(self, text: str) -> str:
        """Give the text that the splitter sees."""
        if self.clock.normalizes:  # what follows cannot be stopped: all of it is done once before
            self._encode_rows([text], spans=False)
        normalizer = self._backend.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def split(self, text: str) -> list[str]:
        """Cut a text into the pieces that are looked up, or that merges stay within."""
        if self.has_clock:  # as in `normalize`
            self._encode_rows([text], spans=False)
        seen, splitter = self.normalize(text), self._backend.pre_tokenizer
        return [seen] if splitter is None else [p for p, _ in splitter.pre_tokenize_str(seen)]

    def spelled_otherwise(self, tokens: Sequence[str]) -> list[str]:
        """Give the tokens that are not what the model makes of their own letters."""
        with native_errors("this model cannot encode"), native_calls:
            tokenize = self._backend.model.tokenize
            return [t for t in tokens if [piece.value for piece in tokenize(t)] != [t]]

    def _encode_rows(self, texts: Sequence[str], *, spans: bool) -> list[hf.Encoding]:
        encode = self._backend.encode_batch if spans else self._backend.encode_batch_fast

        # A broken file shows only now.
        def call() -> list[hf.Encoding]:
            with native_errors("this tokenizer cannot encode"), native_calls:
                # Without the pool of threads; on one text there is none.
                if is_alone() and self.has_clock:
                    return [encode([text], add_special_tokens=False)[0] for text in texts]
                if is_alone():
                    return [self._backend.encode(text, add_special_tokens=False) for text in texts]
                return list(encode(list(texts), add_special_tokens=False))

        return self.clock.run(call, texts)


@contextlib.contextmanager
def native_errors(what: str) -> Iterator[None]:
    """Turn whatever a native library raises into one ArtifactError, or LimitError.

    tokenizers raises bare Exception for a broken file, and the panics of Rust derive from
    BaseException.
    """
    try:
        yield
    except (TextkitError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as err:
        reason = " ".join(str(err).split()) or type(err).__name__
        if _ONIGURUMA_GAVE_UP in reason:
            raise LimitError(
                f"{what}: a pattern of its reads far ahead and then fails, ten million times in one"
                " place; cut the text, or take another tokenizer"
            ) from err
        raise ArtifactError(f"{what}: {reason}; its tokenizer.json is broken") from err


def encode_split(
    texts: Sequence[str],
    plain: Sequence[bool],
    fast: Encode,
    reference: Encode,
    *,
    spans: bool,
) -> TokenBatch:
    """Encode the plain rows by the fast way and the others by the reference.

    The rows keep their order.
    """
    mask = np.array(plain, dtype=bool)
    order = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)])
    easy = fast([text for text, known in zip(texts, plain, strict=True) if known], spans=spans)
    hard = reference(
        [text for text, known in zip(texts, plain, strict=True) if not known], spans=spans
    )
    return TokenBatch.concatenate([easy, hard]).take(np.argsort(order))
