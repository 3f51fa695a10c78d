"""sentencepiece's models give the ids of sentencepiece's own `encode`, whatever they were trained
with.
"""

from __future__ import annotations

import functools
import gzip
import io
import itertools
import json
import pickle
import random
import struct
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from textkit import tokenizers
from textkit.errors import MissingExtraError
from textkit.tokenizers.engines.guard import HARD_STRINGS
from textkit.tokenizers.pipeline import PipelineTokenizer

GENERATOR = random.Random(0)
WORDS = (
    "low lower lowest newer wider the a aa aaa banana abab naïve don't 3.14 2024 हिन्दी ไทย"
    " ภาษา العربية 中文 <sep> 🙂 ❤️"
)
LINES = [
    "".join(
        word + " " * GENERATOR.choice([1, 1, 1, 2, 4])
        for word in GENERATOR.choices(WORDS.split(), k=12)
    )
    for _ in range(300)
] + ["aaaa aaaaaaa abababab", "    aa  bb"] * 20
PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
SYMBOLS = {"user_defined_symbols": ["<sep>", "<sep><sep>", "▁▁", "(x)", "owe"]}
OPTIONS: dict[str, dict[str, Any]] = {
    "as Llama-2": {**PLAIN, "byte_fallback": True, "split_digits": True},
    "identity": {"normalization_rule_name": "identity"},
    "nmt_nfkc": {},
    "nmt_nfkc, bytes": {"byte_fallback": True},
    "nfkc, folded": {"normalization_rule_name": "nfkc_cf"},
    "no prefix": {**PLAIN, "add_dummy_prefix": False},
    "no prefix, joined": {"add_dummy_prefix": False, "byte_fallback": True},
    "symbols": {**PLAIN, **SYMBOLS},
    "symbols, bytes, no prefix": {
        **PLAIN,
        **SYMBOLS,
        "byte_fallback": True,
        "add_dummy_prefix": False,
    },
    "symbols, nmt_nfkc": {"user_defined_symbols": ["<sep>", "(x)", "owe"]},
    "symbols with capitals, folded": {
        "user_defined_symbols": ["<SEP>", "QQ", "Ａ", "é"],
        "normalization_rule_name": "nmt_nfkc_cf",
    },
    "symbols that the normaliser changes": {"user_defined_symbols": ["ﬁ", "a b", "\t"]},
    "a control word": {**PLAIN, "control_symbols": ["lower", "a"]},
    "across spaces": {**PLAIN, "split_by_whitespace": False},
    "few characters": {"character_coverage": 0.98},
    "runs of spaces": {
        **PLAIN,
        "split_by_whitespace": False,
        "allow_whitespace_only_pieces": True,
    },
    "spaces behind": {"treat_whitespace_as_suffix": True},
    "spaces behind, kept": {
        **PLAIN,
        "treat_whitespace_as_suffix": True,
        "allow_whitespace_only_pieces": True,
    },
    "scripts and numbers together": {"split_by_unicode_script": False, "split_by_number": False},
    "unknown by other names": {"unk_piece": "?", "unk_surface": "!", "pad_id": 3, "bos_id": -1},
}
KINDS = ["bpe", "unigram", "char", "word"]
# What a tokenizer.json says exactly.
EXACT = [
    "as Llama-2",
    "identity",
    "no prefix",
    "symbols, bytes, no prefix",
    "across spaces",
    "runs of spaces",
]
EVERY = [
    pytest.param(kind, name, marks=() if kind == "bpe" and name in EXACT else pytest.mark.slow)
    for kind in KINDS
    for name in OPTIONS
]
FEW = [("bpe", "nmt_nfkc"), ("unigram", "nmt_nfkc"), ("unigram", "symbols with capitals, folded")]
FEW += [("unigram", "spaces behind"), ("unigram", "across spaces"), ("char", "nmt_nfkc, bytes")]
REPEATED = [
    text * n
    for text in ("a", " ", "▁", "ab", "aab", "<sep>", " a", "a ", "🙂", "<s>")
    for n in range(1, 40)
]
OTHERS = [
    "<sep>",
    "a<sep>b <sep> c",
    "<sep><sep><sep>",
    " <sep> ",
    "(x)(xx)",
    "▁▁a▁",
    " ▁ ",
    "<s> x</s>",
    "<0x41>",
    "<unk>a",
    "<SEP>QQ qq <sep>",
    "the <SEP> a",
    "unicodedata? ti\u1ebfng",
    *(unicodedata.normalize("NFD", "tiếng việt, hệ thống, ÀÉ q\u0307"),),
    "\ufb01\u0301 a\u0323\u0302 \r\n \r\u0301",
    "ﬁ a b\ta  b",
    "?a ? b!",
]


