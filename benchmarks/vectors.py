"""Opening word vectors and finding neighbours: textkit beside gensim and usearch, in one run.

Opening: a made table of --gigabytes (300 wide) in textkit's folder, and the same table as gensim's
native file with mmap="r"; each is opened, and one word looked up, in a process of its own, best of
three. Neighbours: GloVe 6B 50d (--words of it), the ten nearest of 1,000 words, exact beside
gensim's most_similar, and by an index with its recall. Everything is made in a scratch folder and
removed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from textkit import Vectors
from textkit.vectors import folder as folders
from textkit.vectors.index import build_index, open_index

_DIM = 300
OPEN = """
import json, re, sys, time
import numpy
def memory():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
which, path = sys.argv[1:]
if which == "textkit":
    from textkit import Vectors as library
else:
    from gensim.models import KeyedVectors as library
before, started = memory(), time.perf_counter()
v = library.open(path) if which == "textkit" else library.load(path, mmap="r")
word = v["word77777"]
print(json.dumps([time.perf_counter() - started, before, memory()]))
"""


def write_table(folder: Path, n_words: int) -> None:
    """Write our folder of n words without holding its table."""
    rng = np.random.default_rng(0)
    block = rng.standard_normal((10_000, _DIM)).astype(np.float32)
    with folders.open_table(folder, dtype="float32") as writer:
        for first in range(0, n_words, len(block)):
            writer.write(block[: n_words - first])
    table = folders.map_safetensors(folder / folders.TABLE)["vectors"]
    Vectors([f"word{i}" for i in range(n_words)], table).write_rest(folder, dtype="float32")


def write_gensim(path: Path, folder: Path) -> None:
    """Save the same words and table as gensim does."""
    from gensim.models import KeyedVectors

    v = Vectors.load(folder)
    made = KeyedVectors(_DIM)
    made.index_to_key = list(v.words)
    made.key_to_index = {word: i for i, word in enumerate(made.index_to_key)}
    made.vectors = v.table
    made.save(str(path), sep_limit=0)


def measure_opening(scratch: Path, gigabytes: float) -> None:
    n_words = int(gigabytes * 1e9) // (4 * _DIM)
    ours, theirs = scratch / "ours", scratch / "theirs.kv"
    ours.mkdir()
    write_table(ours, n_words)
    write_gensim(theirs, ours)
    print(f"opening {n_words:,} x {_DIM} float32, {gigabytes} GB, and one word:", flush=True)
    for which, path in (("textkit", ours), ("gensim", theirs)):
        runs = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-c", OPEN, which, str(path)], capture_output=True, check=True
                ).stdout
            )
            for _ in range(3)
        ]
        seconds, before, after = min(runs)
        print(
            f"  {which:8} {seconds:6.3f} s, {after:5.0f} MB at most, {before:.0f} MB of them its"
            f" imports",
            flush=True,
        )


def best_of(rounds: int, *contenders: Callable[[], object]) -> list[float]:
    """Call each by turns; gives the least seconds of each."""
    times = [float("inf")] * len(contenders)
    for _, (number, call) in itertools.product(range(rounds), enumerate(contenders)):
        started = time.perf_counter()
        call()
        times[number] = min(times[number], time.perf_counter() - started)
    return times


def measure_neighbours(scratch: Path, n_words: int) -> None:
    from gensim.models import KeyedVectors

    glove = Vectors.open("glove")
    v = glove.subset(glove.words[:n_words])
    peer = KeyedVectors(v.dim)
    peer.add_vectors(list(v.words), np.array(v.table))
    rng = np.random.default_rng(1)
    asked = [v.words[int(i)] for i in rng.choice(min(20_000, len(v)), 1000, replace=False)]
    v.nearest(asked[0])
    peer.most_similar(asked[0])

    one = best_of(5, lambda: v.nearest(asked[1]), lambda: peer.most_similar(asked[1]))
    print(f"ten nearest in {len(v):,} x {v.dim}:")
    print(f"  one word: textkit {one[0] * 1e3:.1f} ms, gensim {one[1] * 1e3:.1f} ms")
    # gensim has no batches: it is asked 100 times.
    many = best_of(
        3, lambda: v.nearest(asked), lambda: [peer.most_similar(word) for word in asked[:100]]
    )
    print(f"  a word of 1,000: textkit {many[0]:.2f} ms, gensim {many[1] * 10:.2f} ms")
    theirs = [{word for word, _ in peer.most_similar(word)} for word in asked[:100]]
    same = sum(
        len({word for word, _ in row} & other)
        for row, other in zip(v.nearest(asked[:100]), theirs, strict=True)
    )
    print(f"  in common with gensim: {same / 1000:.1%}", flush=True)

    started = time.perf_counter()
    build_index(v, scratch / "index")
    built = time.perf_counter() - started
    index = open_index(scratch / "index")
    found = best_of(3, lambda: v.nearest(asked, index=index))
    exact, near = v.nearest(asked), v.nearest(asked, index=index)
    recall = (
        sum(len({w for w, _ in a} & {w for w, _ in b}) for a, b in zip(exact, near, strict=True))
        / 10_000
    )
    print(
        f"  by an index: {found[0]:.2f} ms, recall {recall:.1%}, built in {built:.0f} s", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--words", type=int, default=400_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure_opening(Path(scratch), options.gigabytes)
    with tempfile.TemporaryDirectory() as scratch:
        measure_neighbours(Path(scratch), options.words)


if __name__ == "__main__":
    main()
