"""The contract of every registered tokenizer: exact spans, one result from every engine, a file
that others read.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers as hf
from hypothesis import example, given
from hypothesis import strategies as st

from textkit import registry, tokenizers
from textkit.errors import UsageError
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.engines.guard import HARD_STRINGS

TRAINING = [
    "Vanity and pride are different things, though the words are often used synonymously."
] * 3
TRAINING += [
    text for text in HARD_STRINGS if "\ue000" not in text
]  # some characters must stay unknown
# spaCy's own cut is no tokenizer.json: test_spacy_words.py holds it to spaCy instead.
KINDS = [kind for kind in registry.names("tokenizer") if kind != "spacy"]
NEEDED: dict[str, dict[str, Any]] = {"regex": {"pattern": r"[a-zA-Z]+|[^a-zA-Z\s]"}}
SIZES = {"bpe": 320, "wordpiece": 400, "unigram": 300, "bpe-char": 400}
MADE: dict[tuple[str, str], PipelineTokenizer] = {}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"lowercase": True},
    {"form": "nfkc"},
    {"form": "nfd", "strip_accents": True},
]


def make(kind: str, **options: Any) -> PipelineTokenizer:
    """Train one of each kind, once."""
    key = (kind, json.dumps(options, sort_keys=True))
    if key not in MADE:
        size = {"size": SIZES[kind]} if kind in SIZES else {}
        tokenizer = tokenizers.train(kind, TRAINING, **{**NEEDED.get(kind, {}), **size, **options})
        assert isinstance(tokenizer, PipelineTokenizer)
        MADE[key] = tokenizer
    return MADE[key]


def reference_of(tokenizer: PipelineTokenizer) -> hf.Tokenizer:
    backend = hf.Tokenizer.from_str(tokenizer.json)
    backend.encode_special_tokens = True
    return backend


def options_of(kind: str) -> list[dict[str, Any]]:
    known = {p.name for p in registry.keyword_parameters(registry.resolve("tokenizer", kind).train)}
    return [options for options in OPTIONS if set(options) <= known]


VARIANTS = [(kind, options) for kind in KINDS for options in options_of(kind)]


def check_against_reference(tokenizer: PipelineTokenizer, texts: list[str]) -> None:
    """The oracle: Hugging Face's tokenizer, one text at a time, for ids and for spans."""
    backend = reference_of(tokenizer)
    plain, spanned = tokenizer.encode(texts), tokenizer.encode(texts, spans=True)
    assert len(plain) == len(spanned) == len(texts)
    specials = {
        token["id"] for token in json.loads(tokenizer.json)["added_tokens"] if token["special"]
    }
    for row, text in enumerate(texts):
        expected = backend.encode(text, add_special_tokens=False)
        # A list of words gives the id of "[PAD]" to text that spells it; ours is unknown then.
        ids = [tokenizer.unknown_id if i in specials else i for i in expected.ids]
        assert plain[row].tolist() == ids, text
        assert spanned[row].tolist() == ids, text
        assert spanned.row_spans(row).tolist() == [list(span) for span in expected.offsets], text


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_every_engine_gives_the_references_ids_and_spans(
    kind: str, options: dict[str, Any]
) -> None:
    check_against_reference(
        make(kind, **options), [*HARD_STRINGS, *TRAINING, "", "plain ascii text"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_real_texts_of_many_scripts_agree_with_the_reference(kind: str, shared: Path) -> None:
    texts = json.loads((shared / "conformance/blns.json").read_text(encoding="utf-8"))
    with zipfile.ZipFile(shared / "corpora/udhr_22lang.zip") as archive:
        for name in archive.namelist():
            if not name.endswith("/"):
                texts += (
                    io.TextIOWrapper(archive.open(name), encoding="utf-8", errors="replace")
                    .read()
                    .split("\n")[:15]
                )
    for language in ("ar_pud_ud_test", "hi_pud_ud_test", "zh_pud_ud_test", "ud_en_ewt_dev"):
        with gzip.open(shared / f"corpora/{language}.jsonl.gz", "rt", encoding="utf-8") as file:
            texts += [json.loads(line)["text"] for line, _ in zip(file, range(60), strict=False)]
    check_against_reference(make(kind), texts)
    if {"lowercase": True} in options_of(kind):
        check_against_reference(make(kind, lowercase=True), texts)


PIECES = [
    "ﬁ",
    "ヿ",
    "\u1100\u1161\u11a8",
    "İ",
    "ß",
    "👨‍👩‍👧",
    "🇩🇪🇫🇷",
    "\r\n",
    "\0",
    "\ufeff",
    "\u202eab\u202c",
    "e\u0301\u0308",
]
PIECES += [
    "Σ",
    "א'",
    'א"ב',
    "3.14",
    "don't",
    "_",
    "\u202f",
    "\u00a0",
    " ",
    "[PAD]",
    "##",
    "▁",
    "Ġ",
    "ไทย",
    "漢字",
    "カ",
    "\u200d🙂",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=8).map("".join)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
@given(text=TEXTS)
@example(text="".join(PIECES))
def test_spans_lie_in_the_callers_text_in_order(
    kind: str, options: dict[str, Any], text: str
) -> None:
    tokenizer = make(kind, **options)
    check_against_reference(tokenizer, [text])
    spans = tokenizer.encode([text], spans=True).row_spans(0)
    assert ((spans[:, 0] >= 0) & (spans[:, 0] <= spans[:, 1]) & (spans[:, 1] <= len(text))).all()
    assert (np.diff(spans[:, 0]) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_alone_are_lossless(kind: str) -> None:
    assert make(kind).lossless == (kind in ("bpe", "byte"))


@pytest.mark.parametrize("kind", ["bpe", "byte"])
@given(text=TEXTS)
def test_lossless_means_that_every_text_comes_back(kind: str, text: str) -> None:
    tokenizer = make(kind)
    assert tokenizer.decode(tokenizer.encode([text])[0].tolist()) == text


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_the_saved_file_is_read_by_tokenizers_with_the_same_ids(
    kind: str, options: dict[str, Any]
) -> None:
    tokenizer = make(kind, **options)
    tokenizer.save("tok")
    backend = hf.Tokenizer.from_file("tok/tokenizer.json")
    loaded = tokenizers.load("tok")
    texts = [text for text in HARD_STRINGS if "[" not in text]
    assert [backend.encode(text, add_special_tokens=False).ids for text in texts] == [
        row.tolist() for row in tokenizer.encode(texts)
    ]
    assert loaded.encode(texts).ids.tolist() == tokenizer.encode(texts).ids.tolist()
    assert (loaded.fingerprint, loaded.kind) == (tokenizer.fingerprint, tokenizer.kind)


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_tokenizer(kind: str) -> None:
    first = make(kind, **options_of(kind)[0])
    MADE.pop((kind, "{}"))
    assert make(kind).fingerprint == first.fingerprint


@pytest.mark.parametrize("unit", ["byte", "utf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_units_agree_with_slicing_the_encoded_text(kind: str, unit: Any) -> None:
    tokenizer = make(kind)
    codec = "utf-8" if unit == "byte" else "utf-16-le"
    width = 1 if unit == "byte" else 2
    texts = [*HARD_STRINGS, "", "🙂"]
    characters, units = (
        tokenizer.encode(texts, spans=True),
        tokenizer.encode(texts, spans=True, unit=unit),
    )
    for row, text in enumerate(texts):
        data = text.encode(codec)
        pairs = zip(characters.row_spans(row).tolist(), units.row_spans(row).tolist(), strict=True)
        for (start, end), (first, last) in pairs:
            assert data[first * width : last * width] == text[start:end].encode(codec)


def test_the_fast_engines_are_the_ones_in_use() -> None:
    """Guards the other tests of this file: without it they could compare the reference with
    itself.
    """
    for kind, name in {
        "word": "table",
        "whitespace": "table",
        "char": "native",
        "grapheme": "native",
    }.items():
        for spans in (False, True):
            assert make(kind).engine_for(["a"], spans=spans) == name, make(kind).engine_notes
    for kind in ("bpe", "byte", "wordpiece", "unigram"):
        for spans in (False, True):
            tokenizer = make(kind)
            assert tokenizer.engine_for(["a"], spans=spans) == "splintr", tokenizer.engine_notes


@pytest.mark.parametrize("kind", registry.names("tokenizer"))
def test_every_kind_is_and_does_what_a_tokenizer_promises(kind: str) -> None:
    tokenizer = tokenizers.train(kind, TRAINING) if kind == "spacy" else make(kind)
    names = sorted(tokenizer.vocabulary, key=tokenizer.vocabulary.__getitem__)
    assert len(tokenizer) == len(names) > 2 and tokenizer.has_vocabulary
    assert {tokenizer.pad_id, tokenizer.unknown_id} - {None} <= tokenizer.special_ids
    assert tokenizer.tokens(range(len(names))) == names
    assert tokenizer.around == ((), ())
    assert tokenizer.engine_for(["a"]) in ("native", "reference", "spacy", "splintr", "table")
    Path("tok").mkdir()
    tokenizer.write(Path("tok"))
    assert tokenizers.load("tok").fingerprint == tokenizer.fingerprint
    try:
        smaller = tokenizer.shrink(len(names) - 5)
    except UsageError:
        assert kind == "unigram"
    else:
        assert sorted(smaller.vocabulary, key=smaller.vocabulary.__getitem__) == names[:-5]
    try:
        larger = tokenizer.extend(["zebra"])
    except UsageError as err:
        assert f"a '{tokenizer.kind}' tokenizer is no list of words" in str(err)
    else:
        assert larger.vocabulary.items() >= tokenizer.vocabulary.items()


@pytest.mark.parametrize("kind", registry.names("tokenizer"))
def test_every_batch_knows_the_padding_token_of_its_tokenizer(kind: str) -> None:
    tokenizer = tokenizers.train(kind, TRAINING) if kind == "spacy" else make(kind)
    texts = ["pride", "", "pride and vanity"]
    options: list[dict[str, Any]] = [
        {},
        {"spans": True},
        {"max_length": 1},
        {"max_length": 2, "on_long": "window", "stride": 1},
    ]
    for option in options if kind == "spacy" else [*options, {"allow_special": True}]:
        batch = tokenizer.encode(texts, **option)
        assert batch.pad_id == tokenizer.pad_id
        padded = batch.pad(min_width=1)
        assert set(padded.ids[~padded.mask].tolist()) == {tokenizer.pad_id or 0}
    assert tokenizer.encode([]).pad_id == tokenizer.pad_id


@pytest.mark.parametrize("kind", registry.names("tokenizer"))
def test_counts_are_lengths_and_a_batch_is_decoded_row_by_row(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textkit.tokenizers.protocol.COUNTED_CHARACTERS", 10)
    tokenizer = tokenizers.train(kind, TRAINING) if kind == "spacy" else make(kind)
    texts = ["pride", "", "pride and vanity", "things", ""]
    batch = tokenizer.encode(texts)
    assert tokenizer.count(texts).tolist() == batch.lengths.tolist()
    assert tokenizer.count([]).tolist() == []
    assert tokenizer.decode_batch(batch) == [tokenizer.decode(row.tolist()) for row in batch]
    with pytest.raises(UsageError, match="found one str"):
        tokenizer.count("pride")


def test_a_padding_token_behind_the_others_fills_the_rows() -> None:
    tokenizer = tokenizers.create("wordpiece", vocabulary=["[UNK]", "a", "b", "[PAD]"])
    assert tokenizer.encode(["a b", "a"]).pad().ids.tolist() == [[1, 2], [1, 3]]


@pytest.mark.parametrize("kind", ["word", "whitespace", "grapheme", "char", "regex"])
def test_a_splitter_finds_the_tokens(kind: str) -> None:
    tokenizer = make(kind)
    splitter = tokenizer.splitter()
    assert splitter is not None
    for text in HARD_STRINGS:
        spans = tokenizer.encode([text], spans=True).row_spans(0).tolist()
        pieces = splitter.find(text)
        if splitter.drops_space:
            pieces = [piece.lstrip(" ") for piece in pieces if not piece.isspace()]
        assert pieces == [text[start:end] for start, end in spans]
