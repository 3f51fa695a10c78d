"""TextClassifier: raw texts and labels in, a trained model out; scikit-learn's shape.

It owns its tokenizer, its classes and its network, so `predict(["raw text"])` works, also after
`save` and `load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.classify import model_folder
from textkit.classify.fitted import FitFacts, Fitted
from textkit.classify.given import Given, Teaching
from textkit.classify.teaching import say_distil
from textkit.data.given_labels import (
    LabelData,
    Missing,
    normalize_given,
    read_labels,
    spell_as_classes,
    take_labelled,
)
from textkit.data.imbalance import WeightData, read_weights
from textkit.data.targets import Classes, Label, Task, encode_labels, known_codes
from textkit.errors import DataError, not_fitted
from textkit.evaluation.explanations import Explanation, Method
from textkit.evaluation.task_scores import micro_f1, r_squared
from textkit.features.text_input import TextInput
from textkit.io.tables import TextData, take_column, take_texts
from textkit.recipe import Recipe, make_recipe
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.protocol import check_texts
from textkit.vectors.coverage import Coverage
from textkit.watch import History, Watch

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from textkit.classify.board import Choice
    from textkit.nn.network import TextNetwork


class TextClassifier:
    """A text classifier made from a recipe, or from options: `encoder="gru"`, `training__epochs=3`,
    `seed=1`.

    The recipe's head.task says what the labels are: one a text, a list of them a text
    ("multi-label"), or numbers ("regression"). After `fit`, `fitted_` is all that was found out,
    and `classes_` (n_classes,), `recipe_`, `tokenizer_`, `network_`, `history_` are read from it.

    >>> texts = ["good film", "bad film", "good plot", "bad plot"] * 10
    >>> labels = ["pos", "neg", "pos", "neg"] * 10
    >>> model = TextClassifier(training__epochs=5, encoder__dim=8, seed=1).fit(texts, labels)
    >>> model.predict(["a good film"]).tolist()
    ['pos']
    """

    fitted_: Fitted

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

    def __repr__(self) -> str:
        """Spell the call that makes it, without what a recipe leaves to its default."""
        recipe = self.recipe
        if isinstance(recipe, Recipe):
            recipe = recipe.model_dump(exclude_defaults=True)
        given = {**({} if recipe is None else {"recipe": recipe}), **self.options}
        return f"TextClassifier({', '.join(f'{key}={value!r}' for key, value in given.items())})"

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        task = make_recipe(self.recipe, **self.options).head.task
        regression = task == "regression"
        return Tags(
            estimator_type="regressor" if regression else "classifier",
            target_tags=TargetTags(required=True, multi_output=task != "single-label"),
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
            classifier_tags=None
            if regression
            else ClassifierTags(multi_label=task == "multi-label"),
            regressor_tags=RegressorTags() if regression else None,
        )

    def fit(
        self,
        texts: TextData,
        labels: LabelData | None = None,
        *,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        sample_weight: WeightData | None = None,
        missing: Missing = "error",
        normalize_labels: bool = False,
        validation: TextData | tuple[TextData, LabelData] | None = None,
        init_from: TextClassifier | None = None,
        keep_labels: bool = False,
        teacher: TextClassifier | None = None,
        unlabelled: TextData | None = None,
        checkpoints: str | Path | None = None,
        watch: Watch | None = None,
    ) -> TextClassifier:
        """Train on texts (n,) and labels (n,) of str or int, lists of them, or numbers, by the
        task.

        Both may be columns of any library; textkit.data.given_labels has the rule of labels.

        - text, label: the names of the columns, where `texts` is a table: a frame or a dict of
          columns; several label columns hold 0 and 1, or numbers.
        - sample_weight: (n,) what each row counts for in the loss, or the name of its column; a row
          of weight 0 is no row.
        - missing: "skip" leaves rows without a label out, "error" names the first.
        - normalize_labels: labels that differ in case, white space and Unicode form alone are one;
          `watch` hears as a note which became which.
        - validation: texts and labels for early stopping, or a table; without it a share of the
          rows is held out, stratified by label, as the recipe says.
        - init_from: a fitted model whose tokenizer and weights this one starts from; labels that it
          knows keep their weights.
        - keep_labels: keep also the labels of that model that are in no row; else it is said which
          are dropped.
        - teacher: a fitted model of the same labels, whose probabilities this one learns from, as
          `distil` in the recipe says: those of the texts, and of texts without labels.
        - unlabelled: such texts (n,), or a table. Without a teacher the model teaches itself with
          the surest of them, where rows held out say that it is not worse.
        - checkpoints: folder for what is needed to go on after a stop; a fit with the same
          arguments then does.

        Raises DataError for labels that cannot be learnt from or rows that do not match.
        """
        rows = take_labelled(texts, labels, text=text, label=label)
        if validation is not None:
            pair = validation if isinstance(validation, tuple) else (validation, None)
            validation = take_labelled(*pair, text=text, label=label)
        recipe = make_recipe(self.recipe, **self.options)
        watch = watch or Watch()
        if normalize_labels:
            rows, validation = _normalize(recipe.head.task, rows, validation, watch)
        recipe = say_distil(recipe, has_teacher=teacher is not None)
        teaching = None
        others = [] if unlabelled is None else check_texts(take_texts(unlabelled, column=text))
        if teacher is not None:
            teaching = Teaching(teacher._check_fitted(), others)
            others = []
        with watch.stage("start"):
            from textkit.classify.auto_fitting import fit_rows
        given = Given(
            *rows,
            validation=validation,
            missing=missing,
            weights=_take_weights(texts, sample_weight),
            init_from=None if init_from is None else init_from._check_fitted(),
            keep_labels=keep_labels,
            teaching=teaching,
            checkpoints=None if checkpoints is None else Path(checkpoints),
            unlabelled=others,
        )
        self.fitted_ = fit_rows(recipe, given, watch=watch)
        return self

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
        recipe = make_recipe(self.recipe, **self.options)
        watch = watch or Watch()
        with watch.stage("start"):
            fitting = _fitting_of(recipe)
        self.fitted_ = fitting.fit_file(
            recipe,
            path,
            validation=validation,
            cache=cache,
            text_column=text_column,
            label_column=label_column,
            delimiter=delimiter,
            separator=separator,
            checkpoints=None if checkpoints is None else Path(checkpoints),
            watch=watch,
        )
        return self

    def encode(self, texts: TextData, *, text: str | None = None) -> TokenBatch:
        """Tokenize texts as the model sees them, cut to the recipe's max_length."""
        return self._check_fitted().encode(check_texts(take_texts(texts, column=text)))

    def describe(self) -> dict[str, object]:
        """Say what the model is, as plain values for JSON: task, labels, encoder, what computes it,
        how many weights, temperature and thresholds.
        """
        return self._check_fitted().describe()

    def predict_logits(self, texts: TextData, *, text: str | None = None) -> NDArray[np.float32]:
        """Compute (n_texts, n_classes) float32 logits before the temperature, columns in the order
        of `classes_`.

        In a regression these are the predicted numbers, (n_texts, n_outputs).
        """
        return self._check_fitted().logits(take_texts(texts, column=text))

    def predict_proba(self, texts: TextData, *, text: str | None = None) -> NDArray[np.float64]:
        """Compute (n_texts, n_classes) float64 probabilities, columns in the order of `classes_`.

        Rows sum to 1 when a text has one label; in a multi-label task each label has its own
        probability.
        """
        return self._check_fitted().probabilities(take_texts(texts, column=text))

    def predict_log_proba(self, texts: TextData, *, text: str | None = None) -> NDArray[np.float64]:
        """Compute the logarithms of `predict_proba`, without its underflow."""
        return self._check_fitted().log_probabilities(take_texts(texts, column=text))

    def predict(self, texts: TextData, *, text: str | None = None) -> Any:
        """Give the most probable class of each text: (n_texts,).

        text: the column of a table that holds the texts, as in `fit`.

        In a multi-label task a list of tuples, the labels above their thresholds; in a regression
        (n_texts,) numbers, or (n_texts, n_outputs).
        """
        return self._check_fitted().labels(take_texts(texts, column=text))

    def explain(
        self,
        texts: TextData,
        *,
        label: Label | None = None,
        against: Label | None = None,
        method: Method | None = None,
        text: str | None = None,
    ) -> list[Explanation]:
        """Say which words of each text spoke for a label, and how much: one Explanation a text.

        label: which one to explain; by default the predicted one. against: compare it with this
        one, and not with the mean of the others. method: "gradients", "exact" or "occlusion"; by
        default the one that serves the model. Raises UsageError for what the model has not.

        >>> texts = ["good film", "bad film", "good plot", "bad plot"] * 10
        >>> model = TextClassifier(encoder="linear").fit(texts, ["pos", "neg"] * 20)
        >>> words = model.explain(["a good film"])[0]
        >>> words.label, words.spell(words.words[words.order()[0]])
        ('pos', 'good')
        """
        from textkit.classify.explain import explain

        rows = take_texts(texts, column=text)
        return explain(
            self._check_fitted(), check_texts(rows), label=label, against=against, method=method
        )

    def score(
        self,
        texts: TextData,
        labels: LabelData | None = None,
        *,
        text: str | None = None,
        label: str | Sequence[str] | None = None,
        sample_weight: WeightData | None = None,
        missing: Missing = "error",
        normalize_labels: bool = False,
    ) -> float:
        """Give the accuracy.

        For multi-label the micro F1, for regression R squared, as scikit-learn counts them. The
        rest is as in `fit`. Raises DataError for labels of which the model knows none.

        normalize_labels: a label that differs from a class in case, white space and Unicode form
        alone is that class.
        """
        fitted = self._check_fitted()
        table = texts
        texts, labels = take_labelled(texts, labels, text=text, label=label)
        if normalize_labels:
            labels = spell_as_classes(fitted.task, labels, fitted.classes.tolist())
        given = read_labels(fitted.task, labels, missing=missing, classes=fitted.classes)
        texts = given.take(check_texts(texts))
        if not texts:
            raise DataError("no rows to score")
        weights = None
        if sample_weight is not None:
            weighed = _take_weights(table, sample_weight)
            weights = read_weights(weighed, n_rows=given.n_rows, rows=given.rows)
        if fitted.task == "single-label":
            codes = known_codes(given.labels, fitted.classes)
            right = fitted.logits(texts).argmax(axis=1) == codes
            return float(np.average(right, weights=weights))
        targets = encode_labels(fitted.task, given.labels, fitted.classes)
        if fitted.task == "regression":
            predicted = fitted.logits(texts).astype(np.float64)
            return r_squared(targets.astype(np.float64), predicted, weights=weights)
        return micro_f1(targets, fitted.has_label(texts), weights=weights)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model folder: config.json, model.safetensors, the tokenizer's files and a
        manifest.

        A folder that holds other finished work is refused unless `overwrite` says so.
        """
        model_folder.save(self._check_fitted(), folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path, *, allow: Sequence[str] = ()) -> TextClassifier:
        """Open a model folder, or `hf:USER/NAME`, one on the hub; `@REVISION` may stand behind.

        allow: each `package.module:Name` of the model that may be imported; without it a model
        runs nothing but textkit and installed plug-ins. What is changed, missing, newer or foreign
        raises ArtifactError naming the file.
        """
        fitted = model_folder.load(folder, allow=allow)
        classifier = cls(fitted.recipe)
        classifier.fitted_ = fitted
        return classifier

    @property
    def task_(self) -> Task:
        """The task of the fitted model: single-label, multi-label or regression."""
        return self._check_fitted().task

    @property
    def recipe_(self) -> Recipe:
        """The recipe with nothing left to default."""
        return self.fitted_.recipe

    @property
    def classes_(self) -> Classes:
        """The sorted classes, (n_classes,); of a regression the names of its numbers."""
        return self.fitted_.classes

    @property
    def input_(self) -> TextInput:
        """What turns texts into the ids that the network reads."""
        return self.fitted_.text_input

    @property
    def tokenizer_(self) -> Tokenizer:
        """The tokenizer."""
        return self.fitted_.text_input.tokenizer

    @property
    def network_(self) -> TextNetwork:
        """The network, on the CPU."""
        return self.fitted_.network

    @property
    def temperature_(self) -> float:
        """What logits are divided by, so that probabilities mean what they say."""
        return self.fitted_.temperature

    @property
    def thresholds_(self) -> NDArray[np.float64]:
        """For multi-label: what a label's probability must exceed, (n_classes,)."""
        return self.fitted_.thresholds

    @property
    def coverage_(self) -> Coverage | None:
        """What the recipe's vectors knew of the training texts, where it names some."""
        return None if self.fitted_.facts is None else self.fitted_.facts.coverage

    @property
    def history_(self) -> History:
        """What the training did; a loaded model has none."""
        return self._facts().history

    @property
    def choice_(self) -> Choice | None:
        """The board by which an `auto` fit chose; None for another fit."""
        return self._facts().choice

    @property
    def n_rows_(self) -> int:
        """Rows of training and validation."""
        return self._facts().n_rows

    @property
    def n_truncated_(self) -> int:
        """Those of them that were cut."""
        return self._facts().n_truncated

    def _facts(self) -> FitFacts:
        if self.fitted_.facts is None:
            raise AttributeError("a model that was loaded does not know its training")
        return self.fitted_.facts

    def _check_fitted(self) -> Fitted:
        if not hasattr(self, "fitted_"):
            raise not_fitted(
                "this TextClassifier is not fitted; call fit(texts, labels) or"
                " TextClassifier.load(folder)"
            )
        return self.fitted_


def _take_weights(table: TextData, weights: WeightData | None) -> object:
    """Give the weights of rows: the caller's own, or a column of the table by its name."""
    return take_column(table, weights) if isinstance(weights, str) else weights


def _fitting_of(recipe: Recipe) -> ModuleType:
    """Give the module that fits a recipe's kind of model; a network's needs torch."""
    from textkit.classify import auto_fitting

    return auto_fitting.fitting_of(recipe)


def _normalize(
    task: Task,
    rows: tuple[TextData, LabelData],
    validation: tuple[TextData, LabelData] | None,
    watch: Watch,
) -> tuple[tuple[TextData, LabelData], tuple[TextData, LabelData] | None]:
    """Give the rows and the validation rows with one spelling for each label, and say so."""
    others = None if validation is None else validation[1]
    labels, others, said = normalize_given(task, rows[1], others)
    for line in said:
        watch.note(f"labels: {line}")
    if validation is not None and others is not None:
        validation = (validation[0], others)
    return (rows[0], labels), validation
