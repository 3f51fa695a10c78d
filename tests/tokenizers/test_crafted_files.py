"""A crafted tokenizer file gives one ArtifactError or a tokenizer that works.

Nothing else comes out.
"""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest

from textkit import tokenizers
from textkit.errors import ArtifactError, LimitError, TextkitError, UsageError

TEXTS = ["pride and vanity", "", "don't 🙂", "[PAD] <unk>"]
KINDS = ["word", "char", "bpe", "wordpiece", "unigram", "bpe-char", "byte"]


def mutate(value: Any, generator: random.Random) -> Any:
    """Change one place of a JSON value: drop, retype, replace or repeat it."""
    if isinstance(value, dict) and value and generator.random() < 0.9:
        key = generator.choice(sorted(value))
        if generator.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: mutate(value[key], generator)}
    if isinstance(value, list) and value and generator.random() < 0.8:
        at = generator.randrange(min(len(value), 40))
        return [*value[:at], mutate(value[at], generator), *value[at + 1 :]]
    strange = [
        None,
        True,
        -1,
        2**32 - 1,
        2**40,
        1e308,
        "",
        "(",
        "(a+)+$",
        "\ud83d",
        [],
        {},
        [[]],
        "x" * 1000,
        {"type": "BPE"},
    ]
    return generator.choice(strange)


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_raise_only_textkit_errors(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {"size": 300} if kind in ("bpe", "unigram") else {}
    made = tokenizers.train(kind, ["pride and vanity are different things"] * 4, **options)
    original = json.loads(made.json)  # type: ignore[attr-defined]
    generator = random.Random(kind)
    path = Path("tokenizer.json")
    refused = 0
    for _ in range(150):
        path.write_text(json.dumps(mutate(original, generator)), encoding="utf-8")
        try:
            loaded = tokenizers.load(path)
            loaded.encode(TEXTS, spans=True)
            loaded.encode(TEXTS)
        except TextkitError as err:
            refused += 1
            assert "\n" not in str(err)
    assert refused > 10


def test_an_id_that_would_fill_the_memory_is_refused() -> None:
    for kind in ("word", "bpe"):
        description = json.loads(tokenizers.train(kind, ["pride and vanity"]).json)
        description["model"]["vocab"]["zz"] = 4_000_000_000
        Path("tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
        with pytest.raises(
            ArtifactError,
            match=r"^tokenizer.json: model.vocab has the id 4,000,000,000; ids go up to",
        ):
            tokenizers.load("tokenizer.json")


def test_a_catastrophic_pattern_in_a_file_does_not_hang() -> None:
    made = tokenizers.create("word", vocabulary=["a"])
    description = json.loads(made.json)  # type: ignore[attr-defined]
    description["pre_tokenizer"]["pattern"]["Regex"] = "(a+)+$"
    Path("tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(LimitError, match=r"this tokenizer cannot encode: .*reads far ahead"):
        tokenizers.load("tokenizer.json").encode(["a" * 40 + "b"])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("vocab.txt", b"a\nb\n", "vocab.txt: no [UNK] among the lines"),
        ("vocab.txt", b"[UNK]\n\xff\n", "vocab.txt:2: not UTF-8: byte 0xFF"),
        (
            "a.tiktoken",
            base64.b64encode(b"a") + b" 0\n!!! 1\n",
            "a.tiktoken:2: expected base64 and a rank",
        ),
        ("a.tiktoken", base64.b64encode(b"a") + b" 0\n", "a.tiktoken: no token for the byte 0x00"),
        ("a.tiktoken", b"YQ== 0\r\nYg== 0\r\n", "a.tiktoken:2: the rank 0 stands on line 1"),
        ("a.tiktoken", b"YQ== 0\n\nYQ== 1\n", "a.tiktoken:3: the token b'a' stands on line 1"),
        ("a.tiktoken", b"YQ== -1\n", "a.tiktoken:1: the rank is '-1', expected a number"),
        ("a.tiktoken", b"YQ== 99999999\n", "a.tiktoken:1: the rank is '99999999', expected"),
        ("a.tiktoken", b"YQ== \xb2\n", "a.tiktoken:1: the rank is"),
        ("a.model", b"\n\x05abc", "a.model: not a sentencepiece model"),
        ("a.model", b"\n\x03\n\x01a", "a.model: not a sentencepiece model"),
        ("a.json.gz", b"\x1f\x8b\x08\x00broken", "a.json.gz: cannot be read"),
        ("a.json", b'{"a": "b"}', "a.json: not a tokenizer.json"),
    ],
)
def test_a_malformed_vocabulary_is_one_line(name: str, data: bytes, message: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        tokenizers.load(name)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_merges_outside_the_vocabulary_are_named_by_line() -> None:
    Path("vocab.json").write_text('{"a": 0, "b": 1}', encoding="utf-8")
    Path("merges.txt").write_text("#version: 0.2\na b\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^merges.txt:2: 'ab' is not in the vocabulary"):
        tokenizers.load("vocab.json")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is no regular expression"),
        ("a*", "can match the empty text"),
        (r"(a)\1", "a reference back"),
    ],
)
def test_a_bad_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tokenizers.create("regex", pattern=pattern)
