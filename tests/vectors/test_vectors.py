from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.vectors.samples import TABLE, WORDS
from textkit import Vectors
from textkit.errors import ArtifactError, DataError, UsageError

VECTORS = Vectors(WORDS, TABLE)


def test_lookup_gives_rows_in_the_order_asked() -> None:
    assert np.array_equal(VECTORS.lookup(["queen", "the", "queen"]), TABLE[[2, 0, 2]])
    assert VECTORS.lookup([]).shape == (0, 5)


def test_unknown_words_follow_the_policy() -> None:
    asked = ["king", "emperor"]
    assert np.array_equal(VECTORS.lookup(asked, "zero")[1], np.zeros(5))
    assert np.allclose(VECTORS.lookup(asked, "mean")[1], TABLE.mean(axis=0), atol=1e-6)
    with pytest.raises(DataError, match="'emperor' is not among the 8 words"):
        VECTORS.lookup(asked, "error")
    with pytest.raises(UsageError, match="no n-grams"):
        VECTORS.lookup(asked, "ngram")
    with pytest.raises(UsageError, match="did you mean 'random'"):
        VECTORS.lookup(asked, "rndom")  # type: ignore[arg-type]


def test_random_vector_depends_on_word_and_seed_alone() -> None:
    first = VECTORS.lookup(["emperor", "duke"], "random", seed=3)
    again = VECTORS.lookup(["duke", "king", "emperor"], "random", seed=3)
    assert np.array_equal(first[0], again[2])
    assert not np.array_equal(first[0], VECTORS.lookup(["emperor"], "random", seed=4)[0])
    many = VECTORS.lookup([f"unknown{i}" for i in range(2000)], "random")
    assert abs(many.std() / TABLE.std() - 1) < 0.05


def test_nearest_agrees_with_the_naive_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textkit.vectors.table.CHUNK_BYTES", 700)
    monkeypatch.setattr("textkit.vectors.neighbours._FIRST_ROWS", 13)
    monkeypatch.setattr("textkit.vectors.neighbours._CELLS", 90)
    rng = np.random.default_rng(0)
    table = rng.standard_normal((300, 8)).astype(np.float32)
    v = Vectors([f"w{i}" for i in range(300)], table)
    scaled = table / np.linalg.norm(table, axis=1, keepdims=True)
    for query in range(0, 300, 37):
        cosines = scaled @ scaled[query]
        order = [int(i) for i in np.argsort(-cosines, kind="stable") if i != query][:20]
        found = v.nearest(f"w{query}", k=20)
        assert [word for word, _ in found] == [f"w{i}" for i in order]
        assert np.allclose([cosine for _, cosine in found], cosines[order], atol=1e-6)
    together = v.nearest(["w1", "w2"], k=3)
    assert [[word for word, _ in row] for row in together] == [
        [w for w, _ in v.nearest(q, k=3)] for q in ("w1", "w2")
    ]
    assert [len(row) for row in v.nearest(table[:2], k=500)] == [300, 300]


