"""Compressed models beside the ones that they were made of and beside fastText's `quantize`, in one
run: bytes, accuracy, label agreement.

Usage: python benchmarks/compress.py [--sets trec,sst] [--data FOLDER] [--fasttext PYTHON]. Data:
../shared/data/train_dev. A tenth of the training rows is the check file, which chooses; models and
fastText learn from the rest; the test file measures and chooses nothing. fastText is the package
`fasttext` in the Python that is named, with lr .5, 25 epochs and bigrams, and quantize with qnorm,
retrain and the cutoff of as many rows as ours keeps in 2 MB. "quarter" is the ngram-bag at a
quarter of the bytes of its folder, as a folder and as a .zip, "2 MB" at most 2,000,000 bytes as a
folder; "linear" int8 without a search.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from textkit import TextClassifier, tokenizers
from textkit.io import zipped
from textkit.jobs import (
    CompressOptions,
    CompressReport,
    compress_model,
)
from textkit.recipe import read_recipe

ROOT = Path(__file__).parents[1]
SETS = {
    "AG News subset": ("ag_news_train_subset.csv", "ag_news_test.csv"),
    "TREC-6": ("trec6_train.csv", "trec6_test.csv"),
    "SST-2": ("sst2_train.csv", "sst2_test.csv"),
    "Banking77": ("banking77_train.csv", "banking77_test.csv"),
    "R8": ("reuters_r8_train.csv.gz", "reuters_r8_test.csv.gz"),
}
Rows = list[tuple[str, str]]
# What runs where fasttext is installed: its predict does not know numpy 2, its engine does.
PEER = """
import json, os, sys, fasttext
folder, cutoff = sys.argv[1], int(sys.argv[2])
lines = open(folder + "/test", encoding="utf-8").read().split("\\n")[:-1]
def labels(model): return [model.f.predict(line + "\\n", 1, 0.0, "strict")[0][1] for line in lines]
model = fasttext.train_supervised(folder + "/train", lr=0.5, epoch=25, wordNgrams=2, verbose=0,
                                  thread=2)
model.save_model(folder + "/m.bin")
before = labels(model)
model.quantize(folder + "/train", qnorm=True, retrain=True, cutoff=cutoff, verbose=0)
model.save_model(folder + "/m.ftz")
print(json.dumps([[os.path.getsize(folder + "/m." + end) for end in ("bin", "ftz")],
                  before, labels(model)]))
"""


def read_rows(path: Path) -> Rows:
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def write_rows(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def measure(name: str, model: TextClassifier, report: CompressReport, test: Rows) -> None:
    """Print a line: what a compressed model is on the test file, beside the model that it was."""
    small = TextClassifier.load(report.out)
    texts, truth = [text for text, _ in test], np.array([label for _, label in test])
    one, two = model.predict(texts), small.predict(texts)
    show(name, (report.before.n_bytes, report.after.n_bytes), one, two, truth)


def show(
    name: str, sizes: tuple[int, int], one: np.ndarray, two: np.ndarray, truth: np.ndarray
) -> None:
    print(
        f"  {name:22} {sizes[0]:>12,} {sizes[1]:>11,} {sizes[0] / sizes[1]:6.1f}"
        f" {(one == truth).mean():9.4f} {(two == truth).mean():8.4f} {(one == two).mean():10.4f}",
        flush=True,
    )


def measure_peer(python: str, folder: Path, train: Rows, test: Rows, cutoff: int) -> None:
    words = tokenizers.create("word")
    for name, rows in (("train", train), ("test", test)):
        batch = words.encode([text for text, _ in rows], spans=True)
        with (folder / name).open("w", encoding="utf-8") as file:
            for i, (text, label) in enumerate(rows):
                line = " ".join(text[a:b] for a, b in batch.row_spans(i).tolist()).lower()
                mark = f"__label__{label.replace(' ', '_')} " if name == "train" else ""
                file.write(f"{mark}{line}\n")
    done = subprocess.run(
        [python, "-c", PEER, str(folder), str(cutoff)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"  fastText failed: {done.stderr.strip()[-300:]}")
        return
    sizes, one, two = json.loads(done.stdout.splitlines()[-1])
    truth = np.array(["__label__" + label.replace(" ", "_") for _, label in test])
    show(f"fastText, cutoff {cutoff:,}", sizes, np.array(one), np.array(two), truth)


def measure_set(train: Rows, test: Rows, folder: Path, *, python: str | None) -> None:
    order = np.random.default_rng(0).permutation(len(train)).tolist()
    cut = len(train) // 10
    check, rest = [train[i] for i in order[:cut]], [train[i] for i in order[cut:]]
    files = {"check": folder / "check.csv", "train": folder / "train.csv"}
    write_rows(files["check"], check)
    write_rows(files["train"], rest)
    recipe = read_recipe(ROOT / "pipelines" / "ngram-bag.toml", ["training.device=cpu"])
    texts, labels = [text for text, _ in rest], [label for _, label in rest]
    bag = TextClassifier(recipe).fit(texts, labels)
    bag.save(folder / "bag")
    n_bytes = zipped.size_of(folder / "bag")
    kept = 0
    quarter = n_bytes // 4
    for name, out, size in (
        ("quarter", "quarter", quarter),
        ("quarter .zip", "quarter.zip", quarter),
        ("2 MB", "two-mb", 2_000_000),
    ):
        options = CompressOptions(model=folder / "bag", out=folder / out, size=size, **files)
        report = compress_model(options)
        measure(f"ngram-bag, {name}", bag, report, test)
        kept = report.compression.n_rows
    linear = TextClassifier(encoder="linear").fit(texts, labels)
    linear.save(folder / "linear")
    options = CompressOptions(model=folder / "linear", out=folder / "small-linear")
    measure("linear, int8", linear, compress_model(options), test)
    if python is not None:
        measure_peer(python, folder, rest, test, kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="", help="the beginnings of some sets' names, by commas")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "train_dev")
    parser.add_argument("--fasttext", metavar="PYTHON", help="a Python that has fasttext")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"no {options.data}: nothing to measure on")
        return
    print(
        f"  {'':22} {'bytes':>12} {'after':>11} {'ratio':>6} {'accuracy':>9} {'after':>8}"
        f" {'agreement':>10}"
    )
    for start in options.sets.lower().split(","):
        for title in (title for title in SETS if title.lower().startswith(start.strip())):
            print(title, flush=True)
            train, test = (read_rows(options.data / name) for name in SETS[title])
            with tempfile.TemporaryDirectory() as folder:
                measure_set(train, test, Path(folder), python=options.fasttext)


if __name__ == "__main__":
    main()
