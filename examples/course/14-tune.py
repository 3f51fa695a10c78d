"""Course, page 14: four ways to search for a learning rate and a dropout, and what to believe.

A bag of words learns whether a docstring is of *files* or of *network*. Each search may train it
twelve times: textkit's own tune, one key at a time, a grid, at random. Then the best of many models
is looked for that are all equally good: its score is too good, the more of them the better.
"""

from __future__ import annotations

import csv
import json
import random
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch

from textkit import TextClassifier
from textkit.data import quickstart
from textkit.evaluation.figures import BLUE, GREY, ORANGE, new_figure, save_figure
from textkit.jobs import TuneOptions, tune_recipe
from textkit.recipe import make_recipe

TRIALS, EPOCHS = 12, 6
RATE, DROPOUT = 0.005, 0.0  # a first guess
RECIPE = f"""\
[embedding]
dim = 16
dropout = {DROPOUT}

[encoder]
name = "bag"

[head]
pooling = ["mean"]

[training]
lr = {RATE}
batch_size = 64
epochs = {EPOCHS}
patience = {EPOCHS}
threads = 1
"""
SPACE = """\
[training]
lr = {low = 1e-3, high = 1.0, log = true}

[embedding]
dropout = {low = 0.0, high = 0.8}
"""
EQUAL, TIMES = 0.85, 2000
MANY = (1, 4, 12, 48, 192, 768)

Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Trial:
    """Its values, the share right on the rows that choose, the loss on them by epoch, the model.

    valid: 0 for a trial that was given up.
    """

    rate: float
    dropout: float
    valid: float
    losses: list[float]
    model: TextClassifier | None = None


Run = Callable[[float, float], Trial]


def read_rows() -> tuple[Rows, Rows, Rows]:
    """Give rows to learn from, rows to choose by, and rows that no search sees."""
    parts = quickstart.split_rows(quickstart.docstring_rows())
    train, unseen = ([row for row in part if row[1] in ("files", "network")] for part in parts)
    random.Random(0).shuffle(train)  # noqa: S311
    return train[:450], train[450:750], unseen


def score(model: TextClassifier, rows: Rows) -> float:
    texts, labels = zip(*rows, strict=True)
    return model.score(texts, labels)


def best(trials: list[Trial]) -> Trial:
    return max(trials, key=lambda trial: trial.valid)


