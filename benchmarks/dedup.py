"""How many planted near duplicates `textkit data dedup` finds.

    python benchmarks/dedup.py [--rows 2000] [--likeness 0.8] [--peer datasketch] [--peer rensa]

Plants beside each of many texts a copy whose word pairs have a Jaccard index of at least the
likeness and as little above it as its words allow, shuffles all rows, and prints the share of
planted copies that go, the share of bystanders that go, and the seconds. A peer sees the same texts
as sets of word pairs, with as many permutations and bands as its authors take for this likeness;
what it proposes is what it is counted by, without a comparison.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from textkit.jobs import DedupOptions, dedup_file


def jaccard(one: list[str], other: list[str]) -> float:
    """Give the Jaccard index of the word pairs of two texts."""
    a, b = set(pairwise(one)), set(pairwise(other))
    return len(a & b) / len(a | b)


def plant(words: list[str], likeness: float, generator: np.random.Generator) -> list[str]:
    """Replace words of a text, one after the other, while it stays as like as this."""
    copy = list(words)
    for at in generator.permutation(len(words)).tolist():
        changed = [*copy[:at], f"new{generator.integers(10**6)}", *copy[at + 1 :]]
        if jaccard(words, changed) >= likeness:
            copy = changed
    return copy


def plant_pairs(n_rows: int, likeness: float, seed: int = 0) -> tuple[list[str], int]:
    """Give shuffled texts: n_rows of words as frequent as Zipf says, and a copy of each."""
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(10, 20_010)
    rows = []
    for _ in range(n_rows):
        drawn = generator.choice(20_000, int(generator.integers(24, 120)), p=shares / shares.sum())
        words = [f"w{n}" for n in drawn]
        rows += [words, plant(words, likeness, generator)]
    texts = [" ".join(rows[at]) for at in generator.permutation(len(rows))]
    return texts, n_rows


def find_by_datasketch(texts: list[str], likeness: float) -> int:
    """Count the rows for which datasketch proposes an earlier one."""
    from datasketch import MinHash, MinHashLSH

    index, n_found = MinHashLSH(threshold=likeness, num_perm=128), 0
    for number, text in enumerate(texts):
        signature = MinHash(num_perm=128)
        signature.update_batch([" ".join(pair).encode() for pair in pairwise(text.split())])
        n_found += bool(index.query(signature))
        index.insert(str(number), signature)
    return n_found


def find_by_rensa(texts: list[str], likeness: float) -> int:
    """Count the rows for which rensa proposes an earlier one."""
    from rensa import RMinHash, RMinHashLSH

    index, n_found = RMinHashLSH(threshold=likeness, num_perm=128, num_bands=16), 0
    for number, text in enumerate(texts):
        signature = RMinHash(num_perm=128, seed=0)
        signature.update([" ".join(pair) for pair in pairwise(text.split())])
        n_found += bool(index.query(signature))
        index.insert(number, signature)
    return n_found


PEERS = {"datasketch": find_by_datasketch, "rensa": find_by_rensa}


def main() -> None:
    """Plant, remove, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--likeness", type=float, default=0.8)
    parser.add_argument("--peer", action="append", choices=sorted(PEERS), default=[])
    chosen = parser.parse_args()
    texts, n_planted = plant_pairs(chosen.rows, chosen.likeness)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name, "all.csv")
        with data.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in texts)])
        started = time.perf_counter()
        options = DedupOptions(data=data, out=Path(name, "clean.csv"), likeness=chosen.likeness)
        report = dedup_file(options)
        seconds = time.perf_counter() - started
    n_found = report.removed["near"]
    print(
        f"planted at a Jaccard index of {chosen.likeness}: {n_planted:,}, removed {n_found:,}"
        f" ({n_found / n_planted:.4f}), {seconds:.1f} s for {report.n_rows:,} rows"
    )
    for name in chosen.peer:
        started = time.perf_counter()
        n_found = PEERS[name](texts, chosen.likeness)
        seconds = time.perf_counter() - started
        print(f"{name}: {n_found:,} found ({n_found / n_planted:.4f}), {seconds:.1f} s")


if __name__ == "__main__":
    main()
