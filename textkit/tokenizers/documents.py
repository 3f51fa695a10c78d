"""Long texts in windows that begin and end with sentences, each knowing where it is from.

In: texts, a tokenizer, and how many tokens a window may have. Out: `Windows`: a TokenBatch whose
rows are windows, `sources` telling whose, and the span of each window in the caller's text.

1. A window holds as many whole sentences as fit.
2. The next one begins at the last sentence within `stride` tokens of where this one began, or at
   the sentence behind its first: two windows share up to about size - stride tokens, no token is
   left out, and no window lies within another.
3. A sentence of more than `size` tokens is cut between tokens, every `stride` of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.errors import UsageError
from textkit.tokenizers.protocol import Tokenizer, check_texts
from textkit.tokenizers.sentences import UNICODE, Spans, find_sentences
from textkit.tokenizers.templates import Template

# Windows that begin and end at any token.
NO_SENTENCES = "none"


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of texts: `tokens`, whose `sources` (n_windows,) name the text of each, and `spans`
    (n_windows, 2) int32, the (start, end) of each in that text, from its first token to its last.
    """

    tokens: TokenBatch
    spans: Spans

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def sources(self) -> NDArray[np.int64]:
        """The text of each window: (n_windows,) int64."""
        assert self.tokens.sources is not None
        return self.tokens.sources


def windows(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    size: int,
    stride: int | None = None,
    sentences: str = UNICODE,
    add_special_tokens: bool = False,
) -> Windows:
    """Cut texts into windows of at most `size` tokens on the borders of sentences.

    stride: tokens from the begin of a window to the begin of the next, at most where sentences are
    no longer (half of size). sentences: the rules that find them, as `sentences` takes them, or
    "none" for windows that begin every `stride` tokens. add_special_tokens: those of the
    tokenizer's template stand in every window, and count in its size; they have no span. A text
    without a token is one empty window.

    >>> from textkit import tokenizers
    >>> text = "It rains. It pours. The old man snores."
    >>> made = windows(tokenizers.create("word"), [text], size=8, stride=4)
    >>> [text[start:end] for start, end in made.spans]
    ['It rains. It pours.', 'It pours. The old man snores.']
    """
    rows = check_texts(texts)
    template = tokenizer.template if add_special_tokens else Template()
    size, room = size - template.n_special, size
    if size < 1:
        raise UsageError(f"size is {room}, which leaves no room for a token of the text")
    batch = tokenizer.encode(rows, spans=True)
    made = cut_windows(batch, rows, size=size, stride=stride, sentences=sentences)
    return Windows(template.join(made.tokens), made.spans) if template.n_special else made


def cut_windows(
    batch: TokenBatch, texts: Sequence[str], *, size: int, stride: int | None, sentences: str
) -> Windows:
    """Cut rows of tokens, encoded with spans, into windows, as `windows` does.

    >>> from textkit import tokenizers
    >>> batch = tokenizers.create("word").encode(["one two three"], spans=True)
    >>> made = cut_windows(batch, ["one two three"], size=2, stride=1, sentences="none")
    >>> made.spans.tolist(), made.sources.tolist()
    ([[0, 7], [4, 13]], [0, 0])
    """
    stride = max(1, size // 2) if stride is None else stride
    if not 1 <= stride <= size:
        raise UsageError(f"stride is {stride}, expected 1 to the size of a window, {size}")
    if sentences == NO_SENTENCES:
        cut = batch.windows(size, stride=stride)
        return Windows(cut, outer_spans(cut))
    find = find_sentences(sentences)
    sources: list[int] = []
    edges: list[tuple[int, int]] = []
    for row, length in enumerate(batch.lengths.tolist()):
        found = [(0, length)]
        if length > size:
            begins = _first_tokens(batch.row_spans(row), find(texts[row]))
            found = _edges(begins, size=size, stride=stride)
        edges += found
        sources += [row] * len(found)
    places = np.array(edges, dtype=np.int64).reshape(-1, 2)
    of = np.array(sources, dtype=np.int64)
    cut = batch.cut(of, places[:, 0], places[:, 1] - places[:, 0])
    return Windows(cut, outer_spans(cut))


def _first_tokens(spans: Spans, sentences: Spans) -> list[int]:
    """Give the number of the first token of each sentence, ascending, and of all tokens.

    A token is of the sentence that its last character is in: GPT-2's begin with a space, which is
    of the sentence before.
    """
    last = np.maximum.accumulate(np.maximum(spans[:, 0], spans[:, 1] - 1))
    first = np.searchsorted(last, sentences[1:, 0], side="left")
    begins: list[int] = np.unique(np.concatenate([[0], first, [len(spans)]])).tolist()
    return begins


def _edges(begins: list[int], *, size: int, stride: int) -> list[tuple[int, int]]:
    """Give the first and the last token, exclusive, of each window of a row.

    begins: the first token of each sentence, and the number of tokens.
    """
    edges: list[tuple[int, int]] = []
    start = end = 0
    while end < begins[-1]:
        whole = begins[bisect_right(begins, start + size) - 1]
        stop = whole if whole > start else start + size
        if stop > end:
            edges.append((start, stop))
            end = stop
        near = begins[bisect_right(begins, start + stride) - 1]
        after = begins[bisect_right(begins, start)]
        if near > start:
            start = near
        elif after <= end:
            start = after
        else:
            start += stride
    return edges


def outer_spans(cut: TokenBatch) -> Spans:
    """Give (start, end) of each row, from its first token to its last; (0, 0) of an empty one."""
    spans = np.zeros((len(cut), 2), dtype=np.int32)
    full = cut.lengths > 0
    assert cut.spans is not None
    spans[full, 0] = cut.spans[cut.offsets[:-1][full], 0]
    spans[full, 1] = cut.spans[cut.offsets[1:][full] - 1, 1]
    return spans
