"""Fitted: the frozen result of a fit, and what it predicts.

Saving, loading, exporting and explaining a model take a Fitted; TextClassifier is the scikit-learn
face of one. A text goes through it so:

    texts -> text_input -> network -> logits -> temperature -> probabilities -> thresholds -> labels
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, cut_rows
from textkit.data.targets import Classes, Label, Task
from textkit.errors import UsageError
from textkit.features.text_input import TextInput
from textkit.io.tables import TextData
from textkit.nn.network import TextNetwork, predict_outputs
from textkit.recipe import Recipe
from textkit.tokenizers.protocol import check_texts
from textkit.watch import History

if TYPE_CHECKING:
    from textkit.vectors.coverage import Coverage

# Texts that are held as tensors at a time.
_CHUNK_ROWS = 4096


@dataclass(frozen=True)
class FitFacts:
    """What a fit knew of its training, which no model folder keeps.

    n_rows: of training and validation. n_truncated: of these, rows that were cut. coverage: what
    the recipe's vectors knew of the training texts' words, where it names some.
    """

    history: History
    n_rows: int
    n_truncated: int
    coverage: Coverage | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model that predicts: all that the recipe left open is decided.

    classes: (n_classes,), the meaning of each output; of a regression the names of the numbers.
    temperature: logits are divided by it, so that probabilities mean what they say. thresholds:
    (n_classes,) for multi-label, what a label's probability must exceed; else empty. facts: None
    for a model that was loaded.
    """

    recipe: Recipe
    text_input: TextInput
    classes: Classes
    network: TextNetwork
    temperature: float = 1.0
    thresholds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    facts: FitFacts | None = None

    @property
    def task(self) -> Task:
        """What is learnt: single-label, multi-label or regression."""
        return self.recipe.head.task

    def encode(self, texts: TextData) -> TokenBatch:
        """Tokenize texts as the network reads them, cut to the recipe's max_length."""
        return self.text_input.encode(check_texts(texts))

    def logits(self, texts: TextData) -> NDArray[np.float32]:
        """Compute (n_texts, n_classes) float32 logits before the temperature; of a regression the
        predicted numbers.
        """
        parts = [np.zeros((0, len(self.classes)), dtype=np.float32)]
        for chunk in cut_rows(check_texts(texts), n_rows=_CHUNK_ROWS):
            outputs = predict_outputs(self.network, self.encode(chunk))
            parts.append(self.network.restore(outputs).numpy())
        return np.concatenate(parts)

    def probabilities(self, texts: TextData) -> NDArray[np.float64]:
        """Compute (n_texts, n_classes) float64 probabilities.

        Rows sum to 1 when a text has one label; in a multi-label task each label has its own
        probability. Raises UsageError for a regression.
        """
        logits = self.logits(texts).astype(np.float64) / self.temperature
        if self.task == "regression":
            raise UsageError("a regression predicts numbers, not probabilities; use predict")
        if self.task == "multi-label":
            return sigmoid(logits)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def log_probabilities(self, texts: TextData) -> NDArray[np.float64]:
        """Compute the logarithms of `probabilities`, finite where these are too small for a
        number: (n_texts, n_classes) float64.
        """
        logits = self.logits(texts).astype(np.float64) / self.temperature
        if self.task == "regression":
            raise UsageError("a regression predicts numbers, not probabilities; use predict")
        if self.task == "multi-label":
            return np.asarray(-np.logaddexp(0, -logits))
        highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
        return np.asarray(
            logits - highest - np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))
        )

    def has_label(self, texts: TextData) -> NDArray[np.bool_]:
        """Tell which labels of a multi-label task exceed their thresholds: (n_texts, n_classes)."""
        return self.probabilities(texts) > self.thresholds

    def labels(self, texts: TextData) -> NDArray[np.generic] | list[tuple[Label, ...]]:
        """Give the most probable class of each text, (n_texts,).

        In a multi-label task a list of tuples, the labels above their thresholds; in a regression
        (n_texts,) numbers, or (n_texts, n_outputs).
        """
        if self.task == "multi-label":
            names = self.classes.tolist()
            return [tuple(names[i] for i in np.flatnonzero(row)) for row in self.has_label(texts)]
        logits = self.logits(texts)
        if self.task == "regression":
            return logits[:, 0] if logits.shape[1] == 1 else logits
        return np.asarray(self.classes[logits.argmax(axis=1)])


def make_network(
    recipe: Recipe,
    text_input: TextInput,
    *,
    n_outputs: int,
    encoder_options: dict[str, object] | None = None,
) -> TextNetwork:
    """Make the network that reads what `text_input` gives, with its first weights."""
    return TextNetwork(
        recipe,
        n_tokens=text_input.n_ids,
        n_fixed=text_input.n_fixed,
        n_outputs=n_outputs,
        pad_id=text_input.tokenizer.pad_id or 0,
        vocabulary=text_input.tokenizer.vocabulary,
        encoder_options=encoder_options,
    )


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits into probabilities, each for itself."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
