"""Other ways to cut the same text, drawn by chance, for a network that learns to read them all.

In: the ids that a tokenizer gives, word by word. Out: ids that spell the same words. What draws a
word's pieces, a `Cut`, is in `cuts`; special tokens, added ones, bytes and the unknown token stay
where they are, and what stands between two of them is cut by itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import UsageError
from textkit.tokenizers.changes import merges_of
from textkit.tokenizers.cuts import BpeDropout, Cut, MaxMatchDropout, UnigramCuts
from textkit.tokenizers.description import Description

DROPOUT = ALPHA = 0.1


def check_chances(*, dropout: float | None, alpha: float | None, nbest: int | None) -> None:
    """Refuse numbers that are no chance, no power or no number of segmentations."""
    for name, value, highest in (("dropout", dropout, 1.0), ("alpha", alpha, math.inf)):
        if value is not None and not 0 <= value <= highest:
            raise UsageError(f"{name} is {value}, expected 0 to {highest:g}")
    if nbest is not None and nbest < 1:
        raise UsageError(f"nbest is {nbest}, expected 1 or more")


def refuse_others(
    kind: str, *, dropout: float | None, alpha: float | None, nbest: int | None
) -> None:
    """Refuse the options of the other way of drawing: "BPE" and "WordPiece" take dropout,
    "unigram" the others.
    """
    if kind == "unigram" and dropout is not None:
        raise UsageError("dropout is for BPE and WordPiece; unigram takes alpha and nbest")
    if kind != "unigram" and (alpha is not None or nbest is not None):
        raise UsageError(f"alpha and nbest are for unigram tokenizers; {kind} takes dropout")


def cut_of(
    description: Description, *, dropout: float | None, alpha: float | None, nbest: int | None
) -> Cut:
    """Give what samples for a model; UsageError where it has no such options."""
    model = description["model"]
    check_chances(dropout=dropout, alpha=alpha, nbest=nbest)
    if model["type"] == "Unigram":
        refuse_others("unigram", dropout=dropout, alpha=alpha, nbest=nbest)
        return UnigramCuts(dict(model["vocab"]), ALPHA if alpha is None else alpha, nbest)
    if model["type"] not in ("BPE", "WordPiece"):
        raise UsageError(
            f"a {model['type']} tokenizer cuts a word in one way: it cannot be sampled"
        )
    refuse_others(model["type"], dropout=dropout, alpha=alpha, nbest=nbest)
    chance = DROPOUT if dropout is None else dropout
    prefix = model.get("continuing_subword_prefix") or ""
    if model["type"] == "WordPiece":
        return MaxMatchDropout(model["vocab"], chance, prefix=prefix)
    return BpeDropout(
        merges_of(model), chance, prefix=prefix, suffix=model.get("end_of_word_suffix") or ""
    )


def resample(
    batch: TokenBatch,
    names: Mapping[int, str],
    vocabulary: Mapping[str, int],
    *,
    cut: Cut,
    fixed: frozenset[int],
    random: np.random.Generator,
) -> TokenBatch:
    """Cut the words of a batch anew; ids of `fixed` stay where they are."""
    assert batch.origins is not None and batch.origins.words is not None
    words = batch.origins.words.tolist()
    flat = batch.ids.tolist()
    ids: list[int] = []
    lengths = []
    for begin, end in itertools.pairwise(batch.offsets.tolist()):
        before = len(ids)
        runs = itertools.groupby(range(begin, end), lambda at: (words[at], flat[at] in fixed))
        for (_, stays), places in runs:
            run = [flat[at] for at in places]
            drawn = [] if stays else cut([names[i] for i in run], random)
            known = drawn and all(piece in vocabulary for piece in drawn)
            ids += [vocabulary[piece] for piece in drawn] if known else run
        lengths.append(len(ids) - before)
    return drawn_batch(ids, lengths, n_replaced=batch.n_replaced, pad_id=batch.pad_id)


def drawn_batch(
    ids: list[int], lengths: list[int], *, n_replaced: int, pad_id: int | None
) -> TokenBatch:
    """Make a batch of what was drawn, which has no spans."""
    return TokenBatch(
        np.array(ids, dtype=np.int32),
        offsets_of(np.array(lengths, dtype=np.int64)),
        None,
        np.zeros(len(lengths), dtype=np.int32),
        n_replaced=n_replaced,
        pad_id=pad_id,
    )
