"""Words, texts of a pair and characters of tokens: equal to transformers' over kinds and texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sentencepiece
import tokenizers as hf
from tokenizers import processors

from tests.tokenizers.test_contract import KINDS, make
from tests.tokenizers.test_sentencepiece_files import LINES
from textkit import TokenBatch, tokenizers
from textkit.errors import DataError, LimitError, UsageError
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.engines.guard import HARD_STRINGS
from textkit.tokenizers.sentencepiece_tokens import SentencePieceTokenizer

TEXTS = [text.encode("utf-8", "replace").decode() for text in HARD_STRINGS if len(text) < 200] + [
    "Vanity and pride are different things.",
    "",
    " two  spaces ",
    "don't 3.14 \U0001f642\u200d ok",
    "สวัสดีชาวโลก مرحبا بالعالم हिन्दी",
    "A\u0301e\u0301 fi ﬁ ½",
]
PAIRS = [*TEXTS[3:], *TEXTS[:3]]
PROCESSORS = {
    "none": None,
    "bert": processors.TemplateProcessing(
        single="<c> $A <s>", pair="<c> $A <s> $B:1 <s>:1", special_tokens=[("<c>", 0), ("<s>", 1)]
    ),
    "twice": processors.TemplateProcessing(
        single="<c> $A", pair="$B:1 <c> <c> $A", special_tokens=[("<c>", 0)]
    ),
    "roberta": processors.RobertaProcessing(("<s>", 1), ("<c>", 0), trim_offsets=False),
    "bert-type": processors.BertProcessing(("<s>", 1), ("<c>", 0)),
}


def with_processor(kind: str, name: str) -> tuple[PipelineTokenizer, hf.Tokenizer]:
    """Give a tokenizer of ours and the reference's object, both with a post-processor."""
    backend = hf.Tokenizer.from_str(make(kind).json)
    if PROCESSORS[name] is not None:
        backend.post_processor = PROCESSORS[name]
    ours = PipelineTokenizer(hf.Tokenizer.from_str(backend.to_str()), kind=kind)
    backend.encode_special_tokens = True
    return ours, backend


def theirs(backend: hf.Tokenizer) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=backend, split_special_tokens=True)


@pytest.mark.parametrize("kind", KINDS)
def test_words_and_characters_are_those_of_transformers(kind: str) -> None:
    tokenizer, backend = with_processor(kind, "none")
    batch = tokenizer.encode(TEXTS, words=True, spans=True)
    expected = theirs(backend)(TEXTS, add_special_tokens=False)
    for row, text in enumerate(TEXTS):
        assert batch[row].tolist() == expected["input_ids"][row]
        assert batch.word_ids(row) == expected.word_ids(row)
        assert batch.sequence_ids(row) == expected.sequence_ids(row)
        for char in range(len(text) + 1):
            assert batch.char_to_token(row, char) == expected.char_to_token(row, char)
        for token in range(len(batch[row])):
            assert batch.token_to_chars(row, token) == expected.token_to_chars(row, token)


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_pairs_and_special_tokens_are_those_of_transformers(kind: str, name: str) -> None:
    tokenizer, backend = with_processor(kind, name)
    peer = theirs(backend)
    for add in (False, True):
        options = {"add_special_tokens": add}
        batch = tokenizer.encode(TEXTS, pairs=PAIRS, words=True, spans=True, **options)
        expected = peer(TEXTS, PAIRS, return_token_type_ids=True, **options)
        one = tokenizer.encode(TEXTS, words=True, spans=True, **options)
        for row in range(len(TEXTS)):
            assert batch[row].tolist() == expected["input_ids"][row]
            assert batch.word_ids(row) == expected.word_ids(row)
            assert batch.sequence_ids(row) == expected.sequence_ids(row)
            for token in range(len(batch[row])):
                assert batch.token_to_chars(row, token) == expected.token_to_chars(row, token)
            for char, side in ((0, 0), (0, 1), (3, 1)):
                assert batch.char_to_token(row, char, sequence=side) == expected.char_to_token(
                    row, char, side
                )
            assert one[row].tolist() == peer(TEXTS[row], **options)["input_ids"]
        types = batch.pad(tensors="np").get("token_type_ids")
        if types is not None:
            lengths = batch.lengths
            assert [types[i, : lengths[i]].tolist() for i in range(len(TEXTS))] == expected[
                "token_type_ids"
            ]


