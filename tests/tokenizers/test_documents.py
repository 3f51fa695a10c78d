"""Windows on the borders of sentences: no token lost, no window too long, spans in the text."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from textkit import tokenizers
from textkit.errors import UsageError
from textkit.tokenizers import Windows, sentences, windows

WORD = tokenizers.create("word")
TEXT = "It rains. It pours. The old man is snoring. He bumped his head and went to bed."


def shown(made: Windows, texts: list[str]) -> list[str]:
    pairs = zip(made.sources, made.spans, strict=True)
    return [texts[row][start:end] for row, (start, end) in pairs]


def test_windows_hold_whole_sentences_and_overlap() -> None:
    made = windows(WORD, [TEXT], size=12, stride=6)
    assert shown(made, [TEXT]) == [
        "It rains. It pours. The old man is snoring.",
        "He bumped his head and went to bed.",
    ]
    made = windows(WORD, [TEXT], size=9, stride=4)
    assert shown(made, [TEXT]) == [
        "It rains. It pours.",
        "It pours. The old man is snoring.",
        "He bumped his head and went to bed.",
    ]


def test_a_sentence_that_is_too_long_is_cut_between_tokens() -> None:
    text = "Hi. One two three four five six seven. Bye."
    assert shown(windows(WORD, [text], size=4, stride=3), [text]) == [
        "Hi.",
        "One two three four",
        "four five six seven",
        "seven. Bye.",
    ]


def test_short_rows_and_empty_rows_are_one_window_and_no_rows_are_none() -> None:
    made = windows(WORD, ["One. Two.", "", " \n"], size=4)
    assert made.sources.tolist() == [0, 1, 2]
    assert made.spans.tolist() == [[0, 9], [0, 0], [0, 0]]
    assert len(windows(WORD, [], size=4)) == 0


def test_no_token_is_lost_and_no_window_lies_in_another() -> None:
    draw = random.Random(1)
    parts = ["a", "B", ". ", "? ", "\n", "1", " ", "mot ", "語", "。", "👨‍👩‍👧 "]
    texts = ["".join(draw.choices(parts, k=draw.randrange(60))) for _ in range(60)]
    whole = WORD.encode(texts, spans=True)
    for size in (1, 2, 5, 9):
        stride = draw.randrange(1, size + 1)
        made = windows(WORD, texts, size=size, stride=stride)
        assert made.tokens.lengths.max() <= size
        for row, text in enumerate(texts):
            mine = np.flatnonzero(made.sources == row)
            places = [made.tokens.row_spans(i).tolist() for i in mine]
            spans = [made.spans[i].tolist() for i in mine]
            assert sorted({tuple(span) for place in places for span in place}) == [
                tuple(span) for span in whole.row_spans(row).tolist()
            ]
            for (start, end), (next_start, next_end) in itertools.pairwise(spans):
                assert start < next_start and end < next_end, text
            # A window begins with a sentence, or within one that no window could hold.
            begins = {int(begin) for begin, _ in sentences(text)}
            for place in places[1:]:
                first = place[0][0]
                own = next(s for s in sentences(text) if s[0] <= first < s[1])
                n_tokens = sum(own[0] <= a < own[1] for a, _ in whole.row_spans(row).tolist())
                is_begin = not text[max(b for b in begins if b <= first) : first].strip()
                assert is_begin or n_tokens > size, (text, size, stride, place)


def test_a_token_that_begins_with_a_space_is_of_the_next_sentence() -> None:
    bpe = tokenizers.train("bpe", ["It rains. It pours."] * 9, size=300)
    text = "It rains. It pours."
    made = windows(bpe, [text], size=len(bpe.encode([text])[0]) - 1, stride=1)
    assert shown(made, [text])[0] == "It rains."


def test_no_sentences_is_what_encode_gives() -> None:
    made = windows(WORD, [TEXT, "a"], size=5, stride=2, sentences="none")
    wanted = WORD.encode([TEXT, "a"], spans=True, max_length=5, on_long="window", stride=2)
    assert made.tokens.ids.tolist() == wanted.ids.tolist()
    assert wanted.sources is not None and made.sources.tolist() == wanted.sources.tolist()


def test_special_tokens_stand_in_every_window_and_count() -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "it", "rains", "pours", "."]
    bert = tokenizers.create("wordpiece", vocabulary=pieces).with_template("bert")
    text = "It rains. It pours."
    made = windows(bert, [text], size=5, add_special_tokens=True)
    assert [bert.decode(row) for row in made.tokens] == [
        "[CLS] it rains. [SEP]",
        "[CLS] it pours. [SEP]",
    ]
    assert shown(made, [text]) == ["It rains.", "It pours."]
    with pytest.raises(UsageError, match="size is 2, which leaves no room"):
        windows(bert, [text], size=2, add_special_tokens=True)


@pytest.mark.parametrize(("size", "stride"), [(3, 4), (3, 0), (0, None), (-1, None)])
def test_a_size_or_stride_that_cannot_be_is_refused(size: int, stride: int | None) -> None:
    with pytest.raises(UsageError, match=r"stride is|size is"):
        windows(WORD, [TEXT], size=size, stride=stride)