def test_equal_cosines_are_ranked_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever block a row lies in, and however many queries are asked at a time."""
    monkeypatch.setattr("textkit.vectors.neighbours._FIRST_ROWS", 1)
    monkeypatch.setattr("textkit.vectors.neighbours._CELLS", 60)
    table = np.tile(np.array([[1, 0], [0, 1], [1, 1]], np.float32), (40, 1))
    v = Vectors([f"w{i}" for i in range(120)], table)
    for n in (1, 2, 7):
        for row in v.nearest(np.tile(np.array([[0, 2]], np.float32), (n, 1)), k=50):
            assert [word for word, _ in row] == [
                f"w{i}" for i in [*range(1, 120, 3), *range(2, 31, 3)]
            ]


def test_a_row_of_zeros_is_near_to_nothing_and_breaks_nothing() -> None:
    v = Vectors(["a", "zero"], np.array([[1.0, 0.0], [0.0, 0.0]], np.float32))
    assert v.nearest("zero") == [("a", 0.0)]
    assert v.similarity("a", "zero") == 0.0


def test_words_may_share_rows() -> None:
    v = Vectors(["king", "ruler", "queen"], TABLE[:2], word_rows=np.array([0, 0, 1]))
    assert np.array_equal(v["ruler"], v["king"])
    assert [word for word, _ in v.nearest("ruler")] == ["queen"]
    v.save("v")
    assert Vectors.open("v").rows(["ruler", "queen", "x"]).tolist() == [0, 1, -1]


@pytest.mark.parametrize(("dtype", "most"), [("float32", 0.0), ("float16", 2e-3), ("int8", 0.02)])
def test_save_and_open_keep_words_and_values(dtype: str, most: float) -> None:
    VECTORS.save("v", dtype=dtype)
    opened = Vectors.open("v")
    assert list(opened.words) == WORDS
    assert opened.dtype == dtype
    assert np.abs(opened.lookup(WORDS) - TABLE).max() <= most
    assert np.abs(np.concatenate([block for _, block in opened.blocks()]) - TABLE).max() <= most
    assert opened["king"].dtype == np.float32


def test_other_tools_read_our_table() -> None:
    from safetensors.numpy import load_file

    VECTORS.save("v", dtype="int8")
    tensors = load_file("v/vectors.safetensors")
    assert np.abs(tensors["vectors"] * tensors["scales"][:, None] - TABLE).max() < 0.02
    assert load_file("v/words.safetensors")["word_offsets"][-1] == len("".join(WORDS).encode())


def test_saving_over_itself_keeps_the_values() -> None:
    VECTORS.save("v")
    Vectors.open("v").save("v")
    assert np.array_equal(Vectors.open("v").lookup(WORDS), TABLE)


def test_subset_keeps_order_and_counts_the_unknown() -> None:
    part = VECTORS.subset(["queen", "emperor", "the", "queen"])
    assert list(part.words) == ["queen", "the"]
    assert np.array_equal(part.table, TABLE[[2, 0]])
    assert part.notes == ["1 of 3 words asked for are unknown"]
    with pytest.raises(DataError, match="none of the 1 words is among"):
        VECTORS.subset(["emperor"])


def test_normalize_gives_rows_of_length_one() -> None:
    made = VECTORS.normalize()
    assert np.allclose(np.linalg.norm(made.table, axis=1), 1, atol=1e-6)
    assert np.array_equal(VECTORS.table, TABLE)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="2 words but 3 rows"):
        Vectors(["a", "b"], np.ones((3, 2), np.float32))
    with pytest.raises(UsageError, match=r"expected a table \(n_rows, dim\)"):
        Vectors(["a"], np.ones(3, np.float32))
    with pytest.raises(UsageError, match="k is 0"):
        VECTORS.nearest("king", k=0)
    with pytest.raises(UsageError, match=r"expected queries \(5,\) or \(n, 5\)"):
        VECTORS.nearest(np.ones((2, 3)))


def test_a_changed_byte_is_found_by_verify() -> None:
    VECTORS.save("v")
    path = Path("v/vectors.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    Vectors.load("v")
    with pytest.raises(ArtifactError, match="SHA-256"):
        Vectors.load("v", verify=True)


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc"
)
def test_a_table_is_opened_without_being_read() -> None:
    """A child process opens 150 MB of vectors and stays far below their size."""
    script = """
import re, sys
from textkit import Vectors
v = Vectors.open("big")
assert "torch" not in sys.modules and "gensim" not in sys.modules
assert v["word7"].tolist()[:1] == [0.0] and len(v) == 100_000
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) >> 10)
"""
    words, table = (
        [f"word{i}" for i in range(100_000)],
        np.broadcast_to(np.zeros(1, np.int8), (100_000, 1500)),
    )
    Vectors(words, table, scales=np.ones(100_000, np.float32)).save("big")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 90


def test_several_words_and_one_vector_are_taken_at_once() -> None:
    v = Vectors(["king", "queen", "tree"], np.array([[1, 0.1], [1, 0.2], [0, 1]], np.float32))
    assert np.array_equal(v[["queen", "king"]], v.table[[1, 0]])
    assert v.nearest(v["queen"], k=2) == v.nearest(v["queen"][None], k=2)[0]
    assert [word for word, _ in v.nearest(v["queen"], k=2)] == ["queen", "king"]
    with pytest.raises(DataError, match="'emperor' is not among"):
        v[["king", "emperor"]]
    with pytest.raises(UsageError, match=r"\(2,\) or \(n, 2\), found shape \(3,\)"):
        v.nearest(np.ones(3, np.float32))
