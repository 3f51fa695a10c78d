from __future__ import annotations

import json

import numpy as np
import pytest

from textkit import Vectors, tokenizers
from textkit.errors import UsageError

WORDS = ["the", "king", "queen", "reigns"]
VECTORS = Vectors(WORDS, np.eye(4, dtype=np.float32))


def test_shares_and_missing_words_are_counted_by_hand() -> None:
    tok = tokenizers.create("word", vocabulary=["king", "dragon", "Queen", "wizard", "unused"])
    batch = tok.encode(["king king king Queen", "wizard wizard dragon", "unheard"])
    counts = np.bincount(batch.ids, minlength=len(tok.vocabulary))
    found = VECTORS.coverage(tok, counts=counts)
    assert (found.n_words, found.n_covered, found.n_folded) == (5, 1, 1)
    assert (found.n_occurrences, found.n_covered_occurrences) == (
        7,
        3,
    )  # [UNK] is no word of the vocabulary
    assert found.missing == (("wizard", 2), ("dragon", 1), ("Queen", 1))
    assert str(found).splitlines() == [
        "1 of 5 words have vectors (20.0%), 42.9% of 7 occurrences; 1 more in lower case",
        "missing: wizard (2), dragon (1), Queen (1)",
    ]
    assert json.loads(json.dumps(found.to_dict()))["missing"][0] == {"word": "wizard", "count": 2}


def test_without_counts_the_missing_stand_in_the_vocabularys_order() -> None:
    words = [f"w{i}" for i in range(30)]
    found = VECTORS.coverage(tokenizers.create("word", vocabulary=[*words, "king"]))
    assert found.missing == tuple((f"w{i}", None) for i in range(20))
    assert found.occurrence_share is None
    assert found.share == 1 / 31


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_pieces_that_begin_a_word_are_that_word(kind: str) -> None:
    tok = tokenizers.train(kind, ["say the king and the queen reigns"] * 50, size=300)
    found = VECTORS.coverage(tok)
    pieces = [tok.decode([i]).strip() for i in tok.vocabulary.values()]
    assert found.n_covered == sum(piece in WORDS for piece in pieces) > 0


def test_special_tokens_are_no_words() -> None:
    tok = tokenizers.train("wordpiece", ["the king reigns"] * 9, size=60)
    names = {name for name, _ in VECTORS.coverage(tok).missing}
    assert not {name for name in names if name.startswith("[")}


def test_counts_of_another_vocabulary_are_refused() -> None:
    tok = tokenizers.create("word", vocabulary=["king"])
    with pytest.raises(UsageError, match="expected one whole number for each of 3 ids"):
        VECTORS.coverage(tok, counts=np.zeros(2, np.int64))
    with pytest.raises(UsageError, match="counts are float64"):
        VECTORS.coverage(tok, counts=np.zeros(3))


def test_an_empty_vocabulary_is_covered_by_nothing() -> None:
    found = VECTORS.coverage(tokenizers.create("word", vocabulary=[]))
    assert (found.n_words, found.share, found.missing) == (0, 0.0, ())
