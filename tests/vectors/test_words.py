from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit.errors import UsageError
from textkit.vectors import words as words_module
from textkit.vectors.words import ByteWords, WordIndex

# Words around the length at which another hash takes over, empty, long and of every script.
SOME_WORDS = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["x" * n for n in range(62, 68)])), max_size=40
)


@given(SOME_WORDS, SOME_WORDS)
def test_index_finds_what_a_dict_finds(words: list[str], asked: list[str]) -> None:
    words = list(dict.fromkeys(words))
    index = WordIndex.build(ByteWords.of(words))
    oracle = {word: i for i, word in enumerate(words)}
    assert index.find(words + asked).tolist() == [oracle.get(word, -1) for word in words + asked]
    assert [index.find_one(word) for word in words + asked] == [
        oracle.get(word, -1) for word in words + asked
    ]
    assert list(index) == words


@given(SOME_WORDS)
def test_first_of_equal_words_counts(words: list[str]) -> None:
    index, kept = WordIndex.build_kept(ByteWords.of(words))
    assert list(index) == list(dict.fromkeys(words))
    assert [words[i] for i in kept] == list(index)


def test_equal_words_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="word 2 is there twice: 'a'"):
        WordIndex.build(ByteWords.of(["a", "b", "a"]))


def test_words_that_share_a_hash_get_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ByteWords.hashes

    def colliding(self: ByteWords, seed: int) -> words_module.Uint64:
        return np.zeros(len(self), np.uint64) if seed < 3 else real(self, seed)

    monkeypatch.setattr(ByteWords, "hashes", colliding)
    index = WordIndex.build(ByteWords.of(["a", "b", "c"]))
    assert index.seed == 3
    assert index.find(["c", "d", "a"]).tolist() == [2, -1, 0]


def test_an_equal_hash_is_not_yet_an_equal_word() -> None:
    index = WordIndex.build(ByteWords.of(["ab"]))
    index.hashes = ByteWords.of(["cd"]).hashes(index.seed)
    assert index.find(["cd"]).tolist() == [-1]
    assert index.find_one("cd") == -1


def test_one_str_is_no_list_of_words() -> None:
    with pytest.raises(UsageError, match="found one str"):
        WordIndex.build(ByteWords.of(["a"])).find("a")
