"""Teaching: a model that is fitted hands on what it says of texts, those without labels included
(distillation; Hinton et al. 2015).

In: rows to learn from and rows held out, a teacher, and texts without labels. Out: the rows with
these texts behind them, and a lesson for all. The rows held out keep their labels and nothing else:
no choice is made on the word of a teacher.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from textkit.classify.answers import ask
from textkit.classify.given import Given
from textkit.classify.held_out import SplitRows
from textkit.data.lessons import Lesson
from textkit.data.targets import Classes
from textkit.errors import DataError, UsageError
from textkit.recipe import Recipe
from textkit.recipe.sections import DistilSection
from textkit.registry import is_whole
from textkit.watch import Watch


def say_distil(recipe: Recipe, *, has_teacher: bool) -> Recipe:
    """Give the recipe of a student, its section `distil` written out; refuse one that cannot be
    taught, and one that says how to learn from a teacher where there is none.

    >>> say_distil(Recipe(), has_teacher=True).distil
    DistilSection(weight=0.5, temperature=1.0)
    """
    if not has_teacher:
        if recipe.distil is not None:
            raise UsageError("distil.weight is the share of a teacher; name one with --teacher")
        return recipe
    name, section = recipe.encoder.name, recipe.distil or DistilSection()
    if name in ("auto", "ensemble"):
        raise UsageError(
            f"encoder = '{name}' learns from no teacher; name the encoder of the student, such as"
            " linear or bag"
        )
    if section.temperature != 1 and (is_whole(name) or recipe.head.task == "regression"):
        what = f"a {name} model" if is_whole(name) else "a regression"
        raise UsageError(f"distil.temperature means nothing to {what}; remove it")
    return recipe.model_copy(update={"distil": section})


def take_lesson(
    recipe: Recipe, rows: SplitRows, given: Given, *, watch: Watch = Watch()
) -> SplitRows:
    """Give the rows with the texts without labels behind those to learn from, and what the teacher
    says of both, which is kept in the folder of checkpoints; as they are without a teacher.

    Raises DataError for a teacher of other classes, which it names.
    """
    teaching = given.teaching
    if teaching is None:
        return rows
    task, teacher = recipe.head.task, teaching.teacher
    order = None
    if teacher is not None:
        if teacher.task != task:
            raise UsageError(f"the teacher was trained for {teacher.task}, not {task}")
        order = _match(teacher.classes, rows.classes, is_numbers=task == "regression")
    unlabelled = [text for text in teaching.unlabelled if text.strip()]
    n_all, n_known, n_more = len(teaching.unlabelled), len(rows.texts), len(unlabelled)
    if n_more < n_all:
        watch.note(f"{n_all - n_more:,} of {n_all:,} unlabelled texts are empty and are left out")
    texts = [*rows.texts, *unlabelled]
    said = ask(teacher, texts, order=order, folder=given.checkpoints, watch=watch)
    if teaching.is_itself:
        sure = n_known + surest(said[n_known:])
        kept = np.concatenate([np.arange(n_known), sure])
        texts, said = [texts[at] for at in kept.tolist()], said[kept]
        said = np.eye(said.shape[1], dtype=np.float32)[said.argmax(axis=1)]
        watch.note(f"the model teaches itself on the {len(sure):,} surest of {n_more:,} texts")
        n_more = len(sure)
    section = recipe.distil or DistilSection()
    is_labelled = np.arange(len(texts)) < n_known
    share = np.where(is_labelled, section.weight, 1.0).astype(np.float32)
    lesson = Lesson(said, share, is_labelled)
    if not teaching.is_itself:
        watch.note(
            f"the teacher's word is {section.weight:g} of the loss of {n_known:,} labelled rows,"
            f" and all of it for {n_more:,} without a label"
        )
    targets = np.concatenate([rows.targets, lesson.to_targets(task)[n_known:]])
    weights = rows.weights
    if weights is not None:
        weights = np.concatenate([weights, np.ones(n_more, np.float32)])
    return replace(rows, texts=texts, targets=targets, weights=weights, lesson=lesson)


def surest(said: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give the rows of said (n_rows, n_classes) that are the surest half of those with the same
    likeliest class, in order.

    >>> surest(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], np.float32)).tolist()
    [0, 2]
    """
    guessed, sureness = said.argmax(axis=1), said.max(axis=1)
    kept = [np.zeros(0, np.int64)]
    for code in np.unique(guessed):
        rows = np.flatnonzero(guessed == code)
        order = np.argsort(-sureness[rows], kind="stable")
        kept.append(rows[order[: -(-len(rows) // 2)]])
    return np.sort(np.concatenate(kept))


def _match(known: Classes, classes: Classes, *, is_numbers: bool) -> NDArray[np.int64]:
    """Give the place of each of the rows' classes among the teacher's."""
    ours, theirs = classes.tolist(), known.tolist()
    if is_numbers:
        if len(ours) != len(theirs):
            raise DataError(
                f"the teacher gives {len(theirs)} numbers a text, the rows have {len(ours)}"
            )
        return np.arange(len(ours))
    only_ours = [label for label in ours if label not in set(theirs)]
    only_theirs = [label for label in theirs if label not in set(ours)]
    if only_ours or only_theirs:
        said = [
            f"{what} {', '.join(map(repr, some[:5]))}{', ...' if len(some) > 5 else ''}"
            for what, some in (("it does not know", only_ours), ("no row is", only_theirs))
            if some
        ]
        raise DataError(
            f"the teacher's labels are not those of the rows: {'; '.join(said)}; take a teacher of"
            " these labels"
        )
    place = {label: i for i, label in enumerate(theirs)}
    return np.array([place[label] for label in ours], dtype=np.int64)
