"""Options of a training: those of tokenizers' trainers, the same from texts and from counts."""

from __future__ import annotations

from typing import Any

import pytest
import tokenizers as hf
from tokenizers import models, pre_tokenizers, trainers

from textkit import tokenizers
from textkit.errors import UsageError

TEXTS = ["low lower lowest lowest <sep> newer wider", "the low the new \U0001f642 é"] * 4
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("bpe", {"special_tokens": ["<sep>", "<cls>"], "size": 290}),
    ("bpe", {"max_token_length": 3, "size": 290}),
    ("bpe-char", {"special_tokens": ["<sep>"], "size": 40}),
    ("bpe-char", {"initial_alphabet": ["Q", "ß"], "size": 60}),
    ("bpe-char", {"limit_alphabet": 6, "size": 40}),
    ("bpe-char", {"max_token_length": 3, "size": 60}),
]


@pytest.mark.parametrize(("kind", "options"), OPTIONS)
def test_counts_learn_what_texts_learn(kind: str, options: dict[str, Any]) -> None:
    made = tokenizers.train(kind, TEXTS, **options)
    counted = tokenizers.train(kind, TEXTS, memory_bytes=1 << 20, **options)
    assert made.fingerprint == counted.fingerprint
    for number, token in enumerate(options.get("special_tokens", ())):
        assert made.vocabulary[token] == (1 if kind == "bpe" else 2) + number
        assert made.vocabulary[token] in made.special_ids
        assert made.vocabulary[token] not in made.encode([f"a {token} b"]).ids
        assert made.vocabulary[token] in made.encode([token], allow_special=True).ids
    if "max_token_length" in options:
        plain = {made.tokens([i])[0] for i in made.vocabulary.values() if i not in made.special_ids}
        assert 1 < max(map(len, plain)) <= 3
    assert set(options.get("initial_alphabet", ())) <= made.vocabulary.keys()
    if "limit_alphabet" in options:
        assert sum(len(name) == 1 for name in made.vocabulary) == 6


def test_bytes_learn_what_the_trainer_of_tokenizers_learns() -> None:
    peer = hf.Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=290,
        min_frequency=2,
        special_tokens=["[PAD]", "<sep>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=4,
        show_progress=False,
    )
    peer.train_from_iterator(TEXTS, trainer)
    made = tokenizers.train("bpe", TEXTS, size=290, special_tokens=["<sep>"], max_token_length=4)
    assert made.vocabulary == peer.get_vocab()


def test_special_tokens_count_in_the_size() -> None:
    with pytest.raises(UsageError, match="size"):
        tokenizers.train("bpe", TEXTS, size=257, special_tokens=["<sep>"])