def tune(folder: Path, learn: Rows, choose: Rows) -> tuple[list[Trial], Rows]:
    """Let textkit search; give its trials, and the rows that it has learnt from."""
    for name, rows in (("learn.csv", learn), ("choose.csv", choose)):
        with open(folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "bag.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "keys.toml").write_text(SPACE, encoding="utf-8")
    options = TuneOptions(
        data=folder / "learn.csv",
        valid=folder / "choose.csv",
        recipes=[folder / "bag.toml"],
        space=folder / "keys.toml",
        trials=TRIALS,
        out=folder / "tuned",
    )
    report = tune_recipe(options)
    assert report is not None
    model = TextClassifier.load(folder / "tuned" / "model")
    trials = [
        Trial(
            tried.values["training.lr"],
            tried.values["embedding.dropout"],
            tried.score or 0.0,
            list(tried.losses),
            model if tried.number == report.best else None,
        )
        for tried in report.trials
    ]
    lines = (folder / "tuned" / "data" / "learn.jsonl").read_text(encoding="utf-8").splitlines()
    return trials, [(row["text"], row["label"]) for row in map(json.loads, lines)]


def make_run(learn: Rows, choose: Rows) -> Run:
    recipe = make_recipe(tomllib.loads(RECIPE))

    def run(rate: float, dropout: float) -> Trial:
        model = TextClassifier(recipe, training__lr=rate, embedding__dropout=dropout)
        model.fit(*zip(*learn, strict=True), validation=tuple(zip(*choose, strict=True)))
        losses = [epoch.valid_loss for epoch in model.history_.epochs]
        return Trial(rate, dropout, score(model, choose), losses, model)

    return run


def by_key(run: Run) -> list[Trial]:
    """Six rates with the dropout as guessed; then six dropouts with the best rate."""
    trials = [run(rate, DROPOUT) for rate in np.geomspace(1e-3, 1.0, 6).tolist()]
    rate = best(trials).rate
    return trials + [run(rate, dropout) for dropout in np.linspace(0.0, 0.8, 7)[1:].tolist()]


def by_grid(run: Run) -> list[Trial]:
    """Four rates, each with three dropouts."""
    rates = np.geomspace(1e-3, 1.0, 4).tolist()
    return [run(rate, dropout) for rate in rates for dropout in (0.0, 0.4, 0.8)]


def at_random(run: Run) -> list[Trial]:
    """A dropout and the logarithm of a rate that are anywhere in their range."""
    luck = random.Random(0)  # noqa: S311
    return [run(10 ** luck.uniform(-3, 0), luck.uniform(0.0, 0.8)) for _ in range(TRIALS)]


def give_up(trials: list[Trial]) -> list[Trial]:
    """Stop each trial after the epoch, from the second on, whose loss is above the median of three
    or more trials before it.
    """
    kept: list[Trial] = []
    for trial in trials:
        for epoch in range(1, EPOCHS):
            before = [other.losses[epoch] for other in kept if len(other.losses) > epoch]
            if len(before) >= 3 and trial.losses[epoch] > median(before):
                short = trial.losses[: epoch + 1]
                trial = Trial(trial.rate, trial.dropout, 0.0, short)
                break
        kept.append(trial)
    return kept


def say(name: str, trials: list[Trial], unseen: Rows) -> float:
    """Print a line on a search; give what the model that it chose has right of rows unseen."""
    winner = best(trials)
    n_rates = len({round(trial.rate, 6) for trial in trials})
    n_epochs = sum(len(trial.losses) for trial in trials)
    reached = score(winner.model, unseen)
    print(
        f"{name:18}  {n_rates:5}  {n_epochs:6}  {winner.rate:9.4f}  {winner.dropout:7.2f}"
        f"  {winner.valid:11.3f}  {reached:6.3f}"
    )
    return reached


def luck_of_equals(n_rows: int, n_models: int) -> tuple[float, float]:
    """Give the best of equal models a score on the rows that chose it, and on as many new ones."""
    luck = np.random.default_rng(n_models)
    scores = luck.binomial(n_rows, EQUAL, size=(TIMES, n_models)) / n_rows
    again = luck.binomial(n_rows, EQUAL, size=(TIMES, n_models)) / n_rows
    chosen = scores.argmax(axis=1)
    return float(scores.max(axis=1).mean()), float(again[np.arange(TIMES), chosen].mean())


def draw(searches: dict[str, list[Trial]], lucky: dict[int, list[tuple[float, float]]]) -> None:
    """Draw where each search has tried, and how the score of the best of many grows."""
    figure = new_figure(8, 5.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1])
    panels = upper.subplots(1, 4, sharex=True, sharey=True)
    for axes, (name, trials) in zip(panels, searches.items(), strict=True):
        for trial in trials:
            if trial.valid:
                shade = max(0.0, min(1.0, (trial.valid - 0.6) / 0.3))
                axes.plot(trial.rate, trial.dropout, "o", color=BLUE, alpha=0.1 + 0.9 * shade)
            else:
                axes.plot(trial.rate, trial.dropout, "x", color=GREY)
        winner = best(trials)
        axes.plot(
            winner.rate, winner.dropout, "o", markersize=12, color="none", markeredgecolor=ORANGE
        )
        axes.set_title(name, fontsize=10)
        axes.set(xscale="log", xlim=(6e-4, 1.7), ylim=(-0.08, 0.88))
    panels[0].set_ylabel("dropout")
    upper.supxlabel("learning rate; the darker, the more is right", fontsize=10)

    axes = lower.subplots()
    for (n_rows, pairs), style in zip(lucky.items(), ("-", "--"), strict=True):
        valid, again = zip(*pairs, strict=True)
        axes.plot(MANY, valid, f"o{style}", color=ORANGE, label=f"the {n_rows:,} rows that chose")
        axes.plot(MANY, again, f"o{style}", color=BLUE, label=f"{n_rows:,} new rows")
    axes.set(xscale="log", xlabel="equal models, of which the best is taken", ylabel="right")
    axes.set_xticks(MANY, [str(n) for n in MANY])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=9)
    for each in (*panels, axes):
        each.spines[["top", "right"]].set_visible(False)
    save_figure(figure, "14-tune.png")


def main() -> None:
    learn, choose, unseen = read_rows()
    with tempfile.TemporaryDirectory() as folder:
        tuned, learn = tune(Path(folder), learn, choose)
    print(f"{len(learn)} texts to learn from, {len(choose)} to choose by, {len(unseen)} unseen")
    print(f"{TRIALS} trials each: rates  epochs  best rate  dropout  chosen with  unseen")
    run = make_run(learn, choose)
    guessed = say("the first guess", [run(RATE, DROPOUT)], unseen)
    searches = {
        "one key at a time": by_key(run),
        "grid": by_grid(run),
        "random": at_random(run),
        "textkit tune": tuned,
    }
    reached = [say(name, trials, unseen) for name, trials in searches.items()]
    say("random, giving up", give_up(searches["random"]), unseen)
    gap = mean(best(trials).valid for trials in searches.values()) - mean(reached)
    print(f"on rows unseen the four that were chosen lose {gap:.3f} on average")
    assert min(reached) > guessed

    print(f"\nequal models, {EQUAL:.0%} right " + "".join(f"{n:7}" for n in MANY))
    lucky = {}
    for n_rows in (300, 3000):
        lucky[n_rows] = [luck_of_equals(n_rows, n) for n in MANY]
        for what, place in (("that chose", 0), ("that are new", 1)):
            shares = "".join(f"{pair[place]:7.3f}" for pair in lucky[n_rows])
            print(f"{n_rows:5,} rows {what:12}" + shares)
    draw(searches, lucky)


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    main()
