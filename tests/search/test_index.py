"""SearchIndex: by meaning and by words, filtered, with marks in the caller's own text; what does
not fit is refused.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from textkit import SearchIndex, TextEmbedder, Vectors
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.search.building import IndexOptions
from textkit.search.snippets import SNIPPET, mark, pieces

WORDS = ["king", "queen", "throne", "tree", "forest", "leaf", "the", "a"]
TEXTS = [
    "The king sat on the throne",
    "A leaf of the tree",
    "the queen's forest",
    "",
    "unknown words alone",
    "\ud800 مَلِك king 🙂",
]
TABLE = {
    "body": TEXTS,
    "lang": ["en", "en", "de", "de", None, "ar"],
    "year": [1999, 2005, 2010, None, 2020, 2021],
    "price": ["7", "10", "x", "", "2.5", "1e2"],
}


@pytest.fixture
def model() -> str:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((8, 16)).astype(np.float32)
    table[1] = table[0] + 0.1 * table[1]  # queen is near king
    Vectors(WORDS, table).save("vec")
    return "vec"


def build(**options: object) -> SearchIndex:
    return SearchIndex.build(TABLE, "index", text="body", overwrite=True, **options)  # type: ignore[arg-type]


def test_dense_search_is_the_cosine_of_the_embedder(model: str) -> None:
    index = build(model=model)
    assert (index.method, len(index)) == ("hybrid", 6)
    vectors = TextEmbedder.open(model).encode(TEXTS)
    lengths = np.linalg.norm(vectors, axis=1)
    for query in ("king", "the forest", "a leaf"):
        asked = TextEmbedder.open(model).encode([query])[0]
        cosines = vectors @ asked / np.where(lengths, lengths, 1) / np.linalg.norm(asked)
        wanted = sorted(np.flatnonzero(lengths), key=lambda i: -cosines[i])
        hits = index.query(query, method="dense")
        assert [hit.row for hit in hits] == wanted  # rows 3 and 4 have no vector
        np.testing.assert_allclose([hit.score for hit in hits], cosines[wanted], atol=1e-5)
    assert index.query("nothing known", method="dense") == []


def test_hybrid_joins_both_and_says_by_what_a_row_was_found(model: str) -> None:
    hits = build(model=model).query("queen")
    assert hits[0].row == 2
    assert hits[0].found_by["bm25"][0] == 1
    others = [hit for hit in hits if hit.row != 2]
    assert others and all(set(hit.found_by) == {"dense"} for hit in others)


def test_several_queries_give_a_list_each(model: str) -> None:
    index = build(model=model)
    both = index.query(["king", "leaf"], k=2)
    alone = [index.query("king", k=2), index.query("leaf", k=2)]
    assert [[hit.row for hit in hits] for hits in both] == [[h.row for h in hits] for hits in alone]
    assert index.query([]) == []
    assert index.query("") == []


def test_a_text_comes_back_as_it_was() -> None:
    index = build()
    assert index.method == "bm25"
    [hit] = index.query("ملك")
    assert hit.text == TEXTS[5]
    assert [hit.text[start:end] for start, end in hit.marks] == ["مَلِك"]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        (["lang=en"], [0, 1]),
        (["lang=en", "lang=de"], [0, 1, 2]),
        (["lang!=en"], [2, 5]),
        (["year>=2005"], [1, 2, 5]),
        (["year>2005", "year<2015"], [2]),
        (["year=2005"], [1]),
        (["year<2005.5"], [0, 1]),
        (["price>5"], [0, 1, 5]),
        (["price=10"], [1]),
        (["price<=b"], [0, 1, 5]),
        (["lang=nowhere"], []),
    ],
)
def test_conditions_choose_rows_for_every_method(
    model: str, where: list[str], rows: list[int]
) -> None:
    index = build(model=model, keep=["lang", "year", "price"])
    query = "king queen tree the"
    hits = index.query(query, method="dense", where=where)
    assert sorted(hit.row for hit in hits) == rows
    assert {hit.row for hit in index.query(query, method="bm25", where=where)} <= {*rows}
    assert {hit.row for hit in index.query(query, where=where)} == {*rows}
    assert all(hit.kept["lang"] == TABLE["lang"][hit.row] for hit in hits)


def test_a_row_without_a_value_holds_unequal_alone() -> None:
    index = build(keep=["lang"])
    assert [hit.row for hit in index.query("unknown", where=["lang!=en"])] == [4]
    for where in ("lang=en", "lang<z", "lang>a"):
        assert index.query("unknown", where=[where]) == []


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (["land=en"], "did you mean 'lang'"),
        (["lang"], "--where is COLUMN=VALUE"),
        (["year=abc"], "column 'year' holds int64, and 'abc' is none"),
        ("lang=en", r"where=\['lang=en'\]"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(where: list[str], message: str) -> None:
    index = build(keep=["lang", "year"])
    with pytest.raises(UsageError, match=message):
        index.query("king", where=where)


def test_the_graph_finds_what_the_exact_search_finds(model: str) -> None:
    pytest.importorskip("usearch")
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, 6)) for _ in range(300)]
    options = IndexOptions(approximate=True)
    index = SearchIndex.build(texts, "near", model=model, options=options)
    assert index.config["graph"]["recall_at_10"] > 0.9
    manifest = json.loads(Path("near/manifest.json").read_text())
    assert manifest["graph"]["recall_at_10"] == index.config["graph"]["recall_at_10"]
    found = index.query("the king", method="dense")
    exact = index.query("the king", method="dense", exact=True)
    np.testing.assert_allclose([h.score for h in found], [h.score for h in exact], atol=1e-5)
    first = Path("near/graph/index.usearch").read_bytes()
    SearchIndex.build(texts, "again", model=model, options=options)
    assert Path("again/graph/index.usearch").read_bytes() == first


def test_float16_takes_half_and_finds_the_same(model: str) -> None:
    index = build(model=model, options=IndexOptions(dtype="float16"))
    assert [hit.row for hit in index.query("king", method="dense")][:2] == [5, 0]
    assert np.load("index/vectors.npy").dtype == np.float16


def test_vectors_of_another_model_are_refused(model: str) -> None:
    build(model=model)
    Vectors(WORDS, np.ones((8, 16), np.float32)).save("other")
    with pytest.raises(ArtifactError, match="fingerprint"):
        SearchIndex.open("index", model="other").query("king")
    assert SearchIndex.open("index", model="other").query("king", method="bm25")
    moved = Path(model).rename("moved")
    with pytest.raises(UsageError, match="name the model with --model"):
        SearchIndex.open("index").query("king")
    assert SearchIndex.open("index", model=moved).query("king")
    assert SearchIndex.open("index", model=TextEmbedder.open(moved)).query("king")


def test_an_index_never_asks_a_network_by_itself(model: str) -> None:
    build(model=model)
    config = json.loads(Path("index/config.json").read_text())
    config["vectors"]["model"]["spec"] = "hf:somebody/model"
    index = SearchIndex(Path("index"), config)
    with pytest.raises(UsageError, match="not opened by itself"):
        index.query("king")


def test_finished_work_stays_unless_it_may_go() -> None:
    SearchIndex.build(["a king"], "index")
    SearchIndex.build(["a king"], "index", overwrite=True)
    with pytest.raises(UsageError, match="finished work"):
        SearchIndex.build(["a queen"], "index")
    assert len(SearchIndex.build(["a queen", "b"], "index", overwrite=True)) == 2
    assert sorted(path.name for path in Path().iterdir()) == ["index"]


@pytest.mark.parametrize("name", ["texts.arrow", "term_weights.npy", "terms.safetensors"])
def test_a_changed_file_is_named(name: str) -> None:
    build()
    path = Path("index", name)
    data = bytearray(path.read_bytes())
    data[-1] ^= 255
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=name):
        SearchIndex.open("index", verify=True)
    path.write_bytes(data[:-1])
    with pytest.raises(ArtifactError, match=name):
        SearchIndex.open("index")


def test_what_cannot_be_indexed_or_asked_is_refused(model: str) -> None:
    with pytest.raises(DataError, match="no row"):
        SearchIndex.build([], "index")
    with pytest.raises(UsageError, match="needs a model"):
        SearchIndex.build(["a"], "index", options=IndexOptions(words=False))
    with pytest.raises(UsageError, match="holds no vectors"):
        build().query("king", method="dense")
    with pytest.raises(UsageError, match="holds no words"):
        build(model=model, options=IndexOptions(words=False)).query("king", method="hybrid")
    with pytest.raises(UsageError, match="did you mean 'dense'"):
        build(model=model).query("king", method="dens")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="no columns"):
        SearchIndex.build(["a"], "new", keep=["lang"])


def test_threads_share_an_index(model: str) -> None:
    index = build(model=model, keep=["lang"])
    wanted, found = index.query("the king", where=["lang=en"]), []
    ask = lambda: found.append(SearchIndex.query(index, "the king", where=["lang=en"]))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(hits == wanted for hits in found)


def test_a_snippet_shows_the_stretch_with_most_of_the_words() -> None:
    text = "king " + "filler words " * 60 + "the queen and the king ride " + "more words " * 60
    marks, (start, end) = mark(text, {"king", "queen"})
    assert [text[a:b] for a, b in marks] == ["king", "queen", "king"]
    assert end - start <= SNIPPET and "queen and the king" in text[start:end]
    shown = "".join(piece for piece, _ in pieces(text, marks, (start, end)))
    assert shown == f"… {text[start:end]} …"


def test_marks_of_neighbours_join_and_no_cut_falls_into_a_character() -> None:
    assert mark("我爱自然语言处理", {"自然", "然语"})[0] == ((2, 5),)
    family = "👩‍👩‍👧" * 100
    _, (start, end) = mark(family, set())
    assert (start, family[end : end + 1]) == (0, "👩")
