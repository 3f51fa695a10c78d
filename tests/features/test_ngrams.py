"""Hashed n-grams of many rows at once agree with fastText's loop over one row, also when only
some buckets are kept.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.features.test_templates import naive_ids
from textkit import tokenizers
from textkit.errors import UsageError
from textkit.features import ngrams
from textkit.features.ngrams import HashedNgrams, hash_bytes, hash_words
from textkit.vectors.words import ByteWords

WORDS = ["low", "lower", "naïve", "🙂", "हिन्दी", "<b>", "x" * 90, "é" * 40, "a", "don't"]


def random_texts(n_texts: int, *, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randrange(12))) for _ in range(n_texts)]


def make_source(**options: int) -> HashedNgrams:
    return HashedNgrams(
        tokenizers.create("whitespace", vocabulary=["low", "naïve", "x" * 90]), **options
    )


@pytest.mark.parametrize(
    ("minn", "maxn", "word_ngrams"),
    [(3, 6, 1), (0, 0, 1), (0, 0, 2), (0, 0, 5), (1, 3, 4), (2, 2, 2)],
)
@pytest.mark.parametrize("buckets", [1, 97, 2_000_000])
def test_many_rows_match_the_plain_loop(
    minn: int, maxn: int, word_ngrams: int, buckets: int
) -> None:
    source = make_source(minn=minn, maxn=maxn, word_ngrams=word_ngrams, buckets=buckets)
    texts = ["", *random_texts(40, seed=word_ngrams), "", "low"]
    expected = [naive_ids(source, text) for text in texts]
    assert [row.tolist() for row in source.encode(texts)] == expected
    # Known words and new ones in one batch, after the table of words has been filled.
    assert [row.tolist() for row in source.encode([*texts, "brand new low"])][:-1] == expected
    assert len(source.encode([])) == 0
    assert source.encode(["", ""]).lengths.tolist() == [0, 0]


def test_a_full_table_of_words_is_emptied_and_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "_CACHE_WORDS", 3)
    monkeypatch.setattr(ngrams, "_HASHED_WORDS", 2)
    source = make_source(minn=2, maxn=4, word_ngrams=3)
    for seed in range(4):
        texts = random_texts(10, seed=seed)
        assert [row.tolist() for row in source.encode(texts)] == [
            naive_ids(source, text) for text in texts
        ]


def test_many_words_are_hashed_as_one() -> None:
    words = [*WORDS, "", "y" * 64, "y" * 65]
    assert hash_words(ByteWords.of(words)).tolist() == [hash_bytes(word.encode()) for word in words]
    assert hash_words(ByteWords.of([])).tolist() == []


def test_words_are_hashed_as_the_tokenizer_normalises_them() -> None:
    words = tokenizers.train("word", ["the cat sat"], lowercase=True)
    source = HashedNgrams(words, minn=3, maxn=4, word_ngrams=2)
    upper, lower = source.encode(["The CAT sat", "the cat sat"])
    assert upper.tolist() == lower.tolist()
    assert set(words.encode(["the cat sat"]).ids.tolist()) <= set(lower.tolist())


def test_keep_numbers_the_buckets_in_use_and_leaves_the_others_out() -> None:
    source = make_source(minn=2, maxn=3, word_ngrams=2, buckets=5000)
    texts, first = random_texts(30, seed=1), len(source.words.vocabulary)
    batch = source.encode(texts)
    for least in (1, 5):
        kept, renumbered = source.keep(batch, min_frequency=least)
        counts = np.bincount(batch.ids, minlength=source.n_ids)
        used = [i for i in range(first, source.n_ids) if counts[i] >= least]
        assert kept.kept is not None and (kept.kept + first).tolist() == used
        assert kept.n_ids == first + len(used)
        table = {i: i for i in range(first)} | {i: first + place for place, i in enumerate(used)}
        unseen = "unseen words about lower"
        for text, row in zip([*texts, unseen, ""], kept.encode([*texts, unseen, ""]), strict=True):
            assert row.tolist() == [table[i] for i in naive_ids(source, text) if i in table]
        assert [row.tolist() for row in renumbered] == [row.tolist() for row in kept.encode(texts)]
        again = make_source(minn=2, maxn=3, word_ngrams=2, buckets=5000)
        loaded = HashedNgrams(
            again.words, minn=2, maxn=3, word_ngrams=2, buckets=5000, kept=kept.kept
        )
        assert loaded.encode(texts).ids.tolist() == renumbered.ids.tolist()


def test_kept_buckets_that_cannot_be_are_refused() -> None:
    source, _ = make_source(buckets=10).keep(make_source(buckets=10).encode(["low"]))
    with pytest.raises(UsageError, match="chosen already"):
        source.keep(source.encode(["low"]))
    for kept in ([3, 2], [2, 2], [-1, 2], [3, 10]):
        with pytest.raises(UsageError, match="must ascend from 0 to less than buckets = 10"):
            HashedNgrams(source.words, buckets=10, kept=np.array(kept, dtype=np.int32))