@pytest.mark.parametrize("width", [5, 8, 13])
def test_cut_pairs_are_those_of_transformers(width: int) -> None:
    tokenizer, backend = with_processor("bpe", "bert")
    batch = tokenizer.encode(TEXTS, pairs=PAIRS, add_special_tokens=True, max_length=width)
    peer = theirs(backend)
    expected = peer(TEXTS, PAIRS, max_length=width, truncation="longest_first")["input_ids"]
    assert [row.tolist() for row in batch] == expected
    whole = tokenizer.encode(TEXTS, pairs=PAIRS, add_special_tokens=True)
    assert (batch.truncated == whole.lengths - batch.lengths).all()
    one = tokenizer.encode(TEXTS, add_special_tokens=True, max_length=width)
    expected = peer(TEXTS, max_length=width, truncation=True)["input_ids"]
    assert [row.tolist() for row in one] == expected


@pytest.mark.parametrize(("width", "overlap"), [(8, 2), (9, 0), (12, 5)])
def test_windows_with_special_tokens_are_those_of_transformers(width: int, overlap: int) -> None:
    tokenizer, backend = with_processor("bpe", "bert")
    batch = tokenizer.encode(
        TEXTS,
        add_special_tokens=True,
        max_length=width,
        on_long="window",
        stride=width - 2 - overlap,
        spans=True,
    )
    expected = theirs(backend)(
        TEXTS,
        max_length=width,
        truncation=True,
        stride=overlap,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert [row.tolist() for row in batch] == expected["input_ids"]
    assert batch.sources is not None
    assert batch.sources.tolist() == expected["overflow_to_sample_mapping"]
    assert [batch.row_spans(i).tolist() for i in range(len(batch))] == [
        [list(span) for span in row] for row in expected["offset_mapping"]
    ]


def test_windows_of_pairs_are_those_of_transformers() -> None:
    tokenizer, backend = with_processor("bpe", "bert")
    questions = ["who?"] * len(TEXTS)
    room = 16 - 3 - len(tokenizer.encode(questions[:1])[0])
    batch = tokenizer.encode(
        questions,
        pairs=TEXTS,
        add_special_tokens=True,
        max_length=16,
        on_long="window",
        stride=room - 2,
    )
    expected = theirs(backend)(
        questions,
        TEXTS,
        max_length=16,
        truncation="only_second",
        stride=2,
        return_overflowing_tokens=True,
    )
    assert [row.tolist() for row in batch] == expected["input_ids"]
    assert batch.sources is not None
    assert batch.sources.tolist() == expected["overflow_to_sample_mapping"]


@pytest.mark.parametrize("name", ["none", "bert"])
@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "word"])
def test_split_input_is_that_of_transformers(kind: str, name: str) -> None:
    tokenizer, backend = with_processor(kind, name)
    rows = [["Vanity", "and", "pride"], ["don't", " 3.14", "\U0001f642"], [""], ["हिन्दी", "a b"]]
    batch = tokenizer.encode_words(rows, spans=True, add_special_tokens=True)
    peer = theirs(backend)
    expected = peer(rows, is_split_into_words=True, return_offsets_mapping=True)
    for row in range(len(rows)):
        assert batch[row].tolist() == expected["input_ids"][row]
        assert batch.word_ids(row) == expected.word_ids(row)
        spans = [list(span) for span in expected["offset_mapping"][row]]
        assert batch.row_spans(row).tolist() == spans


