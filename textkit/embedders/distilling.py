"""Static vectors from an encoder: each piece of its vocabulary through it once, then a table.

In: a sentence encoder. Out: a folder of model2vec's layout, which needs no torch to be used: opened
by `TextEmbedder`, `Vectors`, model2vec, and sentence-transformers (its StaticEmbedding).

1. Every piece, alone between the encoder's special tokens, is one row.
2. The rows are turned onto their principal axes, of which the first `dim` stay.
3. A row is scaled by a / (a + p), p its piece's share of running text (Arora et al. 2017).

As Model2Vec (Tulkens and van Dongen 2024), of which the constant a and step 3's ranks are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from textkit.batch import TokenBatch, cut_rows
from textkit.embedders.contextual import ContextualTexts
from textkit.embedders.embedder import TextEmbedder
from textkit.embedders.saving import write_static
from textkit.embedders.static import BLOCK_CHARACTERS, BLOCK_ROWS
from textkit.errors import UsageError
from textkit.io import files
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.protocol import check_texts
from textkit.vectors.table import Floats
from textkit.vectors.vectors import Vectors
from textkit.vectors.words import Int64
from textkit.watch import Progress, Watch

SIF_A = 1e-4
# Rows that go through the encoder between two reports.
_ROWS = 2048


def distil(
    model: str | Path | TextEmbedder,
    to: str | Path,
    *,
    dim: int = 256,
    words: Sequence[str] | None = None,
    texts: Iterable[str] | None = None,
    a: float = SIF_A,
    overwrite: bool = False,
    watch: Watch = Watch(),
) -> TextEmbedder:
    """Write an encoder's vocabulary as static vectors into the folder `to`, and open it.

    model: what `TextEmbedder.open` takes for a transformer, or one that is open. dim: width of a
    vector, at most the encoder's. words: rows are these words, the most frequent first, instead of
    the encoder's pieces; then `to` is a folder of `Vectors`, as a network that starts from words
    wants it. texts: pieces are counted in them; without, the n-th piece is taken to be of rank n
    and frequencies to follow Zipf's law. a: how much frequent pieces lose; infinity is nothing.
    """
    embedder = model if isinstance(model, TextEmbedder) else TextEmbedder.open(model)
    if dim < 1 or not a > 0:
        raise UsageError(f"dim is {dim} and a {a}, expected dim from 1 on and a above 0")
    files.refuse_finished(to, overwrite=overwrite)
    if words is not None:
        if texts is not None:
            raise UsageError("texts are for the encoder's pieces; of words the order says enough")
        _save_words(embedder, list(dict.fromkeys(check_texts(words))), to, dim, a, overwrite, watch)
        return TextEmbedder.open(to)
    backend = embedder.backend
    if not isinstance(backend, ContextualTexts) or backend.source is None:
        raise UsageError(
            "only a transformer has pieces to distil; give words (--words FILE) for another model"
        )
    tokenizer = backend.source.tokenizer
    used = _used_ids(tokenizer)
    before, after = tokenizer.around
    rows = [(*before, int(i), *after) for i in used]
    encoded = _encode(
        len(rows),
        lambda start, stop: backend.embed_tokens(TokenBatch.from_rows(rows[start:stop])),
        watch,
    )
    shares = zipf_shares(len(used))
    if texts is not None:
        counts = _count(tokenizer, check_texts(texts), lowercase=backend.source.lowercase)
        shares = counts[used] / max(counts.sum(), 1)
    table = np.zeros((tokenizer.n_ids, min(dim, embedder.dim)), np.float32)
    table[used] = principal(encoded, dim) * (a / (a + shares))[:, None].astype(np.float32)
    with files.atomic_folder(to, overwrite=overwrite) as temporary:
        write_static(temporary, table, tokenizer, lowercase=backend.source.lowercase)
    return TextEmbedder.open(to)


def principal(rows: Floats, dim: int) -> Floats:
    """Turn rows (n, width) onto their principal axes: (n, min(dim, width)) float32, centred.

    Of each axis the direction counts in which its largest entry is positive, so that two machines
    give the same table.

    >>> principal(np.array([[0.0, 0.0], [0.0, 2.0]], np.float32), 1).tolist()
    [[-1.0], [1.0]]
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dim]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    return np.asarray(centred @ axes, np.float32)


def zipf_shares(n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Give the share of each of n ranks by Zipf's law, the first rank counting as the second.

    >>> zipf_shares(2).round(2).tolist()
    [0.6, 0.4]
    """
    inverse = 1.0 / np.arange(2, n + 2)
    return np.asarray(inverse / inverse.sum())


def _save_words(
    embedder: TextEmbedder,
    words: list[str],
    to: str | Path,
    dim: int,
    a: float,
    overwrite: bool,
    watch: Watch,
) -> None:
    if not words:
        raise UsageError("no words given")
    encoded = _encode(
        len(words), lambda start, stop: embedder.embed(words[start:stop]).vectors, watch
    )
    scale = (a / (a + zipf_shares(len(words)))).astype(np.float32)
    table = principal(encoded, dim) * scale[:, None]
    Vectors(words, table, source="distilled").save(to, overwrite=overwrite)


def _encode(n_rows: int, encode: Callable[[int, int], Floats], watch: Watch) -> Floats:
    """Give what `encode` makes of rows from one to another, part by part."""
    parts = []
    for start in range(0, n_rows, _ROWS):
        stop = min(start + _ROWS, n_rows)
        parts.append(encode(start, stop))
        watch.progress(Progress("encoding", done=stop, total=n_rows))
    return np.concatenate(parts)


def _used_ids(tokenizer: Tokenizer) -> Int64:
    """Give the ids that a text can have, rising: not the special ones, and no [unused7]."""
    special = tokenizer.special_ids
    ids = [
        i
        for piece, i in tokenizer.vocabulary.items()
        if i not in special and not (piece.startswith("[unused") and piece.endswith("]"))
    ]
    if not ids:
        raise UsageError("the tokenizer has no pieces beside its special tokens; give words")
    return np.array(sorted(ids), np.int64)


def _count(tokenizer: Tokenizer, texts: list[str], *, lowercase: bool) -> Int64:
    counts = np.zeros(max(tokenizer.vocabulary.values()) + 1, np.int64)
    for block in cut_rows(texts, n_rows=BLOCK_ROWS, n_characters=BLOCK_CHARACTERS):
        cased = [text.lower() for text in block] if lowercase else block
        counts += np.bincount(tokenizer.encode(cased).ids, minlength=len(counts))
    return counts
