"""Explain what a fitted model says of texts: which words spoke for a label, and which against it.

In: a Fitted and texts. Out: an Explanation each. What is explained is the label's logit less the
mean of the other labels' logits (or less that of one of them; in a multi-label task the label's
logit alone, in a regression the number), in one of three manners:

- "gradients": integrated gradients of the token vectors, for networks whose tokens have spans;
- "exact": the model's own sum, for a linear model;
- "occlusion": what is lost without the word, for every other model, hashed n-grams among them.

Tokens and n-grams are summed to words of the caller's own text by their characters. Each text is
worked on by itself, so that no other text and no padding changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from textkit.classify.explain_removal import Span, find_flip, find_words, occlude, remove
from textkit.classify.exported import BagModel, GraphModel
from textkit.classify.fitted import Fitted
from textkit.classify.linear import LinearModel
from textkit.data.targets import Label
from textkit.errors import UsageError, require, unknown_name
from textkit.evaluation.explanations import METHODS, Counterfactual, Explanation, Method, Word
from textkit.features.gram_places import GramPlaces
from textkit.registry import is_whole
from textkit.tokenizers.protocol import check_texts

OTHERS = "the mean of the others"
Floats = NDArray[np.float64]
# What a method gives: a score a word, the rest, the values of text and baseline, and its steps.
Scores = tuple[Floats, float, float, float, int]


class Explainer:
    """Explains texts of one model; `method` is the one that serves it.

    label: which to explain; by default the predicted one, or the most probable of several. against:
    what it is compared with, where a text has one label. flips: also look for the words without
    which the label changes.

    Raises UsageError for a method that the model has not, or an unknown label.
    """

    def __init__(
        self,
        fitted: Fitted,
        *,
        label: Label | None = None,
        against: Label | None = None,
        method: Method | None = None,
        flips: bool = True,
    ) -> None:
        self.fitted, self.flips = fitted, flips
        self.names = [str(name) for name in fitted.classes.tolist()]
        self.label = None if label is None else self._number(label)
        self.against = None if against is None else self._number(against)
        if against is not None and fitted.task != "single-label":
            raise UsageError(f"against is for one label a text; this is a {fitted.task} model")
        if self.against is not None and self.against == self.label:
            raise UsageError(f"label and against are both '{label}'; name two")
        self.method = self._choose(method)
        self._places: GramPlaces | None = None
        if isinstance(fitted.model, LinearModel) and self.method == "exact":
            self._places = GramPlaces(fitted.model.features)

    def explain(self, text: str, *, truth: str | None = None) -> Explanation:
        """Explain one text. truth: what its row says, to stand in the explanation."""
        fitted = self.fitted
        outputs = fitted.logits([text])[0]
        label = self.label if self.label is not None else self._predicted(outputs)
        direction = self._direction(label)
        words = find_words(text)
        scores, rest, value, nothing, steps = self._score(text, words, direction)
        explanation = Explanation(
            text=text,
            label=fitted.classes.tolist()[label],
            predicted=self._say(text),
            against=self._against(label),
            probability=self._probability(text, label),
            value=value,
            baseline_value=nothing,
            words=tuple(
                Word(*span, float(score)) for span, score in zip(words, scores, strict=True)
            ),
            rest=rest,
            method=self.method,
            truth=truth,
            steps=steps,
        )
        if not self.flips or fitted.task == "regression":
            return explanation
        return replace(explanation, counterfactual=self._flip(explanation, label))

    def probability(self, texts: Sequence[str], explanation: Explanation) -> Floats:
        """Give the probability of an explanation's label for texts; of a regression the number."""
        label = self._number(explanation.label)
        if self.fitted.task == "regression":
            return self.fitted.logits(texts)[:, label].astype(np.float64)
        return self.fitted.probabilities(texts)[:, label]

    def _choose(self, method: Method | None) -> Method:
        fitted = self.fitted
        own: Method = "occlusion"
        if isinstance(fitted.model, LinearModel):
            own = "exact"
        elif _has_gradients(fitted):
            own = "gradients"
        if method is None or method == own or method == "occlusion":
            chosen = method or own
        elif method not in METHODS:
            raise UsageError(unknown_name("method", method, METHODS))
        else:
            raise UsageError(
                f"method '{method}' is not for this model ({fitted.recipe.encoder.name}); use"
                f" {' or '.join(dict.fromkeys((own, 'occlusion')))}"
            )
        if chosen == "gradients":
            require("captum", needed_by="an explanation by gradients")
        return chosen

    def _number(self, label: Label) -> int:
        if str(label) not in self.names:
            raise UsageError(unknown_name("label", str(label), self.names))
        return self.names.index(str(label))

    def _predicted(self, outputs: NDArray[np.float32]) -> int:
        return 0 if self.fitted.task == "regression" else int(outputs.argmax())

    def _direction(self, label: int) -> Floats:
        """Give the weights of the outputs whose sum is explained."""
        n = len(self.names)
        direction = np.zeros(n)
        if self.fitted.task == "single-label":
            if self.against is not None and self.against != label:
                direction[self.against] = -1
            else:
                direction[:] = -1 / max(n - 1, 1)
        direction[label] = 1
        return direction

    def _against(self, label: int) -> str:
        if self.fitted.task != "single-label":
            return ""
        if self.against is not None and self.against != label:
            return self.names[self.against]
        return self.names[1 - label] if len(self.names) == 2 else OTHERS

    def _probability(self, text: str, label: int) -> float | None:
        if self.fitted.task == "regression":
            return None
        return float(self.fitted.probabilities([text])[0, label])

    def _say(self, text: str) -> str:
        """Give what the model says of a text, as one line."""
        said = self.fitted.labels([text])[0]
        if self.fitted.task == "multi-label":
            return ", ".join(str(name) for name in said)
        if self.fitted.task == "regression":
            return ", ".join(f"{number:.6g}" for number in np.atleast_1d(said).tolist())
        return str(said)

    def _score(self, text: str, words: list[Span], direction: Floats) -> Scores:
        if self.method == "occlusion":
            worth, value, nothing = occlude(
                lambda texts: self.fitted.logits(texts).astype(np.float64) @ direction, text, words
            )
            return worth, 0.0, value, nothing, 0
        owner = own_words(text, words)
        if self._places is not None:
            from textkit.classify.explain_linear import contribute

            assert isinstance(self.fitted.model, LinearModel)
            characters, value, nothing = contribute(
                self.fitted.model, self._places, text, direction
            )
            sums = np.zeros(len(words) + 1)
            np.add.at(sums, owner + 1, characters)
            return sums[1:], float(sums[0]), value, nothing, 0
        from textkit.classify.explain_network import integrate
        from textkit.classify.network_model import NetworkModel

        assert isinstance(self.fitted.model, NetworkModel)
        tokens, spans, value, nothing, steps = integrate(self.fitted.model, text, direction)
        scores, rest = share_tokens(tokens, spans, owner, n_words=len(words))
        return scores, rest, value, nothing, steps

    def _flip(self, explanation: Explanation, label: int) -> Counterfactual | None:
        """Look for the words without which the label is another one."""
        fitted, text = self.fitted, explanation.text
        words = [(word.start, word.end) for word in explanation.words]

        def margin(texts: Sequence[str]) -> Floats:
            probabilities = fitted.probabilities(texts)
            if fitted.task == "multi-label":
                return np.asarray(probabilities[:, label] - fitted.thresholds[label])
            others = np.delete(probabilities, label, axis=1)
            return np.asarray(probabilities[:, label] - others.max(axis=1, initial=0.0))

        if not words or margin([text])[0] <= 0:
            return None
        chosen = find_flip(margin, text, words, explanation.order())
        if chosen is None:
            return None
        changed = remove(text, words, chosen)
        return Counterfactual(chosen, changed, self._say(changed))


