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
from textkit.classify.given import Given
from textkit.data.given_labels import GivenLabels, read_labels
from textkit.data.imbalance import read_weights
from textkit.data.lessons import Lesson
from textkit.data.splits import split_stratified
from textkit.data.targets import Classes, Targets, Task, encode_labels, find_classes
from textkit.errors import DataError
from textkit.evaluation.calibration import fit_temperature
from textkit.evaluation.task_scores import fit_thresholds
from textkit.recipe import Recipe
from textkit.tokenizers.protocol import check_texts
from textkit.watch import Watch

# What a label of a row for validation is called where it cannot be.
_VALIDATION = "validation label"


# Of the rows that a class has in the mean: a class of fewer is rare.
_RARE_SHARE = 0.1


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


def read_given(
    task: Task, given: Given, *, watch: Watch = Watch()
) -> tuple[list[str], GivenLabels, NDArray[np.float32] | None]:
    """Read the texts (n,), labels (n,) and perhaps weights (n,) of the rows to learn from; rows
    without a label or of weight 0 are left out.
    """
    labels = read_labels(task, given.labels, missing=given.missing)
    texts = labels.take(check_texts(given.texts))
    if len(texts) < labels.n_rows:
        n_without = labels.n_rows - len(texts)
        watch.note(f"{n_without:,} of {labels.n_rows:,} rows have no label and are left out")
    if given.weights is None:
        return texts, labels, None
    weights = read_weights(given.weights, n_rows=labels.n_rows, rows=labels.rows)
    # A row of weight 0 is no row: no word, class or batch comes from it.
    counts = np.flatnonzero(weights)
    return [texts[row] for row in counts.tolist()], labels.keep(counts), weights[counts]


def read_validation(
    task: Task, given: Given, classes: Classes
) -> tuple[list[str], GivenLabels] | None:
    """Read the texts and labels of the rows for validation, where some are given."""
    if given.validation is None:
        return None
    texts, labels = given.validation
    valid = read_labels(task, labels, missing=given.missing, classes=classes, what=_VALIDATION)
    return valid.take(check_texts(texts)), valid


def split_rows(recipe: Recipe, given: Given, *, watch: Watch = Watch()) -> SplitRows:
    """Read what is given, and hold out the recipe's share of the rows where none are given for
    validation. `meet_classes` says what becomes of the classes of a model to start from.
    """
    task = recipe.head.task
    texts, labels, weighed = read_given(task, given, watch=watch)
    known = None if given.init_from is None or task == "regression" else given.init_from.classes
    classes = find_classes(task, labels.labels, joining=known is not None and given.keep_labels)
    classes = classes if labels.classes is None else labels.classes
    if known is not None:
        classes = meet_classes(classes, known, keep=given.keep_labels, watch=watch)
    targets = encode_labels(task, labels.labels, classes)
    say_rare(recipe, classes, targets, watch=watch)
    valid = read_validation(task, given, classes)
    if valid is None:
        rows, held = split_validation(targets, recipe)
        train_texts, valid_texts = ([texts[row] for row in part] for part in (rows, held))
        both = (None, None) if weighed is None else (weighed[rows], weighed[held])
        return SplitRows(classes, train_texts, targets[rows], valid_texts, targets[held], *both)
    valid_texts, valid_labels = valid
    if not valid_texts:
        raise DataError("no validation rows; leave them out to hold some of the rows out")
    valid_targets = encode_labels(task, valid_labels.labels, classes, what=_VALIDATION)
    return SplitRows(classes, texts, targets, valid_texts, valid_targets, weighed)


def say_rare(recipe: Recipe, classes: Classes, targets: Targets, *, watch: Watch) -> None:
    """Say which classes are so rare that accuracy, where nobody chose another metric, hardly sees
    them: a tenth of the rows that a class has in the mean, or fewer.

    >>> rows = np.repeat([0, 1, 2], [500, 480, 20])
    >>> say_rare(Recipe(), np.array(["a", "b", "c"]), rows, watch=Watch(note=print))
    1 of 3 classes has at most 33 of 1,000 rows (the rarest, 'c', 20): accuracy hardly sees it;...
    """
    if recipe.head.task != "single-label" or recipe.training.metric != "auto":
        return
    codes, counts = np.unique(targets.astype(np.int64), return_counts=True)
    bound = len(targets) * _RARE_SHARE / max(len(codes), 1)
    n_rare = int((counts <= bound).sum())
    if n_rare:
        rarest, one = int(counts.argmin()), n_rare == 1
        watch.note(
            f"{n_rare} of {len(codes)} classes {'has' if one else 'have'} at most {int(bound):,} of"
            f" {len(targets):,} rows (the rarest, {classes.tolist()[codes[rarest]]!r},"
            f" {int(counts[rarest]):,}):"
            f" accuracy hardly sees {'it' if one else 'them'}; training.metric = macro_f1 counts"
            " all classes alike"
        )


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