def train(**options: Any) -> bytes:
    model = io.BytesIO()
    options = {
        "vocab_size": 400,
        "hard_vocab_limit": False,
        "minloglevel": 2,
        "num_threads": 1,
        **options,
    }
    lines = options.pop("lines", LINES)
    kind = options.pop("model_type", "bpe")
    if kind in ("char", "word"):  # every character, and every word, is a piece
        options.pop("vocab_size")
        options["use_all_vocab"] = True
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type=kind, **options
    )
    return model.getvalue()


def load(data: bytes) -> tokenizers.Tokenizer:
    Path("m.model").write_bytes(data)
    return tokenizers.load("m.model")


@functools.cache
def both(kind: str, name: str) -> tuple[Any, tokenizers.Tokenizer]:
    data = train(model_type=kind, **OPTIONS[name])
    return sentencepiece.SentencePieceProcessor(model_proto=data), load(data)


def check(kind: str, name: str, texts: list[str]) -> None:
    theirs, ours = both(kind, name)
    expected = theirs.encode(texts)
    for spans in (False, True):
        for text, wanted, found in zip(
            texts, expected, ours.encode(texts, spans=spans), strict=True
        ):
            assert wanted == found.tolist(), (ascii(text), theirs.id_to_piece(wanted))


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_ids_are_sentencepieces_on_hard_strings_and_repeated_characters(
    kind: str, name: str
) -> None:
    texts = [
        *LINES,
        *HARD_STRINGS,
        *(f"{text} a" for text in HARD_STRINGS),
        *REPEATED,
        *OTHERS,
        *random_texts(),
        "a" * 5000,
    ]
    check(kind, name, texts)


@functools.cache
def random_texts() -> list[str]:
    """Draw characters of all of Unicode, and of what is white, combining or compatible."""
    generator = random.Random(1)
    blocks = [(0, 0x250), (0x300, 0x370), (0x900, 0x980), (0x1100, 0x1200), (0x1E00, 0x2100)]
    blocks += [(0x2580, 0x2590), (0x3040, 0x3100), (0xF900, 0x10000), (0x10000, 0x30000)]
    ranges = [range(*block) for block in blocks]
    characters = [
        [chr(generator.choice(generator.choice(ranges))) for _ in range(generator.randrange(1, 24))]
        for _ in range(300)
    ]
    return ["".join(row) for row in characters]


@pytest.mark.parametrize(("kind", "name"), FEW)
def test_ids_are_sentencepieces_where_the_package_gives_them(kind: str, name: str) -> None:
    check(kind, name, [*LINES[:40], *HARD_STRINGS, *OTHERS, *random_texts()])


LETTERS = "  aab<>sepowrlx()▁\n\t\x00\xad\u200b.,3नि์ไع中é\u0301ﬁＡ①🙂\u200d\ufe0f"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"), [*FEW, *(("bpe", name) for name in EXACT), ("unigram", "symbols, nmt_nfkc")]
)
@given(text=st.lists(st.sampled_from([*LETTERS, *WORDS.split(), "  "]), max_size=20).map("".join))
def test_ids_are_sentencepieces_on_made_strings(kind: str, name: str, text: str) -> None:
    check(kind, name, [text])


@pytest.mark.parametrize("seed", range(10))
def test_ties_within_a_run_are_broken_as_sentencepiece_breaks_them(seed: int) -> None:
    """Texts of two letters, where pieces have many pairs that make them and pairs overlap."""
    generator = random.Random(seed)
    letters = ["ab ", "a b", "aab ", "abc ", "aaaab  "][seed % 5]
    lines = ["".join(generator.choices(letters, k=generator.randrange(5, 60))) for _ in range(300)]
    data = train(
        lines=lines,
        vocab_size=generator.choice([40, 150]),
        split_by_whitespace=seed % 2 == 0,
        **PLAIN,
    )
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), load(data)
    texts = [
        "".join(generator.choices(letters, k=generator.randrange(1, 80))) for _ in range(1500)
    ] + REPEATED
    for text, expected, found in zip(texts, theirs.encode(texts), ours.encode(texts), strict=True):
        assert expected == found.tolist(), text
    assert not ours.engine_notes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [("bpe", "as Llama-2"), ("bpe", "identity"), ("bpe", "nmt_nfkc"), ("unigram", "nmt_nfkc")],
)
def test_ids_are_sentencepieces_on_real_texts(kind: str, name: str, shared: Path) -> None:
    """Single lines, and texts so long that sums of scores in single precision round."""
    lines = real_texts(shared / "corpora")
    options = {**OPTIONS[name], "vocab_size": 6000, "character_coverage": 0.999}
    data = train(model_type=kind, lines=lines[::3], **options)
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), load(data)
    texts = [*lines, *(" ".join(lines[i : i + 50]) for i in range(0, len(lines), 50))]
    for text, expected, found in zip(texts, theirs.encode(texts), ours.encode(texts), strict=True):
        assert expected == found.tolist(), text


