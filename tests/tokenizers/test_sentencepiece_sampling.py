"""Pieces of .model files drawn by chance are those that sentencepiece draws: without chance the
ids of its `encode`, with chance as often.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest

from tests.tokenizers.test_sentencepiece_files import LINES, OTHERS, both, load, train
from textkit import tokenizers
from textkit.errors import UsageError
from textkit.tokenizers.sentencepiece_tokens import SentencePieceTokenizer

MODELS = [
    ("bpe", "nmt_nfkc"),
    ("bpe", "nmt_nfkc, bytes"),
    ("bpe", "spaces behind"),
    ("bpe", "symbols with capitals, folded"),
    ("unigram", "nmt_nfkc"),
    ("unigram", "nmt_nfkc, bytes"),
    ("unigram", "spaces behind"),
    ("unigram", "across spaces"),
    ("unigram", "symbols with capitals, folded"),
]


def of_package(kind: str, name: str) -> tuple[Any, SentencePieceTokenizer]:
    theirs, ours = both(kind, name)
    assert isinstance(ours, SentencePieceTokenizer)
    return theirs, ours


@pytest.mark.parametrize(("kind", "name"), MODELS)
def test_without_chance_they_are_what_encode_gives(kind: str, name: str) -> None:
    theirs, ours = of_package(kind, name)
    letters = random.Random(0)
    texts = [*OTHERS, *LINES[:20], "", "  "]
    texts += ["".join(letters.choices("abelnorw 語🙂", k=20)) for _ in range(40)]
    # A power so high leaves the likeliest alone.
    options: dict[str, float] = {"dropout": 0.0} if kind == "bpe" else {"alpha": 500.0}
    drawn = ours.sample(texts, seed=0, **options)
    for text, wanted, found in zip(texts, theirs.encode(texts), drawn, strict=True):
        assert wanted == found.tolist(), (ascii(text), theirs.id_to_piece(wanted))
    if kind == "unigram":
        assert ours.sample(texts, seed=0, nbest=1).ids.tolist() == ours.encode(texts).ids.tolist()


@pytest.mark.parametrize(("kind", "name"), MODELS)
@pytest.mark.parametrize("nbest", [None, 3])
def test_they_come_as_often_as_from_sentencepiece(kind: str, name: str, nbest: int | None) -> None:
    theirs, ours = of_package(kind, name)
    if kind == "bpe" and nbest is not None:
        return
    chance, n = 0.4, 2_000
    options: dict[str, Any] = {"dropout": chance} if kind == "bpe" else {"alpha": chance}
    if nbest is not None:
        options["nbest"] = nbest
    for text in ("lower ☃☃", "the QQ newest"):
        mine = Counter(tuple(row.tolist()) for row in ours.sample([text] * n, seed=1, **options))
        sampled: dict[str, Any] = {"alpha": chance, "nbest_size": -1 if nbest is None else nbest}
        other = Counter(
            tuple(theirs.encode(text, enable_sampling=True, **sampled)) for _ in range(n)
        )
        for ids in {*mine, *other}:
            share = (mine[ids] + other[ids]) / 2 / n
            # 6 standard deviations of a difference of two counts.
            assert abs(mine[ids] - other[ids]) / n <= 6 * math.sqrt(2 * share * (1 - share) / n)


@pytest.mark.parametrize(("kind", "name"), [MODELS[0], MODELS[5]])
def test_a_seed_alone_decides(kind: str, name: str) -> None:
    _, ours = of_package(kind, name)
    drawn = [ours.sample([*LINES[:9], *OTHERS], seed=seed) for seed in (1, 1, 2)]
    assert drawn[0].ids.tolist() == drawn[1].ids.tolist() != drawn[2].ids.tolist()
    for row, text in enumerate([*LINES[:9], *OTHERS]):
        if "nfkc, bytes" in name:  # nothing is unknown: every cut is the same text
            assert ours.decode(drawn[2][row]) == ours.decode(ours.encode([text])[0])


def test_unused_pieces_are_taken_apart() -> None:
    data = train(model_type="bpe").replace(b"\x18\x01", b"\x18\x05")
    ours = load(data)
    assert isinstance(ours, SentencePieceTokenizer)
    texts = ["lower newest", *LINES[:5]]
    assert [row.tolist() for row in ours.sample(texts, seed=0, dropout=0.0)] == [
        row.tolist() for row in ours.encode(texts)
    ]


def test_what_a_model_cannot_do_is_refused_by_name() -> None:
    for kind in ("word", "char"):
        with pytest.raises(UsageError, match=f"model of type {kind} cuts a text in one way"):
            both(kind, "nmt_nfkc")[1].sample(["a"], seed=0)
    with pytest.raises(UsageError, match="unigram takes alpha and nbest"):
        both("unigram", "nmt_nfkc")[1].sample(["a"], seed=0, dropout=0.1)
    with pytest.raises(UsageError, match="BPE takes dropout"):
        both("bpe", "nmt_nfkc")[1].sample(["a"], seed=0, nbest=3)
    with pytest.raises(UsageError, match="'spacy' tokenizer cuts a text in one way"):
        tokenizers.Tokenizer.sample(Spacy(), ["a"], seed=0)  # type: ignore[arg-type]


class Spacy:
    kind = "spacy"
