"""Spans by the lengths of pieces are the reference's, and what they cannot tell is another
engine's.
"""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
import tokenizers as hf

from textkit import tokenizers
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.engines.guard import HARD_STRINGS
from textkit.tokenizers.engines.tiled import TiledEngine, tiled_before

TRAINING = [
    "Vanity and pride are different things, naïve 中文 3.5 …",
    "q\u0323\u0307 q",
    *HARD_STRINGS,
] * 3
# What a normaliser splits, joins, removes, moves or takes for a space, and what pieces are.
PARTS = [
    *("a", "b", "é", "Σ", "İ", "ß", "ing", "##", "##ing", ".", "!", "3", "x" * 120),
    *(" ", "  ", "\t", "\n", "\xa0", "\u3000", "\u2028", "\x85", "\x96", "\x00", "\xad", "\u200b"),
    *(
        "e\u0301",
        "\u0301",
        "q\u0307\u0323",
        "\u200d",
        "\ufe0f",
        "´",
        "…",
        "½",
        "ﬁ",
        "ᄀ",
        "ᅡ",
        "ㄱ",
        "ㅏ",
        "가",
    ),
    *("ｶ", "ﾞ", "\u0e33", "中", "😀", "🇩", "\u2581", "\u2581a", "\ufffd", "\ue000", "[UNK]"),
]


def make(kind: str, **changes: Any) -> tuple[PipelineTokenizer, PipelineTokenizer]:
    """Give a tokenizer whose engine tiles, and the reference with the same file."""
    trained = tokenizers.train(kind, TRAINING, size=300)
    assert isinstance(trained, PipelineTokenizer)
    text = json.dumps({**json.loads(trained.json), **changes})
    fast, slow = (
        PipelineTokenizer(hf.Tokenizer.from_str(text), kind=kind, engine=engine)
        for engine in ("auto", "reference")
    )
    return fast, slow


def random_texts(n: int) -> list[str]:
    draw = random.Random(7)
    return ["".join(draw.choices(PARTS, k=draw.randint(0, 8))) for _ in range(n)]


def check(fast: PipelineTokenizer, slow: PipelineTokenizer, texts: list[str]) -> None:
    found, expected = fast.encode(texts, spans=True), slow.encode(texts, spans=True)
    for row, text in enumerate(texts):
        assert found[row].tolist() == expected[row].tolist(), text
        assert found.row_spans(row).tolist() == expected.row_spans(row).tolist(), text
    assert np.array_equal(found.ids, fast.encode(texts).ids)


LOWER = {"type": "Lowercase"}
FIRST = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("wordpiece", {}),
        ("unigram", {}),
        ("unigram", {"normalizer": None, "pre_tokenizer": FIRST}),
        ("unigram", {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, LOWER]}}),
    ],
    ids=["wordpiece", "unigram", "unigram first", "unigram lower"],
)
def test_spans_by_lengths_are_the_references(kind: str, changes: dict[str, Any]) -> None:
    fast, slow = make(kind, **changes)
    assert fast.engine_for(["pride"], spans=True) == "splintr", fast.engine_notes
    check(fast, slow, [*TRAINING, *random_texts(3000), " ", "", "  a", "\u2581"])


@pytest.mark.parametrize(("kind", "between"), [("wordpiece", " "), ("unigram", "a")])
def test_unknown_pieces_whose_name_is_as_long_as_they_are_on_average(
    kind: str, between: str
) -> None:
    fast, slow = make(kind)
    assert fast.unknown_id is not None
    length = len(fast.tokens([fast.unknown_id])[0])
    text = "\U0001f9ff" * (length - 1) + between + "\U0001f9ff" * (length + 1)
    assert fast.encode([text])[0].tolist().count(fast.unknown_id) == 2
    check(fast, slow, [text])


def test_spans_by_lengths_over_many_code_points() -> None:
    codes = [*range(0x600), *range(0x600, 0x20000, 61)]
    texts = [f"x{chr(code)}y z" for code in codes if not 0xD800 <= code < 0xE000]
    for kind in ("wordpiece", "unigram"):
        check(*make(kind), texts)


class Never:
    name = "never"
    has_clock = False

    def encode(self, texts: Any, *, spans: bool) -> Any:
        raise AssertionError(f"asked for {list(texts)}")


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_common_texts_are_no_other_engines(kind: str) -> None:
    tokenizer, slow = make(kind)
    engines = tokenizer._engines
    description = json.loads(tokenizer.json)
    texts = ["Vanity and pride", "naïve things", "are 3.5 different"]
    tiled = tiled_before(
        slow._reference, Never(), description, tokenizer.vocabulary, engines._reference
    )
    assert isinstance(tiled, TiledEngine)
    batch = tiled.encode(texts, spans=True)
    assert batch.spans is not None
    assert batch.spans.tolist() == slow.encode(texts, spans=True).spans.tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}},
        {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
        {"pre_tokenizer": {**FIRST, "prepend_scheme": "never"}},
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [{"type": "WhitespaceSplit"}, FIRST],
            }
        },
    ],
    ids=["replace", "strip", "never", "whitespace"],
)
def test_other_layouts_are_not_tiled(changes: dict[str, Any]) -> None:
    fast, slow = make("unigram", **changes)
    description = json.loads(fast.json)
    reference = fast._engines._reference
    assert tiled_before(reference, reference, description, fast.vocabulary, reference) is None
    check(fast, slow, random_texts(200))