def test_labels_of_words_go_to_pieces() -> None:
    tokenizer, _ = with_processor("wordpiece", "bert")
    rows = [["Vanity", "differently", "x"], [], ["and"]]
    labels = [[1, 2, 3], [], [4]]
    batch = tokenizer.encode_words(rows, add_special_tokens=True)
    for pieces in ("first", "all"):
        aligned = batch.align_labels(labels, pieces=pieces)  # type: ignore[arg-type]
        for row in range(len(rows)):
            naive, last = [], None
            for word in batch.word_ids(row):
                is_first = word != last
                labelled = word is not None and (is_first or pieces == "all")
                naive.append(labels[row][word] if labelled and word is not None else -100)
                last = word
            assert aligned[batch.offsets[row] : batch.offsets[row + 1]].tolist() == naive
    padded = batch.pad(tensors="np", labels=aligned)["labels"]
    assert padded.shape[0] == 3
    assert padded[2, batch.lengths[2] :].tolist() == [-100] * (padded.shape[1] - batch.lengths[2])
    with pytest.raises(DataError, match="row 0 has 2 labels, but a word 2"):
        batch.align_labels([[1, 2], [], [4]])
    with pytest.raises(UsageError, match="2 rows of labels for 3 rows"):
        batch.align_labels([[1, 2, 3], []])


def test_what_a_batch_cannot_say_is_refused() -> None:
    tokenizer = make("wordpiece")
    with pytest.raises(UsageError, match="no words"):
        tokenizer.encode(["a b"]).word_ids(0)
    with pytest.raises(UsageError, match="row 0 is a str, expected a list of words"):
        tokenizer.encode_words(["a b"])
    with pytest.raises(UsageError, match="1 texts but 2 pairs"):
        tokenizer.encode(["a"], pairs=["b", "c"])
    tokenizer, _ = with_processor("wordpiece", "bert")
    with pytest.raises(UsageError, match="the template alone takes 2"):
        tokenizer.encode(["a"], add_special_tokens=True, max_length=1)
    with pytest.raises(LimitError, match="text 1 has"):
        tokenizer.encode(["", "and and and"], pairs=["", "and"], max_length=3, on_long="error")
    with pytest.raises(IndexError):
        tokenizer.encode(["a"], words=True).word_ids(1)


def test_origins_follow_slices_and_joins() -> None:
    tokenizer = make("wordpiece")
    batch = tokenizer.encode(TEXTS, words=True, spans=True)
    order = np.arange(len(TEXTS))[::-1]
    taken = batch.take(order)
    joined = TokenBatch.concatenate([batch.slice(0, 5), batch.slice(5, len(batch))])
    for row in range(len(TEXTS)):
        assert taken.word_ids(row) == batch.word_ids(int(order[row]))
        assert joined.word_ids(row) == batch.word_ids(row)
    assert batch.truncate(2).word_ids(0) == batch.word_ids(0)[:2]


@pytest.mark.parametrize("behind", [False, True])
def test_sentencepiece_words_begin_at_the_space(*, behind: bool) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_prefix="words",
        vocab_size=80,
        hard_vocab_limit=False,
        treat_whitespace_as_suffix=behind,
        minloglevel=2,
    )
    tokenizer = tokenizers.load("words.model")
    assert isinstance(tokenizer, SentencePieceTokenizer) or not behind
    texts = ["low lower  newest banana", "", "the", "hello world"]
    batch = tokenizer.encode(texts, words=True, spans=True)
    for row, text in enumerate(texts):
        words = batch.word_ids(row)
        for number, word in enumerate(text.split()):
            at = [i for i, n in enumerate(words) if n == number]
            spans = batch.row_spans(row)[at]
            start, end = int(spans[:, 0].min()), int(spans[:, 1].max())
            assert text[start:end].strip() == word
