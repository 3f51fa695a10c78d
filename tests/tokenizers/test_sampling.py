"""Pieces drawn by chance: they spell the same words, by the seed alone, with the probabilities that
the model gives.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from tests.tokenizers.test_contract import make
from textkit import tokenizers
from textkit.errors import UsageError
from textkit.tokenizers.sampling import BpeDropout, UnigramCuts

TEXTS = [
    "Vanity and pride are different things, though.",
    "",
    "words used synonymously \U0001f642 <pad> [PAD] हिन्दी",
    "   ",
]


@pytest.mark.parametrize(
    ("kind", "options"),
    [("bpe", {"dropout": 0.3}), ("bpe-char", {}), ("unigram", {}), ("unigram", {"nbest": 8})],
)
def test_samples_spell_the_same_words_by_the_seed_alone(
    kind: str, options: dict[str, float]
) -> None:
    tokenizer = make(kind)
    plain = tokenizer.encode(TEXTS)
    drawn = [tokenizer.sample(TEXTS, seed=seed, **options) for seed in (1, 1, 2)]
    assert drawn[0].ids.tolist() == drawn[1].ids.tolist() != drawn[2].ids.tolist()
    for batch in drawn:
        assert len(batch) == len(TEXTS)
        for row in range(len(TEXTS)):
            assert tokenizer.decode(batch[row]) == tokenizer.decode(plain[row])


@pytest.mark.parametrize(
    ("kind", "options"),
    [("bpe", {"dropout": 0.0}), ("bpe-char", {"dropout": 0.0}), ("unigram", {"nbest": 1})],
)
def test_without_chance_a_sample_is_what_encode_gives(kind: str, options: dict[str, float]) -> None:
    tokenizer = make(kind)
    sample, plain = tokenizer.sample(TEXTS, seed=0, **options), tokenizer.encode(TEXTS)
    assert [row.tolist() for row in sample] == [row.tolist() for row in plain]


def test_every_merge_dropped_leaves_bytes() -> None:
    tokenizer = make("bpe")
    batch = tokenizer.sample(["pride \U0001f642"], seed=0, dropout=1.0)
    assert len(batch[0]) == len("pride \U0001f642".encode())


def test_unigram_draws_by_the_probability() -> None:
    scores = {"a": -1.0, "b": -1.5, "ab": -2.0, "ba": -2.2, "aba": -4.0, "c": -9.0}
    word, alpha, n = "abab", 0.7, 5_000
    ways = {}
    for cuts in itertools.product((False, True), repeat=len(word) - 1):
        edges = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(word)]
        pieces = tuple(word[a:b] for a, b in itertools.pairwise(edges))
        if all(piece in scores for piece in pieces):
            ways[pieces] = math.exp(alpha * sum(scores[piece] for piece in pieces))
    random = np.random.default_rng(0)
    for nbest in (None, 3):
        expected = dict(sorted(ways.items(), key=lambda way: -way[1])[:nbest])
        cut = UnigramCuts(scores, alpha, nbest)
        counted = Counter(tuple(cut(word, random)) for _ in range(n))
        assert counted.keys() <= expected.keys()
        for pieces, weight in expected.items():
            chance = weight / sum(expected.values())
            # 5 standard deviations: fails by chance once in a million.
            assert abs(counted[pieces] / n - chance) < 5 * math.sqrt(chance * (1 - chance) / n)


def test_dropout_leaves_a_merge_out_that_often() -> None:
    cut, random, n = BpeDropout([("a", "b")], 0.3), np.random.default_rng(0), 5_000
    n_whole = sum(cut("ab", random) == ["ab"] for _ in range(n))
    assert abs(n_whole / n - 0.7) < 5 * math.sqrt(0.21 / n)


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(UsageError, match="cuts a word in one way"):
        make("wordpiece").sample(["a"], seed=0)
    with pytest.raises(UsageError, match="BPE takes dropout"):
        make("bpe").sample(["a"], seed=0, alpha=0.1)
    with pytest.raises(UsageError, match="unigram takes alpha"):
        make("unigram").sample(["a"], seed=0, dropout=0.1)
    with pytest.raises(UsageError, match="dropout is 2, expected 0 to 1"):
        make("bpe").sample(["a"], seed=0, dropout=2)
    with pytest.raises(UsageError, match="nbest is 0"):
        make("unigram").sample(["a"], seed=0, nbest=0)


def test_added_tokens_stay_whole() -> None:
    tokenizer = make("bpe").add_tokens(["<br>"])
    batch = tokenizer.sample(["a<br>b"], seed=0, dropout=1.0)
    assert tokenizers.PipelineTokenizer.tokens(tokenizer, batch[0].tolist()) == ["a", "<br>", "b"]
