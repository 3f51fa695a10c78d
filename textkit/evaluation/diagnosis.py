"""What a training says about itself, in words, with what to change.

In: the history of a training, what went on inside its network, and what its validation rows show.
Out: findings, the gravest first. Each has its threshold beside it; none is a proof.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from textkit.evaluation.task_scores import FALLING
from textkit.watch import Epoch, Health, History

# Validation loss that much above its lowest, for two epochs or more, while the training loss fell.
_OVERFITTED = 1.05
# A training loss that ends above this share of what guessing by the classes' shares costs.
_NOT_LEARNT = 0.9
# Beside the weights an update is .01 to .05 long at the default rate, .0005 where a transformer is
# tuned at 2e-5; at a third, weights do not settle.
_LARGE_UPDATE, _SMALL_UPDATE = 0.3, 1e-4
_DEAD, _CLIPPED, _CUT = 0.5, 0.95, 0.1
_FEW_VALID = 100
_SAME_TEXTS = 0.02
_OF_THE_RATE = ("learning rate too high", "learning rate too low")
_FOLLOW_THE_RATE = (*_OF_THE_RATE, "not learnt", "ended early", "always clipped")
_NAMED, _MOST_CLASSES = 5, 200


@dataclass(frozen=True)
class Finding:
    """One thing that was seen: a name for programs, what it is, and what to change."""

    kind: str
    what: str
    change: str

    def __str__(self) -> str:
        return f"{self.what}; {self.change}"

    def to_dict(self) -> dict[str, str]:
        """Give plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Symptoms:
    """What is known of a training.

    n_outputs: classes, or numbers. clip, epochs: of the recipe. n_rows, n_cut: of all rows, and of
    those that were cut. entropy: what guessing by the classes' shares costs a row; None where the
    loss is another one. health: empty where it was not measured.
    """

    history: History
    clip: float
    epochs: int
    n_rows: int
    n_cut: int
    entropy: float | None = None
    health: Sequence[Health] = ()


def diagnose(symptoms: Symptoms) -> list[Finding]:
    """Look at the curves and at the inside of a network.

    >>> losses = [(0.9, 0.8), (0.5, 0.6), (0.2, 0.7), (0.1, 0.9)]
    >>> epochs = [Epoch(i, a, b, {"accuracy": 0.8}, 0.0, 0.1) for i, (a, b) in enumerate(losses, 1)]
    >>> history = History(epochs=epochs, best=epochs[1], ended="early")
    >>> known = Symptoms(history, clip=1.0, epochs=9, n_rows=900, n_cut=0, entropy=0.69)
    >>> [finding.kind for finding in diagnose(known)]
    ['overfitting']
    """
    looks: Sequence[Callable[[Symptoms], Finding | None]] = (
        _look_for_a_high_rate,
        _look_for_a_low_rate,
        _look_for_chance,
        _look_for_overfitting,
        _look_for_an_early_end,
        _look_for_clipping,
        _look_for_dead_units,
        _look_for_cut_rows,
    )
    looked = (look(symptoms) for look in looks)
    found = [finding for finding in looked if finding is not None]
    if found and found[0].kind in _OF_THE_RATE:  # what follows from it is cured by it
        found = [found[0], *(each for each in found[1:] if each.kind not in _FOLLOW_THE_RATE)]
    return found


def _look_for_chance(known: Symptoms) -> Finding | None:
    epochs = known.history.epochs
    if known.entropy is None or not epochs or known.entropy == 0:
        return None
    best = min(epoch.valid_loss for epoch in epochs)
    lowest = min(epoch.train_loss for epoch in epochs)
    if best < _NOT_LEARNT * known.entropy or lowest < _NOT_LEARNT * known.entropy:
        return None
    return Finding(
        "not learnt",
        f"hardly anything was learnt: the loss ends at {lowest:.3f}, and guessing by the classes'"
        f" shares costs {known.entropy:.3f}",
        "see that the labels belong to the texts, let --find-lr suggest another training.lr, and"
        " give more training.epochs",
    )


def _look_for_a_high_rate(known: Symptoms) -> Finding | None:
    losses = [epoch.train_loss for epoch in known.history.epochs]
    rises = sum(b > 1.02 * a for a, b in itertools.pairwise(losses))
    layer, most = _largest_update(known.health)
    if rises >= 2 and rises * 3 >= len(losses) - 1:
        seen = f"the training loss rose in {rises} of {len(losses) - 1} epochs"
    elif most > _LARGE_UPDATE:
        seen = f"one step changed the weights of {layer} by {most:.0%} of their size"
    else:
        return None
    return Finding(
        "learning rate too high",
        f"the learning rate is too high: {seen}",
        "divide training.lr by 3, or let --find-lr suggest one",
    )