def real_texts(folder: Path) -> list[str]:
    """Give lines of 22 languages of the Declaration of Human Rights, of four treebanks and of a
    Japanese novel.
    """
    with zipfile.ZipFile(folder / "udhr_22lang.zip") as file:
        declared = [file.read(name).decode("utf-8").split("\n")[:100] for name in file.namelist()]
    found = [line for lines in declared for line in lines]
    for language in ("ar", "de", "hi", "zh"):
        with gzip.open(folder / f"{language}_pud_ud_test.jsonl.gz", "rt", encoding="utf-8") as file:
            found += [json.loads(line)["text"] for line in file]
    with gzip.open(folder / "wagahai_ja.txt.gz", "rt", encoding="utf-8") as file:
        return found + [line.rstrip("\n") for line in file][:500]


def test_a_fast_engine_is_certified_on_texts_without_spans() -> None:
    for name in EXACT:
        _, ours = both("bpe", name)
        assert (ours.engine_for(LINES), ours.engine_notes) == ("splintr", []), name


@pytest.mark.parametrize(
    ("kind", "name"), [*FEW, ("bpe", "as Llama-2"), ("bpe", "symbols"), ("unigram", "symbols")]
)
def test_texts_come_back_as_from_sentencepiece(kind: str, name: str) -> None:
    theirs, ours = both(kind, name)
    texts = ["", *LINES[:20], "🤖 naïve", "  two", "<sep> low", "a🙂🤖b"]
    for text, ids in zip(texts, ours.encode(texts), strict=True):
        assert ours.decode(ids) == theirs.decode(ids.tolist()).replace(" ⁇ ", "<unk>"), text


def test_special_tokens_are_spelled_out_in_a_text() -> None:
    theirs, ours = both("unigram", "nmt_nfkc")
    ids = [theirs.bos_id(), *theirs.encode("low lower"), theirs.eos_id()]
    assert ours.decode(ids) == "<s> low lower</s>"
    assert ours.decode([theirs.eos_id()]) == "</s>"


def test_spans_are_those_of_the_pieces() -> None:
    _, ours = both("bpe", "as Llama-2")
    text = "the  lowest 🤖"
    batch = ours.encode([text], spans=True)
    pieces = [text[start:end] for start, end in batch.row_spans(0)]
    assert "".join(pieces[:-4]) == "the  lowest "
    assert pieces[-4:] == ["🤖"] * 4


@pytest.mark.parametrize(("kind", "name"), [*FEW, ("unigram", "no prefix"), ("word", "nmt_nfkc")])
def test_spans_are_sentencepieces_offsets(kind: str, name: str) -> None:
    """But that each piece of one character has the character: sentencepiece gives it to the
    last.
    """
    theirs, ours = both(kind, name)
    texts = ["", *LINES[:40], *HARD_STRINGS, *OTHERS, *random_texts(), "low lower", "low"]
    batch = ours.encode(texts, spans=True)
    for row, text in enumerate(texts):
        spans = batch.row_spans(row).tolist()
        for offset, span in zip(
            theirs.encode(text, return_type="offset_mapping")["offsets"], spans, strict=True
        ):
            assert span[0] == offset[0], ascii(text)
            assert span[1] == offset[1] or offset[0] == offset[1] < span[1] <= len(text)
        assert all(left[1] <= right[1] for left, right in itertools.pairwise(spans)), ascii(text)


def test_every_piece_of_a_character_has_the_character() -> None:
    _, ours = both("unigram", "nmt_nfkc, bytes")
    spans = ours.encode(["low 🤖 ﬁ"], spans=True).row_spans(0).tolist()
    assert spans.count([4, 5]) == 4
    assert spans[-1] == spans[-2] == [6, 7]
    in_bytes = ours.encode(["low 🤖 ﬁ"], spans=True, unit="byte").row_spans(0).tolist()
    assert in_bytes[-1] == in_bytes[-2] == [9, 12]


