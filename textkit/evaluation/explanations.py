"""Explanations: what each word of a text did for one label, and what a whole file of them says.

In: the words of texts with their scores, which textkit/classify/explain.py computes. Out: plain
values for JSON, and the words that speak most for each label over many texts. A word is a segment
of the text as the caller wrote it (UAX 29), a mark such as `!` too; white space is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Label

Method = Literal["gradients", "occlusion", "exact"]

# What a label's logit is compared with, and what is taken for a text that says nothing.
BASELINES: dict[Method, str] = {
    "gradients": "every token's vector is zeros, special tokens stay",
    "occlusion": "the text without its words",
    "exact": "a text without a known n-gram",
}
METHODS: dict[Method, str] = {
    "gradients": "integrated gradients of the token vectors",
    "occlusion": "what is lost without the word",
    "exact": "the model's own sum, n-gram by n-gram",
}


class Word(NamedTuple):
    """A word of the text at start:end, and what it did: above 0 for the label, below against."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Counterfactual:
    """The words without which the text has another label: indices into the explanation's words.

    The search is greedy: no single word of them can be put back, but another set may be smaller,
    unless it is one word.
    """

    words: tuple[int, ...]
    text: str
    label: str


@dataclass(frozen=True)
class Explanation:
    """Why a text has a label.

    - label: the one that is explained; of a regression the name of the number. predicted: what the
      model says. truth: what the row says, where it says something.
    - against: what the label's logit is compared with: another label, "the mean of the others", or
      "" where it stands for itself.
    - probability: of the label; None in a regression.
    - value, baseline_value: that difference of logits for the text, and for the baseline.
    - words: in the order of the text. rest: the share of what is no word, such as spaces.
    - steps: of the integral, of gradients; else 0.
    """

    text: str
    label: Label
    predicted: str
    against: str
    probability: float | None
    value: float
    baseline_value: float
    words: tuple[Word, ...]
    rest: float
    method: Method
    counterfactual: Counterfactual | None = None
    truth: str | None = None
    steps: int = 0

    @property
    def gap(self) -> float:
        """What the words have to explain: the value less that of the baseline."""
        return self.value - self.baseline_value

    @property
    def total(self) -> float:
        """The sum of all scores; of gradients and exact contributions it is the gap."""
        return sum(word.score for word in self.words) + self.rest

    def spell(self, word: Word) -> str:
        """Give the text of a word."""
        return self.text[word.start : word.end]

    def order(self) -> list[int]:
        """Number the words, those that speak most for the label first."""
        return sorted(range(len(self.words)), key=lambda i: (-self.words[i].score, i))

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        flip = self.counterfactual
        return {
            "text": self.text,
            "label": self.label,
            "predicted": self.predicted,
            "truth": self.truth,
            "against": self.against,
            "probability": self.probability,
            "method": self.method,
            "baseline": BASELINES[self.method],
            "gap": self.gap,
            "sum": self.total,
            "rest": self.rest,
            "words": [{"word": self.spell(word), **word._asdict()} for word in self.words],
            "counterfactual": None
            if flip is None
            else {
                "removed": [self.spell(self.words[i]) for i in flip.words],
                "text": flip.text,
                "label": flip.label,
                "search": "greedy",
            },
        }


@dataclass(frozen=True)
class TopWord:
    """A word over many texts: its scores added up, and the texts that hold it."""

    word: str
    total: float
    n_texts: int


def top_words(explanations: Sequence[Explanation], *, n: int = 15) -> dict[str, list[TopWord]]:
    """Find the words that speak most for each label, over the texts that it was explained for.

    Words count without regard to case, and only those with a sum above 0.
    """
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    texts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for explanation in explanations:
        label = str(explanation.label)
        seen = set()
        for word in explanation.words:
            name = explanation.spell(word).casefold()
            sums[label][name] += word.score
            seen.add(name)
        for name in seen:
            texts[label][name] += 1
    tops = {}
    for label in sorted(sums):
        best = sorted(sums[label].items(), key=lambda item: (-item[1], item[0]))[:n]
        tops[label] = [TopWord(w, total, texts[label][w]) for w, total in best if total > 0]
    return tops


@dataclass(frozen=True)
class Faithfulness:
    """Whether the words that were named are those that count: measured by taking them away.

    Words are removed from each text, those that speak most for the label first, and the label's
    probability is looked at after each share of them; a faithful order makes it fall sooner than a
    random one. Insertion puts them back into a text without words in the same order.

    shares: (n_points,) of the words. deletion, insertion, and the same in random order: (n_texts,
    n_points) probabilities.
    """

    shares: NDArray[np.float64]
    deletion: NDArray[np.float64]
    random_deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    random_insertion: NDArray[np.float64]

    @property
    def n_texts(self) -> int:
        return len(self.deletion)

    def area(self, curves: NDArray[np.float64]) -> float:
        """Give the mean area under curves, from 0 to 1."""
        return float(self._areas(curves).mean()) if len(curves) else 0.0

    def gain(self, *, seed: int = 0) -> tuple[float, float, float]:
        """Give how much the area under deletion is below that of random order, with its 95 %
        interval: texts resampled in pairs.
        """
        each = self._areas(self.random_deletion - self.deletion)
        if not len(each):
            return 0.0, 0.0, 0.0
        draws = np.random.default_rng([seed, 0xFA17]).integers(len(each), size=(1000, len(each)))
        low, high = np.quantile(each[draws].mean(axis=1), [0.025, 0.975])
        return float(each.mean()), float(low), float(high)

    def _areas(self, curves: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the area under each curve, (n_texts,), by trapezia."""
        return np.asarray((curves[:, 1:] + curves[:, :-1]) / 2 @ np.diff(self.shares))

    def to_dict(self) -> dict[str, object]:
        """Give areas and curves as plain JSON values."""
        gain, low, high = self.gain()
        curves = {
            "deletion": self.deletion,
            "random_deletion": self.random_deletion,
            "insertion": self.insertion,
            "random_insertion": self.random_insertion,
        }
        return {
            "n_texts": self.n_texts,
            "gain": gain,
            "interval": [low, high],
            "areas": {name: self.area(values) for name, values in curves.items()},
            "shares": self.shares.tolist(),
            "curves": {name: _mean(values) for name, values in curves.items()},
        }


def _mean(curves: NDArray[np.float64]) -> list[float]:
    return [] if not len(curves) else curves.mean(axis=0).tolist()
