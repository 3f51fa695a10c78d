from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from textkit import Vectors
from textkit.errors import DataError, StorageError
from textkit.evaluation.word_vectors import (
    is_analogies,
    score_analogies,
    score_similarity,
    spearman,
)


def test_spearman_is_scipys() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.integers(0, 6, 30), rng.standard_normal(30).round(1)
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)
    assert spearman(np.ones(3), np.arange(3)) == 0.0


def test_coverage_is_told_and_case_is_folded() -> None:
    v = Vectors(
        ["cat", "dog", "FBI", "car"], np.array([[1, 0.1], [1, 0.2], [0.1, 1], [0, 1]], np.float32)
    )
    Path("p.tsv").write_text(
        "# c\nCat\tdog\t9\nFBI\tcar\t10\ncat\tcar\t1\ncat\tunicorn\t5\n", encoding="utf-8"
    )
    score = score_similarity(v, "p.tsv")
    assert (score.n_pairs, score.n_covered, score.missing) == (4, 3, ("unicorn",))
    assert score.spearman == pytest.approx(0.5)


def test_similarity_agrees_with_gensim(shared: Path) -> None:
    from gensim.models import KeyedVectors

    rng = np.random.default_rng(1)
    lines = (shared / "word_similarity" / "wordsim353.tsv").read_text(encoding="utf-8").splitlines()
    words = sorted(
        {word.lower() for line in lines if line[0] != "#" for word in line.split("\t")[:2]}
    )[:300]
    table = rng.standard_normal((len(words), 20)).astype(np.float32)
    oracle = KeyedVectors(20)
    oracle.add_vectors(words, table)
    theirs = oracle.evaluate_word_pairs(str(shared / "word_similarity" / "wordsim353.tsv"))
    ours = score_similarity(Vectors(words, table), shared / "word_similarity" / "wordsim353.tsv")
    assert ours.spearman == pytest.approx(theirs[1].statistic, abs=1e-6)
    assert 100 * (1 - ours.n_covered / ours.n_pairs) == pytest.approx(theirs[2])


def test_analogies_agree_with_gensim() -> None:
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath

    rng = np.random.default_rng(2)
    lines = Path(datapath("questions-words.txt")).read_text(encoding="utf-8").splitlines()[:400]
    Path("q.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = sorted({word.lower() for line in lines if line[0] != ":" for word in line.split()})[:-5]
    cluster = rng.standard_normal((len(words), 6)).astype(np.float32)
    oracle = KeyedVectors(6)
    oracle.add_vectors(words, cluster)
    ours = score_analogies(Vectors(words, cluster), "q.txt")
    accuracy, sections = oracle.evaluate_word_analogies("q.txt", case_insensitive=True)
    theirs = sections[0]
    correct, covered, n_all = ours.sections["capital-common-countries"]
    assert covered == len(theirs["correct"]) + len(theirs["incorrect"])
    assert correct == len(theirs["correct"]) > 0
    assert ours.accuracy == pytest.approx(accuracy)
    assert n_all == 399
    assert is_analogies("q.txt")
    some = score_analogies(Vectors(words, cluster), "q.txt", n_candidates=30).sections[
        "capital-common-countries"
    ]
    _, restricted = oracle.evaluate_word_analogies(
        "q.txt", restrict_vocab=30, case_insensitive=True
    )
    assert some[:2] == (
        len(restricted[0]["correct"]),
        len(restricted[0]["correct"]) + len(restricted[0]["incorrect"]),
    )
    assert 0 < some[1] < covered


def test_bad_files_are_named_by_line() -> None:
    v = Vectors(["a", "b"], np.eye(2, dtype=np.float32))
    for data, message in [
        ("a\tb\t1\na\tb\n", "p.tsv:2: expected two words and a score"),
        ("a\tb\tnan\n", "p.tsv:1: score is nan"),
        ("# only\n", "no pairs in this file"),
        ("x\ty\t1\n", "0 of 1 pairs have both words"),
    ]:
        Path("p.tsv").write_text(data, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            score_similarity(v, "p.tsv")
    Path("p.tsv.gz").write_bytes(gzip.compress(b"a\tb\t1\n" * 99)[:-9])
    with pytest.raises(StorageError, match="cannot read on after line"):
        score_similarity(v, "p.tsv.gz")
    Path("q.txt").write_text(": s\na b a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"q.txt:2: expected four words, found 3"):
        score_analogies(v, "q.txt")
