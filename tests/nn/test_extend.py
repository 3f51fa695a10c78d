"""Words that training never saw and the vectors know: they join the vocabulary, and their rows
stay as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textkit import TextClassifier, Vectors, tokenizers
from textkit.errors import UsageError
from textkit.nn.embedding import Embedding

GOOD, BAD = (
    ["good", "great", "fine", "superb", "lovely"],
    ["bad", "awful", "poor", "dreadful", "nasty"],
)
SEEN = 3
TEXTS = [f"a {word} film" for word in GOOD[:SEEN] + BAD[:SEEN]] * 6
LABELS = (["good"] * SEEN + ["bad"] * SEEN) * 6
UNSEEN = [f"a {word} film" for word in GOOD[SEEN:] + BAD[SEEN:]]


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    """Vectors in which words of one opinion are near each other."""
    rng = np.random.default_rng(0)
    words = [*GOOD, *BAD, "film", "Superb", "and so"]
    rows = rng.normal(0, 0.1, (len(words), 8)).astype(np.float32)
    rows[: len(GOOD), 0] += 1
    rows[len(GOOD) : len(GOOD) + len(BAD), 0] -= 1
    Vectors(words, rows).save(tmp_path / "vectors")
    return str(tmp_path / "vectors")


def options(vectors: str, **more: Any) -> dict[str, Any]:
    return {
        "embedding__vectors": vectors,
        "embedding__dim": 8,
        "embedding__freeze": True,
        "embedding__dropout": 0.1,
        "encoder": "bag",
        "training__epochs": 12,
        "training__threads": 1,
        **more,
    }


@pytest.mark.slow
def test_unseen_words_are_judged_by_their_vectors_and_the_model_keeps_them(
    vectors: str, tmp_path: Path
) -> None:
    without = TextClassifier(**options(vectors)).fit(TEXTS, LABELS)
    assert len(set(map(tuple, without.predict_proba(UNSEEN).round(6)))) == 1  # [UNK] is [UNK]
    model = TextClassifier(**options(vectors, embedding__extend=100)).fit(TEXTS, LABELS)
    expected = ["good"] * (len(GOOD) - SEEN) + ["bad"] * (len(BAD) - SEEN)
    assert model.predict(UNSEEN).tolist() == expected
    assert model.input_.n_fixed == len(
        UNSEEN
    )  # "Superb" folds to a word that is there, "and so" is no token
    known = Vectors.open(vectors)
    for word in (GOOD[-1], BAD[-1]):
        id_ = model.tokenizer_.vocabulary[word]
        row = model.network_.embedding(torch.tensor([[id_]]), torch.tensor([[True]]))[0, 0]
        assert np.array_equal(row.detach().numpy(), known[word])
    assert not any("fixed" in name for name, _ in model.network_.named_parameters())
    model.save(tmp_path / "model")
    again = TextClassifier.load(tmp_path / "model")
    assert np.array_equal(
        again.predict_logits(UNSEEN + TEXTS), model.predict_logits(UNSEEN + TEXTS)
    )
    further = TextClassifier(**options(vectors, embedding__extend=100)).fit(
        UNSEEN * 4, expected * 4, init_from=again
    )
    assert further.input_.n_fixed == len(UNSEEN)


def test_a_file_is_trained_on_with_the_same_words(vectors: str) -> None:
    lines = [f"{text},{label}" for text, label in zip(TEXTS, LABELS, strict=True)]
    Path("train.csv").write_text("text,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    model = TextClassifier(**options(vectors, embedding__extend=100)).fit_file("train.csv")
    assert model.input_.n_fixed == len(UNSEEN)


def test_only_lists_of_words_take_more_words(vectors: str) -> None:
    with pytest.raises(UsageError, match="a 'bpe' tokenizer is no list of words"):
        TextClassifier(
            **options(vectors, tokenizer={"name": "bpe", "size": 300}, embedding__extend=9)
        ).fit(TEXTS, LABELS)
    with pytest.raises(UsageError, match=r"embedding\.extend and ngrams exclude each other"):
        TextClassifier(**options(vectors, ngrams={"word_ngrams": 2}, embedding__extend=9)).fit(
            TEXTS, LABELS
        )


def test_added_words_get_ids_behind_the_others_and_none_twice() -> None:
    words = tokenizers.create("whitespace", vocabulary=["b", "a"], lowercase=True)
    more = words.extend(["A", "C", "c", "", "d e", "f"])
    assert more.vocabulary == {"[PAD]": 0, "[UNK]": 1, "b": 2, "a": 3, "c": 4, "f": 5}
    assert more.encode(["F c a x"])[0].tolist() == [5, 4, 3, 1]
    assert words.extend([]).vocabulary == words.vocabulary


def test_fixed_rows_stand_behind_the_trained_ones() -> None:
    layer = Embedding(n_tokens=5, n_fixed=2, dim=3)
    layer.fixed[:] = torch.arange(6.0).reshape(2, 3)
    ids, mask = (
        torch.tensor([[1, 4, 3], [2, 0, 0]]),
        torch.tensor([[True, True, True], [True, False, False]]),
    )
    states = layer(ids, mask)
    assert torch.equal(states[0, 1:], torch.tensor([[3.0, 4, 5], [0, 1, 2]]))
    assert torch.equal(states[0, 0], layer.table.weight[1]) and not states[1, 1:].any()
    states.sum().backward()
    assert layer.table.weight.grad is not None and layer.table.weight.grad[1].eq(1).all()
