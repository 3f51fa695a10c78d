"""The embedding layer from vectors: every id gets what the docstring says, and the coverage is
kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from textkit import Vectors, tokenizers
from textkit.errors import UsageError
from textkit.nn.embedding import Embedding
from textkit.vectors.fasttext import Ngrams

WORDS = ["king", "kings", "queen", "reign", "reigning", "the"]
TABLE = np.random.default_rng(0).standard_normal((6, 4), np.float32)


def make_vectors(**options: Any) -> Vectors:
    return Vectors(WORDS, TABLE, **options)


def vector_of(layer: Embedding, tokenizer: Any, name: str) -> np.ndarray:
    return layer.table.weight[tokenizer.vocabulary[name]].detach().numpy()


def test_words_take_their_vectors_or_those_of_their_lower_case() -> None:
    tok = tokenizers.create("word", vocabulary=["Queen", "king", "tree"])
    layer = Embedding.from_vectors(make_vectors(), tok, missing="zero", dropout=0.3)
    assert np.array_equal(vector_of(layer, tok, "king"), TABLE[0])
    assert np.array_equal(vector_of(layer, tok, "Queen"), TABLE[2])
    assert not vector_of(layer, tok, "tree").any() and not vector_of(layer, tok, "[PAD]").any()
    assert layer.dropout.p == 0.3 and layer.table.weight.requires_grad


def test_missing_words_get_what_was_asked_for() -> None:
    tok = tokenizers.create("word", vocabulary=["king", "tree", "bush"])
    mean = Embedding.from_vectors(make_vectors(), tok, missing="mean")
    np.testing.assert_allclose(vector_of(mean, tok, "tree"), TABLE.mean(axis=0), atol=1e-6)
    first, again, other = (
        Embedding.from_vectors(make_vectors(), tok, missing="random", seed=s) for s in (1, 1, 2)
    )
    assert torch.equal(first.table.weight, again.table.weight)
    assert not np.array_equal(vector_of(first, tok, "tree"), vector_of(other, tok, "tree"))
    assert not np.array_equal(vector_of(first, tok, "tree"), vector_of(first, tok, "bush"))
    ngrams = Ngrams(np.random.default_rng(1).standard_normal((50, 4)).astype(np.float32), 3, 4)
    made = make_vectors(ngrams=ngrams)
    layer = Embedding.from_vectors(made, tok, missing="ngram")
    assert np.array_equal(vector_of(layer, tok, "tree"), ngrams.embed(["tree"])[0])
    np.testing.assert_allclose(vector_of(layer, tok, "[UNK]"), TABLE.mean(axis=0), atol=1e-6)


def test_the_coverage_is_kept_with_its_most_frequent_missing_words() -> None:
    tok = tokenizers.create("word", vocabulary=["king", "tree", "bush"])
    counts = np.bincount(tok.encode(["king bush bush tree"]).ids, minlength=len(tok.vocabulary))
    layer = Embedding(n_tokens=5, dim=4)
    assert layer.coverage is None
    coverage = layer.load_vectors(make_vectors(), tok, counts=counts)
    assert layer.coverage is coverage
    assert (coverage.share, coverage.occurrence_share) == (1 / 3, 1 / 4)
    assert coverage.missing == (("bush", 2), ("tree", 1))


def test_frozen_vectors_are_not_trained_and_dropout_stays() -> None:
    tok = tokenizers.create("word", vocabulary=["king"])
    layer = Embedding.from_vectors(make_vectors(), tok, freeze=True)
    assert not layer.table.weight.requires_grad
    assert "table.weight" in layer.state_dict()


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "bpe-char"])
def test_subword_pieces_take_words_or_the_mean_of_the_words_they_are_in(kind: str) -> None:
    texts = ["the king and the kings reign", "the queen is reigning", "reigning kings"] * 5
    tok = tokenizers.train(kind, texts, size=300 if kind == "bpe" else 32)
    layer = Embedding.from_vectors(make_vectors(), tok, missing="zero")
    written = [tok.encode([f" {word}"]).ids.tolist() for word in WORDS]
    checked = 0
    for name, id_ in tok.vocabulary.items():
        text = name.removeprefix("##") if kind == "wordpiece" else tok.decode([id_]).strip()
        row = layer.table.weight[id_].detach().numpy()
        if text in WORDS and not name.startswith("##"):
            assert np.array_equal(row, TABLE[WORDS.index(text)])
            checked += 1
        elif any(id_ in ids for ids in written):
            parts = [TABLE[i] for i, ids in enumerate(written) for found in ids if found == id_]
            np.testing.assert_allclose(row, np.mean(parts, axis=0), atol=1e-6)
            checked += 1
        else:
            assert not row.any(), name
    assert checked > 8


def test_ids_beyond_the_vocabulary_stay_as_they_are() -> None:
    tok = tokenizers.create("word", vocabulary=["king"])
    layer = Embedding(n_tokens=8, dim=4)
    before = layer.table.weight.detach().clone()
    layer.load_vectors(make_vectors(), tok)
    assert torch.equal(layer.table.weight[3:], before[3:]) and not torch.equal(
        layer.table.weight[2], before[2]
    )


def test_what_does_not_fit_is_refused() -> None:
    tok = tokenizers.create("word", vocabulary=["king"])
    with pytest.raises(
        UsageError, match=r"vectors have 4 columns but embedding\.dim = 5; set embedding\.dim = 4"
    ):
        Embedding(n_tokens=3, dim=5).load_vectors(make_vectors(), tok)
    with pytest.raises(UsageError, match="the tokenizer has 3 ids, the table 2 rows"):
        Embedding(n_tokens=2, dim=4).load_vectors(make_vectors(), tok)
    with pytest.raises(
        UsageError, match="unknown policy for missing words 'radnom'; did you mean 'random'"
    ):
        Embedding(n_tokens=3, dim=4).load_vectors(make_vectors(), tok, missing="radnom")
    with pytest.raises(UsageError, match="these vectors have no n-grams"):
        Embedding(n_tokens=3, dim=4).load_vectors(make_vectors(), tok, missing="ngram")
