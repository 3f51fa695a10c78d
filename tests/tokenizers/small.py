"""Small tokenizers of every kind, and texts of known and new words: for threads and campaigns."""

from __future__ import annotations

from typing import Any

import numpy as np

WORDS = [
    *["pride", "vanity", "naïve", "ÜNDER", "हिन्दी", "漢字", "don't", "e-mail", "3.14", "[PAD]"],
    *["🙂", "x\u0301", "\u200d", "<s>", "_a_", "##ing"],
]
TRAINING = ["Vanity and pride are different things, 3.14 naïve ÜNDER हिन्दी 漢字 🙂"] * 4
# What `tokenizers.train(kind, texts, **OPTIONS.get(kind, {}))` needs for few texts.
OPTIONS: dict[str, dict[str, Any]] = {
    "bpe": {"size": 300},
    "bpe-char": {"size": 120},
    "regex": {"pattern": r"[^\W_]+|\S"},
    "unigram": {"size": 60},
    "wordpiece": {"size": 120},
}


def draw_texts(rng: np.random.Generator, n: int, *, n_new: int) -> list[str]:
    """Draw texts of WORDS, and as often of `n_new` words that are in none of them."""
    return [
        " ".join(
            WORDS[i] if i < len(WORDS) else f"w{rng.integers(0, n_new)}"
            for i in rng.integers(0, 2 * len(WORDS), rng.integers(0, 12))
        )
        for _ in range(n)
    ]
