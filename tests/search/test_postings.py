"""BM25: the scores are those of the formula and of bm25s, whatever the parts."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from textkit.search.building import IndexOptions, assemble, part_arrays, write_part
from textkit.search.postings import Bm25, Postings
from textkit.search.ranking import fuse, rank_scores
from textkit.search.words import find_terms

WORDS = ["king", "queen", "tree", "猫", "🙂", "مَلِك", "und", "a", "b", "c"]


def make_texts(n: int) -> list[str]:
    draw = random.Random(3)
    texts = [" ".join(draw.choices(WORDS, k=draw.randrange(12))) for _ in range(n)]
    return ["", *texts, "queen queen queen queen"]


def open_postings(texts: list[str], *, part_rows: int, bm25: Bm25 = Bm25()) -> Postings:
    options, parts = IndexOptions(bm25=bm25), []
    for first in range(0, len(texts), part_rows):
        parts.append(Path(f"part-{part_rows}-{first}.safetensors"))
        write_part(parts[-1], part_arrays(texts[first : first + part_rows], None, None, options))
    out = Path(f"index-{part_rows}")
    assemble(parts, out, options, vectors=None, overwrite=True)
    from textkit import SearchIndex

    seed = SearchIndex.open(out).config["words"]["hash_seed"]
    return Postings(out, n_rows=len(texts), hash_seed=seed)


def naive(texts: list[str], query: list[str], *, k1: float, b: float) -> list[float]:
    """The formula of the docstring, one row and one term at a time."""
    rows = [find_terms(text) for text in texts]
    mean = sum(map(len, rows)) / len(rows)
    scores = []
    for row in rows:
        score, counts = 0.0, Counter(row)
        for term in query:
            n = sum(term in other for other in rows)
            idf = math.log(1 + (len(rows) - n + 0.5) / (n + 0.5))
            f = counts[term]
            score += idf * f / (f + k1 * (1 - b + b * len(row) / mean)) if f else 0
        scores.append(score)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4), (0.0, 0.0), (2.0, 1.0)])
def test_scores_are_those_of_the_formula(k1: float, b: float) -> None:
    texts = make_texts(60)
    postings = open_postings(texts, part_rows=7, bm25=Bm25(k1=k1, b=b))
    for query in (["king"], ["king", "king", "ملك"], ["猫", "🙂", "nowhere"], []):
        wanted = naive(texts, query, k1=k1, b=b)
        np.testing.assert_allclose(postings.score(query), wanted, rtol=1e-5, atol=1e-6)


def test_scores_are_those_of_bm25s() -> None:
    bm25s = pytest.importorskip("bm25s")
    texts = make_texts(200)
    terms = [find_terms(text) for text in texts]
    theirs = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    theirs.index(terms, show_progress=False)
    postings = open_postings(texts, part_rows=50)
    for query in (["king", "tree"], ["queen"], ["猫", "a", "b"]):
        np.testing.assert_allclose(postings.score(query), theirs.get_scores(query), rtol=1e-5)


def test_the_index_is_the_same_for_parts_of_any_size() -> None:
    texts = make_texts(30)
    for part_rows in (1, 7, 100):
        open_postings(texts, part_rows=part_rows)
    files = sorted(path.name for path in Path("index-1").iterdir())
    for name in files:
        data = {Path(f"index-{n}", name).read_bytes() for n in (1, 7, 100)}
        assert len(data) == 1, name


def test_ties_go_by_row_also_at_the_cut() -> None:
    scores = np.array([0, 1, 2, 1, 1, 3, 1], np.float32)
    for k in range(1, 9):
        wanted = sorted((i for i in range(7) if scores[i] > 0), key=lambda i: (-scores[i], i))[:k]
        assert rank_scores(scores, k=k, allowed=None).rows.tolist() == wanted
    odd = np.arange(7) % 2 == 1
    assert rank_scores(scores, k=9, allowed=odd).rows.tolist() == [5, 1, 3]


def test_fusion_adds_reciprocal_ranks() -> None:
    fused = fuse([{1: (1, 0.9), 2: (2, 0.5)}, {2: (1, 7.0), 3: (2, 1.0)}], k=3)
    assert fused.rows.tolist() == [2, 1, 3]
    np.testing.assert_allclose(fused.scores, [1 / 62 + 1 / 61, 1 / 61, 1 / 62], rtol=1e-6)
