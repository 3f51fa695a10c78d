"""The first kind of each family, on the sentence that everything starts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from textkit import tokenizers
from textkit.errors import ArtifactError, DataError, LimitError, UsageError
from textkit.tokenizers import PipelineTokenizer

SENTENCE = "Vanity and pride are different things"
TEXTS = [SENTENCE, "", "don't 3.14 🙂\n", "Ünïcödé हिन्दी", "a" * 50]
KINDS = ["word", "char", "bpe", "wordpiece"]


def train(kind: str, texts: list[str] | None = None, **options: object) -> PipelineTokenizer:
    tokenizer = tokenizers.train(kind, texts or TEXTS, **{"min_frequency": 1, **options})
    assert isinstance(tokenizer, PipelineTokenizer)
    return tokenizer


def pieces(tokenizer: PipelineTokenizer, text: str) -> list[str]:
    spans = tokenizer.encode([text], spans=True).row_spans(0).tolist()
    return [text[start:end] for start, end in spans]


def test_word_gives_the_words() -> None:
    assert pieces(train("word"), SENTENCE) == SENTENCE.split()


def test_word_keeps_punctuation_apart_and_inner_marks_inside() -> None:
    text = "Don't pay $3.14, हिन्दी (now)!"
    assert pieces(train("word"), text) == [
        "Don't",
        "pay",
        "$",
        "3.14",
        ",",
        "हिन्दी",
        "(",
        "now",
        ")",
        "!",
    ]


def test_char_gives_each_character() -> None:
    assert pieces(train("char"), SENTENCE) == list(SENTENCE)


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_subword_pieces_join_back_to_the_words(kind: str) -> None:
    tokenizer = train(kind, size=280 if kind == "bpe" else 60)
    found = pieces(tokenizer, SENTENCE)
    assert len(found) > len(SENTENCE.split())
    assert "".join(found).replace(" ", "") == SENTENCE.replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_gives_the_same_ids(kind: str) -> None:
    tokenizer = train(kind)
    tokenizer.save("tok")
    loaded = tokenizers.load("tok")
    before, after = tokenizer.encode(TEXTS, spans=True), loaded.encode(TEXTS, spans=True)
    assert before.ids.tolist() == after.ids.tolist()
    assert before.spans is not None and after.spans is not None
    assert before.spans.tolist() == after.spans.tolist()
    assert (loaded.kind, loaded.fingerprint) == (kind, tokenizer.fingerprint)
    assert tokenizers.load("tok/tokenizer.json").encode(TEXTS).ids.tolist() == before.ids.tolist()


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_files_and_texts_train_alike(kind: str) -> None:
    Path("a.txt").write_text("one two\n", encoding="utf-8")
    Path("b.jsonl").write_text('{"text": "two three"}\n', encoding="utf-8")
    from_files = tokenizers.train(kind, [Path("a.txt"), Path("b.jsonl")], size=300)
    from_texts = tokenizers.train(kind, ["one two", "two three"], size=300)
    assert from_files.fingerprint == from_texts.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_empty_batch_and_empty_text(kind: str) -> None:
    tokenizer = train(kind)
    assert len(tokenizer.encode([], spans=True)) == 0
    batch = tokenizer.encode(["", ""], spans=True)
    assert batch.lengths.tolist() == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_surrogate_becomes_the_replacement_character(kind: str) -> None:
    tokenizer = train(kind)
    bad, good = "x\ud800y", "x\ufffdy"
    assert tokenizer.encode([bad]).ids.tolist() == tokenizer.encode([good]).ids.tolist()
    with pytest.raises(DataError, match=r"text 1 has a lone surrogate \(U\+D800\) at character 1"):
        tokenizer.encode(["fine", bad], errors="strict")


def test_a_split_surrogate_pair_keeps_its_two_places() -> None:
    assert train("char").encode(["\ud83d\ude00!"], spans=True).row_spans(0).tolist() == [
        [0, 1],
        [1, 2],
        [2, 3],
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_spells_a_special_token_is_plain_text(kind: str) -> None:
    tokenizer = train(kind)
    assert tokenizer.pad_id is not None
    assert tokenizer.pad_id not in tokenizer.encode(["[PAD]"]).ids.tolist()


def test_lossless_gives_every_text_back() -> None:
    tokenizer = train("bpe")
    assert tokenizer.lossless
    for text in [*TEXTS, "\x00\r\n  ﬁ İ ß e\u0301 👨‍👩‍👧 ไทย العربية"]:
        assert tokenizer.decode(tokenizer.encode([text])[0].tolist()) == text
    assert not train("bpe", lowercase=True).lossless
    assert not train("word").lossless


def test_max_length_cuts_and_counts_or_refuses() -> None:
    tokenizer = train("word")
    batch = tokenizer.encode([SENTENCE, "and"], max_length=2)
    assert batch.lengths.tolist() == [2, 1]
    assert batch.truncated.tolist() == [4, 0]
    with pytest.raises(LimitError, match="text 0 has 6 tokens, more than max_length = 2"):
        tokenizer.encode([SENTENCE], max_length=2, on_long="error")
    with pytest.raises(UsageError, match="max_length is -1"):
        tokenizer.encode([SENTENCE], max_length=-1)


def test_what_is_no_batch_of_texts_is_refused() -> None:
    tokenizer = train("word")
    with pytest.raises(UsageError, match=r"found one str; wrap it in a list"):
        tokenizer.encode("text")
    with pytest.raises(UsageError, match="text 1 is missing"):
        tokenizer.encode(["text", None])  # type: ignore[list-item]
    with pytest.raises(UsageError, match=r"write \[text\] or Path"):
        tokenizers.train("word", "file.txt")
    with pytest.raises(UsageError, match="found a int"):
        tokenizers.train("word", [3])  # type: ignore[list-item]


def test_misspelt_kind_and_option_get_their_neighbours() -> None:
    with pytest.raises(UsageError, match="unknown tokenizer 'wrod'; did you mean 'word'"):
        tokenizers.train("wrod", TEXTS)
    with pytest.raises(
        UsageError,
        match="unknown option of tokenizer 'word' 'lowercased'; did you mean 'lowercase'",
    ):
        tokenizers.train("word", TEXTS, lowercased=True)
    with pytest.raises(UsageError, match="tokenizer 'bpe' needs vocabulary and merges"):
        tokenizers.create("bpe")
    with pytest.raises(UsageError, match="size is 10, expected at least 257"):
        tokenizers.train("bpe", TEXTS, size=10)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", r"no \[UNK\] among the lines"),
        ('{"model": {"type": "BPE"}}', "it has no model with a vocab"),
        (
            '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}',
            "Token `b` out of vocabulary",
        ),
    ],
)
def test_a_bad_tokenizer_json_is_one_line(data: str, message: str) -> None:
    Path("tokenizer.json").write_text(data, encoding="utf-8")
    with pytest.raises(ArtifactError, match=message) as caught:
        tokenizers.load("tokenizer.json")
    assert str(caught.value).startswith("tokenizer.json: ")


def test_a_changed_tokenizer_folder_is_refused() -> None:
    train("word").save("tok")
    path = Path("tok/tokenizer.json")
    path.write_text(path.read_text(encoding="utf-8").replace("pride", "prime"), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^tok/tokenizer.json: file was changed"):
        tokenizers.load("tok")
    with pytest.raises(ArtifactError, match="no such tokenizer"):
        tokenizers.load("nowhere")


def test_decode_refuses_an_id_outside_the_vocabulary() -> None:
    with pytest.raises(UsageError, match="id 99999 is not in the vocabulary"):
        train("word").decode([99999])