def explain(
    fitted: Fitted,
    texts: Sequence[str],
    *,
    label: Label | None = None,
    against: Label | None = None,
    method: Method | None = None,
    flips: bool = True,
) -> list[Explanation]:
    """Explain texts; the options are those of Explainer."""
    explainer = Explainer(fitted, label=label, against=against, method=method, flips=flips)
    return [explainer.explain(text) for text in check_texts(texts)]


def own_words(text: str, words: Sequence[Span]) -> NDArray[np.int64]:
    """Give the word of each character, -1 for one of none: (n_characters,).

    >>> own_words("a bc", [(0, 1), (2, 4)]).tolist()
    [0, -1, 1, 1]
    """
    owner = np.full(len(text), -1, dtype=np.int64)
    for number, (start, end) in enumerate(words):
        owner[start:end] = number
    return owner


def share_tokens(
    tokens: Floats, spans: NDArray[np.int32], owner: NDArray[np.int64], *, n_words: int
) -> tuple[Floats, float]:
    """Sum tokens (n_tokens,) to words by their spans (n_tokens, 2): (n_words,), and the rest.

    A token over several words goes to each by its characters there; one over none is the rest.

    >>> share_tokens(np.array([1.0, 4.0]), np.array([[0, 1], [0, 4]], np.int32),
    ...              np.array([0, -1, 1, 1]), n_words=2)[1]
    0.0
    """
    scores, rest = np.zeros(n_words), 0.0
    for score, (start, end) in zip(tokens.tolist(), spans.tolist(), strict=True):
        covered = owner[start:end]
        covered = covered[covered >= 0]
        if len(covered):
            np.add.at(scores, covered, score / len(covered))
        else:
            rest += score
    return scores, rest


def _has_gradients(fitted: Fitted) -> bool:
    if is_whole(fitted.recipe.encoder.name) or isinstance(fitted.model, BagModel | GraphModel):
        return False
    from textkit.classify.explain_network import has_spans
    from textkit.classify.network_model import NetworkModel

    return isinstance(fitted.model, NetworkModel) and has_spans(fitted.model.text_input)
