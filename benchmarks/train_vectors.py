"""Training word vectors: textkit beside gensim's own LineSentence path, on the same text in one
run.

Text: IMDb reviews, Gutenberg and Brown from ../shared/data, cut into lower-case words once, one
text a line; both read that file. Each contender runs in a process of its own, imports, reading and
saving included, best of --rounds turns; the processor's seconds beside the clock's are what counts
on a busy machine. The default takes 1 of 12 texts and 2 epochs, some minutes; --full takes all 14
million words and 5 epochs. WordSim-353 and SimLex-999 are scored for both by textkit.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textkit import Vectors, tokenizers
from textkit.evaluation.word_vectors import score_similarity

SHARED = Path(__file__).parents[2] / "shared" / "data"
CORPORA = ("imdb_unsup.txt.gz", "gutenberg_nltk.txt.gz", "brown_tokenized.txt.gz")
GENSIM = """
import sys
from gensim.models import FastText, Word2Vec
from gensim.models.word2vec import LineSentence
model, source, epochs, workers, target = sys.argv[1:]
options = dict(vector_size=100, window=5, min_count=5, sg=1, negative=5, seed=1, epochs=int(epochs))
options["workers"] = int(workers)
if model == "fasttext":
    made = FastText(LineSentence(source), bucket=200_000, **options)
else:
    made = Word2Vec(LineSentence(source), **options)
made.wv.save_word2vec_format(target, binary=True)
"""


def write_text(target: Path, every: int) -> int:
    """Write the words of every n-th text, lower case, one text a line.

    Gives the number of words.
    """
    tok = tokenizers.create("word", lowercase=True)
    n_words = 0
    with target.open("w", encoding="utf-8") as out:
        for name in CORPORA:
            with gzip.open(SHARED / "corpora" / name, "rt", encoding="utf-8") as file:
                lines = [
                    line.strip()
                    for number, line in enumerate(file)
                    if number % every == 0 and line.strip()
                ]
            for first in range(0, len(lines), 2000):
                part = lines[first : first + 2000]
                batch = tok.encode(part, spans=True)
                for row, text in enumerate(part):
                    words = [text[a:b].lower() for a, b in batch.row_spans(row).tolist()]
                    n_words += len(words)
                    out.write(" ".join(words) + "\n")
    return n_words


def seconds(arguments: list[str]) -> tuple[float, float]:
    """Run Python and give its seconds by the clock and of the processor."""
    started, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], check=True, stderr=subprocess.DEVNULL)
    after = os.times()
    processor = (
        after.children_user - before.children_user + after.children_system - before.children_system
    )
    return time.perf_counter() - started, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all words, 5 epochs")
    parser.add_argument("--models", default="word2vec,fasttext")
    parser.add_argument(
        "--workers", default=f"1,{os.cpu_count()}", help="numbers of threads, by commas"
    )
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    if not SHARED.is_dir():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "words.txt"
        n_words = write_text(source, 1 if options.full else 12)
        epochs = "5" if options.full else "2"
        print(f"{n_words:,} words, {epochs} epochs, 100 wide, skip-gram", flush=True)
        for model in options.models.split(","):
            for workers in options.workers.split(","):
                compare(
                    model,
                    workers,
                    source,
                    folder,
                    n_words=n_words,
                    epochs=epochs,
                    rounds=options.rounds,
                )


def compare(
    model: str, workers: str, source: Path, folder: Path, *, n_words: int, epochs: str, rounds: int
) -> None:
    """Train by both, in turns, and print times and scores."""
    ours, theirs = folder / f"ours-{model}-{workers}", folder / f"theirs-{model}-{workers}.bin"
    train = [
        "-m",
        "textkit",
        "vectors",
        "train",
        str(source),
        "-t",
        "whitespace",
        "-m",
        model,
        "--epochs",
        epochs,
    ]
    times: dict[str, list[tuple[float, float]]] = {"gensim": [], "textkit": []}
    for _ in range(rounds):
        times["gensim"].append(
            seconds(["-c", GENSIM, model, str(source), epochs, workers, str(theirs)])
        )
        times["textkit"].append(seconds([*train, "-w", workers, "-o", str(ours)]))
    for name, path in (("gensim", theirs), ("textkit", ours)):
        v = Vectors.open(path, cache=folder / "cache")
        v = Vectors(
            v.words, v.table
        )  # without n-grams, which gensim's file has not: the same pairs are scored
        pairs = (SHARED / "word_similarity" / name for name in ("wordsim353.tsv", "simlex999.txt"))
        scores = [score_similarity(v, file) for file in pairs]
        shown = ", ".join(f"{score.spearman:.3f} ({score.n_covered} pairs)" for score in scores)
        best, processor = (min(column) for column in zip(*times[name], strict=True))
        rate = n_words * int(epochs) / best / 1000
        line = (
            f"{model} {workers} threads, {name:7}: {best:6.1f} s ({processor:.1f} s of"
            f" processor), {rate:4.0f}k words/s"
        )
        line += f"; WordSim, SimLex {shown}"
        print(line, flush=True)
    if workers == "1":
        a, b = Vectors.open(ours), Vectors.open(theirs, cache=folder / "cache")
        words = list(a.words)
        apart = (
            float(abs(a.lookup(words) - b.lookup(words)).max())
            if words == list(b.words)
            else float("nan")
        )
        print(f"{model}: with one thread, values differ by {apart:.1e} at most", flush=True)


if __name__ == "__main__":
    main()