def test_transformers_reads_the_converted_folder_with_the_same_ids() -> None:
    from transformers import AutoTokenizer

    for kind, name in (("bpe", "symbols, nmt_nfkc"), ("unigram", "nmt_nfkc")):
        theirs, ours = both(kind, name)
        ours.save(kind)
        loaded = AutoTokenizer.from_pretrained(kind)
        texts = [*LINES[:50], "low lower"]
        assert loaded(texts, add_special_tokens=False)["input_ids"] == theirs.encode(texts)


@pytest.mark.parametrize(("kind", "name"), [*FEW, ("word", "spaces behind")])
def test_a_saved_folder_and_another_process_hold_the_same_tokenizer(kind: str, name: str) -> None:
    theirs, ours = both(kind, name)
    ours.save("tok")
    for again in (tokenizers.load("tok"), pickle.loads(pickle.dumps(ours))):
        assert again.fingerprint == ours.fingerprint
        assert (again.kind, again.vocabulary) == (ours.kind, ours.vocabulary)
        assert [row.tolist() for row in again.encode(OTHERS)] == theirs.encode(OTHERS)


def test_special_tokens_are_read_where_they_are_allowed() -> None:
    theirs, ours = both("unigram", "nmt_nfkc")
    text = "low </s>lower<s>"
    batch = ours.encode([text, "", "</s>", "low"], spans=True, allow_special=True)
    low, lower = theirs.encode("low"), theirs.encode("lower")
    assert batch[0].tolist() == [*low, theirs.eos_id(), *lower, theirs.bos_id()]
    assert [row.tolist() for row in batch][1:] == [[], [theirs.eos_id()], low]
    cut = [text[start:end] for start, end in batch.row_spans(0)]
    assert "".join(cut).replace(" ", "") == text.replace(" ", "")
    assert cut[len(low)] == "</s>"


