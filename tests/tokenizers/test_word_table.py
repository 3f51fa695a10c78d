"""The table of words changes no id and no span: it is held to Hugging Face's tokenizers, one
text at a time.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers as hf
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, normalizers, pre_tokenizers

from textkit import tokenizers
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.engines import word_table
from textkit.tokenizers.engines.guard import HARD_STRINGS
from textkit.tokenizers.engines.reference import ReferenceEngine
from textkit.tokenizers.engines.word_cuts import FIRST, is_cut_at_spaces, split_words
from textkit.tokenizers.engines.word_table import WordTableEngine, table_before
from textkit.tokenizers.splitters import SPLITS

TRAINING = ["Pride and vanity are different things, don't stop 3.14 naïve 🙂 THE हिन्दी 漢字"] * 3
# Merges over white space: with them another cut is another id.
TRAINING += ["a\n\n  b\n \n c\r\n\r\n d    e\t\t f.\n\n\n g \n   h . . .  . . .\n.\n.\n"] * 3
OPTIONS: dict[str, dict[str, Any]] = {
    "bpe gpt2": {"kind": "bpe", "size": 340},
    "bpe cl100k": {"kind": "bpe", "size": 340, "split": "cl100k", "form": "nfkc"},
    "bpe o200k": {"kind": "bpe", "size": 340, "split": "o200k", "lowercase": True},
    "bpe stripped": {"kind": "bpe", "size": 340, "form": "nfkd", "strip_accents": True},
    "bpe-char": {"kind": "bpe-char", "size": 150, "form": "nfkc"},
    "wordpiece": {"kind": "wordpiece", "size": 160},
    "wordpiece cased": {"kind": "wordpiece", "size": 160, "lowercase": False},
    "unigram": {"kind": "unigram", "size": 90},
    "unigram stripped": {
        "kind": "unigram",
        "size": 90,
        "form": "nfd",
        "strip_accents": True,
        "lowercase": True,
    },
    "word": {"kind": "word", "lowercase": True},
    "whitespace": {"kind": "whitespace"},
    "regex": {"kind": "regex", "pattern": r"\b\w+\b(?!')|[^\w\s]+"},
}
# White space of every sort, what normalisers make or remove, case that changes length, marks,
# joiners, letters.
CHARACTERS = (
    " \n\t\r\x00\x1c\x85\xa0\xad\u2003\u200b\u200d\u202f\u2028\u2581\ufeff\ufffd\u0600\u0d4e"
)
CHARACTERS += "aAéİßΣ\u0301\u0308'.,!12ﬁ①漢ไक्🙂🇩"
SPACED = st.text(st.sampled_from(CHARACTERS + 8 * " "), max_size=40)


# What published tokenizers put around the same models: strips, joined spaces, a first token treated
# otherwise.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "stripped": (
        "unigram",
        {"normalizer": normalizers.Sequence([normalizers.NFKC(), normalizers.Strip()])},
    ),
    "joined": ("unigram", {"normalizer": normalizers.Replace(Regex(" {2,}"), "▁")}),
    "accents off, joined": (
        "unigram",
        {
            "normalizer": normalizers.Sequence(
                [
                    normalizers.NFKD(),
                    normalizers.StripAccents(),
                    normalizers.Replace(Regex(" {2,}"), " "),
                ]
            )
        },
    ),
    "as BERT, joined": (
        "unigram",
        {
            "normalizer": normalizers.Sequence(
                [normalizers.BertNormalizer(), normalizers.Replace(Regex(r"\s+"), " ")]
            )
        },
    ),
    "one space": ("bpe gpt2", {"normalizer": normalizers.Replace(Regex(r"\s+"), " ")}),
    "sentencepiece": (
        "unigram",
        {
            "normalizer": normalizers.Sequence(
                [
                    normalizers.Replace(Regex(r"\A +| +\z"), ""),
                    normalizers.Replace(Regex(" {2,}"), " "),
                ]
            )
        },
    ),
    "prepended": ("bpe gpt2", {"normalizer": normalizers.Prepend("x")}),
    "first": ("unigram", {"pre_tokenizer": pre_tokenizers.Metaspace(prepend_scheme="first")}),
    "words, then first": (
        "unigram",
        {
            "pre_tokenizer": pre_tokenizers.Sequence(
                [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]
            )
        },
    ),
    "prefix space": (
        "bpe gpt2",
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
    ),
    "trimmed": (
        "bpe gpt2",
        {"post_processor": hf.processors.ByteLevel(trim_offsets=True, add_prefix_space=True)},
    ),
    "trimmed all": (
        "bpe gpt2",
        {"post_processor": hf.processors.ByteLevel(trim_offsets=True, add_prefix_space=False)},
    ),
}
CHARSMAPS = [
    f"{rules}{end}" for rules in ("nmt_nfkc", "own rules") for end in ("", ", not stripped")
]
NAMES = [*OPTIONS, *CHANGES, *CHARSMAPS]
# As sentencepiece reads them: X is a space, Y is nothing, Q is "q ", J with an acute is "j".
OWN_RULES = "58\t20\n59\t\n51\t71 20\n4a 301\t6a\n"


def table_and_backend(name: str) -> tuple[WordTableEngine, hf.Tokenizer]:
    base, parts = CHANGES.get(name, (name, {}))
    if name in CHARSMAPS:
        rules = OWN_RULES if name.startswith("own rules") else ""
        tokenizers.load(write_sentencepiece(rules=rules)).save("tok")
        made: Any = tokenizers.load("tok/tokenizer.json")
        charsmap, _, join = json.loads(made.json)["normalizer"]["normalizers"]
        if name.endswith("not stripped"):
            described = json.loads(made.json) | {
                "normalizer": {"type": "Sequence", "normalizers": [charsmap, join]}
            }
            made = PipelineTokenizer(hf.Tokenizer.from_str(json.dumps(described)), kind="unigram")
    else:
        options = dict(OPTIONS[base])
        made = tokenizers.train(options.pop("kind"), TRAINING, **options)
    backend = hf.Tokenizer.from_str(made.json)
    backend.encode_special_tokens = True
    for part, value in parts.items():
        setattr(backend, part, value)
    reference = ReferenceEngine(backend)
    table = table_before(reference, json.loads(backend.to_str()), reference=reference)
    assert table is not None, name
    return table, backend


def write_sentencepiece(*, rules: str) -> Path:
    """Train a model with sentencepiece's own normaliser, which strips, joins spaces and has a
    table of characters.
    """
    import sentencepiece

    path = Path(tempfile.mkdtemp(), "spm.model")
    path.with_name("rules.tsv").write_text(rules)
    normalizer = {"normalization_rule_tsv": str(path.with_name("rules.tsv"))} if rules else {}
    lines = [text.replace("\n", " ") for text in TRAINING]
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            vocab_size=90,
            hard_vocab_limit=False,
            minloglevel=2,
            **normalizer,
        )
    return path


# Engines that several tests ask the same of.
shared = functools.cache(table_and_backend)


def check(name: str, texts: list[str]) -> None:
    table, backend = shared(name)
    plain, spanned = table.encode(texts, spans=False), table.encode(texts, spans=True)
    for row, text in enumerate(texts):
        expected = backend.encode(text, add_special_tokens=False)
        assert plain[row].tolist() == spanned[row].tolist() == expected.ids, ascii(text)
        assert spanned.row_spans(row).tolist() == [list(span) for span in expected.offsets], ascii(
            text
        )


@pytest.mark.parametrize("name", NAMES)
def test_hard_strings_between_spaces_and_empty_batches(name: str) -> None:
    check(
        name,
        [
            *HARD_STRINGS,
            *(f"a {text} b  {text} " for text in HARD_STRINGS),
            "",
            " ",
            "   ",
            "\n \n",
        ],
    )
    for spans in (False, True):
        assert len(shared(name)[0].encode([], spans=spans)) == 0


@pytest.mark.parametrize("name", NAMES)
@given(texts=st.lists(SPACED, max_size=4))
@example(
    texts=[
        "a\n b",
        " a",
        "  a ",
        " \n a",
        "a\u2581 b",
        "a\ufffd b",
        "a\n\n  b",
        "a\u200b b",
        "x \u0301y",
        "ΑΣ Σ ΣΑ",
        "\u0d4e a",
    ]
)
@example(texts=["\u202f\u0301 ", "\u2003\u0301\u0308 b"])
@example(texts=["\x1c1 ", "\x1c\x1c1 b", "\x1c", "\x01a b"])  # removed from the start of a text
@example(texts=["a \u0301 \u0301", "a\u00b4 b", "\u0301 b", "a \u0301 b", "a 漢 b"])
@example(texts=["a\xa0\u0897 b", "a\u2003\u1acf b"])  # marks of Unicode 16 and 17
def test_any_text_gives_what_the_reference_gives(name: str, texts: list[str]) -> None:
    check(name, texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHARSMAPS[:2])
def test_every_sign_that_a_table_of_characters_may_take_or_make_a_space_of(name: str) -> None:
    # All code points, and more kinds, are in tests/campaigns/code_points.py.
    signs = [char for char in map(chr, range(0x3001)) if not char.isalpha()] + ["\ufeff", "\ufffd"]
    check(
        name,
        [text for char in signs for text in (f"{char}1 b", f"a{char} b{char}", f"a\xa0{char} b")],
    )


@pytest.mark.parametrize("name", CHARSMAPS[2:])
def test_letters_that_a_table_of_characters_takes_or_makes_a_space_of(name: str) -> None:
    texts = [
        "".join(letters) for n in range(1, 6) for letters in itertools.product("aXYQ ", repeat=n)
    ]
    check(name, texts + [f"{text}J\u0301 b" for text in texts[:200]])


@given(text=SPACED)
def test_words_are_the_text(text: str) -> None:
    words = split_words(text)
    assert words is None or "".join(words).removeprefix(FIRST) == text
    if words is None:
        assert any(c > "\uffff" for c in text) or re.search(
            r"[^!-~ ][\u0301\u0308\u093f\u094d\u200d]", text
        )


def test_words_are_encoded_once_and_rows_with_long_ones_not_at_all() -> None:
    table, _ = table_and_backend("wordpiece")
    asked: list[str] = []
    inner = table._inner.encode
    table._inner.encode = lambda texts, *, spans: asked.extend(texts) or inner(texts, spans=spans)
    texts = ["pride and vanity", "vanity and pride", "x" * 65 + " and"]
    first = table.encode(texts, spans=True)
    assert asked == [".", ". .", "pride .", "vanity .", ".", ". and vanity pride", texts[2]]
    asked.clear()
    again = table.encode(texts, spans=True)
    assert asked == [texts[2]]
    assert again.ids.tolist() == first.ids.tolist() and again.spans.tolist() == first.spans.tolist()


def test_a_full_table_starts_anew_and_a_useless_one_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(word_table, "CAPACITY", 50)
    table, backend = table_and_backend("unigram")
    for i in range(40):
        text = " ".join(f"{i}x{j}" for j in range(7))
        assert (
            table.encode([text], spans=False)[0].tolist()
            == backend.encode(text, add_special_tokens=False).ids
        )
        assert len(table._table) <= 50
    monkeypatch.setattr(word_table, "TRIAL", 10)
    kept = len(table._table)
    text = "never seen before"
    assert (
        table.encode([text], spans=False)[0].tolist()
        == backend.encode(text, add_special_tokens=False).ids
    )
    assert len(table._table) == kept


def test_more_new_words_than_a_table_holds_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_table, "WORDS_A_CALL", 7)
    table, backend = table_and_backend("bpe-char")
    text = " ".join(f"n{i}" for i in range(60))
    expected = backend.encode(text, add_special_tokens=False)
    assert table.encode([text], spans=True).spans.tolist() == [
        list(span) for span in expected.offsets
    ]  # type: ignore
    monkeypatch.setattr(word_table, "CAPACITY", 50)
    other, _ = table_and_backend("bpe-char")
    assert other.encode([text], spans=True)[0].tolist() == expected.ids
    assert len(other._table) == 0


def test_threads_share_a_table() -> None:
    table, backend = table_and_backend("bpe gpt2")
    texts = [[" ".join(f"w{i * k % 97}" for i in range(30)) for k in range(20)] for _ in range(4)]
    expected = [backend.encode(text, add_special_tokens=False).ids for text in texts[0]]
    wrong: list[int] = []

    def work(mine: list[str]) -> None:
        for start in range(0, len(mine), 3):
            batch = table.encode(mine[start : start + 3], spans=True)
            wrong.extend(
                start for i, row in enumerate(batch) if row.tolist() != expected[start + i]
            )

    threads = [threading.Thread(target=work, args=(mine,)) for mine in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_words_that_another_thread_has_just_learnt_keep_their_numbers() -> None:
    """Two threads look for the same new words before either has the lock: the second finds them
    there, and must not number them again.
    """
    table, backend = table_and_backend("wordpiece")
    table.encode(["pride and"], spans=False)
    table._learn([FIRST + "pride", " and"])  # what the second thread had found to be new
    text = "pride and vanity are different things"
    for _ in range(2):
        expected = backend.encode(text, add_special_tokens=False)
        assert table.encode([text], spans=True)[0].tolist() == expected.ids


def test_a_thread_that_is_learning_only_costs_the_others_speed() -> None:
    table, backend = table_and_backend("bpe gpt2")
    with ThreadPoolExecutor(1) as learner:
        assert learner.submit(table._learning.take).result()
    assert table.encode(["pride and"], spans=False)[0].tolist() == backend.encode("pride and").ids
    assert not len(table._table)


def described(**parts: Any) -> dict[str, Any]:
    backend = hf.Tokenizer(hf.models.WordLevel({"a": 0}, unk_token="a"))
    for name, part in parts.items():
        setattr(backend, name, part)
    return dict(json.loads(backend.to_str()))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(use_regex=False)},
        {"pre_tokenizer": pre_tokenizers.Punctuation()},
        {"pre_tokenizer": pre_tokenizers.Metaspace(split=False)},
        {"pre_tokenizer": pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated")},
        {"pre_tokenizer": pre_tokenizers.Split(Regex(SPLITS["cl100k"]), "merged_with_next")},
        {"pre_tokenizer": pre_tokenizers.Split(Regex("[a-z]+"), "isolated")},
        {"pre_tokenizer": pre_tokenizers.Split(Regex("[^a-z]"), "removed", invert=True)},
        {"pre_tokenizer": pre_tokenizers.Split(Regex("[a-z](?! )"), "removed", invert=True)},
        {"pre_tokenizer": pre_tokenizers.Split(Regex("(?:ab|[a ]+)"), "removed", invert=True)},
        {"pre_tokenizer": pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True)},
        {
            "pre_tokenizer": pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(), pre_tokenizers.Whitespace()]
            )
        },
        {
            "pre_tokenizer": pre_tokenizers.Whitespace(),
            "normalizer": normalizers.Replace("b c", "bc"),
        },
        {
            "pre_tokenizer": pre_tokenizers.Whitespace(),
            "normalizer": normalizers.Replace(Regex(r"\w \w"), " "),
        },
        {"pre_tokenizer": pre_tokenizers.Whitespace(), "normalizer": normalizers.Nmt()},
    ],
    ids=str,
)
def test_a_tokenizer_that_may_look_across_a_space_has_no_table(parts: dict[str, Any]) -> None:
    assert not is_cut_at_spaces(described(**parts))


def test_dropout_has_no_table() -> None:
    description = described(pre_tokenizer=pre_tokenizers.WhitespaceSplit())
    assert is_cut_at_spaces(description)
    assert not is_cut_at_spaces({**description, "model": {**description["model"], "dropout": 0.1}})


def test_the_table_grows_past_its_first_columns() -> None:
    table, backend = table_and_backend("wordpiece")
    text = " ".join(f"word{i}" for i in range(3000))
    batch = table.encode([text, text], spans=True)
    expected = backend.encode(text, add_special_tokens=False)
    assert batch[1].tolist() == expected.ids
    assert np.array_equal(batch.row_spans(1), np.array(expected.offsets))
