"""TextClassifier: raw texts and labels in, a trained model out; scikit-learn's shape.

It owns its tokenizer, its classes and its network, so `predict(["raw text"])` works, also after
`save` and `load`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.data.rows import RenumberedRows, Rows, RowView, count_ids
from textkit.data.splits import split_stratified
from textkit.data.targets import encode_labels, find_classes
from textkit.errors import DataError, UsageError
from textkit.evaluation.task_scores import fit_thresholds
from textkit.features.text_input import TextInput, make_tokenizer
from textkit.nn.devices import cpu_threads
from textkit.nn.network import TextNetwork, check_parts
from textkit.nn.prediction import predict_outputs
from textkit.recipe import Recipe, complete_recipe, make_recipe
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.protocol import check_texts
from textkit.training.loop import Examples, train_network
from textkit.watch import History, Watch

if TYPE_CHECKING:
    from textkit.vectors.coverage import Coverage

# Texts that predict_proba holds as tensors at a time.
_CHUNK_ROWS = 4096


class TextClassifier:
    """A text classifier made from a recipe, or from options: `encoder="gru"`, `training__epochs=3`,
    `seed=1`.

    The recipe's head.task says what the labels are: one a text, a list of them a text
    ("multi-label"), or numbers ("regression"). After `fit`: `classes_` (n_classes,), `recipe_`,
    `tokenizer_`, `network_`, `history_`.

    >>> texts = ["good film", "bad film", "good plot", "bad plot"] * 10
    >>> labels = ["pos", "neg", "pos", "neg"] * 10
    >>> model = TextClassifier(training__epochs=5, encoder__dim=8, seed=1).fit(texts, labels)
    >>> model.predict(["a good film"]).tolist()
    ['pos']
    """

    classes_: NDArray[Any]
    recipe_: Recipe
    tokenizer_: Tokenizer
    network_: TextNetwork
    history_: History
    # Logits are divided by it: fitted on the validation rows, so that probabilities mean what they
    # say.
    temperature_: float = 1.0
    # What the recipe's vectors knew of the vocabulary, where it names some.
    coverage_: Coverage | None = None
    # For multi-label: what a label's probability must exceed, (n_classes,).
    thresholds_: NDArray[np.float64]

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

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        task = make_recipe(self.recipe, **self.options).head.task
        regression = task == "regression"
        return Tags(
            estimator_type="regressor" if regression else "classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=None
            if regression
            else ClassifierTags(multi_label=task == "multi-label"),
            regressor_tags=RegressorTags() if regression else None,
        )

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        *,
        validation: tuple[Sequence[str], Sequence[Any]] | None = None,
        init_from: TextClassifier | None = None,
        checkpoints: str | Path | None = None,
        watch: Watch | None = None,
    ) -> TextClassifier:
        """Train on texts (n,) and labels (n,) of str or int, lists of them, or numbers, by the
        task.

        validation: texts and labels for early stopping; without it a share of the rows is held out,
        stratified by label, as the recipe says. init_from: a fitted model whose tokenizer and
        weights this one starts from; labels that it knows keep their weights. checkpoints: folder
        for what is needed to go on after a stop; a fit with the same arguments then does. Raises
        DataError for labels that cannot be learnt from or rows that do not match.
        """
        recipe = complete_recipe(make_recipe(self.recipe, **self.options))
        check_parts(recipe)
        if init_from is not None and init_from.task_ != recipe.head.task:
            raise UsageError(f"init_from was trained for {init_from.task_}, not {recipe.head.task}")
        texts = check_texts(texts)
        if len(texts) != len(labels):
            raise DataError(f"{len(texts):,} texts but {len(labels):,} labels")
        classes = find_classes(recipe.head.task, labels)
        targets = encode_labels(recipe.head.task, labels, classes)
        if validation is None:
            rows, held = split_validation(targets, recipe)
            train_texts, valid_texts = [texts[row] for row in rows], [texts[row] for row in held]
            train_targets, valid_targets = targets[rows], targets[held]
        else:
            train_texts, train_targets = texts, targets
            valid_texts = check_texts(validation[0])
            valid_targets = encode_labels(
                recipe.head.task, validation[1], classes, what="validation label"
            )
            if len(valid_texts) != len(valid_targets) or not valid_texts:
                raise DataError(
                    f"{len(valid_texts):,} validation texts and {len(valid_targets):,} labels;"
                    " expected the same number, not 0"
                )
        if init_from is None:
            made = TextInput.make(recipe, make_tokenizer(recipe, train_texts)).extend(recipe)
            made, tokens = made.learn(recipe, train_texts)
        else:
            made = init_from.input_
            tokens = made.encode(train_texts)
        change = make_change(recipe, made, train_texts, tokens)
        train = Examples(tokens, train_targets, change)
        valid = Examples(made.encode(valid_texts), valid_targets)
        return self._fit(
            recipe,
            made,
            classes,
            train,
            valid,
            init_from=init_from,
            checkpoints=checkpoints,
            watch=watch,
        )

    def fit_file(
        self,
        path: str | Path,
        *,
        validation: str | Path | None = None,
        cache: str | Path | None = None,
        text_column: str | None = None,
        label_column: str | None = None,
        delimiter: str | None = None,
        separator: str | None = None,
        checkpoints: str | Path | None = None,
        watch: Watch | None = None,
    ) -> TextClassifier:
        """Train on a file that need not fit into memory: its tokens lie in mapped files, made once.

        cache: where they lie; a changed file, tokenizer or option makes new ones. A tokenizer is
        trained on the whole file, validation rows included. The rest is as in `fit`, but
        augmentation of characters, which needs the texts in memory, is refused.
        """
        from textkit.data.token_shards import TokenShards
        from textkit.io.corpus import read_rows

        recipe = complete_recipe(make_recipe(self.recipe, **self.options))
        check_parts(recipe)
        if recipe.augment.char_noise:
            raise UsageError(
                "augment.char_noise needs the texts in memory; use fit, or set it to 0"
            )
        watch = watch or Watch()
        columns: dict[str, Any] = {"text_column": text_column, "delimiter": delimiter}
        tokenizer = make_tokenizer(recipe, (row.text for row in read_rows(path, **columns)))
        made = TextInput.make(recipe, tokenizer).extend(recipe)
        columns |= {
            "cache": cache,
            "label_column": label_column,
            "separator": separator,
            "task": recipe.head.task,
        }
        shards = TokenShards.build(path, made, **columns)
        for line in shards.notes:
            watch.note(line)
        assert shards.labels is not None
        if recipe.head.task == "single-label" and len(shards.classes) < 2:
            raise DataError(
                f"all {len(shards):,} rows have the same label; expected two classes or more",
                where=str(path),
            )
        if validation is None:
            rows, held = split_validation(shards.labels, recipe)
            train = Examples(RowView(shards, rows), shards.labels[rows])
            valid = Examples(RowView(shards, held), shards.labels[held])
        else:
            known = TokenShards.build(validation, made, classes=shards.classes.tolist(), **columns)
            assert known.labels is not None
            train, valid = Examples(shards, shards.labels), Examples(known, known.labels)
        if made.ngrams is not None and recipe.ngrams is not None:
            counts = count_ids(train.tokens, n_ids=made.n_ids)
            ngrams = made.ngrams.keep_counted(counts, min_frequency=recipe.ngrams.min_frequency)
            made = replace(made, ngrams=ngrams)
            train, valid = (
                replace(part, tokens=RenumberedRows.of(part.tokens, ngrams))
                for part in (train, valid)
            )
        train = replace(train, change=make_change(recipe, made, (), train.tokens))
        return self._fit(
            recipe,
            made,
            shards.classes,
            train,
            valid,
            init_from=None,
            checkpoints=checkpoints,
            watch=watch,
        )

    def _fit(
        self,
        recipe: Recipe,
        made: TextInput,
        classes: NDArray[Any],
        train: Examples,
        valid: Examples,
        *,
        init_from: TextClassifier | None,
        checkpoints: str | Path | None,
        watch: Watch | None,
    ) -> TextClassifier:
        """Train the network on encoded rows, then choose temperature and thresholds on the
        validation rows.
        """
        self.recipe_, self.tokenizer_, self.classes_, self.input_ = (
            recipe,
            made.tokenizer,
            classes,
            made,
        )
        watch = watch or Watch()
        # Initial weights and dropout draw from torch's generator: fork it, so that the caller's
        # stays as it was.
        with torch.random.fork_rng(), cpu_threads(recipe.training.threads):
            torch.manual_seed(recipe.seed)
            self.network_ = make_network(recipe, made, n_outputs=len(classes))
            self.network_.learn_scale(train.targets)
            if init_from is not None:
                self.network_.copy_weights(
                    init_from.network_,
                    labels=classes.tolist(),
                    source_labels=init_from.classes_.tolist(),
                )
            elif recipe.embedding.vectors is not None:
                self.coverage_ = load_vectors(recipe, made, self.network_, train.tokens)
                watch.note(f"vectors {recipe.embedding.vectors}: {self.coverage_}")
            folder = None if checkpoints is None else Path(checkpoints)
            self.history_ = train_network(
                self.network_, train, valid, recipe, watch=watch, folder=folder
            )
            self._calibrate(valid)
        self.n_rows_ = len(train.targets) + len(valid.targets)
        self.n_truncated_ = int(
            (train.tokens.truncated > 0).sum() + (valid.tokens.truncated > 0).sum()
        )
        return self

    def _calibrate(self, valid: Examples) -> None:
        """Fit the temperature, or the thresholds of a multi-label task, on the validation rows."""
        section = self.recipe_.head
        logits = predict_outputs(self.network_, valid.tokens).numpy().astype(np.float64)
        self.temperature_ = 1.0
        if section.task == "multi-label":
            if section.thresholds == "fit":
                self.thresholds_ = fit_thresholds(_sigmoid(logits), valid.targets)
            else:
                self.thresholds_ = np.full(len(self.classes_), float(section.thresholds))
        elif section.task == "single-label" and self.recipe_.training.calibrate:
            from textkit.evaluation.calibration import fit_temperature

            self.temperature_ = fit_temperature(logits, valid.targets)

    @property
    def task_(self) -> str:
        """The task of the fitted model: single-label, multi-label or regression."""
        self._check_fitted()
        return self.recipe_.head.task

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenize texts as the model sees them, cut to the recipe's max_length."""
        self._check_fitted()
        return self.input_.encode(texts)

    def predict_logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_classes) float32 logits before the temperature, columns in the order
        of `classes_`.

        In a regression these are the predicted numbers, (n_texts, n_outputs).
        """
        self._check_fitted()
        texts = check_texts(texts)
        parts = [
            self.network_.restore(
                predict_outputs(self.network_, self.encode(texts[i : i + _CHUNK_ROWS]))
            ).numpy()
            for i in range(0, len(texts), _CHUNK_ROWS)
        ]
        return (
            np.concatenate(parts) if parts else np.zeros((0, len(self.classes_)), dtype=np.float32)
        )

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Compute (n_texts, n_classes) float64 probabilities, columns in the order of `classes_`.

        Rows sum to 1 when a text has one label; in a multi-label task each label has its own
        probability.
        """
        logits = self.predict_logits(texts).astype(np.float64) / self.temperature_
        if self.task_ == "regression":
            raise UsageError("a regression predicts numbers, not probabilities; use predict")
        if self.task_ == "multi-label":
            return _sigmoid(logits)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def predict(self, texts: Sequence[str]) -> Any:
        """Give the most probable class of each text: (n_texts,).

        In a multi-label task a list of tuples, the labels above their thresholds; in a regression
        (n_texts,) numbers, or (n_texts, n_outputs).
        """
        if self.task_ == "multi-label":
            names = self.classes_.tolist()
            chosen = self.predict_proba(texts) > self.thresholds_
            return [tuple(names[i] for i in np.flatnonzero(row)) for row in chosen]
        logits = self.predict_logits(texts)
        if self.task_ == "regression":
            return logits[:, 0] if logits.shape[1] == 1 else logits
        return np.asarray(self.classes_[logits.argmax(axis=1)])

    def score(self, texts: Sequence[str], labels: Sequence[Any]) -> float:
        """Give the accuracy.

        For multi-label the micro F1, for regression R squared, as scikit-learn counts them.
        """
        from textkit.evaluation.task_scores import score

        self._check_fitted()
        if self.task_ == "single-label":
            return float(np.mean(self.predict(texts) == np.asarray(labels)))
        targets = encode_labels(self.recipe_.head.task, labels, self.classes_)
        if self.task_ == "regression":
            return score("regression", self.predict_logits(texts), targets)["r2"]
        chosen = np.where(self.predict_proba(texts) > self.thresholds_, 1.0, -1.0)
        return score("multi-label", chosen.astype(np.float32), targets)["micro_f1"]

    def save(self, folder: str | Path) -> None:
        """Write the model folder: config.json, model.safetensors, the tokenizer's files and a
        manifest.
        """
        from textkit.classify import model_folder

        self._check_fitted()
        model_folder.save(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> TextClassifier:
        """Open a model folder.

        What is changed, missing, newer or foreign raises ArtifactError naming the file.
        """
        from textkit.classify import model_folder

        return model_folder.load(folder)

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise UsageError(
                "this TextClassifier is not fitted; call fit(texts, labels) or"
                " TextClassifier.load(folder)"
            )


def split_validation(
    targets: NDArray[Any], recipe: Recipe
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out the recipe's share of rows for validation: (train rows, held-out rows),
    stratified where it can be.
    """
    share, seed = recipe.training.validation, recipe.seed
    codes = (
        targets if recipe.head.task == "single-label" else np.zeros(len(targets), dtype=np.int64)
    )
    return split_stratified(codes, share=share, seed=seed)


def make_network(
    recipe: Recipe,
    made: TextInput,
    *,
    n_outputs: int,
    encoder_options: dict[str, Any] | None = None,
) -> TextNetwork:
    """Make the network that reads what `made` gives, with its first weights."""
    return TextNetwork(
        recipe,
        n_tokens=made.n_ids,
        n_fixed=made.n_fixed,
        n_outputs=n_outputs,
        pad_id=made.tokenizer.pad_id or 0,
        vocabulary=made.tokenizer.vocabulary,
        encoder_options=encoder_options,
    )


def load_vectors(recipe: Recipe, made: TextInput, network: TextNetwork, tokens: Rows) -> Coverage:
    """Start the embedding table from the recipe's vectors.

    Says what they cover of the training texts.
    """
    from textkit.vectors.vectors import Vectors

    section = recipe.embedding
    assert network.table is not None
    counts = count_ids(tokens, n_ids=made.n_ids)[: max(made.tokenizer.vocabulary.values()) + 1]
    return network.table.load_vectors(
        Vectors.open(str(section.vectors)),
        made.tokenizer,
        freeze=section.freeze,
        missing=section.missing,
        counts=counts,
        seed=recipe.seed,
    )


def make_change(
    recipe: Recipe, made: TextInput, texts: Sequence[str], tokens: Rows
) -> Callable[[NDArray[np.int64], int], TokenBatch] | None:
    """Make the function that augments training rows as the recipe says.

    None when it says nothing.
    """
    section, seed = recipe.augment, recipe.seed
    if not (section.word_dropout or section.swap or section.char_noise):
        return None
    from textkit.data.augment import augment_texts, augment_tokens

    def change(rows: NDArray[np.int64], epoch: int) -> TokenBatch:
        batch = tokens.take(rows)
        if section.char_noise:
            chosen = [texts[row] for row in rows]
            batch = made.encode(
                augment_texts(chosen, rows, seed=seed, epoch=epoch, noise=section.char_noise)
            )
        return augment_tokens(
            batch,
            rows,
            seed=seed,
            epoch=epoch,
            dropout=section.word_dropout,
            swap=section.swap,
            unknown_id=made.tokenizer.unknown_id,
        )

    return change


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
