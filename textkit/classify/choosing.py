"""Choosing a model: candidates measured on the same held-out rows, and the board of all.

1. rows -> folds, each row held out once; of long data a fifth alone, once; where validation rows
   are given, these;
2. each candidate, from cheap to dear, learns from the other rows and predicts those held out;
3. the first stays unless a later one is better by more than the standard error of the difference
   on these rows: a few hundred rows cannot tell more, and the cheaper one is the safer guess;
4. all of them together, weighed by their loss, are the last candidate. Their weights come from
   other rows than those that judge them.

What was measured is kept in a folder, so that a choice which was stopped goes on. The choice is a
function of rows, recipe and seed, unless a time limit left a candidate out, which is said.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as save_arrays

from textkit.classify.board import Bounds, Choice, Judge, Standing
from textkit.classify.ensemble import normalize
from textkit.classify.fitted import Fitted
from textkit.classify.joining import join_halves, weigh
from textkit.data.splits import Split, fold_stratified
from textkit.data.targets import Classes, Labels, Targets, Task, encode_labels
from textkit.errors import DataError, LimitError
from textkit.io import files
from textkit.recipe import Recipe, complete_recipe, make_recipe
from textkit.watch import Progress, Watch

# Up to so many characters, and so many of them times classes, every row is held out once, in so
# many folds; beyond, a fifth alone.
_CHARACTERS_OF_FOLDS, _WORK_OF_FOLDS = 1_500_000, 20_000_000
_FOLDS, _FOLDS_OF_FEW, _FEW_ROWS = 3, 5, 500
# On fewer rows nothing can be told apart.
FEWEST_ROWS = 20
ENSEMBLE = "ensemble"
LATE = "the time limit was over"
# Texts that are predicted one by one, for the time of one.
_TIMED_TEXTS = 15
_N_FACTS = 3
# The logit of a class that the rows learnt from did not have.
_UNSEEN = -30.0

Fit = Callable[[Recipe, list[str], Labels], Fitted]


@dataclass(frozen=True)
class HeldOut:
    """Rows, and how they are cut for measuring; all targets by `classes`."""

    task: Task
    classes: Classes
    texts: Sequence[str]
    labels: Labels
    targets: Targets
    splits: list[Split]

    @property
    def held(self) -> NDArray[np.int64]:
        """The rows held out, in the order in which they are."""
        return np.concatenate([part for _, part in self.splits])

    def fingerprint(self, recipe: Recipe) -> str:
        """Hash what decides the outputs of a candidate: hex digits."""
        digest = hashlib.sha256(json.dumps(recipe.model_dump(mode="json")).encode())
        rows = [list(map(str, self.texts)), list(map(str, self.labels))]
        digest.update(json.dumps(rows).encode())
        for rest, part in self.splits:
            digest.update(rest.tobytes() + part.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Measured:
    """Outputs for the rows held out, (n, n_classes) logits at temperature 1, and what they cost.

    latency_ms: median milliseconds of the prediction of one text.
    """

    outputs: NDArray[np.float32]
    seconds: float
    n_bytes: int
    latency_ms: float


def cut(
    task: Task,
    targets: Targets,
    texts: Sequence[str],
    *,
    n_classes: int,
    n_valid: int,
    seed: int,
) -> list[Split]:
    """Cut rows for measuring; the last n_valid rows are those for validation, where they were
    given. No splits where there are too few rows to tell anything.
    """
    n_rows = len(texts)
    if n_valid:
        return [(np.arange(n_rows - n_valid), np.arange(n_rows - n_valid, n_rows))]
    if n_rows < FEWEST_ROWS:
        return []
    codes = targets.astype(np.int64) if task == "single-label" else np.zeros(n_rows, np.int64)
    n_characters = sum(map(len, texts))
    work = n_characters * n_classes
    if n_characters > _CHARACTERS_OF_FOLDS or work > _WORK_OF_FOLDS:
        return fold_stratified(codes, n_folds=5, seed=seed)[:1]
    n_folds = _FOLDS_OF_FEW if n_rows < _FEW_ROWS else _FOLDS
    return fold_stratified(codes, n_folds=n_folds, seed=seed)


def choose(
    recipes: Mapping[str, Recipe],
    rows: HeldOut,
    fit: Fit,
    *,
    metric: str,
    left_out: Mapping[str, str] | None = None,
    time_limit: float | None = None,
    join: bool = True,
    bounds: Bounds = Bounds(),
    folder: Path | None = None,
    watch: Watch = Watch(),
) -> Choice:
    """Measure candidates and choose one, or with `join` several together, within bounds.

    fit: how a candidate learns from texts and labels. left_out: further candidates, with the
    reasons why they are not tried. time_limit: seconds after which no further one is begun.
    folder: where measurements are kept.
    """
    began, reasons = time.monotonic(), dict(left_out or {})
    measured: dict[str, Measured] = {}
    names = list(recipes) if rows.splits and len(recipes) > 1 else []
    for i, name in enumerate(names):
        is_late = time_limit is not None and time.monotonic() - began > time_limit
        if measured and (is_late or watch.should_stop()):
            reasons[name] = LATE if is_late else "stopped before it"
            continue
        watch.progress(Progress(f"measuring {name}", i, len(names), "candidates"))
        try:
            measured[name] = _measure(name, recipes[name], rows, fit, folder)
        except DataError as err:
            reasons[name] = str(err)
    if LATE in reasons.values():
        watch.note(
            "the time limit left candidates unmeasured: a run with more time may choose another"
        )
    others = tuple(Standing(name, None, None, 0.0, 0, why) for name, why in reasons.items())
    if not measured:
        left = [name for name in recipes if name not in reasons] or list(recipes)
        name = left[0]
        reason = "chosen: the only candidate"
        if not rows.splits:  # with so few rows what an encoder learnt elsewhere counts for most
            name = "frozen" if "frozen" in left else name
            reason = "chosen: too few rows to compare"
        line = Standing(name, None, None, 0.0, 0, reason)
        return Choice(name, recipes[name], metric, 0, (line, *others))
    judge = Judge(rows.task, metric, rows.targets[rows.held])
    refused = {name: bounds.refuse(m.n_bytes, m.latency_ms) for name, m in measured.items()}
    cheap = {name: found for name, found in measured.items() if not refused[name]}
    if not cheap:
        least = min(measured, key=lambda name: measured[name].n_bytes)
        raise LimitError(
            f"no candidate is cheap enough: {least}: {refused[least]}; allow more, or make a model"
            " smaller: textkit compress --size"
        )
    winner, lines = _judge(cheap, judge)
    lines += [
        _stand(name, found, judge, refused[name])
        for name, found in measured.items()
        if refused[name]
    ]
    chosen = recipes[winner]
    if join and len(cheap) > 1:
        lines, shares = _join(cheap, judge, winner, lines, bounds)
        if shares:
            winner, chosen = ENSEMBLE, _make_ensemble(recipes, shares)
    return Choice(winner, chosen, metric, len(rows.held), (*lines, *others))


def _join(
    measured: Mapping[str, Measured],
    judge: Judge,
    winner: str,
    lines: list[Standing],
    bounds: Bounds,
) -> tuple[list[Standing], dict[str, float]]:
    """Judge the candidates together beside the best single one: the board, and the shares of the
    members; none where the single one stays.

    Together they have to be better by more than the standard error of the difference, in the metric
    or, with no loss in that, in the loss: it tells more on few rows.
    """
    task = judge.task
    said_of = {name: normalize(task, found.outputs, 1.0) for name, found in measured.items()}
    outputs = said_of
    shares = weigh(task, outputs, judge.targets)
    while len(shares) > 1 and bounds.refuse(*_costs(measured[name] for name in shares)):
        dearest = max(shares, key=lambda name: (measured[name].n_bytes, measured[name].latency_ms))
        outputs = {name: outputs[name] for name in shares if name != dearest}
        shares = weigh(task, outputs, judge.targets)
    if len(shares) < 2:
        return lines, {}
    joined = join_halves(task, outputs, judge.targets, judge.parts)
    gain, error = judge.compare(joined, measured[winner].outputs)
    by_loss = Judge(task, "loss", judge.targets)
    less, loss_error = by_loss.compare(joined, said_of[winner].astype(np.float32))
    said = f"{gain:+.3f} +- {error:.3f} beside {winner}: " + " + ".join(
        f"{share:.2f} {name}" for name, share in shares.items()
    )
    is_better = gain > error or (gain >= 0 and less > loss_error)
    found = [measured[name] for name in shares]
    n_bytes, latency_ms = _costs(found)
    line = Standing(
        ENSEMBLE,
        *judge.score(joined),
        sum(each.seconds for each in found),
        n_bytes,
        f"chosen: {said}" if is_better else said,
        latency_ms,
    )
    if not is_better:
        return [*lines, line], {}
    others = [
        replace(each, reason=f"{ENSEMBLE} is better") if each.name == winner else each
        for each in lines
    ]
    return [*others, line], shares


def _costs(members: Iterable[Measured]) -> tuple[int, float]:
    """Give the bytes and the milliseconds of several models together."""
    members = list(members)
    return sum(m.n_bytes for m in members), sum(m.latency_ms for m in members)


def _stand(name: str, found: Measured, judge: Judge, reason: str) -> Standing:
    scored = judge.score(found.outputs)
    return Standing(name, *scored, found.seconds, found.n_bytes, reason, found.latency_ms)


def _make_ensemble(recipes: Mapping[str, Recipe], shares: Mapping[str, float]) -> Recipe:
    """Give the recipe of an ensemble of candidates."""
    first = recipes[next(iter(shares))]
    members = [recipes[name].model_dump(mode="json", exclude_none=True) for name in shares]
    training = first.training
    told = {
        "seed": first.seed,
        "head": {"task": first.head.task, "thresholds": first.head.thresholds},
        "training": {
            "validation": training.validation,
            "class_weights": training.class_weights,
            "metric": training.metric,
            "calibrate": training.calibrate,
            "device": training.device,
            "threads": training.threads,
        },
    }
    encoder = {"name": ENSEMBLE, "recipes": members, "weights": list(shares.values())}
    return complete_recipe(make_recipe({**told, "encoder": encoder}))


def _judge(measured: Mapping[str, Measured], judge: Judge) -> tuple[str, list[Standing]]:
    """Give the best single candidate, and a line for each."""
    winner = next(iter(measured))
    reasons = {winner: "none is better beyond its error"}
    for name, found in measured.items():
        if name == winner:
            continue
        gain, error = judge.compare(found.outputs, measured[winner].outputs)
        said = f"{gain:+.3f} +- {error:.3f} beside {winner}"
        if gain > error:
            reasons[winner] = f"{name} is better"
            winner = name
        reasons[name] = said
    reasons[winner] = f"chosen: {reasons[winner]}"
    lines = [_stand(name, found, judge, reasons[name]) for name, found in measured.items()]
    return winner, lines


def _measure(name: str, recipe: Recipe, rows: HeldOut, fit: Fit, folder: Path | None) -> Measured:
    """Measure a candidate, or read what was kept of it."""
    path = None if folder is None else folder / f"auto-{name}.safetensors"
    key = rows.fingerprint(recipe)
    known = None if path is None else _read(path, key)
    if known is not None:
        return known
    found = _fit_folds(recipe, rows, fit)
    if path is not None:
        facts = np.array([found.seconds, found.n_bytes, found.latency_ms], np.float64)
        hashed = np.frombuffer(bytes.fromhex(key), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {"outputs": found.outputs, "facts": facts, "key": hashed}
        files.write_bytes(path, save_arrays(arrays))
    return found


def _fit_folds(recipe: Recipe, rows: HeldOut, fit: Fit) -> Measured:
    """Fit a candidate on the rows around each held-out part, and predict that."""
    outputs, seconds, fitted = [], 0.0, None
    labels = list(rows.labels)
    for rest, part in rows.splits:
        began = time.perf_counter()
        taken = rest.tolist()
        fitted = fit(recipe, [rows.texts[i] for i in taken], [labels[i] for i in taken])
        seconds += time.perf_counter() - began
        texts = [rows.texts[i] for i in part.tolist()]
        outputs.append(align(fitted, fitted.logits(texts), rows))
    assert fitted is not None
    return Measured(np.concatenate(outputs), seconds, _size_of(fitted), _time(fitted, rows.texts))


def align(fitted: Fitted, logits: NDArray[np.float32], rows: HeldOut) -> NDArray[np.float32]:
    """Give the outputs of a model by all classes, at temperature 1."""
    if rows.task == "regression":
        return logits
    aligned = np.full((len(logits), len(rows.classes)), _UNSEEN, dtype=np.float32)
    place = {label: i for i, label in enumerate(rows.classes.tolist())}
    columns = [place[label] for label in fitted.classes.tolist()]
    scaled = logits.astype(np.float64) / fitted.temperature
    if rows.task == "multi-label":  # above 0 where the label is given
        shares = np.clip(fitted.thresholds, 1e-6, 1 - 1e-6)
        scaled = scaled - np.log(shares / (1 - shares))
    else:
        scaled = scaled - scaled.max(axis=1, keepdims=True)
    aligned[:, columns] = scaled
    return aligned


def _time(fitted: Fitted, texts: Sequence[str]) -> float:
    """Measure the milliseconds of the prediction of one text: the median of a few."""
    seconds = []
    for text in texts[:_TIMED_TEXTS]:
        began = time.perf_counter()
        fitted.logits([text])
        seconds.append(time.perf_counter() - began)
    return round(1000 * float(np.median(seconds)), 3)


def _size_of(fitted: Fitted) -> int:
    """Count the bytes of a model's files."""
    with tempfile.TemporaryDirectory() as folder:
        fitted.model.write(Path(folder))
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def _read(path: Path, key: str) -> Measured | None:
    """Read what was kept of a measurement; None where it is of something else, or not whole."""
    try:
        arrays = load_file(path)
        outputs, facts = arrays["outputs"], arrays["facts"]
        if arrays["key"].tobytes().hex() != key:
            return None
    except (SafetensorError, OSError, KeyError):
        return None
    if len(facts) != _N_FACTS:
        return None
    return Measured(outputs, float(facts[0]), int(facts[1]), float(facts[2]))


def make_rows(
    task: Task,
    classes: Classes,
    texts: Sequence[str],
    labels: Labels,
    *,
    n_valid: int = 0,
    seed: int = 0,
) -> HeldOut:
    """Put rows together, cut for measuring; the last n_valid are those of validation."""
    targets = encode_labels(task, labels, classes)
    return HeldOut(
        task,
        classes,
        texts,
        labels,
        targets,
        cut(task, targets, texts, n_classes=len(classes), n_valid=n_valid, seed=seed),
    )
