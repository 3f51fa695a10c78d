"""TextClassifier: raw texts and labels in, a trained model out; scikit-learn's shape.

It owns its tokenizer, its classes and its network, so `predict(["raw text"])` works, also after `save` and `load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textkit import tokenizers
from textkit.batch import TokenBatch
from textkit.errors import DataError, UsageError
from textkit.network import TextNetwork
from textkit.recipe import Recipe, complete_recipe, make_recipe
from textkit.splits import split_stratified
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.base import check_texts
from textkit.training import Examples, History, Watch, cpu_threads, predict_logits, train_network

# Texts that predict_proba holds as tensors at a time.
_CHUNK_ROWS = 4096


class TextClassifier:
    """A text classifier made from a recipe, or from options: `encoder="gru"`, `training__epochs=3`, `seed=1`.

    After `fit`: `classes_` (n_classes,), `recipe_`, `tokenizer_`, `network_`, `history_`.

    >>> texts = ["good film", "bad film", "good plot", "bad plot"] * 10
    >>> labels = ["pos", "neg", "pos", "neg"] * 10
    >>> model = TextClassifier(training__epochs=5, encoder__dim=8, seed=1).fit(texts, labels)
    >>> model.predict(["a good film"]).tolist()
    ['pos']
    """

    classes_: NDArray[Any]
    recipe_: Recipe
    tokenizer_: PipelineTokenizer
    network_: TextNetwork
    history_: History

    def __init__(self, recipe: Recipe | dict[str, Any] | None = None, **options: Any) -> None:
        self.recipe = recipe
        self.options = options
        make_recipe(recipe, **options)  # a misspelt option fails here, not after minutes of work

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the constructor's arguments, as scikit-learn's clone and searches want them."""
        return {"recipe": self.recipe, **self.options}

    def set_params(self, **params: Any) -> TextClassifier:
        """Change constructor arguments; checked against the recipe's schema."""
        options = {**self.options, **params}
        recipe = options.pop("recipe", self.recipe)
        make_recipe(recipe, **options)
        self.recipe, self.options = recipe, options
        return self

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        *,
        validation: tuple[Sequence[str], Sequence[Any]] | None = None,
        watch: Watch | None = None,
    ) -> TextClassifier:
        """Train on texts (n,) and labels (n,) of str or int.

        validation: texts and labels for early stopping; without it a stratified share of the rows is held out, as the
        recipe says. Raises DataError for fewer than two classes or rows that do not match.
        """
        recipe = complete_recipe(make_recipe(self.recipe, **self.options))
        texts, classes, codes = _check_rows(texts, labels)
        if validation is None:
            train_rows, valid_rows = split_stratified(codes, share=recipe.training.validation, seed=recipe.seed)
            train_texts, train_codes = [texts[row] for row in train_rows], codes[train_rows]
            valid_texts, valid_codes = [texts[row] for row in valid_rows], codes[valid_rows]
        else:
            train_texts, train_codes = texts, codes
            valid_texts, valid_codes = _check_validation(*validation, classes=classes)
        tokenizer = make_tokenizer(recipe, train_texts)
        length = recipe.tokenizer.max_length
        train = Examples(tokenizer.encode(train_texts, max_length=length), train_codes)
        valid = Examples(tokenizer.encode(valid_texts, max_length=length), valid_codes)
        # Initial weights and dropout draw from torch's generator: fork it, so that the caller's stays as it was.
        with torch.random.fork_rng(), cpu_threads(recipe.training.threads):
            torch.manual_seed(recipe.seed)
            network = TextNetwork(recipe, n_tokens=len(tokenizer), n_labels=len(classes))
            self.history_ = train_network(
                network,
                train,
                valid,
                recipe.training,
                seed=recipe.seed,
                pad_id=tokenizer.pad_id or 0,
                watch=watch or Watch(),
            )
        self.n_truncated_ = int((train.tokens.truncated > 0).sum() + (valid.tokens.truncated > 0).sum())
        self.recipe_, self.tokenizer_, self.network_, self.classes_ = recipe, tokenizer, network, classes
        return self

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenize texts as the model sees them, cut to the recipe's max_length."""
        self._check_fitted()
        return self.tokenizer_.encode(texts, max_length=self.recipe_.tokenizer.max_length)

    def predict_logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_classes) float32 logits, columns in the order of `classes_`."""
        self._check_fitted()
        texts = check_texts(texts)
        parts = [
            predict_logits(
                self.network_, self.encode(texts[i : i + _CHUNK_ROWS]), pad_id=self.tokenizer_.pad_id or 0
            ).numpy()
            for i in range(0, len(texts), _CHUNK_ROWS)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes_)), dtype=np.float32)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Compute (n_texts, n_classes) float64 probabilities; rows sum to 1, columns are in the order of `classes_`."""
        logits = self.predict_logits(texts).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Give the most probable class of each text: (n_texts,)."""
        logits = self.predict_logits(texts)
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def score(self, texts: Sequence[str], labels: Sequence[Any]) -> float:
        """Give the accuracy on texts with known labels."""
        return float(np.mean(self.predict(texts) == np.asarray(labels)))

    def save(self, folder: str | Path) -> None:
        """Write the model folder: config.json, model.safetensors, the tokenizer's files and a manifest."""
        from textkit import model_folder

        self._check_fitted()
        model_folder.save(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> TextClassifier:
        """Open a model folder; what is changed, missing, newer or foreign raises ArtifactError naming the file."""
        from textkit import model_folder

        return model_folder.load(folder)

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise UsageError(
                "this TextClassifier is not fitted; call fit(texts, labels) or TextClassifier.load(folder)"
            )


def make_tokenizer(recipe: Recipe, texts: Sequence[str]) -> PipelineTokenizer:
    """Load the recipe's tokenizer, or train it on the training texts."""
    section = recipe.tokenizer
    if section.path is not None:
        return tokenizers.load(section.path)
    made = tokenizers.train(section.name, texts, **section.options)
    if not isinstance(made, PipelineTokenizer):
        raise UsageError(
            f"tokenizer '{section.name}' cannot be kept in a model folder; choose one with a tokenizer.json"
        )
    return made


def _check_rows(texts: Sequence[str], labels: Sequence[Any]) -> tuple[list[str], NDArray[Any], NDArray[np.int64]]:
    texts = check_texts(texts)
    if len(texts) != len(labels):
        raise DataError(f"{len(texts):,} texts but {len(labels):,} labels")
    if not texts:
        raise DataError("no rows to train on")
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"all {len(texts):,} rows have the label {classes[0].item()!r}; expected at least two classes")
    if len(classes) == len(texts):
        raise DataError(f"all {len(texts):,} labels differ; is the label column the right one?")
    return texts, classes, codes.astype(np.int64)


def _check_validation(
    texts: Sequence[str], labels: Sequence[Any], *, classes: NDArray[Any]
) -> tuple[list[str], NDArray[np.int64]]:
    texts = check_texts(texts)
    index = {label: i for i, label in enumerate(classes.tolist())}
    values = np.asarray(labels).tolist()
    unseen = sorted({label for label in values if label not in index}, key=str)
    if unseen:
        raise DataError(f"validation label {unseen[0]!r} is not among the training labels")
    if len(texts) != len(values) or not texts:
        raise DataError(f"{len(texts):,} validation texts and {len(values):,} labels; expected the same number, not 0")
    return texts, np.array([index[label] for label in values], dtype=np.int64)
