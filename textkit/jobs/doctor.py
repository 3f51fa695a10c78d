"""What `train --doctor` looks at beside the curves: one batch, the rows, the inside of the network.

In: the rows and the recipe of a training; later its classifier and what was measured of it. Out:
findings in words (textkit/evaluation/diagnosis.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textkit.data.labels import LabelledRows
from textkit.data.targets import Labels
from textkit.errors import LimitError
from textkit.evaluation.diagnosis import Finding, Symptoms, diagnose, diagnose_rows, entropy
from textkit.io import files
from textkit.jobs import runs
from textkit.recipe import Recipe, flatten, make_recipe
from textkit.registry import is_whole
from textkit.watch import Health

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier

# So many rows are learnt by heart in so many epochs of one step, if the network can learn at all;
# the time ends a slow one, which then says nothing.
_ROWS, _STEPS, _SECONDS = 16, 60, 20.0
_BY_HEART = 0.95
_OF_LAYERS = ("update_ratio", "activation", "dead_share")


def overfit_batch(recipe: Recipe, rows: LabelledRows) -> Finding | None:
    """Let the network learn a few rows by heart, without dropout; a finding where it cannot.

    Nothing is kept of it. Only for one label a text, and not for a pretrained encoder, whose step
    takes long.
    """
    task, name = recipe.head.task, recipe.encoder.name
    if task != "single-label" or name == "pretrained" or is_whole(name):
        return None
    from textkit import TextClassifier

    chosen = _pick(rows)
    texts, labels = [rows.texts[i] for i in chosen], [rows.labels[i] for i in chosen]
    if len(set(map(str, labels))) < 2 or len(set(texts)) < len(texts):
        return None
    classifier = TextClassifier(_by_heart(recipe))
    try:
        classifier.fit(texts, labels, validation=(texts, labels))
    except LimitError as err:
        return Finding("one batch", f"{len(texts)} rows alone: {err}", "divide training.lr by 3")
    history = classifier.history_
    best = max((epoch.scores["accuracy"] for epoch in history.epochs), default=1.0)
    if best >= _BY_HEART or history.ended == "time":
        return None
    return Finding(
        "one batch",
        f"in {_STEPS} steps the network does not learn {len(texts)} rows by heart: accuracy"
        f" {best:.2f}, loss {history.epochs[-1].train_loss:.3f}",
        "a network that cannot do this cannot learn: let --find-lr suggest training.lr, and see"
        " that the texts hold more than unknown tokens",
    )


def _pick(rows: LabelledRows) -> list[int]:
    """Take rows of different classes by turns, the first of each; no text twice."""
    by_class: dict[str, list[int]] = {}
    for i, (text, label) in enumerate(zip(rows.texts, rows.labels, strict=True)):
        if text.strip():
            by_class.setdefault(str(label), []).append(i)
    turns = (
        i for turn in range(_ROWS) for some in by_class.values() for i in some[turn : turn + 1]
    )
    picked: dict[str, int] = {}
    for i in turns:
        picked.setdefault(rows.texts[i], i)
        if len(picked) == _ROWS:
            break
    return list(picked.values())


def _by_heart(recipe: Recipe) -> Recipe:
    """Give the recipe of a network that learns by heart: the same, without what hinders it."""
    section = recipe.training.model_dump() | {
        "epochs": _STEPS,
        "patience": _STEPS,
        "batch_size": _ROWS,
        "batch_tokens": None,
        "accumulate": 1,
        "average": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 0.0,
        "l1": 0.0,
        "r_drop": 0.0,
        "label_smoothing": 0.0,
        "sampler": "all",
        "class_weights": "none",
        "calibrate": False,
        "time_limit": _SECONDS,
        "metric": "auto",
    }
    options = recipe.encoder.model_dump()
    return make_recipe(
        recipe,
        training=section,
        embedding=recipe.embedding.model_dump() | {"dropout": 0.0},
        head=recipe.head.model_dump() | {"dropout": 0.0},
        encoder=options | ({"dropout": 0.0} if "dropout" in options else {}),
        augment={"word_dropout": 0.0, "swap": 0.0, "char_noise": 0.0, "mixup": 0.0},
    )


def examine(
    classifier: TextClassifier,
    rows: LabelledRows | None,
    valid: LabelledRows | None,
    health: Sequence[Health],
) -> list[Finding]:
    """Examine a training that has ended; rows: of it, None where they do not fit into memory."""
    recipe, task = classifier.recipe_, classifier.task_
    plain = task == "single-label" and recipe.training.loss == "auto"
    known = Symptoms(
        history=classifier.history_,
        clip=recipe.training.clip,
        epochs=recipe.training.epochs,
        n_rows=classifier.n_rows_,
        n_cut=classifier.n_truncated_,
        entropy=entropy([*map(str, rows.labels)]) if rows is not None and plain else None,
        health=health,
    )
    found = diagnose(known)
    if rows is None or task != "single-label":
        return found
    texts, labels, held, truths = _split(recipe, rows, valid)
    predicted = [*map(str, classifier.predict(held).tolist())]
    return found + diagnose_rows(texts, labels, held, truths, predicted)


def _split(
    recipe: Recipe, rows: LabelledRows, valid: LabelledRows | None
) -> tuple[list[str], list[str], list[str], list[str]]:
    """Give the texts and labels that were trained on, and those of the validation."""
    from textkit.classify.held_out import split_validation
    from textkit.data.targets import encode_labels, find_classes

    def named(labels: Labels) -> list[str]:
        return [str(label) for label in labels]

    if valid is not None:
        return rows.texts, named(rows.labels), valid.texts, named(valid.labels)
    classes = find_classes("single-label", rows.labels, joining=True)
    targets = encode_labels("single-label", rows.labels, classes)
    parts = [np.asarray(part).tolist() for part in split_validation(targets, recipe)]
    train, held = ([rows.texts[i] for i in part] for part in parts)
    own, truths = ([str(rows.labels[i]) for i in part] for part in parts)
    return train, own, held, truths


def write_health(run: Path, health: Sequence[Health]) -> None:
    """Write health.jsonl whole: a line an epoch, a number of a layer as NAME.LAYER."""
    lines = (json.dumps(flatten(each.to_dict()), allow_nan=False) + "\n" for each in health)
    files.write_text(run / runs.HEALTH, "".join(lines))


def read_health(run: Path) -> list[Health]:
    """Read health.jsonl; nothing where there is none."""
    if not (run / runs.HEALTH).is_file():
        return []
    found = []
    for line in (run / runs.HEALTH).read_text(encoding="utf-8").splitlines():
        values: dict[str, float] = json.loads(line)
        layers: dict[str, dict[str, float]] = {name: {} for name in _OF_LAYERS}
        for key, value in values.items():
            name, dot, layer = key.partition(".")
            if dot and name in layers:
                layers[name][layer] = value
        found.append(
            Health(
                int(values["epoch"]),
                values["gradient_norm"],
                values["clipped_share"],
                *(layers[name] for name in _OF_LAYERS),
            )
        )
    return found
