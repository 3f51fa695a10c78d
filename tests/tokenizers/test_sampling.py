"""Pieces drawn by chance: they spell the same words, by the seed alone, with the probabilities that
the model gives.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import tokenizers as hf
from tokenizers import models, pre_tokenizers

from tests.tokenizers.test_contract import make
from textkit import tokenizers
from textkit.errors import UsageError
from textkit.tokenizers.cuts import BpeDropout, UnigramCuts

TEXTS = [
    "Vanity and pride are different things, though.",
    "",
    "words used synonymously \U0001f642 <pad> [PAD] हिन्दी",
    "   ",
]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("bpe", {"dropout": 0.3}),
        ("bpe-char", {}),
        ("unigram", {}),
        ("unigram", {"nbest": 8}),
        ("wordpiece", {"dropout": 0.5}),
    ],
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
    [
        ("bpe", {"dropout": 0.0}),
        ("bpe-char", {"dropout": 0.0}),
        ("unigram", {"nbest": 1}),
        ("wordpiece", {"dropout": 0.0}),
    ],
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
        counted = Counter(tuple(cut([word], random)) for _ in range(n))
        assert counted.keys() <= expected.keys()
        for pieces, weight in expected.items():
            chance = weight / sum(expected.values())
            # 5 standard deviations: fails by chance once in a million.
            assert abs(counted[pieces] / n - chance) < 5 * math.sqrt(chance * (1 - chance) / n)


def test_dropout_leaves_a_merge_out_that_often() -> None:
    cut, random, n = BpeDropout([("a", "b")], 0.3), np.random.default_rng(0), 5_000
    n_whole = sum(cut(["ab"], random) == ["ab"] for _ in range(n))
    assert abs(n_whole / n - 0.7) < 5 * math.sqrt(0.21 / n)


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(UsageError, match="a WordLevel tokenizer cuts a word in one way"):
        make("word").sample(["a"], seed=0)
    with pytest.raises(UsageError, match="WordPiece takes dropout"):
        make("wordpiece").sample(["a"], seed=0, alpha=0.1)
    with pytest.raises(UsageError, match="BPE takes dropout"):
        make("bpe").sample(["a"], seed=0, alpha=0.1)
    with pytest.raises(UsageError, match="unigram takes alpha"):
        make("unigram").sample(["a"], seed=0, dropout=0.1)
    with pytest.raises(UsageError, match="dropout is 2, expected 0 to 1"):
        make("bpe").sample(["a"], seed=0, dropout=2)
    with pytest.raises(UsageError, match="nbest is 0"):
        make("unigram").sample(["a"], seed=0, nbest=0)


def test_wordpiece_drops_matches_that_often_and_keeps_the_shortest() -> None:
    pieces = ["[UNK]", "a", "##b", "##c", "ab", "abc", "##bc"]
    tokenizer = tokenizers.create("wordpiece", vocabulary=pieces)
    assert tokenizer.tokens(tokenizer.sample(["abc"], seed=0, dropout=1.0)[0].tolist()) == [
        "a",
        "##b",
        "##c",
    ]
    n = 4_000
    drawn = Counter(
        tuple(row.tolist()) for row in tokenizer.sample(["abc"] * n, seed=0, dropout=0.3)
    )
    expected = {
        ("abc",): 0.7,
        ("ab", "##c"): 0.21,
        ("a", "##bc"): 0.063,
        ("a", "##b", "##c"): 0.027,
    }
    for names, chance in expected.items():
        count = drawn[tuple(tokenizer.vocabulary[name] for name in names)]
        assert abs(count / n - chance) < 5 * math.sqrt(chance * (1 - chance) / n)
    # A way that leads nowhere: "##c" is no piece behind "ab".
    stuck = tokenizers.create("wordpiece", vocabulary=["[UNK]", "a", "abc", "ab"])
    assert set(stuck.sample(["abc"] * 50, seed=0, dropout=0.5).ids.tolist()) == {2}
    assert stuck.sample(["zz"], seed=0).ids.tolist() == [0]


@pytest.mark.parametrize(("prefix", "suffix"), [("##", ""), ("", "</w>"), ("##", "</w>")])
def test_pieces_that_mark_the_ends_of_words_are_sampled(prefix: str, suffix: str) -> None:
    """As tokenizers does with the dropout of its model."""
    merges = [
        ("l", f"{prefix}o"),
        ("lo", f"{prefix}w{suffix}"),
        (f"{prefix}e", f"{prefix}r{suffix}"),
    ]
    symbols = [*(mark + c + end for c in "lower" for mark in ("", prefix) for end in ("", suffix))]
    made = [a + b.removeprefix(prefix) for a, b in merges]
    vocabulary = {name: i for i, name in enumerate(dict.fromkeys([*symbols, *made]))}
    marks = {"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}
    model = models.BPE(vocabulary, merges, **{role: mark for role, mark in marks.items() if mark})
    backend = hf.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ours = tokenizers.PipelineTokenizer(backend, kind="bpe")
    assert ours.sample(["low lower"], seed=0, dropout=0.0).ids.tolist() == (
        ours.encode(["low lower"]).ids.tolist()
    )
    n, theirs = 2_000, hf.Tokenizer.from_str(backend.to_str())
    theirs.model.dropout = 0.3
    mine = Counter(tuple(row.tolist()) for row in ours.sample(["lower"] * n, seed=0, dropout=0.3))
    other = Counter(tuple(theirs.encode("lower").ids) for _ in range(n))
    for ids in {*mine, *other}:
        share = (mine[ids] + other[ids]) / 2 / n
        assert abs(mine[ids] - other[ids]) / n <= 6 * math.sqrt(2 * share * (1 - share) / n)


def test_what_stands_round_bytes_and_unknown_characters_is_drawn() -> None:
    tokenizer = make("bpe-char")
    drawn = {
        tuple(row.tolist()) for row in tokenizer.sample(["pride☃pride"] * 30, seed=0, dropout=0.5)
    }
    assert len(drawn) > 5


def test_a_long_text_of_one_word_is_drawn_in_time() -> None:
    """Merges found by looking through all pairs again would not end within this test's life."""
    cut = BpeDropout([("a", "a"), ("aa", "aa")], 0.5)
    assert "".join(cut(["a" * 20_000], np.random.default_rng(0))) == "a" * 20_000


def test_added_tokens_stay_whole() -> None:
    tokenizer = make("bpe").add_tokens(["<br>"])
    batch = tokenizer.sample(["a<br>b"], seed=0, dropout=1.0)
    assert tokenizers.PipelineTokenizer.tokens(tokenizer, batch[0].tolist()) == ["a", "<br>", "b"]
