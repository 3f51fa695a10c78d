"""What makes vectors of texts: the contract of a backend, its options, and its work on one block.

In: texts. Out: TextVectors. A kind of backend is registered by the function that opens it (registry
kind "embedder"): it takes a place and EmbedderOptions, and gives a Backend.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from textkit.batch import cut_rows
from textkit.errors import UsageError
from textkit.tokenizers import Tokenizer
from textkit.vectors.table import Floats, WordTable


@dataclass(frozen=True)
class TextVectors:
    """vectors: (n, dim) float32, a row a text. truncated: (n,) int32, tokens cut from each text."""

    vectors: Floats
    truncated: npt.NDArray[np.int32]


class Backend(Protocol):
    """What makes the vectors.

    parallel: several processes may share a corpus, each with a pickled copy; what uses all cores by
    itself, or holds a device, says no. fit: a backend that learns from texts; UsageError from those
    that do not.
    """

    @property
    def dim(self) -> int: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def parallel(self) -> bool: ...
    def embed(self, texts: Sequence[str]) -> TextVectors: ...
    def fit(self, texts: Iterable[str], *, n_components: int = 1) -> Backend: ...
    def describe(self) -> dict[str, object]: ...


@dataclass(frozen=True, kw_only=True)
class EmbedderOptions:
    """How texts become vectors, as `TextEmbedder.open` documents it; None is: as the model says."""

    pooling: str | Sequence[str] | None = None
    normalize: bool | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    max_length: int | None = None
    tokenizer: Tokenizer | None = None
    lowercase: bool | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_tokens: int | None = None
    allow: Sequence[str] = ()

    def refuse(self, *names: str, spec: str | Path, what: str) -> None:
        """Raise UsageError for the first of these options that is given: it is not for this kind.

        >>> EmbedderOptions(prompt="query: ").refuse("prompt", spec="v", what="vectors of words")
        Traceback (most recent call last):
        textkit.errors.UsageError: option prompt is not for vectors of words: v
        """
        usual = {field.name: field.default for field in fields(self)}
        for name in names:
            if getattr(self, name) != usual[name]:
                raise UsageError(f"option {name} is not for {what}: {spec}")


Opener = Callable[[str, EmbedderOptions], Backend]


def not_fitted() -> UsageError:
    """Make the error of a backend that learns nothing from texts."""
    return UsageError("only vectors of words with pooling 'sif' are fitted to texts")


def embed_blocks(
    texts: Sequence[str],
    embed: Callable[[list[str]], TextVectors],
    *,
    dim: int,
    n_rows: int,
    n_characters: int,
) -> TextVectors:
    """Embed texts a block at a time into one array: memory beside it is that of one block.

    >>> ones = lambda block: TextVectors(np.ones((len(block), 2)), np.zeros(len(block), np.int32))
    >>> embed_blocks(["a", "b", "c"], ones, dim=2, n_rows=2, n_characters=9).vectors.shape
    (3, 2)
    """
    vectors = np.zeros((len(texts), dim), np.float32)
    truncated = np.zeros(len(texts), np.int32)
    at = 0
    for block in cut_rows(texts, n_rows=n_rows, n_characters=n_characters):
        here = slice(at, at + len(block))
        made = embed(block)
        vectors[here], truncated[here] = made.vectors, made.truncated
        at = here.stop
    return TextVectors(vectors, truncated)


def content_hash(table: WordTable) -> str:
    """Hash every byte that decides the vectors of words: hex digits."""
    digest = hashlib.sha256(f"{table.dtype} {table.table.shape}".encode())
    step = max(1, (8 << 20) // max(table.table[:1].nbytes, 1))
    for at in range(0, len(table.table), step):
        digest.update(np.ascontiguousarray(table.table[at : at + step]).tobytes())
    extra = (
        table.scales,
        table.word_rows,
        table.words.words.offsets,
        table.words.words.data,
    )
    for array in extra:
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    if table.ngrams is not None:
        digest.update(np.ascontiguousarray(table.ngrams.table).tobytes())
    return digest.hexdigest()