@pytest.mark.parametrize(("kind", "name"), [*FEW, ("word", "spaces behind")])
def test_a_missing_package_is_named(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = train(model_type=kind, **OPTIONS[name])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        load(data)
    assert str(caught.value) == (
        f"sentencepiece is not installed, the {kind} model m.model needs it: pip install"
        " 'textkit-nlp[sentencepiece]'"
    )


@pytest.mark.parametrize("name", EXACT)
def test_a_plain_model_needs_no_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = train(**OPTIONS[name])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(load(data), PipelineTokenizer)


@pytest.mark.parametrize(("kind", "name"), [("bpe", "as Llama-2"), ("unigram", "nmt_nfkc")])
def test_text_that_spells_a_special_token_is_text(kind: str, name: str) -> None:
    theirs, ours = both(kind, name)
    text = "<s> low </s>"
    specials = {theirs.bos_id(), theirs.eos_id()}
    assert not specials & set(ours.encode([text])[0].tolist())
    assert ours.special_ids == specials | {theirs.unk_id()}
    assert ours.unknown_id == theirs.unk_id()


def field(number: int, value: int | bytes) -> bytes:
    """Spell a field of a protobuf message; numbers here are below 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value


def made_model(seed: int) -> bytes:
    """Draw BPE pieces over a few letters with scores in any order, of which many are made of no
    others; some models have user-defined pieces.
    """
    generator = random.Random(seed)
    letters = generator.choice(["ab▁", "abc▁", "a▁"])
    drawn = {
        "".join(generator.choices(letters, k=generator.randrange(2, 7)))
        for _ in range(generator.randrange(3, 25))
    }
    scores = generator.sample(range(1, 100), len(drawn))
    pieces = [(name, -float(score), 1) for name, score in zip(sorted(drawn), scores, strict=True)]
    pieces += [(letter, -200.0 - i, 1) for i, letter in enumerate(letters)]
    has_symbols, joins = seed % 3 == 0, int(seed % 4 == 1)
    if has_symbols:
        symbols = {"".join(generator.choices(letters + "x", k=3)) for _ in range(2)} - drawn
        pieces += [(name, 0.0, 4) for name in sorted(symbols)]
    generator.shuffle(pieces)
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), *pieces]
    options = field(3, int(not has_symbols)) + field(4, int(joins and not has_symbols))
    spelt = [
        field(1, name.encode()) + b"\x15" + struct.pack("<f", score) + field(3, kind)
        for name, score, kind in pieces
    ]
    model = b"".join(field(1, piece) for piece in spelt)
    return model + b"\x12\x02" + field(3, 2) + b"\x1a" + bytes([len(options)]) + options


@pytest.mark.parametrize("seed", range(24))
def test_any_pieces_of_bpe_give_sentencepieces_ids(seed: int) -> None:
    data, generator = made_model(seed), random.Random(seed)
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), load(data)
    assert isinstance(ours, PipelineTokenizer)
    texts = ["".join(generator.choices("aabbc  ▁x", k=generator.randrange(25))) for _ in range(150)]
    for text, expected, found in zip(texts, theirs.encode(texts), ours.encode(texts), strict=True):
        assert expected == found.tolist(), (text, theirs.id_to_piece(expected))


def test_of_scores_that_tie_the_leftmost_is_taken() -> None:
    """With equal scores sentencepiece takes the leftmost of two pieces, which a list of merges
    cannot.
    """
    data = train(**PLAIN)
    score = b"\x15" + struct.pack("<f", -1.0)
    tied = data
    for rank in range(2, 60):
        tied = tied.replace(b"\x15" + struct.pack("<f", -float(rank)), score)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=tied)
    generator = random.Random(0)
    texts = [*LINES, *("".join(generator.choices("abnelowr ", k=30)) for _ in range(500))]
    assert [row.tolist() for row in load(tied).encode(texts)] == theirs.encode(texts)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_unused_pieces_are_no_ids(kind: str) -> None:
    data = train(model_type=kind, **PLAIN, **SYMBOLS).replace(b"\x18\x04", b"\x18\x05")
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    assert any(theirs.is_unused(i) for i in range(theirs.get_piece_size()))
    assert [row.tolist() for row in load(data).encode(OTHERS)] == theirs.encode(OTHERS)


def test_scores_and_not_ids_order_the_merges() -> None:
    """Of two pieces that overlap, the better score wins, wherever the pieces stand."""
    data = turned = train(**PLAIN)
    fields = [b"\x15" + struct.pack("<f", -score) for score in range(1, 80)]
    assert all(data.count(field) == 1 for field in fields)
    for number, field in enumerate(fields):
        turned = turned.replace(field, b"<held %d>" % number)
    for number, field in enumerate(reversed(fields)):
        turned = turned.replace(b"<held %d>" % number, field)
    generator = random.Random(0)
    texts = [*LINES, *("".join(generator.choices("abnelowr ", k=30)) for _ in range(500))]
    theirs = sentencepiece.SentencePieceProcessor(model_proto=turned)
    assert theirs.encode(texts) != sentencepiece.SentencePieceProcessor(model_proto=data).encode(
        texts
    )
    assert [row.tolist() for row in load(turned).encode(texts)] == theirs.encode(texts)


def test_own_rules_of_a_normaliser_hold() -> None:
    """X is a space, Y is nothing, Q is "q ", "ab" is "c", J with an acute is "j"; and a second
    table for the text that ids give.
    """
    Path("rules.tsv").write_text("58\t20\n59\t\n51\t71 20\n61 62\t63\n4a 301\t6a\n")
    Path("back.tsv").write_text("71\t51\n")
    texts = ["aXb", "aYb  QQ Q", "abab a b", "J\u0301J", "X", "low Qa", "qq"]
    for kind in KINDS:
        for options in ({}, {"denormalization_rule_tsv": "back.tsv"}, PLAIN):
            data = train(
                model_type=kind,
                lines=[*LINES, *texts * 20],
                **{**options, "normalization_rule_name": ""},
                normalization_rule_tsv="rules.tsv",
            )
            theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), load(data)
            for text, ids in zip(texts, ours.encode(texts), strict=True):
                assert ids.tolist() == theirs.encode(text), text
                if theirs.unk_id() not in ids:
                    assert ours.decode(ids) == theirs.decode(ids.tolist()), text


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_rows_are_padded_with_the_models_own_token(kind: str) -> None:
    tokenizer = load(train(model_type=kind, pad_id=3))
    assert tokenizer.pad_id == 3
    for options in ({}, {"spans": True}, {"allow_special": True}, {"max_length": 2}):
        padded = tokenizer.encode(["a", "a word and more"], **options).pad(min_width=20)
        assert set(padded.ids[~padded.mask].tolist()) == {3}
