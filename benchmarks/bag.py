"""The ngram-bag recipe beside fastText, in one run: accuracy, seconds to train, texts predicted a
second.

Usage: python benchmarks/bag.py [--rounds 3] [--threads 2] [--sets trec,sst]. Data:
../shared/data/train_dev. fastText is the `fasttext` command with lr .5, 25 epochs and bigrams; it
gets the words that our tokenizer cuts, lower-cased, as ready lines, while our times include reading
texts into ids. Rounds run in turn, each with its own seed: accuracy is their mean, seconds are the
best. "process" is TextClassifier.fit in a process that has trained before; "command" is `textkit
train` and `fasttext supervised`, with start and imports. Predictions are those of at least
PREDICTED texts; fastText's start, which reads its model, is taken off (its time for one text).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "train_dev"
SETS = {
    "AG News subset": ("ag_news_train_subset.csv", "ag_news_test.csv", 0.877),
    "TREC-6": ("trec6_train.csv", "trec6_test.csv", 0.894),
    "SST-2": ("sst2_train.csv", "sst2_test.csv", 0.798),
    "Banking77": ("banking77_train.csv", "banking77_test.csv", 0.808),
    "R8": ("reuters_r8_train.csv.gz", "reuters_r8_test.csv.gz", 0.969),
}
FASTTEXT = ["-lr", "0.5", "-epoch", "25", "-wordNgrams", "2", "-verbose", "0"]
PREDICTED = 30_000
Rows = tuple[list[str], list[str]]


@dataclass
class Found:
    """What the rounds on one data set measured, for one contender."""

    accuracy: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)


def read_rows(name: str) -> Rows:
    path = DATA / name
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if name.endswith(".gz")
        else path.open(encoding="utf-8", newline="") as file
    ):
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def seconds(job: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = job()
    return time.perf_counter() - started, result


def run(command: list[str], **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} ... failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def write_fasttext(path: Path, rows: Rows, *, labels: bool) -> None:
    """Write a text a line, as words with spaces between them."""
    from textkit import tokenizers

    words = tokenizers.create("word")
    batch = words.encode(rows[0], spans=True)
    lines = []
    for i, (text, label) in enumerate(zip(*rows, strict=True)):
        line = " ".join(text[start:end] for start, end in batch.row_spans(i).tolist()).lower()
        lines.append(f"__label__{label.replace(' ', '_')} {line}" if labels else line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def repeat(rows: Rows) -> Rows:
    """Repeat rows until they are PREDICTED, so that a rate is one."""
    pairs = list(
        itertools.islice(itertools.cycle(zip(*rows, strict=True)), max(PREDICTED, len(rows[0])))
    )
    return [text for text, _ in pairs], [label for _, label in pairs]


def measure_textkit(
    found: Found, train: Rows, test: Rows, *, name: str, seed: int, threads: int, recipe: Path
) -> None:
    from textkit import TextClassifier
    from textkit.recipe import read_recipe

    settings = [f"training.threads={threads}", "training.device=cpu", f"seed={seed}"]
    took, model = seconds(lambda: TextClassifier(read_recipe(recipe, settings)).fit(*train))
    found.process.append(took)
    found.accuracy.append(model.score(*test))
    many = repeat(test)[0]
    took, _ = seconds(lambda: model.predict(many))
    found.per_second.append(len(many) / took)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            "train",
            str(DATA / name),
            "-r",
            str(recipe),
            "--no-baseline",
            "-o",
            f"{folder}/run",
        ]
        for setting in settings:
            arguments += ["--set", setting]
        found.command.append(seconds(lambda: run([sys.executable, "-m", "textkit", *arguments]))[0])


def measure_fasttext(found: Found, train: Rows, test: Rows, *, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = {part: Path(folder) / part for part in ("train", "test", "texts", "one")}
        write_fasttext(files["train"], train, labels=True)
        write_fasttext(files["test"], test, labels=True)
        many = repeat(test)
        write_fasttext(files["texts"], many, labels=False)
        write_fasttext(files["one"], (many[0][:1], many[1][:1]), labels=False)
        model = f"{folder}/model"
        supervised = [
            "fasttext",
            "supervised",
            "-input",
            str(files["train"]),
            "-output",
            model,
            *FASTTEXT,
        ]
        found.command.append(seconds(lambda: run([*supervised, "-thread", str(threads)]))[0])
        predict = ["fasttext", "predict", f"{model}.bin"]
        predicted = run([*predict, str(files["test"])]).split()
        expected = ["__label__" + label.replace(" ", "_") for label in test[1]]
        found.accuracy.append(float(np.mean(np.array(predicted) == np.array(expected))))
        start = min(seconds(lambda: run([*predict, str(files["one"])]))[0] for _ in range(2))
        took = seconds(lambda: run([*predict, str(files["texts"])]))[0]
        found.per_second.append(len(many[0]) / max(took - start, 1e-9))


def report(title: str, bar: float, ours: Found, theirs: Found) -> None:
    accuracy, peer = float(np.mean(ours.accuracy)), float(np.mean(theirs.accuracy))
    process, command, fasttext = min(ours.process), min(ours.command), min(theirs.command)
    rate, peer_rate = max(ours.per_second), max(theirs.per_second)
    scores = f"{title:15} {accuracy:8.4f} {peer:8.4f} {bar:6.3f}"
    times = (
        f"{process:8.2f} {command:8.2f} {fasttext:8.2f} {process / fasttext:6.2f}"
        f" {command / fasttext:6.2f}"
    )
    print(f"{scores} {times} {rate:10,.0f} {peer_rate:10,.0f} {rate / peer_rate:6.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sets", default="", help="the beginnings of some sets' names, by commas")
    parser.add_argument("--recipe", type=Path, default=ROOT / "pipelines" / "ngram-bag.toml")
    chosen = parser.parse_args()
    if not DATA.is_dir():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    starts = tuple(part.strip().lower() for part in chosen.sets.split(","))
    from textkit import TextClassifier
    from textkit.recipe import read_recipe

    # Imports that the first training of a process pays for once.
    toy = (["good film", "bad film"] * 20, ["pos", "neg"] * 20)
    TextClassifier(read_recipe(chosen.recipe, ["training.device=cpu"])).fit(*toy)
    print(
        f"{chosen.threads} threads of {os.cpu_count()} cores, {chosen.rounds} rounds; seconds to"
        f" train, texts a second"
    )
    print(
        f"{'':15} {'accuracy':>8} {'fastText':>8} {'bar':>6} {'process':>8} {'command':>8}"
        f" {'fastText':>8} {'ratio':>6}"
        f" {'ratio':>6} {'texts/s':>10} {'fastText':>10} {'ratio':>6}"
    )
    for title, (train_name, test_name, bar) in SETS.items():
        if not title.lower().startswith(starts):
            continue
        train, test = read_rows(train_name), read_rows(test_name)
        ours, theirs = Found(), Found()
        for seed in range(chosen.rounds):
            measure_fasttext(theirs, train, test, threads=chosen.threads)
            measure_textkit(
                ours,
                train,
                test,
                name=train_name,
                seed=seed,
                threads=chosen.threads,
                recipe=chosen.recipe,
            )
        report(title, bar, ours, theirs)


if __name__ == "__main__":
    main()
