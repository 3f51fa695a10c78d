"""A tokenizer trained further keeps what it has, and learns what training at once would have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from textkit import tokenizers
from textkit.errors import UsageError
from textkit.jobs.tokenizer import PieceOptions, TrainTokenizerOptions, train_tokenizer

LINES = [
    *["the lower one is lower than the lowest", "newest and widest, the oldest of them"] * 3,
    *["low lower lowest new newer newest wide wider widest", "naïve, don't! 3.14 हिन्दी"] * 4,
]
OTHERS = ["漢字と仮名、漢字と仮名", "日本の漢字", "naïvely lowered 🙂🙂"] * 4


@pytest.mark.parametrize(
    ("kind", "few", "many"),
    [
        ("bpe", 262, 300),
        ("bpe-char", 50, 90),
        ("word", 8, 20),
        ("char", 12, 25),
        ("whitespace", 8, 20),
        ("grapheme", 12, 25),
    ],
)
def test_to_go_on_with_the_same_texts_is_to_train_at_once(kind: str, few: int, many: int) -> None:
    whole = tokenizers.train(kind, LINES, size=many, min_frequency=2)
    start = tokenizers.train(kind, LINES, size=few, min_frequency=2)
    assert isinstance(start, tokenizers.PipelineTokenizer)
    more = start.train_further(LINES, size=many, min_frequency=2)
    assert len(start) < len(whole) and more.vocabulary == whole.vocabulary
    assert more.encode(LINES).ids.tolist() == whole.encode(LINES).ids.tolist()


@pytest.mark.parametrize("kind", ["bpe", "bpe-char", "wordpiece", "word", "char"])
def test_ids_stay_and_other_texts_become_shorter_or_known(kind: str) -> None:
    size = {"bpe": 270, "wordpiece": 80}.get(kind, 40)
    start: Any = tokenizers.train(kind, LINES, size=size)
    texts = [*LINES, *OTHERS]
    more = start.train_further(OTHERS, size=len(start) + 30)
    assert len(start) < len(more) <= len(start) + 30
    assert {name: more.vocabulary[name] for name in start.vocabulary} == start.vocabulary
    old, new = start.encode(texts), more.encode(texts)
    assert (
        len(new.ids) < len(old.ids)
        or (new.ids == more.unknown_id).sum() < (old.ids == start.unknown_id).sum()
    )
    if kind == "bpe":
        assert more.decode_batch(new) == texts
    more.save("tok")
    loaded = tokenizers.load("tok")
    assert loaded.encode(texts).ids.tolist() == new.ids.tolist()
    assert loaded.vocabulary == more.vocabulary


def test_special_and_added_tokens_stay_where_they_are() -> None:
    start: Any = tokenizers.train("bpe", LINES, size=270)
    start = start.add_tokens(["<br>"]).add_special_tokens(cls_token="[CLS]", sep_token="[SEP]")
    start = start.with_template("bert")
    more = start.train_further(["lowest<br>newest"] * 5, size=290)
    batch = more.encode(["lowest<br>"], add_special_tokens=True)
    assert more.tokens(batch[0].tolist())[-2:] == ["<br>", "[SEP]"]
    assert batch[0][-2] == start.vocabulary["<br>"] and batch[0][0] == start.vocabulary["[CLS]"]
    assert not any("br" in name for name in more.vocabulary if name not in start.vocabulary)


def test_wordpiece_takes_up_the_characters_of_unknown_words() -> None:
    start: Any = tokenizers.create("wordpiece", vocabulary=["[UNK]", "play", "##ing"])
    more = start.train_further(["play☃ play☃ ☃x"], size=9, min_frequency=2)
    assert set(more.vocabulary) == {"[UNK]", "play", "##ing", "##☃", "play☃"}
    more = start.train_further(["playé playé"], size=9, min_frequency=2)
    assert more.tokens(more.encode(["playé"])[0].tolist()) == ["playe"]


def test_what_cannot_be_trained_further_is_said() -> None:
    word: Any = tokenizers.train("word", LINES, size=9)
    with pytest.raises(UsageError, match="expected more than the 9 tokens"):
        word.train_further(LINES, size=9)
    with pytest.raises(UsageError, match="'<br>' stands behind the vocabulary"):
        word.add_tokens(["<br>"]).train_further(LINES, size=20)
    unigram: Any = tokenizers.create("unigram", vocabulary=[("<unk>", 0.0), ("a", -1.0)])
    with pytest.raises(UsageError, match="weighed together: it cannot be trained further"):
        unigram.train_further(LINES, size=20)


def test_the_job_goes_on_from_a_folder_in_several_sizes() -> None:
    Path("a.txt").write_text("\n".join(LINES), encoding="utf-8")
    Path("b.txt").write_text("\n".join(OTHERS), encoding="utf-8")
    train_tokenizer(TrainTokenizerOptions(inputs=["a.txt"], out=Path("old"), sizes=[270]))
    more = TrainTokenizerOptions(
        inputs=["b.txt"], out=Path("new"), start="old", sizes=[280, 290], memory="1G"
    )
    saved = train_tokenizer(more)
    assert [(str(folder), len(tok)) for folder, tok in saved] == [
        ("new-280", 280),
        ("new-290", 290),
    ]
    for wrong, said in [
        ({"counts": True}, "give texts with --start"),
        ({"pieces": PieceOptions(split="o200k")}, "old says its own split"),
        ({"pieces": PieceOptions(kind="word")}, "old says its own kind"),
    ]:
        options: Any = {"inputs": ["b.txt"], "out": Path("x"), "start": "old", "sizes": [280]}
        with pytest.raises(UsageError, match=said):
            train_tokenizer(TrainTokenizerOptions(**options, **wrong))
