"""Where the fast engine's Unicode tables differ from the reference's, the reference encodes the
row.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import tokenizers as hf

from textkit import tokenizers
from textkit.tokenizers.engines.differences import DIFFERENCES

TRAINING = [
    "Vanity and pride are different things, 3.14 naïve ÜNDER हिन्दी 漢字 🙂",
    " ".join("abcXYZ0123456789"),
] * 4
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("wordpiece", {"size": 120}),
    ("wordpiece", {"size": 120, "lowercase": False}),
    ("unigram", {"size": 90}),
    ("unigram", {"size": 90, "lowercase": True}),
    ("unigram", {"size": 90, "form": "nfd", "strip_accents": True, "lowercase": True}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_known_differences_go_to_the_reference(kind: str, options: dict[str, Any]) -> None:
    made: Any = tokenizers.train(kind, TRAINING, **options)
    backend = hf.Tokenizer.from_str(made.json)
    backend.encode_special_tokens = True
    characters = [
        chr(code) for code in range(0x80, 0x110000) if re.match(f"[{DIFFERENCES}]", chr(code))
    ]
    assert len(characters) > 500
    texts = [f"a{character}b" for character in characters] + characters + ["plain", "naïve"]
    assert made.engine_for(["plain"]) == "splintr"
    assert [row.tolist() for row in made.encode(texts)] == [
        row.ids for row in backend.encode_batch_fast(texts, add_special_tokens=False)
    ]


@pytest.mark.parametrize("character", ["\ua7f1", "\U0001ccd6", "\U0001ccf0"])
def test_what_only_a_newer_unicode_folds_is_the_references(character: str) -> None:
    """Unicode 16 and 17 made these forms of S, A and 0: the reference's tables know them,
    splintr's do not.
    """
    made: Any = tokenizers.train("unigram", TRAINING, size=90, lowercase=True)
    backend = hf.Tokenizer.from_str(made.json)
    assert made.engine_for(["plain"]) == "splintr"
    for text in (character, f"a{character}b"):
        assert (
            made.encode([text]).ids.tolist() == backend.encode(text, add_special_tokens=False).ids
        ), ascii(text)