def _look_for_overfitting(known: Symptoms) -> Finding | None:
    epochs = known.history.epochs
    if len(epochs) < 3:
        return None
    low = int(np.argmin([epoch.valid_loss for epoch in epochs]))
    last, lowest = epochs[-1], epochs[low]
    rose = last.valid_loss > _OVERFITTED * lowest.valid_loss and len(epochs) - low > 2
    if not rose or last.train_loss >= lowest.train_loss:
        return None
    best = known.history.best
    kept = "" if best is None else f" (the weights of epoch {best.epoch} are kept)"
    return Finding(
        "overfitting",
        f"overfitting from epoch {lowest.epoch + 1}: the validation loss rose from"
        f" {lowest.valid_loss:.3f} to {last.valid_loss:.3f} while that of training fell from"
        f" {lowest.train_loss:.3f} to {last.train_loss:.3f}{kept}",
        "more rows help most; else more embedding.dropout, head.dropout, augment.word_dropout or"
        " training.weight_decay, or a smaller encoder.dim",
    )


def _look_for_an_early_end(known: Symptoms) -> Finding | None:
    history, best = known.history, known.history.best
    if best is None or history.ended not in ("epochs", "time") or len(history.epochs) < 2:
        return None
    before = history.epochs[-2]
    metric = history.metric
    if best.epoch != history.epochs[-1].epoch or not _is_better(best, before, metric):
        return None
    if best.valid_loss >= before.valid_loss:
        return None
    change = "give more training.epochs" if history.ended == "epochs" else "give it more time"
    return Finding(
        "ended early",
        f"the last epoch was the best: {best.epoch} epochs were too few to see the end",
        change,
    )


def _look_for_dead_units(known: Symptoms) -> Finding | None:
    if not known.health:
        return None
    dead = {k: v for k, v in known.health[-1].dead_share.items() if v > _DEAD and _is_inner(k)}
    if not dead:
        return None
    layer, share = max(dead.items(), key=lambda pair: pair[1])
    more = f", and in {len(dead) - 1} more layers" if len(dead) > 1 else ""
    return Finding(
        "dead units",
        f"{share:.0%} of the units of {layer} give the same at every position{more}",
        "lower training.lr, choose the activation gelu where it is relu, or a smaller encoder.dim",
    )


def _look_for_a_low_rate(known: Symptoms) -> Finding | None:
    ratios = [max(each.update_ratio.values(), default=math.nan) for each in known.health]
    largest = max((ratio for ratio in ratios if ratio == ratio), default=math.nan)
    if not largest < _SMALL_UPDATE:
        return None
    return Finding(
        "learning rate too low",
        f"the weights hardly move: no layer by more than {largest:.1e} of its size in a step",
        "multiply training.lr by 10, or let --find-lr suggest one",
    )


