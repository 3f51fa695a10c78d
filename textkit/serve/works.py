"""What a model does with texts, a batch at a time: probabilities, numbers or vectors.

In: items, each a text or a row of the model's own token ids. Out: an Outcome, a row an item. A work
is called by threads of the server; it tokenizes and computes in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.classify.fitted import Fitted, TokenModel
from textkit.data.batching import plan_sorted
from textkit.vectors.neighbours import unit

if TYPE_CHECKING:
    from textkit.classify.exported import BagModel, GraphModel
    from textkit.embedders.contextual import ContextualTexts
    from textkit.embedders.exported import GraphTexts
    from textkit.embedders.static import StaticTexts
    from textkit.tokenizers import Tokenizer

# A text, or ids of the model's tokenizer without the special ones around it.
Item = str | tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """values: (n, width) float. truncated: (n,) tokens cut from each item. n_tokens: (n,) that the
    model read of each; None where it reads no tokens. n_positions: padded ones that were computed;
    0 where nothing is padded.
    """

    values: NDArray[Any]
    truncated: NDArray[np.integer]
    n_tokens: NDArray[np.integer] | None = None
    n_positions: int = 0


@dataclass(frozen=True)
class Work:
    """A thing that a model does. width: of a row of values. reads_ids: whether an item may be a row
    of ids, as `join_items` puts them among texts. longest: tokens that are read of an item at most.
    """

    run: Callable[[Sequence[Item]], Outcome]
    width: int
    reads_ids: bool = False
    longest: int | None = None


def read_texts(items: Sequence[Item]) -> list[str]:
    """Give items that are all texts."""
    texts = [item for item in items if isinstance(item, str)]
    assert len(texts) == len(items)
    return texts


def join_items(
    items: Sequence[Item],
    encode: Callable[[Sequence[str]], TokenBatch],
    tokenizer: Tokenizer,
    max_length: int | None,
    around: tuple[tuple[int, ...], tuple[int, ...]],
) -> TokenBatch:
    """Encode the texts among items, put the special tokens around the rows of ids, cut these to
    max_length, and give all in their order.
    """
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) == len(items):
        return encode(texts)
    before, after = around
    rows = [item for item in items if not isinstance(item, str)]
    room = None if max_length is None else max(0, max_length - len(before) - len(after))
    given = TokenBatch.from_rows([(*before, *row[:room], *after) for row in rows])
    cut = [0 if room is None else max(0, len(row) - room) for row in rows]
    object.__setattr__(given, "truncated", np.array(cut, np.int32))
    batches = [encode(texts), given] if texts else [given]
    joined = TokenBatch.concatenate(batches).padded_by(tokenizer.pad_id)
    is_text = np.array([isinstance(item, str) for item in items])
    order = np.empty(len(items), np.int64)
    order[is_text] = np.arange(len(texts))
    order[~is_text] = len(texts) + np.arange(len(rows))
    return joined.take(order)


# Padded positions of one step of a network, in torch and in an exported graph alike.
_STEP_TOKENS = 8192


def classify(fitted: Fitted) -> Work:
    """Give a classifier's probabilities, or the numbers of a regression."""
    model = fitted.model
    if not isinstance(model, TokenModel):
        return Work(lambda items: _score(fitted, read_texts(items)), len(fitted.classes))
    read = _reader(model)
    pads = model.engine != "numpy"

    def run(items: Sequence[Item]) -> Outcome:
        tokens = read(items)
        logits = model.score(tokens)
        values = logits if fitted.task == "regression" else fitted.calibrate(logits)
        n_positions = count_positions(tokens, _STEP_TOKENS) if pads else 0
        return Outcome(values, tokens.truncated, tokens.lengths, n_positions)

    source = model.text_input
    return Work(run, len(fitted.classes), source.ngrams is None, source.max_length)


def exported(model: GraphModel | BagModel) -> Work:
    """Give the vectors that the heads of an exported classifier see, scaled to length 1."""
    read = _reader(model)

    def run(items: Sequence[Item]) -> Outcome:
        tokens = read(items)
        vectors = unit(model.pool(tokens))
        return Outcome(vectors, tokens.truncated, tokens.lengths)

    source = model.text_input
    width = run(["a"]).values.shape[1]
    return Work(run, width, source.ngrams is None, source.max_length)


def _reader(model: TokenModel) -> Callable[[Sequence[Item]], TokenBatch]:
    """Give what turns items into the rows that a model reads."""
    source = model.text_input
    template = source.template
    around = ((), ()) if template is None else (template.before, template.after)
    return lambda items: join_items(
        items, source.encode, source.tokenizer, source.max_length, around
    )


def _score(fitted: Fitted, texts: list[str]) -> Outcome:
    """Give what a model without tokens says."""
    logits = fitted.logits(texts)
    values = logits if fitted.task == "regression" else fitted.calibrate(logits)
    return Outcome(values, np.zeros(len(texts), np.int32))


def contextual(
    backend: ContextualTexts | GraphTexts,
    tokenizer: Tokenizer,
    *,
    max_length: int | None,
    around: tuple[tuple[int, ...], tuple[int, ...]],
    reads_ids: bool = True,
) -> Work:
    """Give the vectors of a network, or of what it was exported to."""
    padding = backend.batch_padding

    def run(items: Sequence[Item]) -> Outcome:
        tokens = join_items(items, backend.encode_prompted, tokenizer, max_length, around)
        vectors = backend.embed_tokens(tokens)
        n_positions = count_positions(tokens, backend.batch_tokens, padding)
        return Outcome(vectors, tokens.truncated, tokens.lengths, n_positions)

    return Work(run, backend.dim, reads_ids=reads_ids, longest=max_length)


def static(backend: StaticTexts) -> Work:
    """Give the vectors of words, pooled."""

    def run(items: Sequence[Item]) -> Outcome:
        texts = read_texts(items)
        made = backend.embed(texts)
        return Outcome(made.vectors, made.truncated, backend.tokenizer.count(texts))

    return Work(run, backend.dim)


def count_positions(tokens: TokenBatch, batch_tokens: int, padding: int | None = None) -> int:
    """Count the positions that padded batches of these rows have, padding included.

    >>> count_positions(TokenBatch.from_rows([[1, 2, 3], [1]]), 64)
    6
    """
    lengths = tokens.lengths
    plan = plan_sorted(lengths, batch_tokens=batch_tokens, batch_padding=padding)
    return sum(len(rows) * int(lengths[rows].max()) for rows in plan)
