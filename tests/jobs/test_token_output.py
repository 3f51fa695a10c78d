"""The tokens' texts as a column: what the spans cut out of the texts, whatever their order."""

from __future__ import annotations

import numpy as np
import pytest

from textkit import tokenizers
from textkit.batch import TokenBatch
from textkit.jobs import token_output
from textkit.jobs.token_output import _pieces

TEXTS = ["naïve 中文 x", "", "👨‍👩‍👧 ok", "plain words", "a\ud800b", "\n"]
SPANS = {
    "without a gap": [
        *([(0, 5), (5, 8), (8, 10)], [], [(0, 5), (5, 8)]),
        *([(0, 11)], [(0, 3)], [(0, 1)]),
    ],
    "with gaps": [[(0, 5), (6, 8), (9, 10)], [], [(6, 8)], [(1, 2), (6, 6), (6, 11)], [(2, 3)], []],
    "overlapping": [[(2, 3), (2, 3), (3, 8)], [], [(0, 1), (0, 1)], [(3, 9), (0, 4)], [(1, 2)], []],
    "none": [[], [], [], [], [], []],
}


@pytest.mark.parametrize("chunk", [1, 9, 1 << 20])
@pytest.mark.parametrize("name", SPANS)
def test_pieces_are_what_the_spans_cut_out(
    name: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_output, "_CHUNK_CHARACTERS", chunk)
    rows = SPANS[name]
    flat = np.array([span for row in rows for span in row], dtype=np.int32).reshape(-1, 2)
    offsets = np.cumsum([0, *map(len, rows)])
    none = np.zeros(len(rows), dtype=np.int32)
    batch = TokenBatch(np.zeros(len(flat), np.int32), offsets, flat, none)
    expected = [
        text[start:end].replace("\ud800", "\ufffd")
        for text, row in zip(TEXTS, rows, strict=True)
        for start, end in row
    ]
    found = _pieces(TEXTS, batch)
    found.validate(full=True)
    assert found.to_pylist() == expected


def test_pieces_of_a_byte_level_tokenizer_are_whole_characters() -> None:
    batch = tokenizers.train("bpe", ["naïve"], size=260).encode(TEXTS, spans=True)
    found = _pieces(TEXTS, batch).to_pylist()
    assert found[2:4] == ["ï", "ï"] and "👨" in found


def test_no_texts_have_no_pieces() -> None:
    assert _pieces([], TokenBatch.from_rows([], [])).to_pylist() == []
