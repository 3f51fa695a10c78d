"""Every recipe of pipelines/ on five data sets and the quick-start data, TF-IDF + LinearSVC and
fastText beside it.

    python benchmarks/recipes.py [--recipes word-glove-lstm,ngram-bag] [--sets trec6,sst2]
        [--seeds 0,1,2] [--threads 2]
    python benchmarks/recipes.py --recipes word-glove-lstm --sets ag-news --set training.epochs=6
    python benchmarks/recipes.py --recipes pretrained-finetune --sets sst2 --model FOLDER
        --valid sst2_dev.csv

Official test files; a recipe is chosen by its validation accuracy, which stands beside the test
accuracy. Seconds are those of TextClassifier.fit (tokenizer, encoding, training, validation) in one
process. Results go to standard output as a table, and a line of JSON each to --log.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from textkit import TextClassifier
from textkit.data import quickstart
from textkit.evaluation import evaluate, predict_baseline
from textkit.recipe import read_recipe

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "train_dev"
SETS = {
    "ag-news": ("ag_news_train_subset.csv", "ag_news_test.csv"),
    "trec6": ("trec6_train.csv", "trec6_test.csv"),
    "sst2": ("sst2_train.csv", "sst2_test.csv"),
    "banking77": ("banking77_train.csv", "banking77_test.csv"),
    "r8": ("reuters_r8_train.csv.gz", "reuters_r8_test.csv.gz"),
    "quick-start": ("train.csv", "test.csv"),
}
# What fastText's users tune first: these beat its defaults by far on every one of the five.
FASTTEXT = ["-lr", "0.5", "-epoch", "25", "-wordNgrams", "2", "-verbose", "0"]
Rows = tuple[list[str], list[str]]


def main() -> None:
    """Run what was asked for and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = sorted(path.stem for path in (ROOT / "pipelines").glob("*.toml"))
    usual = [
        name
        for name in known
        if name not in ("contrastive", "multilabel-bag", "pretrained-finetune")
    ]
    parser.add_argument("--recipes", default=",".join(usual))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="as textkit train takes it"
    )
    parser.add_argument(
        "--valid", help="file beside the sets whose rows validate, instead of held-out ones"
    )
    parser.add_argument(
        "--model", help="folder of the pretrained model, for pretrained-finetune, contrastive"
    )
    parser.add_argument("--log", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(
            "the data sets are not beside the project (../shared/data/train_dev): nothing to"
            " measure"
        )
    print(
        f"{'data':10} {'model':24} {'valid':>6} {'test':>6} {'F1':>6} {'s':>7} {'weights':>11}"
        f" {'tokens/s':>9}"
    )
    for name in options.sets.split(","):
        train, test = (read_rows(file) for file in SETS[name])
        if not options.no_peers:
            say(options.log, name, "TF-IDF + LinearSVC", [baseline(train, test)])
            say(
                options.log,
                name,
                "fastText, tuned",
                [fasttext(train, test, threads=options.threads)],
            )
        for recipe in filter(None, options.recipes.split(",")):
            seeds = [int(seed) for seed in options.seeds.split(",")]
            say(
                options.log,
                name,
                recipe,
                [run(recipe, train, test, seed, options) for seed in seeds],
            )


def say(log: Path, data: str, model: str, runs: list[dict[str, Any]]) -> None:
    """Print the mean of the runs, and keep each of them."""
    with log.open("a", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"data": data, "model": model, **found}) + "\n" for found in runs
        )
    mean = {
        key: float(np.mean([found.get(key, np.nan) for found in runs]))
        for key in runs[0]
        if key != "seed"
    }
    columns = [f"{mean.get(key, np.nan):6.3f}" for key in ("valid", "test", "f1")]
    columns += [
        f"{mean['seconds']:7.1f}",
        f"{mean.get('weights', np.nan):11,.0f}",
        f"{mean.get('speed', np.nan):9,.0f}",
    ]
    print(f"{data:10} {model:24} " + " ".join(columns), flush=True)


def run(
    name: str, train: Rows, test: Rows, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Train one recipe with one seed."""
    recipe = read_recipe(ROOT / "pipelines" / f"{name}.toml", options.set)
    changes: dict[str, Any] = {"seed": seed, "training__threads": options.threads}
    if options.model is not None:
        changes |= {"encoder__path": options.model, "tokenizer__path": options.model}
    validation = read_rows(options.valid) if options.valid else None
    started = time.perf_counter()
    model = TextClassifier(recipe, **changes).fit(*train, validation=validation)
    seconds = time.perf_counter() - started
    result = evaluate(test[1], model.predict(test[0]).tolist(), classes=model.classes_.tolist())
    assert model.history_.best is not None
    return {
        "seed": seed,
        "valid": model.history_.best.valid_accuracy,
        "test": result.accuracy,
        "f1": result.macro_f1,
        "seconds": seconds,
        "weights": sum(weight.numel() for weight in model.network_.parameters()),
        "speed": model.history_.tokens_per_second,
    }


def baseline(train: Rows, test: Rows) -> dict[str, Any]:
    """TF-IDF of words and word pairs, LinearSVC."""
    started = time.perf_counter()
    predicted = predict_baseline(*train, test[0])
    result = evaluate(test[1], predicted, classes=sorted(set(train[1])))
    return {
        "test": result.accuracy,
        "f1": result.macro_f1,
        "seconds": time.perf_counter() - started,
    }


def fasttext(train: Rows, test: Rows, *, threads: int) -> dict[str, Any]:
    """The command `fasttext`, lower-cased text, where it is installed."""
    if shutil.which("fasttext") is None:
        return {"test": float("nan"), "f1": float("nan"), "seconds": float("nan")}
    names = {label: f"__label__{i}" for i, label in enumerate(sorted(set(train[1])))}
    with tempfile.TemporaryDirectory() as folder:
        for file, (texts, labels) in (("train", train), ("test", test)):
            lines = [
                f"{names[y]} {' '.join(x.lower().split())}\n"
                for x, y in zip(texts, labels, strict=True)
            ]
            Path(folder, file).write_text("".join(lines), encoding="utf-8")
        started = time.perf_counter()
        command = [
            "fasttext",
            "supervised",
            "-input",
            f"{folder}/train",
            "-output",
            f"{folder}/model",
        ]
        subprocess.run(
            [*command, *FASTTEXT, "-thread", str(threads)], check=True, capture_output=True
        )
        seconds = time.perf_counter() - started
        predict = ["fasttext", "predict", f"{folder}/model.bin", f"{folder}/test"]
        found = subprocess.run(predict, check=True, capture_output=True, text=True).stdout.split()
    back = {code: label for label, code in names.items()}
    result = evaluate(test[1], [back[code] for code in found], classes=sorted(names))
    return {"test": result.accuracy, "f1": result.macro_f1, "seconds": seconds}


def read_rows(name: str) -> Rows:
    """Read the texts and labels of a csv file."""
    path = DATA / name
    if name in ("train.csv", "test.csv"):
        path = Path("data", name)
        if not path.exists():
            quickstart.write_docstrings("data")
    opener = gzip.open if name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


if __name__ == "__main__":
    main()
