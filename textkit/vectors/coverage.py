"""How much of a vocabulary vectors cover: share of its words, share of their occurrences, and what
is missing.

In: Vectors, a tokenizer, and how often each of its ids occurs where that is known. Out: a Coverage,
to print or keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from textkit.errors import UsageError
from textkit.tokenizers import Tokenizer

if TYPE_CHECKING:
    from textkit.vectors.table import WordTable

N_MISSING = 20
# How byte-level BPE and Unigram write the space before a word; their piece ' king' is the word
# 'king'.
_SPACE_MARKS = ("Ġ", "▁")


@dataclass(frozen=True)
class Coverage:
    """How many words of a vocabulary have vectors; occurrences are None where no counts were given.

    n_folded: further words that are known in lower case only; the embedding layer takes those
    vectors too. missing: the most frequent words without a vector as they are spelled, with their
    counts; without counts, the first of the vocabulary.
    """

    n_words: int
    n_covered: int
    n_folded: int
    n_occurrences: int | None
    n_covered_occurrences: int | None
    missing: tuple[tuple[str, int | None], ...]

    @property
    def share(self) -> float:
        """Share of the words that have vectors; 0 of an empty vocabulary."""
        return self.n_covered / max(self.n_words, 1)

    @property
    def occurrence_share(self) -> float | None:
        """Share of the occurrences whose word has a vector; None without counts."""
        if self.n_occurrences is None or self.n_covered_occurrences is None:
            return None
        return self.n_covered_occurrences / max(self.n_occurrences, 1)

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return {
            "n_words": self.n_words,
            "n_covered": self.n_covered,
            "share": self.share,
            "n_folded": self.n_folded,
            "n_occurrences": self.n_occurrences,
            "n_covered_occurrences": self.n_covered_occurrences,
            "occurrence_share": self.occurrence_share,
            "missing": [{"word": word, "count": count} for word, count in self.missing],
        }

    def __str__(self) -> str:
        text = f"{self.n_covered:,} of {self.n_words:,} words have vectors ({self.share:.1%})"
        if self.occurrence_share is not None:
            text += f", {self.occurrence_share:.1%} of {self.n_occurrences:,} occurrences"
        if self.n_folded:
            text += f"; {self.n_folded:,} more in lower case"
        if self.missing:
            shown = (
                word if count is None else f"{word} ({count:,})" for word, count in self.missing
            )
            text += f"\nmissing: {', '.join(shown)}"
        return text


def measure_coverage(
    vectors: WordTable, tokenizer: Tokenizer, *, counts: npt.ArrayLike | None = None
) -> Coverage:
    """Compare a tokenizer's vocabulary, its special tokens left aside, with the words of vectors.

    counts: (n_ids,) how often each id occurs, as np.bincount(batch.ids, minlength=len(vocabulary))
    gives. A word counts as it is spelled. In a subword vocabulary a piece that begins with a space
    is compared without it.

    >>> from textkit import Vectors, tokenizers
    >>> tok = tokenizers.create("word", vocabulary=["king", "reigns", "Queen"])
    >>> v = Vectors(["king", "queen"], np.eye(2, dtype=np.float32))
    >>> counts = np.bincount(tok.encode(["king king reigns"]).ids, minlength=len(tok.vocabulary))
    >>> print(measure_coverage(v, tok, counts=counts))
    1 of 3 words have vectors (33.3%), 66.7% of 3 occurrences; 1 more in lower case
    missing: reigns (1)
    """
    special = tokenizer.special_ids
    entries = sorted((i, name) for name, i in tokenizer.vocabulary.items() if i not in special)
    ids = np.array([i for i, _ in entries], np.int64)
    words = [
        tokenizer.decode([i]).strip() if name[:1] in _SPACE_MARKS and name[1:] else name
        for i, name in entries
    ]
    occurrences = (
        None
        if counts is None
        else _count(counts, n_ids=max(tokenizer.vocabulary.values(), default=-1) + 1)
    )
    covered = vectors.rows(words) >= 0
    folded = ~covered & (vectors.rows([word.lower() for word in words]) >= 0)
    lost = np.flatnonzero(~covered)
    if occurrences is not None:
        lost = lost[np.argsort(-occurrences[ids[lost]], kind="stable")]
        lost = lost[occurrences[ids[lost]] > 0]
    return Coverage(
        n_words=len(words),
        n_covered=int(covered.sum()),
        n_folded=int(folded.sum()),
        n_occurrences=None if occurrences is None else int(occurrences[ids].sum()),
        n_covered_occurrences=None if occurrences is None else int(occurrences[ids[covered]].sum()),
        missing=tuple(
            (words[i], None if occurrences is None else int(occurrences[ids[i]]))
            for i in lost[:N_MISSING].tolist()
        ),
    )


def _count(counts: npt.ArrayLike, *, n_ids: int) -> npt.NDArray[np.int64]:
    found = np.asarray(counts)
    if found.shape != (n_ids,) or found.dtype.kind not in "iu":
        raise UsageError(
            f"counts are {found.dtype} {found.shape}, expected one whole number for each of"
            f" {n_ids:,} ids:"
            " np.bincount(batch.ids, minlength=len(vocabulary))"
        )
    return found.astype(np.int64)
