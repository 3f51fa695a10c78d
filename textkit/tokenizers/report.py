"""How well a tokenizer fits a corpus: coverage, unknown rate, fertility, unused ids, by group where
one is given.

In: a tokenizer and (text, group) pairs. Out: numbers, as a dict for JSON and as lines for people.
Words are UAX 29's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from textkit.batch import cut_rows
from textkit.tokenizers.lookup import WORD
from textkit.tokenizers.protocol import Tokenizer

_CHUNK_ROWS = 2048


class Rates(TypedDict):
    """How a tokenizer fits some texts; fertility is tokens per word."""

    n_rows: int
    n_words: int
    n_tokens: int
    coverage: float
    unknown_rate: float
    fertility: float
    characters_per_token: float
    median_length: float
    p99_length: float


class FitReport(TypedDict):
    """The rates of all texts, and of each group of them."""

    vocabulary: int
    unused_ids: int
    all: Rates
    groups: dict[str, Rates]


@dataclass
class Fit:
    """What was counted for one group of texts."""

    n_rows: int = 0
    n_words: int = 0
    n_tokens: int = 0
    n_unknown: int = 0
    n_characters: int = 0
    lengths: list[NDArray[np.int64]] = field(default_factory=list)

    def to_dict(self) -> Rates:
        """Give the rates."""
        lengths = np.concatenate(self.lengths) if self.lengths else np.zeros(1, np.int64)
        return {
            "n_rows": self.n_rows,
            "n_words": self.n_words,
            "n_tokens": self.n_tokens,
            "coverage": 1 - self.n_unknown / max(self.n_tokens, 1),
            "unknown_rate": self.n_unknown / max(self.n_tokens, 1),
            "fertility": self.n_tokens / max(self.n_words, 1),
            "characters_per_token": self.n_characters / max(self.n_tokens, 1),
            "median_length": float(np.median(lengths)),
            "p99_length": float(np.percentile(lengths, 99)),
        }


def measure_fit(tokenizer: Tokenizer, rows: Iterable[tuple[str, str]]) -> FitReport:
    """Measure a tokenizer on (text, group) pairs.

    >>> from textkit import tokenizers
    >>> tok = tokenizers.create("word", vocabulary=["pride"])
    >>> measure_fit(tok, [("pride, vanity", "en")])["all"]["unknown_rate"]
    0.6666666666666666
    """
    words = WORD.create()
    groups: dict[str, Fit] = {}
    used = np.zeros(max(tokenizer.vocabulary.values(), default=0) + 1, dtype=bool)
    for chunk in cut_rows(rows, n_rows=_CHUNK_ROWS):
        texts = [text for text, _ in chunk]
        batch, n_words = tokenizer.encode(texts), words.encode(texts).lengths
        used[batch.ids] = True
        unknown = np.zeros(len(batch.ids), dtype=np.int64)
        if tokenizer.unknown_id is not None:
            unknown = (batch.ids == tokenizer.unknown_id).astype(np.int64)
        lost = np.add.reduceat(np.append(unknown, 0), batch.offsets[:-1]) * (batch.lengths > 0)
        for row, (text, group) in enumerate(chunk):
            for name in {"all", group} - {""}:
                fit = groups.setdefault(name, Fit())
                fit.n_rows += 1
                fit.n_words += int(n_words[row])
                fit.n_tokens += int(batch.lengths[row])
                fit.n_unknown += int(lost[row])
                fit.n_characters += len(text)
                fit.lengths.append(batch.lengths[row : row + 1])
    total = groups.pop("all", Fit())
    return {
        "vocabulary": len(tokenizer.vocabulary),
        "unused_ids": int((~used).sum()),
        "all": total.to_dict(),
        "groups": {name: groups[name].to_dict() for name in sorted(groups)},
    }


def render_fit(report: FitReport) -> str:
    """Write a report as a table, a line a group."""
    unused = report["unused_ids"] / max(report["vocabulary"], 1)
    head = (
        f"{'':20} {'rows':>9} {'tokens':>12} {'coverage':>9} {'fertility':>9}"
        f" {'chars/token':>11} {'p99 length':>10}"
    )
    lines = [
        f"{report['vocabulary']:,} tokens, {report['unused_ids']:,} of them unused here"
        f" ({unused:.1%})",
        "",
        head,
    ]
    for name, fit in [("all", report["all"]), *report["groups"].items()]:
        lines.append(
            f"{name[:20]:20} {fit['n_rows']:9,} {fit['n_tokens']:12,} {fit['coverage']:9.2%}"
            f" {fit['fertility']:9.3f}"
            f" {fit['characters_per_token']:11.2f} {fit['p99_length']:10.0f}"
        )
    return "\n".join(lines)
