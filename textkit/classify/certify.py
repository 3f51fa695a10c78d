"""Compare a model with the one that it was made from, on texts and on rows that break things.

In: two Fitted and perhaps texts. Out: the largest difference of what they compute. Hard texts stand
here: empty, of one token, of many, in scripts and signs that tokenizers differ on; and where both
read tokens, rows of them beside each other, each alone, empty, and 2,000 long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.classify.fitted import ExactModel, Fitted, TokenModel
from textkit.errors import ArtifactError

# What an exported model may differ by: float32 sums in another order.
TOLERANCE = 1e-5
LONG_ROW = 2000

HARD_TEXTS = (
    "",
    " ",
    "a",
    ".",
    "A good film, and a bad one.",
    "don't can't won't e-mail re-read",
    "[CLS] [SEP] <s> </s> [UNK] [PAD]",
    "naïve café Ångström ﬁne \u00e9 e\u0301",
    "日本語のテキスト 中文 한국어",
    "ภาษาไทย",
    "نص عربي",
    "👩‍👩‍👧 🎉 👍🏽",
    "\u200b\ufeff\x00\x07\t\n\r",
    "\ud800 a lone surrogate",
    "x" * 3000,
    "1234567890 3.14 1e-5 $5 50%",
    "http://example.com/?a=b&c=d user@example.com",
    "word " * 2500,
    "The quick brown fox jumps over the lazy dog. " * 40,
)


@dataclass(frozen=True)
class Certificate:
    """How far a model is from the one that it was made from.

    difference: the largest, of logits or of a regression's numbers as a share of their size where
    that is above 1, and of probabilities. n_texts: that were compared, hard ones and the user's.
    n_rows: of tokens that were compared. tolerance: what was allowed.
    """

    difference: float
    n_texts: int
    n_rows: int
    tolerance: float = TOLERANCE

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return asdict(self)


def certify(
    original: Fitted, other: Fitted, texts: Sequence[str] = (), *, tolerance: float = TOLERANCE
) -> Certificate:
    """Compare two models; ArtifactError where they differ by more than the tolerance, or encode a
    text otherwise.
    """
    every = [*_takeable(original, HARD_TEXTS), *texts]
    logits = other.logits(every)
    expected = _settled(original, original.logits(every), logits, every, tolerance=tolerance)
    differences = [_distance(expected, logits)]
    if original.task != "regression":
        gap = original.calibrate(expected) - other.calibrate(logits)
        differences.append(float(np.abs(gap).max(initial=0)))
    n_rows = 0
    one, two = original.model, other.model
    if isinstance(one, TokenModel) and isinstance(two, TokenModel):
        _compare_ids(one.text_input.encode(every), two.text_input.encode(every), every)
        for tokens in _rows(one):
            n_rows += len(tokens)
            differences.append(_distance_of_rows(one, two, tokens, tolerance=tolerance))
    largest = max(differences)
    if not largest <= tolerance:
        raise ArtifactError(
            f"the model differs by {largest:.1e} from the one that it was made from, more than"
            f" {tolerance:.0e}; this is a fault of the export, and nothing was written"
        )
    return Certificate(largest, len(every), n_rows, tolerance)


def _rows(model: TokenModel) -> list[TokenBatch]:
    """Make batches of rows: some together, each of them alone, and none."""
    n_long = LONG_ROW if model.longest_row is None else min(model.longest_row, LONG_ROW)
    ids = np.random.default_rng(0).integers(0, model.text_input.n_ids, n_long).tolist()
    rows = TokenBatch.from_rows([ids[:7], [], ids, ids[:1], ids[7:9]])
    alone = [rows.slice(i, i + 1) for i in range(len(rows))]
    return [rows, *alone, rows.slice(0, 0)]


def _distance_of_rows(
    one: TokenModel, two: TokenModel, tokens: TokenBatch, *, tolerance: float
) -> float:
    """Compare two models on rows; what float32 itself leaves open, as sums over 2,000 tokens do, is
    settled by float64.
    """
    computed = two.score(tokens)
    distance = _distance(one.score(tokens), computed)
    if distance > tolerance and isinstance(one, ExactModel):
        return _distance(one.score_exactly(tokens), computed)
    return distance


def _settled(
    fitted: Fitted,
    logits: NDArray[np.floating],
    others: NDArray[np.floating],
    texts: Sequence[str],
    *,
    tolerance: float,
) -> NDArray[np.floating]:
    """Give the logits of texts, in float64 where float32 is not sure enough to tell a fault: torch
    sums the 2,500 vectors of a long text up to 1e-4 off.
    """
    model = fitted.model
    if logits.shape != others.shape or not isinstance(model, ExactModel):
        return logits
    rows = [i for i in range(len(texts)) if _distance(logits[i], others[i]) > tolerance]
    if rows:
        logits = logits.astype(np.float64)
        logits[rows] = model.score_exactly(model.text_input.encode([texts[i] for i in rows]))
    return logits


def _takeable(fitted: Fitted, texts: Sequence[str]) -> list[str]:
    """Leave out texts of more tokens than the model has positions for, which it refuses."""
    model = fitted.model
    if not isinstance(model, TokenModel) or model.longest_row is None:
        return list(texts)
    lengths = model.text_input.encode(texts).lengths
    return [text for text, n in zip(texts, lengths, strict=True) if n <= model.longest_row]


def _distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Give the largest difference, as a share of what is larger than 1.

    >>> _distance(np.array([[100.0]], np.float32), np.array([[101.0]], np.float32))
    0.01
    """
    if one.shape != other.shape:
        raise ArtifactError(f"the model gives {other.shape} numbers, expected {one.shape}")
    wide = one.astype(np.float64)
    return float((np.abs(wide - other) / np.maximum(np.abs(wide), 1)).max(initial=0))


def _compare_ids(one: TokenBatch, other: TokenBatch, texts: Sequence[str]) -> None:
    for i, text in enumerate(texts):
        if not np.array_equal(one[i], other[i]):
            raise ArtifactError(f"the model's tokenizer gives other ids for {text[:40]!r}")
