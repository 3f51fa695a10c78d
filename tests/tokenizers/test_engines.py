"""A fast engine never changes a result: what it cannot do goes to the reference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf

from tests.campaigns import layouts
from textkit import tokenizers
from textkit.batch import TokenBatch
from textkit.errors import ArtifactError, UsageError
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.engines.guard import GuardedEngine
from textkit.tokenizers.engines.reference import ReferenceEngine

TRAINING = ["pride and vanity are different things", "don't stop 3.14", "naïve 🙂 the THING"] * 4
SIZES = {"bpe": 330, "unigram": 60, "wordpiece": 120}
ADDED = ["<tool>", "[THING]", "THING", "and v"]
TEXTS = [
    "x <tool> y",
    "<tool>",
    "a<tool>b",
    "the [THING] here",
    "aTHINGb",
    "thing THING Thing",
    "pride and vanity",
    "x",
    "",
]
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}


def described(kind: str) -> dict[str, Any]:
    options = {"size": SIZES[kind]} if kind in SIZES else {}
    return dict(json.loads(tokenizers.train(kind, TRAINING, **options).json))


def load(description: dict[str, Any]) -> PipelineTokenizer:
    Path("tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    return tokenizers.load("tokenizer.json")


def check(tokenizer: PipelineTokenizer, texts: Sequence[str]) -> None:
    backend = hf.Tokenizer.from_str(tokenizer.json)
    backend.encode_special_tokens = True
    plain, spanned = tokenizer.encode(texts), tokenizer.encode(texts, spans=True)
    specials = [
        token["id"] for token in json.loads(tokenizer.json)["added_tokens"] if token["special"]
    ]
    for row, text in enumerate(texts):
        expected = backend.encode(text, add_special_tokens=False)
        # A list of words gives the id of a special token to text that spells it; ours is unknown
        # then.
        ids = [tokenizer.unknown_id if i in specials else i for i in expected.ids]
        assert plain[row].tolist() == spanned[row].tolist() == ids, text
        assert spanned.row_spans(row).tolist() == [list(span) for span in expected.offsets], text


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "word", "char", "byte"])
@pytest.mark.parametrize(
    "flags",
    [
        {"special": True},
        {},
        {"normalized": True},
        {"single_word": True},
        {"lstrip": True},
        {"rstrip": True},
    ],
    ids=str,
)
def test_added_tokens_are_found_by_every_engine(kind: str, flags: dict[str, bool]) -> None:
    description = described(kind)
    backend = hf.Tokenizer.from_str(json.dumps(description))
    token_flags = {"normalized": False, **flags}
    special = token_flags.pop("special", False)
    add = backend.add_special_tokens if special else backend.add_tokens
    add([hf.AddedToken(content, **token_flags) for content in ADDED])
    made = load(json.loads(backend.to_str()))
    made.encode(["plain"])  # the engine is chosen before any added token is seen
    made.encode(["plain"], spans=True)
    check(made, TEXTS)
    assert made.engine_for([]) != "reference"


@pytest.mark.parametrize(
    "splitters",
    [
        [BYTE_LEVEL, {**BYTE_LEVEL, "add_prefix_space": True}],
        [{**BYTE_LEVEL, "use_regex": False}, BYTE_LEVEL],
        [{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}, BYTE_LEVEL],
        [{"type": "Whitespace"}, BYTE_LEVEL],
        [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL],
    ],
)
def test_chains_of_splitters_keep_the_references_spans(splitters: list[dict[str, Any]]) -> None:
    made = load(
        {**described("bpe"), "pre_tokenizer": {"type": "Sequence", "pretokenizers": splitters}}
    )
    check(made, [*TEXTS, *TRAINING, " 12 é"])


def test_a_byte_that_the_vocabulary_lacks_does_not_shift_spans() -> None:
    description = described("bpe")
    del description["model"]["vocab"]["q"]
    made = load(description)
    assert made.engine_for(["pride"], spans=True) != "splintr"
    check(made, ["pride", "qqpride", "no such letter", "the letter q é"])


class Broken:
    name = "broken"
    has_clock = False

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        raise BaseException("index out of bounds")  # what a native panic looks like


def test_an_engine_that_fails_gives_way_and_says_so() -> None:
    made = tokenizers.create("word", vocabulary=["pride"])
    reference = ReferenceEngine(hf.Tokenizer.from_str(made.json))  # type: ignore[attr-defined]
    guarded = GuardedEngine(Broken(), reference, raw=[], normalized=[])
    assert guarded.encode(["pride"], spans=False).ids.tolist() == [2]
    assert guarded.notes == [
        "broken failed: index out of bounds; its tokenizer.json is broken; the reference encoded 1"
        " texts"
    ]


def test_ids_with_gaps_decode_and_unknown_ids_are_refused() -> None:
    description = described("word")
    description["model"]["vocab"]["gap"] = 5000
    made = load(description)
    ids = made.encode(["pride gap"])[0]
    assert ids.tolist()[1] == 5000
    assert made.decode(ids.tolist()) == "pride gap" and made.tokens(ids.tolist()) == [
        "pride",
        "gap",
    ]
    for bad in (4999, 5001, -1):
        with pytest.raises(UsageError, match=rf"id {bad} is not in the vocabulary \(0 to 5000\)"):
            made.decode([bad])
        with pytest.raises(UsageError, match=f"id {bad} "):
            made.tokens([bad])


def test_a_decoder_that_panics_is_one_error() -> None:
    made = load(
        {
            **described("char"),
            "decoder": {"type": "Strip", "content": "a", "start": 1000, "stop": 1000},
        }
    )
    with pytest.raises(ArtifactError, match="this tokenizer cannot decode"):
        made.decode(made.encode(["vanity"])[0].tolist())


def test_special_tokens_are_made_only_when_allowed() -> None:
    made = tokenizers.create("wordpiece", vocabulary=["[PAD]", "[UNK]", "[CLS]", "a"])
    for _ in range(2):
        assert made.encode(["a [CLS]"], allow_special=True).ids.tolist() == [3, 2]
        assert 2 not in made.encode(["a [CLS]"]).ids.tolist()


QUOTES = {"type": "Replace", "pattern": {"String": "``"}, "content": '"'}
ACCENTS = {"type": "Sequence", "normalizers": [QUOTES, {"type": "NFKD"}, {"type": "StripAccents"}]}


@pytest.mark.parametrize(
    "behavior", ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"]
)
def test_marks_of_every_script_are_the_references(behavior: str) -> None:
    """splintr knows fewer marks than the reference where a splitter asks for them."""
    description = described("bpe")
    vocabulary, model = description["model"]["vocab"], description["model"]
    for mark in ("\u061d", "\u2e52", "\u09fd", "\u00a1"):
        start = hf.pre_tokenizers.ByteLevel(False).pre_tokenize_str(mark)[0][0][0]
        for before in "!Ġ":
            vocabulary.setdefault(before + start, len(vocabulary))
            if [before, start] not in model["merges"]:
                model["merges"].append([before, start])
    splitters = [{"type": "Punctuation", "behavior": behavior}, BYTE_LEVEL]
    made = load({**description, "pre_tokenizer": {"type": "Sequence", "pretokenizers": splitters}})
    made.encode(["plain words first"])
    check(made, ["a \u061d b", "!\u061d", "a \u2e52 b", "a \u09fd! b", "!\u00a1! a", "a.b, c!"])


@pytest.mark.parametrize("scheme", ["first", "always", "never"])
@pytest.mark.parametrize("kind", ["unigram", "bpe-char"])
@pytest.mark.parametrize("normalizer", [None, QUOTES, ACCENTS], ids=["none", "quotes", "accents"])
def test_the_start_of_a_text_is_the_references(
    kind: str, scheme: str, normalizer: dict[str, Any] | None
) -> None:
    description = described(kind)
    splitter = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}
    made = load({**description, "normalizer": normalizer, "pre_tokenizer": splitter})
    made.encode(["pride and vanity"])
    check(made, ["``''", "`` a", "\u0301a", " a", "  pride", "\u0301 a", "▁a", "pride `` a"])


def test_many_added_tokens_are_found_where_they_stand() -> None:
    description = described("bpe")
    backend = hf.Tokenizer.from_str(json.dumps(description))
    names = [f"<tok_{i}>" for i in range(3000)] + ["aab", "ab", "<tok_1", "xyzxyzxyzq"]
    backend.add_tokens([hf.AddedToken(name, normalized=False) for name in names])
    backend.add_tokens([chr(0x4E00 + i) for i in range(50)])
    made = load(json.loads(backend.to_str()))
    made.encode(["plain"])
    texts = ["a <tok_29> b", "a <tok_ b", "<tok_2", "<tok_12", "caab", "xyzxyzxyzxyzq", "x\u4e05y"]
    check(made, [*texts, "a < b", "xyzxyzxyz q"])


def pieces_of(letters: Sequence[str], more: Sequence[str] = ()) -> dict[str, int]:
    return {token: i for i, token in enumerate(dict.fromkeys([*letters, *more]))}


LETTERS = sorted(hf.pre_tokenizers.ByteLevel.alphabet())
CHARACTERS = sorted({*map(chr, range(33, 127)), "\u2581", "\u3042", "\u3044"})
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LEVEL = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SCORES = {"=": -3.0, "==": -4.0, "\u2581": -2.0, "a": -1.0, "b": -2.0, "ab": -3.5}


def unigram(split: Any, *, bytes_too: bool = False) -> hf.Tokenizer:
    pieces = [("<unk>", 0.0), *((piece, -9.0) for piece in BYTES if bytes_too), *SCORES.items()]
    made = hf.Tokenizer(hf.models.Unigram(pieces, unk_id=0, byte_fallback=bytes_too))
    made.pre_tokenizer = split
    return made


def bpe(
    vocabulary: Sequence[str], merges: Sequence[tuple[str, str]], *, split: Any, **options: Any
) -> hf.Tokenizer:
    made = hf.Tokenizer(hf.models.BPE(pieces_of(vocabulary), list(merges), **options))
    if split is not None:
        made.pre_tokenizer = split
    return made


def fallback(*, more: Sequence[str] = ()) -> hf.Tokenizer:
    made = bpe(
        ["<unk>", *BYTES, *CHARACTERS, "ab", *more],
        [("a", "b")],
        split=None,
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    made.normalizer = hf.normalizers.Replace(" ", "\u2581")
    return made


def words_at_marks(split: Any, replaced: str) -> hf.Tokenizer:
    made = hf.Tokenizer(hf.models.WordLevel(pieces_of(["[UNK]", "a", "b", "a_b"]), "[UNK]"))
    made.normalizer, made.pre_tokenizer = hf.normalizers.Replace(" ", replaced), split
    return made


CUT = ["Ã¼", "ĠÃ", "ĠÃ¼"]
WHOLE = [*LETTERS, "'S", "Ġx'S"]
BYTES_LEFT = hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
IN_CL100K = hf.pre_tokenizers.Sequence(
    [hf.pre_tokenizers.Split(hf.Regex(CL100K), "isolated"), BYTES_LEFT]
)
META = hf.pre_tokenizers.Metaspace()
LAYOUTS = {
    "any case": (
        bpe([*LETTERS, "¿a"], [("¿", "a")], split=IN_CL100K),
        ["it'\u017fa", "a\u017fa", "'Sx 'LL"],
    ),
    "merges that training would not make": (
        bpe([*LETTERS, *CUT], [("Ã", "¼"), ("Ġ", "Ã"), ("ĠÃ", "¼")], split=LEVEL),
        [" ü", "a ü", "ü", "  ü"],
    ),
    "whole words without merges": (
        bpe(WHOLE, [], split=LEVEL, ignore_merges=True),
        ["'S", "x'S", " x'S", "a it"],
    ),
    "a word of many bytes without merges": (
        bpe(WHOLE, [], split=BYTES_LEFT, ignore_merges=True),
        ["'S\t", "'S", " x'S", "x'S x'S"],
    ),
    "no unknown token": (
        bpe([*CHARACTERS, "ab"], [("a", "b")], split=hf.pre_tokenizers.Metaspace(split=False)),
        ["a\u3000b", "ab \u0915", "\u0915"],
    ),
    "letters missing": (bpe(LETTERS[5:], [], split=LEVEL), ["".join(map(chr, range(33, 200)))]),
    "characters that pieces hold": (
        fallback(more=["\u3042\u3044"]),
        ["\u3042\u3044", "a\u3042\u3044 b", "ab"],
    ),
    "bytes for what is unknown": (fallback(), ["", "\t\n", " \u0915 ab", "<0x41>", "\u3042"]),
    "sums that are equal": (
        unigram(hf.pre_tokenizers.Metaspace(split=False)),
        ["a ===", "=== ===", "b===a==="],
    ),
    "sums within words": (unigram(META), ["a ===", "=== ===", "b===a==="]),
    "bytes of unigram": (unigram(META, bytes_too=True), ["a\u0915", "<unk>", "\u3042a"]),
    "marks beside spaces": (
        unigram(hf.pre_tokenizers.Sequence([hf.pre_tokenizers.WhitespaceSplit(), META])),
        ["a \u2581b", "a\u2581 b", "a\u2581", "\u2581a \u2581", "ab\u3000b \na\u2581"],
    ),
    "spaces that become others": (
        words_at_marks(hf.pre_tokenizers.WhitespaceSplit(), "_"),
        ["a b", "a_b", "a b a"],
    ),
    "spaces that go": (words_at_marks(hf.pre_tokenizers.WhitespaceSplit(), ""), ["a b", "a"]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_text_is_cut_otherwise_by_the_engine_that_a_harmless_one_chose(name: str) -> None:
    backend, texts = LAYOUTS[name]
    made = load(json.loads(backend.to_str()))
    for spans in (False, True):
        made.encode(["ab"], spans=spans)
    check(made, texts)


@pytest.mark.slow
def test_random_layouts_on_random_texts_give_the_ids_and_spans_of_the_reference() -> None:
    assert layouts.run(0, rounds=150) == 0
