"""Training: the same bytes for any order, any number of threads, from texts or counts; sizes nest.

Reports add up.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit import registry, tokenizers
from textkit.errors import DataError, UsageError
from textkit.tokenizers import counting
from textkit.tokenizers.engines.guard import HARD_STRINGS
from textkit.tokenizers.report import measure_fit, render_fit
from textkit.tokenizers.train import count_facts, piece_finder, train_counts

ROOT = Path(__file__).parents[2]
GENERATOR = random.Random(0)
WORDS = [
    "low",
    "lower",
    "lowest",
    "new",
    "newer",
    "wide",
    "wider",
    "Ünder",
    "naïve",
    "don't",
    "3.14",
    "हिन्दी",
    "🙂",
    "a",
    "the",
]
TEXTS = [" ".join(GENERATOR.choices(WORDS, k=GENERATOR.randrange(1, 12))) for _ in range(400)]
OPTIONS: dict[str, dict[str, Any]] = {
    "bpe": {"size": 320},
    "bpe-char": {"size": 60},
    "wordpiece": {"size": 90},
    "unigram": {"size": 60},
    "regex": {"pattern": r"[a-z]+"},
}
KINDS = [kind for kind in registry.names("tokenizer") if kind not in ("byte", "unicode")]
COUNTED = [kind for kind in KINDS if kind != "spacy"]


def train(kind: str, texts: list[str], **options: Any) -> Any:
    return tokenizers.train(kind, texts, **{**OPTIONS.get(kind, {}), **options})


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_texts_does_not_matter(kind: str) -> None:
    shuffled = TEXTS[:]
    random.Random(1).shuffle(shuffled)
    assert train(kind, shuffled).fingerprint == train(kind, TEXTS).fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_another_process_with_another_number_of_threads_gives_the_same_bytes(kind: str) -> None:
    """tokenizers' own WordPiece and Unigram trainers fail this: their results follow a hash
    table's order.
    """
    Path("a.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    size = str(OPTIONS[kind]["size"])
    for threads in ("1", "2", "4"):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RAYON_NUM_THREADS": threads,
            "PYTHONHASHSEED": threads,
        }
        arguments = [
            "tokenizer",
            "train",
            "a.txt",
            "-k",
            kind,
            "--size",
            size,
            "-o",
            f"tok{threads}",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "textkit", *arguments],
            env=environment,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
    first = Path("tok1/tokenizer.json").read_bytes()
    assert (
        Path("tok2/tokenizer.json").read_bytes()
        == first
        == Path("tok4/tokenizer.json").read_bytes()
    )


@pytest.mark.parametrize("kind", ["bpe", "bpe-char"])
def test_the_vocabulary_is_the_reference_trainers(kind: str) -> None:
    import tokenizers as hf
    from tokenizers import trainers

    made = train(kind, TEXTS)
    backend = hf.Tokenizer.from_str(made.json)
    backend.model = hf.models.BPE() if kind == "bpe" else hf.models.BPE(unk_token="[UNK]")
    specials = ["[PAD]"] if kind == "bpe" else ["[PAD]", "[UNK]"]
    alphabet = hf.pre_tokenizers.ByteLevel.alphabet() if kind == "bpe" else []
    trainer = trainers.BpeTrainer(
        vocab_size=OPTIONS[kind]["size"],
        min_frequency=2,
        special_tokens=specials,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    assert backend.get_vocab() == made.vocabulary


def test_wordpiece_learns_the_pieces_that_the_reference_learns() -> None:
    """As sets, with a size that all merges fit into: the reference's ties then decide the order
    alone.
    """
    import tokenizers as hf
    from tokenizers import trainers

    made = train("wordpiece", TEXTS, size=500)
    backend = hf.Tokenizer.from_str(made.json)
    backend.model = hf.models.WordPiece(unk_token="[UNK]")
    trainer = trainers.WordPieceTrainer(
        vocab_size=500,
        min_frequency=2,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    whole_words = {
        token for token in backend.get_vocab() if token in {word.lower() for word in WORDS}
    }
    singles = {token for token in backend.get_vocab() if len(token.removeprefix("##")) == 1}
    assert whole_words | singles <= set(made.vocabulary)


@pytest.mark.parametrize("kind", [kind for kind in COUNTED if kind not in ("regex", "unigram")])
def test_sizes_of_one_run_nest(kind: str) -> None:
    largest = train(kind, TEXTS)
    size = len(largest.vocabulary) - 5
    smaller = train(kind, TEXTS, size=size)
    cut = largest.shrink(size)
    assert cut.vocabulary == smaller.vocabulary
    assert cut.encode(TEXTS).ids.tolist() == smaller.encode(TEXTS).ids.tolist()


def test_unigram_sizes_do_not_nest_and_a_size_beyond_is_refused() -> None:
    with pytest.raises(UsageError, match="do not nest"):
        train("unigram", TEXTS).shrink(20)
    with pytest.raises(UsageError, match="only"):
        train("word", TEXTS).shrink(10_000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize("memory", [1, 5 * counting.PIECE_BYTES, 1 << 30])
def test_bounded_memory_gives_the_same_tokenizer(kind: str, memory: int) -> None:
    assert train(kind, TEXTS, memory_bytes=memory).fingerprint == train(kind, TEXTS).fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
@pytest.mark.parametrize("options", [{}, {"lowercase": False}, {"lowercase": True}], ids=str)
def test_pieces_are_cut_as_the_reference_cuts_them(kind: str, options: dict[str, Any]) -> None:
    import tokenizers as hf

    backend = hf.Tokenizer.from_str(train(kind, TEXTS, **options).json)
    find = piece_finder(kind, **options)
    generator = random.Random(2)
    letters = [*map(chr, range(128)), *"aAbB'  09sStTlLvVeErRdDmM.,\n\t"] * 3 + [
        "é",
        "\u0301",
        "\xa0",
        "\u2028",
        "字",
    ]
    texts = ["".join(generator.choices(letters, k=generator.randrange(1, 15))) for _ in range(5000)]
    for text in [
        *HARD_STRINGS,
        *TEXTS,
        *texts,
        *("".join(filter(str.isascii, text)) for text in texts),
    ]:
        assert sorted(find(text)) == sorted(counting.split_pieces(backend, text)), repr(text)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "bpe", "word"])
def test_the_rarest_pieces_give_way_where_memory_ends(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = piece_finder(kind)
    monkeypatch.setattr(
        counting, "LEAST_PIECES", len({piece for text in TEXTS for piece in find(text)})
    )
    rare = [f"rare{letter}" for letter in "abcdefghijklmnop"]
    said: list[str] = []
    bounded = tokenizers.train(
        kind,
        [*TEXTS, " ".join(rare)],
        memory_bytes=1,
        say=said.append,
        **{"size": 300, **OPTIONS.get(kind, {})},
    )
    assert said[0].startswith(
        "up to 0 different pieces are counted in memory, more go to disk; the vocabulary is learnt"
    )
    assert re.fullmatch(
        r"left out 1\d pieces that occur less than 2 times \(0\.\d\d% of the text\)", said[1]
    ), said
    assert (
        bounded.encode(rare).ids.tolist()
        == train(kind, TEXTS, **({} if kind in OPTIONS else {"size": 300}))
        .encode(rare)
        .ids.tolist()
    )


@pytest.mark.parametrize("kind", COUNTED)
def test_counts_of_several_machines_train_the_same_tokenizer(kind: str) -> None:
    options = {key: value for key, value in OPTIONS.get(kind, {}).items() if key != "size"}
    pieces = piece_finder(kind, **options)
    for name, texts in (("a.tsv", TEXTS[::2]), ("b.tsv", TEXTS[1::2])):
        counting.write_counts(
            Path(name), counting.count_texts(texts, pieces), facts=count_facts(kind, **options)
        )
    made = train_counts(kind, [Path("b.tsv"), Path("a.tsv")], **OPTIONS.get(kind, {}))
    assert made.fingerprint == train(kind, TEXTS).fingerprint


@pytest.mark.parametrize("memory_bytes", [None, 1, 5 * counting.PIECE_BYTES])
def test_counts_of_parts_add_up_to_those_of_all_texts(memory_bytes: int | None) -> None:
    parts = [list(counting.count_texts(TEXTS[n::3], str.split)) for n in range(3)]
    whole = list(counting.count_texts(TEXTS, str.split))
    assert list(counting.add_counts(parts, memory_bytes=memory_bytes)) == whole


@given(
    texts=st.lists(
        st.lists(st.text(max_size=4) | st.sampled_from([" ", "  ", *HARD_STRINGS]), max_size=6).map(
            "".join
        )
    ),
    lowercase=st.booleans(),
    memory_bytes=st.sampled_from([None, 1, 20 * counting.PIECE_BYTES]),
)
def test_words_cut_once_are_counted_as_texts_cut_whole(
    texts: list[str], lowercase: bool, memory_bytes: int | None
) -> None:
    pieces = piece_finder("wordpiece", lowercase=lowercase)
    assert isinstance(pieces, counting.CutAtSpaces)
    whole = list(counting.count_texts(texts, pieces.find))
    assert list(counting.count_texts(texts, pieces, memory_bytes=memory_bytes)) == whole


def test_counts_of_another_kind_and_broken_counts_are_refused() -> None:
    counting.write_counts(
        Path("a.tsv"), counting.count_texts(TEXTS, piece_finder("word")), facts=count_facts("word")
    )
    with pytest.raises(DataError, match=r"^a.tsv:1: kind is 'word', expected 'char'"):
        train_counts("char", [Path("a.tsv")])
    Path("b.tsv").write_text(
        json.dumps({"format": 1, **count_facts("word")}) + "\nnonsense\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"^b.tsv:2: expected count<tab>piece"):
        train_counts("word", [Path("b.tsv")])


def test_the_report_counts_what_a_loop_counts() -> None:
    tokenizer = tokenizers.create("word", vocabulary=["low", "new"])
    rows = [("low lower", "x"), ("", "x"), ("new", "y")]
    report = measure_fit(tokenizer, rows)
    assert report["all"]["n_tokens"] == 3
    assert report["all"]["unknown_rate"] == pytest.approx(1 / 3)
    assert report["groups"]["y"]["coverage"] == 1.0
    assert report["groups"]["x"]["n_rows"] == 2
    assert report["unused_ids"] == 1  # [PAD]
    assert report["all"]["fertility"] == 1.0
    assert "66.67%" in render_fit(report)


@pytest.mark.parametrize("text", ["2", "G", "-1G", "0M", "2X"])
def test_a_memory_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected memory such as"):
        counting.parse_memory(text)


def test_counting_refuses_an_option_that_the_kind_does_not_take() -> None:
    with pytest.raises(UsageError, match="unknown option of tokenizer 'wordpiece' 'form'"):
        piece_finder("wordpiece", form="nfc")
