"""Rows to learn from and rows held out, and what is chosen on the latter; for every kind of model.

In: texts and labels, perhaps with others for validation. Out: the classes, both parts with their
targets; later the temperature and the thresholds, from the outputs for the rows held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textkit.classify.fitted import sigmoid
from textkit.data.given_labels import LabelData, Missing, read_labels
from textkit.data.imbalance import read_weights
from textkit.data.lessons import Lesson
from textkit.data.splits import split_stratified
from textkit.data.targets import Classes, Targets, encode_labels, find_classes
from textkit.errors import DataError
from textkit.evaluation.calibration import fit_temperature
from textkit.evaluation.task_scores import fit_thresholds
from textkit.io.tables import TextData
from textkit.recipe import Recipe
from textkit.tokenizers.protocol import check_texts
from textkit.watch import Watch


@dataclass(frozen=True)
class SplitRows:
    """Texts and targets to learn from, with the weights of these rows, and those of validation.

    lesson: what a teacher says of the texts to learn from, where there is one; texts without a
    label have as targets what it would decide.
    """

    classes: Classes
    texts: Sequence[str]
    targets: Targets
    valid_texts: Sequence[str]
    valid_targets: Targets
    weights: NDArray[np.float32] | None = None
    valid_weights: NDArray[np.float32] | None = None
    lesson: Lesson | None = None

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Tell which rows to learn from have a label of their own: (n_rows,)."""
        if self.lesson is None:
            return np.ones(len(self.texts), np.bool_)
        return self.lesson.is_labelled


def split_rows(
    recipe: Recipe,
    texts: TextData,
    labels: LabelData,
    validation: tuple[TextData, LabelData] | None = None,
    *,
    missing: Missing = "error",
    weights: object = None,
    known: Classes | None = None,
    keep_known: bool = False,
    watch: Watch = Watch(),
) -> SplitRows:
    """Read texts (n,), labels (n,) and perhaps weights of rows, and hold out the recipe's share of
    them where no rows for validation are given; the options are those of TextClassifier.fit.

    known: the classes of the model to start from; `meet_classes` says what becomes of them.
    """
    task = recipe.head.task
    given = read_labels(task, labels, missing=missing)
    texts = given.take(check_texts(texts))
    if len(texts) < given.n_rows:
        n_without = given.n_rows - len(texts)
        watch.note(f"{n_without:,} of {given.n_rows:,} rows have no label and are left out")
    weighed = None
    if weights is not None:
        weighed = read_weights(weights, n_rows=given.n_rows, rows=given.rows)
        # A row of weight 0 is no row: no word, class or batch comes from it.
        counts = np.flatnonzero(weighed)
        given, weighed = given.keep(counts), weighed[counts]
        texts = [texts[row] for row in counts.tolist()]
    classes = find_classes(task, given.labels, joining=known is not None and keep_known)
    classes = classes if given.classes is None else given.classes
    if known is not None:
        classes = meet_classes(classes, known, keep=keep_known, watch=watch)
    targets = encode_labels(task, given.labels, classes)
    if validation is None:
        rows, held = split_validation(targets, recipe)
        train_texts, valid_texts = ([texts[row] for row in part] for part in (rows, held))
        both = (None, None) if weighed is None else (weighed[rows], weighed[held])
        return SplitRows(classes, train_texts, targets[rows], valid_texts, targets[held], *both)
    what = "validation label"
    valid = read_labels(task, validation[1], missing=missing, classes=classes, what=what)
    valid_texts = valid.take(check_texts(validation[0]))
    if not valid_texts:
        raise DataError("no validation rows; leave them out to hold some of the rows out")
    valid_targets = encode_labels(task, valid.labels, classes, what=what)
    return SplitRows(classes, texts, targets, valid_texts, valid_targets, weighed)


def meet_classes(classes: Classes, known: Classes, *, keep: bool, watch: Watch) -> Classes:
    """Give the classes of a fit that starts from a model: those of its rows, and with `keep` also
    those that only the model knows; else these are dropped, and that is said.
    """
    here = set(classes.tolist())
    others = [label for label in known.tolist() if label not in here]
    if not others:
        return classes
    if not keep:
        shown = ", ".join(map(str, others[:8])) + (", ..." if len(others) > 8 else "")
        watch.note(
            f"dropped, for they are in no row, labels that the model to start from knew"
            f" ({len(others):,}): {shown}; to keep them: --keep-labels (keep_labels=True)"
        )
        return classes
    kinds = sorted({type(label).__name__ for label in (*here, *others)})
    if len(kinds) > 1:
        raise DataError(
            f"labels of the rows and of the model to start from are of several types:"
            f" {', '.join(kinds)}; make them the same"
        )
    return np.array(sorted([*here, *others]))


def split_validation(
    targets: Targets, recipe: Recipe
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out the recipe's share of rows for validation: (train rows, held-out rows),
    stratified where it can be.
    """
    single = recipe.head.task == "single-label"
    codes = targets.astype(np.int64) if single else np.zeros(len(targets), dtype=np.int64)
    return split_stratified(codes, share=recipe.training.validation, seed=recipe.seed)


def say_weak(
    recipe: Recipe,
    classes: Classes,
    outputs: NDArray[np.floating],
    targets: Targets,
    *,
    watch: Watch,
) -> None:
    """Say when a model gives one class to all rows held out, though these have several.

    outputs: (n_rows, n_classes), logits.

    >>> few = np.array([[0.1, 0.0], [0.3, 0.0]])
    >>> say_weak(Recipe(), np.array(["a", "b"]), few, np.array([0, 1]), watch=Watch(note=print))
    all 2 validation rows are predicted as 'a': the model tells no class from another; give it...
    """
    if recipe.head.task != "single-label" or len(np.unique(targets)) < 2:
        return
    predicted = np.unique(outputs.argmax(axis=1))
    if len(predicted) == 1:
        watch.note(
            f"all {len(targets):,} validation rows are predicted as"
            f" {classes.tolist()[predicted[0]]!r}: the model tells no class from another; give it"
            " more rows or more steps (--epochs), or take --encoder linear"
        )


def calibrate(
    recipe: Recipe, outputs: NDArray[np.floating], targets: Targets
) -> tuple[float, NDArray[np.float64]]:
    """Fit what the task has on rows that the model did not learn from: the temperature, and the
    thresholds of a multi-label task, one a label.

    outputs: (n_rows, n_classes), logits.
    """
    section, none = recipe.head, np.zeros(0)
    if section.task == "regression":
        return 1.0, none
    logits = outputs.astype(np.float64)
    if section.task == "single-label":
        codes = targets.astype(np.int64)
        return (fit_temperature(logits, codes) if recipe.training.calibrate else 1.0), none
    if section.thresholds == "fit":
        return 1.0, fit_thresholds(sigmoid(logits), targets.astype(np.float32))
    return 1.0, np.full(logits.shape[1], float(section.thresholds))
