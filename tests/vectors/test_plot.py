from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.vectors.samples import TABLE, WORDS
from textkit import Vectors
from textkit.errors import DataError, UsageError
from textkit.vectors import plot

VECTORS = Vectors(WORDS, TABLE)


def embedded(page: str) -> dict[str, object]:
    match = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL
    )
    assert match is not None
    found: dict[str, object] = json.loads(match[1])
    return found


def test_pca_is_the_textbooks() -> None:
    from sklearn.decomposition import PCA

    picture = plot.lay_out(VECTORS, WORDS)
    theirs = PCA(2, svd_solver="full").fit_transform(
        TABLE / np.linalg.norm(TABLE, axis=1, keepdims=True)
    )
    for column in (0, 1):
        sign = np.sign(theirs[0, column] * picture.positions[0, column])
        assert np.allclose(picture.positions[:, column], sign * theirs[:, column], atol=1e-5)


def test_page_holds_every_word_and_needs_nothing_else() -> None:
    hostile = ["</script><script>alert(1)</script>", "<!--", "a&amp;b", 'quote"', "日本"]
    v = Vectors(hostile, TABLE[:5])
    plot.write_html(
        plot.lay_out(v, hostile, ["x", "y", "x", "<b>", "y"]), "p.html", title="<Words>"
    )
    page = Path("p.html").read_text(encoding="utf-8")
    data = embedded(page)
    assert data["words"] == hostile
    assert data["names"] == ["<b>", "x", "y"]
    assert data["labels"] == [1, 2, 1, 0, 2]
    assert "<title>&lt;Words>" in page
    assert page.count("<script") == 2
    assert not re.search(r"https?://|src=|@import|url\(", page)


def test_png_is_a_picture_and_names_any_script() -> None:
    plot.write_png(plot.lay_out(VECTORS, WORDS, ["$a", "b"] * 4), "p.png")
    data = Path("p.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 10_000
    plot.write_png(plot.lay_out(VECTORS, WORDS, ["$a", "b"] * 4), "again.png")
    assert Path("again.png").read_bytes() == data


def test_unknown_words_are_counted() -> None:
    picture = plot.lay_out(VECTORS, ["king", "emperor", "the"])
    assert picture.words == ["king", "the"]
    assert picture.notes == ["1 of 3 words are unknown and not drawn: emperor"]
    with pytest.raises(DataError, match="1 of 2 words are among"):
        plot.lay_out(VECTORS, ["king", "emperor"])


def test_vectors_of_width_one_and_equal_vectors_are_drawn() -> None:
    assert plot.lay_out(
        Vectors(["a", "b"], np.ones((2, 1), np.float32)), ["a", "b"]
    ).positions.shape == (2, 2)
    plot.write_html(
        plot.lay_out(Vectors(["a", "b"], np.zeros((2, 3), np.float32)), ["a", "b"]), "p.html"
    )


def test_bad_word_lists_are_named_by_line() -> None:
    Path("w.tsv").write_text("king\trole\n\nqueen\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"w.tsv:3: 'queen' has no label, the words before it differ"
    ):
        plot.read_words("w.tsv")
    Path("w.tsv").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"w.tsv:1: line is not UTF-8"):
        plot.read_words("w.tsv")
    with pytest.raises(UsageError, match="expected pca or umap"):
        plot.lay_out(VECTORS, WORDS, method="tsne")  # type: ignore[arg-type]


def test_labels_that_share_a_colour_have_other_shapes() -> None:
    words = [f"w{i}" for i in range(40)]
    picture = plot.lay_out(Vectors(words, np.eye(40, dtype=np.float32)), words, words)
    plot.write_html(picture, Path("p.html"))
    page = Path("p.html").read_text(encoding="utf-8")
    data = embedded(page)
    looks = [*zip(data["colours"], data["shapes"], strict=True)]  # type: ignore[call-overload]
    assert len(set(looks[:35])) == 35 and "#000000" not in str(data["colours"])
    plot.write_png(picture, Path("p.png"))  # 35 labels are told apart, the others are one
