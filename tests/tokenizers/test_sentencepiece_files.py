"""sentencepiece's BPE models give the ids of sentencepiece's own `encode`, whatever they were
trained with.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
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
from textkit.errors import ArtifactError
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
    "a control word": {**PLAIN, "control_symbols": ["lower"]},
    "across spaces": {**PLAIN, "split_by_whitespace": False},
    "few characters": {"character_coverage": 0.98},
    "runs of spaces": {**PLAIN, "split_by_whitespace": False, "allow_whitespace_only_pieces": True},
}
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
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type=kind, **options
    )
    return model.getvalue()


def load(data: bytes) -> PipelineTokenizer:
    Path("m.model").write_bytes(data)
    return tokenizers.load("m.model")


@functools.cache
def both(name: str) -> tuple[Any, PipelineTokenizer]:
    data = train(**OPTIONS[name])
    return sentencepiece.SentencePieceProcessor(model_proto=data), load(data)


def check(name: str, texts: list[str]) -> None:
    theirs, ours = both(name)
    texts = [text for text in texts if not is_known_to_differ(name, text)]
    expected = theirs.encode(texts)
    for spans in (False, True):
        for text, wanted, found in zip(
            texts, expected, ours.encode(texts, spans=spans), strict=True
        ):
            assert theirs.id_to_piece(wanted) == ours.tokens(found), ascii(text)
            assert wanted == found.tolist(), ascii(text)


def is_known_to_differ(name: str, text: str) -> bool:
    """Tell the texts on which docs/vocabularies.md says that ids can differ.

    A text that is a user-defined piece and spaces lacks the '▁' before it; tokenizers'
    `Precompiled` reads a character map otherwise where a letter has marks.
    """
    theirs, ours = both(name)
    if OPTIONS[name].get("add_dummy_prefix", True) and text.strip() in OPTIONS[name].get(
        "user_defined_symbols", []
    ):
        return True
    if OPTIONS[name].get("normalization_rule_name") == "identity" or theirs.normalize(
        text
    ) == ours.normalize(text):
        return False
    return any(unicodedata.category(character).startswith("M") for character in text)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_ids_are_sentencepieces_on_hard_strings_and_repeated_characters(name: str) -> None:
    texts = [
        *LINES,
        *HARD_STRINGS,
        *(f"{text} a" for text in HARD_STRINGS),
        *REPEATED,
        *OTHERS,
        "a" * 5000,
    ]
    check(name, texts)


LETTERS = "  aab<>sepowrlx()▁\n\t\x00\xad\u200b.,3नि์ไع中é\u0301ﬁＡ①🙂\u200d\ufe0f"


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
@given(text=st.lists(st.sampled_from([*LETTERS, *WORDS.split(), "  "]), max_size=20).map("".join))
def test_ids_are_sentencepieces_on_made_strings(name: str, text: str) -> None:
    check(name, [text])


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
@pytest.mark.parametrize("name", ["as Llama-2", "identity", "nmt_nfkc"])
def test_ids_are_sentencepieces_on_real_texts(name: str, shared: Path) -> None:
    """For nmt_nfkc without the lines on which tokenizers' own `Precompiled` is known to differ:
    1 or 2 of the 6,600.
    """
    texts = real_texts(shared / "corpora")
    data = train(
        lines=texts[::3], **{**OPTIONS[name], "vocab_size": 6000, "character_coverage": 0.999}
    )
    theirs, ours = sentencepiece.SentencePieceProcessor(model_proto=data), load(data)
    differs = [
        text
        for text in texts
        if name == "nmt_nfkc" and theirs.normalize(text) != ours.normalize(text)
    ]
    assert len(differs) <= len(texts) // 1000
    texts = [text for text in texts if text not in differs]
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
    for name in OPTIONS:
        _, ours = both(name)
        assert (ours.engine_for(LINES), ours.engine_notes) == ("splintr", []), name


@pytest.mark.parametrize("name", ["as Llama-2", "nmt_nfkc", "symbols"])
def test_texts_come_back_as_from_sentencepiece(name: str) -> None:
    theirs, ours = both(name)
    texts = [*LINES[:20], "🤖 naïve", "  two", "<sep> low"]
    for text, ids in zip(texts, ours.encode(texts), strict=True):
        assert ours.decode(ids) == theirs.decode(ids.tolist()).replace(" ⁇ ", "<unk>"), text


def test_spans_are_those_of_the_pieces() -> None:
    _, ours = both("as Llama-2")
    text = "the  lowest 🤖"
    batch = ours.encode([text], spans=True)
    pieces = [text[start:end] for start, end in batch.row_spans(0)]
    assert "".join(pieces[:-4]) == "the  lowest "
    assert pieces[-4:] == ["🤖"] * 4


def test_transformers_reads_the_converted_folder_with_the_same_ids() -> None:
    from transformers import AutoTokenizer

    theirs, ours = both("symbols, nmt_nfkc")
    ours.save("tok")
    loaded = AutoTokenizer.from_pretrained("tok")
    texts = [*LINES[:50], "<sep>low", "low<sep>"]
    assert loaded(texts, add_special_tokens=False)["input_ids"] == theirs.encode(texts)


def test_text_that_spells_a_special_token_is_text() -> None:
    theirs, ours = both("as Llama-2")
    specials = {theirs.bos_id(), theirs.eos_id(), theirs.unk_id()}
    assert not specials & set(ours.encode(["<s> low </s><unk>"])[0].tolist())
    assert ours.unknown_id == theirs.unk_id()


def test_scores_that_tie_are_said() -> None:
    """With equal scores sentencepiece takes the leftmost of two pieces, which a list of merges
    cannot.
    """
    data = train(**PLAIN)
    tied = data.replace(b"\x15" + struct.pack("<f", -1.0), b"\x15" + struct.pack("<f", -2.0))
    assert tied != data
    assert load(tied).engine_notes == [
        "1 pieces share a score: where two could merge, sentencepiece takes the leftmost"
    ]


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


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        (
            {"model_type": "word"},
            None,
            "model_type is word; of sentencepiece, unigram and bpe are read",
        ),
        ({"treat_whitespace_as_suffix": True}, None, "treat_whitespace_as_suffix is set, which"),
        (SYMBOLS, (b"\x18\x04", b"\x18\x05"), "some pieces are marked unused, which"),
        (
            {"user_defined_symbols": ["ﬁ"]},
            None,
            "the model's normaliser changes its own user-defined piece 'ﬁ'",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(options: Any, change: Any, message: str) -> None:
    data = train(**{**PLAIN, "normalization_rule_name": "nmt_nfkc", **options})
    with pytest.raises(ArtifactError) as caught:
        load(data.replace(*change) if change else data)
    assert str(caught.value).startswith(f"m.model: {message}")
    assert "\n" not in str(caught.value)