def _look_for_clipping(known: Symptoms) -> Finding | None:
    late = known.health[len(known.health) // 2 :]
    if not late or np.mean([each.clipped_share for each in late]) < _CLIPPED:
        return None
    norm = float(np.median([each.gradient_norm for each in late]))
    if norm < 3 * known.clip:
        return None
    return Finding(
        "always clipped",
        f"nearly every step was clipped: gradients are {norm:.3g} long, and training.clip is"
        f" {known.clip:g}",
        f"set training.clip = {float(f'{norm:.1g}'):g}, or lower training.lr",
    )


def _look_for_cut_rows(known: Symptoms) -> Finding | None:
    if known.n_cut <= _CUT * known.n_rows:
        return None
    return Finding(
        "cut rows",
        f"{known.n_cut / max(known.n_rows, 1):.0%} of the rows were cut",
        "raise tokenizer.max_length",
    )


def diagnose_rows(
    train: Sequence[str],
    labels: Sequence[str],
    valid: Sequence[str],
    truths: Sequence[str],
    predicted: Sequence[str],
) -> list[Finding]:
    """Look at the rows of a single-label task, and at what is predicted of the validation rows.

    >>> found = diagnose_rows(["a b", "b c"], ["x", "y"], ["d"] * 200, ["x"] * 200, ["y"] * 200)
    >>> [finding.kind for finding in found]
    ['never predicted']
    """
    found = [
        _look_for_given_labels(train, labels),
        _look_for_contradictions(train, labels),
        _look_for_shared_texts(train, valid),
        _look_for_missing_classes(labels, truths, predicted),
    ]
    if len(valid) < _FEW_VALID:
        margin = 1 / math.sqrt(max(len(valid), 1))
        found.append(
            Finding(
                "few validation rows",
                f"{len(valid)} validation rows tell an accuracy to ±{margin:.2f} at best",
                "raise training.validation, or give a file with --valid",
            )
        )
    return [finding for finding in found if finding is not None]


def _look_for_given_labels(texts: Sequence[str], labels: Sequence[str]) -> Finding | None:
    """Find classes whose name stands in nearly all their own texts and in hardly any other."""
    names = sorted(set(labels))
    lowered = [text.lower() for text in texts]
    leaking = []
    for name in names if len(names) <= _MOST_CLASSES else ():
        spelled = name.lower().replace("_", " ").strip()
        if len(spelled) < 3:
            continue
        has = np.array([spelled in text for text in lowered])
        own = np.array([label == name for label in labels])
        if has[own].mean() > 0.8 and (own.all() or has[~own].mean() < 0.05):
            leaking.append(name)
    if not leaking:
        return None
    return Finding(
        "labels in the texts",
        f"the name of the class stands in its own texts: {_name(leaking)}",
        "take it out of the texts, unless it is there when the model is used",
    )


def _look_for_contradictions(texts: Sequence[str], labels: Sequence[str]) -> Finding | None:
    by_text: dict[str, Counter[str]] = defaultdict(Counter)
    for text, label in zip(texts, labels, strict=True):
        by_text[text][label] += 1
    lost = sum(each.total() - each.most_common(1)[0][1] for each in by_text.values())
    if lost <= _SAME_TEXTS * len(texts):
        return None
    return Finding(
        "contradictory labels",
        f"{lost:,} of {len(texts):,} training rows have another label than the same text elsewhere;"
        f" no model gets more than {1 - lost / len(texts):.3f} of them right",
        "see them with textkit data check, and decide",
    )


def _look_for_shared_texts(train: Sequence[str], valid: Sequence[str]) -> Finding | None:
    known = set(train)
    shared = sum(text in known for text in valid)
    if not valid or shared <= _SAME_TEXTS * len(valid):
        return None
    return Finding(
        "shared texts",
        f"{shared:,} of {len(valid):,} validation texts stand in the training rows too, so that the"
        " validation is better than the model",
        "remove repeated rows with textkit data dedup",
    )


def _look_for_missing_classes(
    labels: Sequence[str], truths: Sequence[str], predicted: Sequence[str]
) -> Finding | None:
    support, guessed = Counter(truths), set(predicted)
    missing = [name for name, n in support.most_common() if name not in guessed]
    if not missing:
        return None
    rows = Counter(labels)
    named = [f"{name} ({rows[name]:,} training rows)" for name in missing]
    return Finding(
        "never predicted",
        f"{len(missing)} of {len(support)} classes never predicted: {_name(named)}",
        "set training.class_weights = 'balanced' or training.sampler = 'balanced', or collect rows"
        " of them",
    )


def entropy(labels: Sequence[str]) -> float:
    """Give what guessing by the classes' shares costs a row, in nats.

    >>> round(entropy(["a", "b"]), 3)
    0.693
    """
    shares = np.array(list(Counter(labels).values())) / max(len(labels), 1)
    return float(-(shares * np.log(shares)).sum())


def _largest_update(health: Sequence[Health]) -> tuple[str, float]:
    """Give the layer with the largest update ratio, and the ratio; 0 where none was measured."""
    pairs = [(ratio, layer) for each in health for layer, ratio in each.update_ratio.items()]
    ratio, layer = max(pairs, default=(0.0, ""))
    return layer, ratio


def _is_inner(layer: str) -> bool:
    """Tell whether dead units in a layer mean something: a norm or a table may well be constant."""
    return not layer.startswith("embedding") and "norm" not in layer


def _is_better(one: Epoch, other: Epoch, metric: str) -> bool:
    if metric == "loss":
        return one.valid_loss < other.valid_loss
    a, b = one.scores[metric], other.scores[metric]
    return a < b if metric in FALLING else a > b


def _name(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
