"""What is counted of the tokens of a corpus, and the check of its rows.

In: rows and their tokens. Out: numbers that add up part by part, and a line for each row that
fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textkit.tokenizers import Tokenizer


@dataclass
class TokenCounts:
    """What was counted; two of them add up. failures: a line for each row that fails the check."""

    n_rows: int = 0
    n_tokens: int = 0
    n_text_bytes: int = 0
    n_unknown: int = 0
    n_truncated_rows: int = 0
    n_truncated_tokens: int = 0
    n_replaced: int = 0
    n_windows: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def numbers(self) -> dict[str, int]:
        """Give what is a number by its name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    def add(self, other: TokenCounts) -> None:
        """Count the rows of another part too."""
        for name, value in other.numbers().items():
            setattr(self, name, getattr(self, name) + value)
        self.lengths.update(other.lengths)
        self.failures += other.failures

    def pack(self) -> Mapping[str, object]:
        """Give what `unpack` takes, as JSON can hold it."""
        lengths = sorted(self.lengths.items())
        return {**self.numbers(), "lengths": lengths, "failures": self.failures}

    @classmethod
    def unpack(cls, values: Mapping[str, Any]) -> TokenCounts:
        """Take up what `pack` gave."""
        return cls(**{**values, "lengths": Counter(dict(values["lengths"]))})

    def speed(self, seconds: float) -> str:
        """Say how fast text went by."""
        return f"{self.n_text_bytes / max(seconds, 1e-9) / 1e6:.1f} MB/s"

    def percentile(self, share: float) -> int:
        """Give the smallest length that this share of the rows, or windows, does not exceed, before
        truncation.

        >>> TokenCounts(n_rows=4, lengths=Counter({1: 3, 9: 1})).percentile(0.75)
        1
        """
        passed = 0
        for length in sorted(self.lengths):
            passed += self.lengths[length]
            if passed >= share * self.lengths.total():
                return length
        return 0

    def to_dict(self) -> dict[str, int]:
        """Give plain values, with the length that 99 of 100 rows do not exceed."""
        told = {**self.numbers(), "p99_length": self.percentile(0.99)}
        if not self.n_windows:
            del told["n_windows"]
        return told


def check_rows(tokenizer: Tokenizer, texts: Sequence[str], *, first_row: int) -> list[str]:
    """Verify spans and, where the tokenizer is lossless, the round trip.

    One line for each row that fails.
    """
    batch = tokenizer.encode(texts, spans=True)
    failures = []
    for row, text in enumerate(texts):
        spans = batch.row_spans(row)
        ordered = bool((spans[:, 0] <= spans[:, 1]).all() and (np.diff(spans[:, 0]) >= 0).all())
        if not ordered or (len(spans) and not 0 <= spans.min() <= spans.max() <= len(text)):
            failures.append(f"row {first_row + row}: spans leave the text or run backwards")
        elif tokenizer.lossless and tokenizer.decode(batch[row].tolist()) != text:
            failures.append(f"row {first_row + row}: decoding the ids does not give the text back")
    return failures
