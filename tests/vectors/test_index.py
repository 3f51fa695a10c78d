from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textkit import Vectors
from textkit.errors import ArtifactError, UsageError
from textkit.vectors.index import build_index, open_index

pytest.importorskip("usearch")

RNG = np.random.default_rng(11)
# Words in 40 clusters, as words are; neighbours among points spread evenly would be harder to find,
# and mean less.
CENTRES = RNG.standard_normal((40, 16))
TABLE = (CENTRES[RNG.integers(0, 40, 3000)] + 0.3 * RNG.standard_normal((3000, 16))).astype(
    np.float32
)
WORDS = [f"w{i}" for i in range(3000)]
VECTORS = Vectors(WORDS, TABLE)


def test_almost_all_true_neighbours_are_found_with_their_exact_cosines() -> None:
    index = build_index(VECTORS, "i")
    asked = WORDS[::30]
    exact, found = VECTORS.nearest(asked, k=10), VECTORS.nearest(asked, k=10, index=index)
    same = sum(
        len({w for w, _ in a} & {w for w, _ in b}) for a, b in zip(exact, found, strict=True)
    )
    assert same / (10 * len(asked)) > 0.97
    true = dict(exact[0])
    assert all(abs(true[word] - cosine) < 1e-6 for word, cosine in found[0] if word in true)
    assert all([c for _, c in row] == sorted((c for _, c in row), reverse=True) for row in found)
    assert not any(word in dict(row) for word, row in zip(asked, found, strict=True))
    # The graph differs from build to build with several threads, so a single answer may be missed.
    solved = [WORDS[i : i + 3] for i in range(0, 300, 10)]
    agree = [VECTORS.analogy(*w, index=index)[0][0] == VECTORS.analogy(*w)[0][0] for w in solved]
    assert sum(agree) / len(agree) > 0.8


def test_rows_without_a_word_or_of_zeros_are_no_neighbours() -> None:
    table = np.array([[1, 0], [1, 0.1], [0, 0], [1, 0.2]], np.float32)
    v = Vectors(["a", "b", "zero"], table, word_rows=np.array([0, 1, 2]))
    found = v.nearest(np.array([[1, 0]], np.float32), k=9, index=build_index(v, "i"))
    assert [word for word, _ in found[0]] == ["a", "b"]


def test_blocks_are_indexed_to_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textkit.vectors.table.CHUNK_BYTES", 16 * 4 * 700)
    monkeypatch.setattr("textkit.vectors.index._ADD_ROWS", 300)
    seen: list[int] = []
    index = build_index(VECTORS, "i", progress=lambda done, total: seen.append(done))
    assert len(index) == seen[-1] == 3000
    assert VECTORS.nearest(TABLE[-1:], k=1, index=index)[0][0][0] == "w2999"


def test_an_index_of_other_vectors_or_a_damaged_one_is_refused() -> None:
    index = build_index(VECTORS, "i")
    with pytest.raises(
        ArtifactError, match="an index of other vectors than memory; build it again"
    ):
        Vectors(WORDS, TABLE + 1).nearest("w1", index=index)
    data = bytearray(Path("i/index.usearch").read_bytes())
    data[len(data) // 2] ^= 1
    Path("i/index.usearch").write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="SHA-256"):
        open_index("i")
    with pytest.raises(ArtifactError, match="no such folder"):
        open_index("missing")


def test_what_cannot_be_indexed_is_said() -> None:
    with pytest.raises(UsageError, match="connectivity is 1"):
        build_index(VECTORS, "i", connectivity=1)
    with pytest.raises(ArtifactError, match="all of them are zeros"):
        build_index(Vectors(["a"], np.zeros((1, 2), np.float32)), "i")
    assert not Path("i").exists()
