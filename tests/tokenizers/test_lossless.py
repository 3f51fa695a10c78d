"""`lossless` is a proof: where it says True every text comes back, and where a layout says False
some text does not.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import tokenizers as hf
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from textkit import tokenizers
from textkit.tokenizers.engines.guard import HARD_STRINGS
from textkit.tokenizers.lossless import is_lossless

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
FALLBACK = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS = sorted(set("low er▁Ġé<x>"))
CLITICS = Regex(r"'s| ?\p{L}+| ?[^\s\p{L}]+|\s+")
SPLITTERS = {
    "none": None,
    "bytes": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "prefix": pre_tokenizers.ByteLevel(add_prefix_space=True),
    "split, bytes": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(CLITICS, "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
    "words, bytes": pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "removed, bytes": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    ),
    "metaspace": pre_tokenizers.Metaspace(prepend_scheme="first"),
    "marks": pre_tokenizers.Punctuation("merged_with_next"),
}
NORMALIZERS = {
    "none": None,
    "empty": normalizers.Sequence([]),
    "nfc": normalizers.NFC(),
    "strip": normalizers.Strip(),
    "bytes": normalizers.ByteLevel(),
    "llama": normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
}
DECODERS = {
    "none": None,
    "bytes": decoders.ByteLevel(),
    "bytes, fuse": decoders.Sequence([decoders.ByteLevel(), decoders.Fuse()]),
    "bytes, strip": decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)]),
    "metaspace": decoders.Metaspace(prepend_scheme="first"),
    "fallback": decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]),
    "llama": decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    ),
}
MODELS = {
    "all bytes": models.BPE({name: i for i, name in enumerate(BYTES)}, []),
    "a byte missing": models.BPE({name: i for i, name in enumerate(BYTES[1:])}, []),
    "bytes with ends": models.BPE(
        {name: i for i, name in enumerate([*BYTES, *(f"{name}</w>" for name in BYTES)])},
        [],
        end_of_word_suffix="</w>",
    ),
    "fallback": models.BPE(
        {name: i for i, name in enumerate([*FALLBACK, *LETTERS, "lo"])},
        [("l", "o")],
        byte_fallback=True,
    ),
    "fallback that misses": models.BPE(
        {name: i for i, name in enumerate([*FALLBACK[:-20], *LETTERS])}, [], byte_fallback=True
    ),
    "fallback, whole pieces": models.BPE(
        {name: i for i, name in enumerate([*FALLBACK, *LETTERS])},
        [],
        byte_fallback=True,
        ignore_merges=True,
    ),
    "letters": models.BPE(
        {name: i for i, name in enumerate(["[UNK]", *LETTERS])}, [], unk_token="[UNK]"
    ),
    "unigram": models.Unigram(
        [(name, -1.0) for name in ["<unk>", *FALLBACK, *LETTERS]], 0, byte_fallback=True
    ),
}
ADDED = {
    "none": [],
    "plain": [AddedToken("<x>", normalized=False), AddedToken("low er", normalized=False)],
    "swallows": [AddedToken("<x>", lstrip=True, normalized=False)],
    "swallows after": [AddedToken("<x>", rstrip=True, normalized=False)],
    "name of a byte": [AddedToken("é", normalized=False)],
    "name of a space": [AddedToken("Ġlow", normalized=False)],
    "a byte": [AddedToken("<0x41>", normalized=False)],
}
LAYOUTS = list(itertools.product(SPLITTERS, NORMALIZERS, DECODERS, MODELS, ADDED))


def drawn_texts(seed: int, *, n: int) -> list[str]:
    """Draw texts of what layouts stumble over."""
    chance = random.Random(seed)
    parts = [" ", "  ", "low", "er", "<x>", "é", "e\u0301", "▁", "Ġlow", "Ġ", "<0x41>", "\n", "'s"]
    parts += [
        "🙂",
        "\x00",
        "7",
        "\U0010ffff",
        "!",
        "A",
        "low er",
        "</w>",
        "[UNK]",
        "ｱ",
        "low   <x>",
        "<x>   er",
    ]
    return ["".join(chance.choices(parts, k=chance.randint(1, 6))) for _ in range(n)] + parts


def lost(backend: hf.Tokenizer, texts: Sequence[str]) -> str | None:
    """Find a text that does not come back from the reference."""
    for text in texts:
        ids = backend.encode(text, add_special_tokens=False).ids
        if backend.decode(ids, skip_special_tokens=False) != text:
            return text
    return None


def build(layout: tuple[str, str, str, str, str]) -> hf.Tokenizer:
    splitter, normalizer, decoder, model, added = layout
    backend = hf.Tokenizer(MODELS[model])
    for name, part in (
        ("pre_tokenizer", SPLITTERS[splitter]),
        ("normalizer", NORMALIZERS[normalizer]),
        ("decoder", DECODERS[decoder]),
    ):
        if part is not None:
            setattr(backend, name, part)
    backend.add_special_tokens(["[PAD]", "[PÄD]"])
    backend.add_tokens(ADDED[added])
    backend.encode_special_tokens = True
    return backend


def is_safe_by_chance(layout: tuple[str, str, str, str, str]) -> bool:
    """Tell whether a layout that gives every text back is not worth a proof: marks are cut off, so
    that no piece reads '<0x41>'; or a character is put before the text and has no token.
    """
    splitter, normalizer, _, model, _ = layout
    return (splitter == "marks" and model in ("fallback, whole pieces", "unigram")) or (
        splitter == "metaspace" and normalizer == "bytes"
    )


@pytest.mark.slow
def test_lossless_is_said_where_every_text_comes_back_and_only_there() -> None:
    texts, more = [*HARD_STRINGS, *drawn_texts(0, n=60)], drawn_texts(1, n=500)
    chance = random.Random(0)
    n_said = n_denied = 0
    for layout in LAYOUTS:
        tokenizer = build(layout)
        if is_lossless(json.loads(tokenizer.to_str()), tokenizer.get_vocab()):
            assert lost(tokenizer, [*texts, *more]) is None, layout
            n_said += 1
        elif chance.random() < 0.1 and not is_safe_by_chance(layout):
            assert lost(tokenizer, texts) is not None, layout
            n_denied += 1
    assert (n_said, n_denied > 1500) == (52, True)


@pytest.mark.parametrize("model", ["all bytes", "fallback"])
def test_a_loaded_tokenizer_that_says_lossless_gives_every_text_back(model: str) -> None:
    decoder = {"all bytes": "bytes", "fallback": "fallback"}[model]
    splitter = {"all bytes": "split, bytes", "fallback": "none"}[model]
    build((splitter, "none", decoder, model, "plain")).save("tokenizer.json")
    tokenizer = tokenizers.load("tokenizer.json")
    assert tokenizer.lossless
    texts = [*HARD_STRINGS, *drawn_texts(2, n=200)]
    assert [tokenizer.decode(row.tolist()) for row in tokenizer.encode(texts)] == texts


def test_an_id_that_two_tokens_share_loses_one_of_them() -> None:
    described = json.loads(build(("bytes", "none", "bytes", "all bytes", "none")).to_str())
    described["model"]["vocab"]["a"] = described["model"]["vocab"]["b"]
    Path("tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    tokenizer = tokenizers.load("tokenizer.json")
    back = [tokenizer.decode(row.tolist()) for row in tokenizer.encode(["a", "b"])]
    assert back != ["a", "b"] and not tokenizer.lossless


def test_bytes_that_are_cut_off_are_no_longer_lossless() -> None:
    whole = tokenizers.train("bpe", HARD_STRINGS, size=320)
    assert whole.lossless and whole.shrink(257).lossless and not whole.shrink(200).lossless
