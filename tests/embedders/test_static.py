"""Static text vectors against a naive loop, against model2vec, and the SIF of the paper."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import TextEmbedder, Vectors, tokenizers
from textkit.embedders.backend import content_hash
from textkit.embedders.static import open_static
from textkit.errors import ArtifactError, TextkitError, UsageError
from textkit.vectors.fasttext import Ngrams
from textkit.vectors.neighbours import unit
from textkit.vectors.words import ByteWords, WordIndex

TEXTS = [
    "the king and the queen",
    "",
    "Unheard zzz",
    "queen " * 700,
    "King, queen; tree!",
    "tree",
    " \n",
    "ÄRGER tree",
]
WORDS = ["the", "and", "king", "queen", "tree", "ärger", ","]


def make_vectors(words: list[str] = WORDS, *, dim: int = 5, dtype: Any = np.float32) -> Vectors:
    return Vectors(words, np.random.default_rng(0).standard_normal((len(words), dim)).astype(dtype))


def naive(vectors: Vectors, texts: list[str], *, how: str, weights: Any = None) -> Any:
    """One text, one word at a time, in float64."""
    rows = []
    word = tokenizers.create("word")
    for text in texts:
        spans = word.encode([text], spans=True).row_spans(0).tolist()
        pieces = [text[a:b].lower() for a, b in spans]
        known = [piece for piece in pieces if piece in vectors]
        found = [
            vectors[p].astype(np.float64) * (1 if weights is None else weights[p]) for p in known
        ]
        pooled = (
            np.zeros(vectors.dim)
            if not found
            else (np.max if how == "max" else np.mean)(found, axis=0)
        )
        rows.append(pooled)
    return np.array(rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("how", ["mean", "max"])
def test_pooling_equals_a_naive_loop(how: Any, dtype: Any) -> None:
    vectors = make_vectors(dtype=dtype)
    made = open_static(vectors, pooling=how).embed(TEXTS)
    assert made.vectors.dtype == np.float32
    np.testing.assert_allclose(made.vectors, naive(vectors, TEXTS, how=how), atol=1e-5)
    assert made.vectors[1].tolist() == made.vectors[2].tolist() == [0.0] * 5
    assert not made.truncated.any()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    from textkit.embedders import pooled_rows
    from textkit.embedders import static as texts

    embedder = open_static(make_vectors())
    whole = embedder.embed(TEXTS * 9).vectors
    monkeypatch.setattr(texts, "BLOCK_ROWS", 2)
    monkeypatch.setattr(texts, "BLOCK_CHARACTERS", 20)
    monkeypatch.setattr(pooled_rows, "_GATHER_FLOATS", 7)
    np.testing.assert_array_equal(embedder.embed(TEXTS * 9).vectors, whole)
    assert embedder.embed([]).vectors.shape == (0, 5)


def test_a_tokenizer_with_a_vocabulary_gives_the_same_as_its_words() -> None:
    vectors = make_vectors()
    tokenizer = tokenizers.create(
        "word", vocabulary=["queen", "unseen", *WORDS[:3], "tree"], lowercase=True
    )
    by_id = open_static(vectors, tokenizer=tokenizer)
    by_word = open_static(vectors.subset(["queen", *WORDS[:3], "tree"]))
    np.testing.assert_allclose(by_id.embed(TEXTS).vectors, by_word.embed(TEXTS).vectors, atol=1e-6)


def test_max_length_cuts_and_counts() -> None:
    made = open_static(make_vectors(), max_length=3).embed(TEXTS)
    assert made.truncated.tolist() == [2, 0, 0, 697, 3, 0, 0, 0]
    np.testing.assert_allclose(
        made.vectors[0], naive(make_vectors(), ["the king and"], how="mean")[0], atol=1e-6
    )
    embedder = TextEmbedder(open_static(make_vectors(), max_length=3))
    embedder.encode(TEXTS)
    embedder.encode(TEXTS[:1])
    assert (embedder.n_texts, embedder.n_truncated) == (9, 4)


def test_case_is_folded_only_where_the_table_has_no_upper_case() -> None:
    lower, mixed = open_static(make_vectors()), open_static(make_vectors([*WORDS, "King"]))
    assert lower.lowercase and "no upper case" in lower.notes[0]
    assert not mixed.lowercase and not mixed.notes
    assert not open_static(make_vectors(), lowercase=False).embed(["KING"]).vectors.any()


def test_unknown_words_come_from_their_ngrams() -> None:
    table = np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32)
    ngrams = Ngrams(np.random.default_rng(2).standard_normal((50, 5)).astype(np.float32), 3, 4)
    vectors = Vectors(WordIndex.build(ByteWords.of(WORDS)), table, ngrams=ngrams)
    made = open_static(vectors).embed(["queenly king"]).vectors[0]
    np.testing.assert_allclose(
        made, (ngrams.embed(["queenly"])[0] + vectors["king"]) / 2, atol=1e-6
    )
    weighted = open_static(vectors, pooling="sif").fit(["king queenly king"], n_components=0)
    counted = 1e-3 / (1e-3 + 1.0)  # the table's rows alone are counted
    wanted = (ngrams.embed(["queenly"])[0] + counted * vectors["king"]) / 2
    np.testing.assert_allclose(weighted.embed(["queenly king"]).vectors[0], wanted, atol=1e-6)


def test_sif_is_that_of_the_paper() -> None:
    vectors = make_vectors()
    texts = [" ".join(np.random.default_rng(i).choice(WORDS[:5], 9)) for i in range(40)]
    made = open_static(vectors, pooling="sif").fit(texts).embed(texts).vectors
    words = [word for text in texts for word in text.split()]
    weights = {word: 1e-3 / (1e-3 + words.count(word) / len(words)) for word in set(words)}
    means = naive(vectors, texts, how="mean", weights=weights)
    first = np.linalg.svd(means, full_matrices=False)[2][0]
    np.testing.assert_allclose(made, means - np.outer(means @ first, first), atol=1e-5)
    np.testing.assert_allclose(made @ first, 0, atol=1e-6)


def test_sif_without_texts_says_that_it_assumes_zipf() -> None:
    embedder = open_static(make_vectors(), pooling="sif")
    assert "Zipf" in embedder.notes[-1]
    share = (1 / 3) / sum(1 / rank for rank in range(1, 8))
    wanted = make_vectors()["king"] * (1e-3 / (1e-3 + share))
    np.testing.assert_allclose(embedder.embed(["king"]).vectors[0], wanted, rtol=1e-5)
    assert "Zipf" not in " ".join(embedder.fit(TEXTS).notes)


def save_model2vec(folder: Path, *, normalize: bool = False, dtype: Any = np.float32) -> Any:
    """Make a model2vec folder of WordPiece pieces with model2vec itself."""
    model2vec = pytest.importorskip("model2vec", reason="model2vec is not installed")
    pieces = ["[PAD]", "[UNK]", "king", "queen", "##ly", "tree", "the", "and", ",", ";", "!"]
    backend = tokenizers.create("wordpiece", vocabulary=pieces)
    import tokenizers as hf

    table = np.random.default_rng(3).standard_normal((len(pieces), 16)).astype(dtype)
    model = model2vec.StaticModel(table, hf.Tokenizer.from_str(backend.json), normalize=normalize)
    from model2vec.persistence import save_pretrained

    save_pretrained(
        folder, table, hf.Tokenizer.from_str(backend.json), model.config, create_model_card=False
    )
    return model


@pytest.mark.parametrize("normalize", [False, True])
def test_a_model2vec_folder_gives_model2vecs_numbers(normalize: bool) -> None:
    model = save_model2vec(Path("m2v"), normalize=normalize)
    embedder = TextEmbedder.open("m2v")
    wanted = model.encode(TEXTS, max_length=None)
    np.testing.assert_allclose(embedder.encode(TEXTS), wanted, atol=1e-6)
    off = TextEmbedder.open("m2v", normalize=False).encode(TEXTS)
    np.testing.assert_allclose(
        off, model.encode(TEXTS, max_length=None, normalize=False), atol=1e-6
    )


def test_a_description_changes_with_all_that_decides_the_vectors() -> None:
    vectors = make_vectors()
    base = open_static(vectors)
    others = [
        open_static(make_vectors(dim=6)),
        open_static(Vectors(WORDS[::-1], vectors.table)),
        open_static(vectors, pooling="max"),
        open_static(vectors, normalize=True),
        open_static(vectors, max_length=9),
        open_static(vectors, tokenizer=tokenizers.create("whitespace")),
        open_static(vectors, pooling="sif"),
        open_static(vectors, pooling="sif").fit(TEXTS),
    ]
    seen = [repr(embedder.describe()) for embedder in [base, *others]]
    assert len(set(seen)) == len(seen)
    assert content_hash(vectors) == content_hash(make_vectors())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pooling": "meen"}, "did you mean 'mean'"),
        ({"pooling": ["mean", "max"]}, "one pooling"),
        ({"prompt": "query: "}, "option prompt is not for vectors of words"),
        ({"device": "cuda"}, "option device"),
        (
            {"tokenizer": tokenizers.create("wordpiece", vocabulary=["[UNK]", "x", "y"])},
            "none of the tokenizer's",
        ),
    ],
)
def test_bad_options_are_one_line(options: dict[str, Any], said: str) -> None:
    make_vectors().save("v")
    with pytest.raises(TextkitError, match=said) as caught:
        TextEmbedder.open("v", **options)
    assert "\n" not in str(caught.value)


def test_vectors_of_pieces_ask_for_their_tokenizer() -> None:
    vectors = make_vectors()
    vectors.facts["tokenizer"] = "bpe"
    with pytest.raises(UsageError, match="--tokenizer FOLDER"):
        open_static(vectors)
    with pytest.raises(UsageError, match="expected a list of texts"):
        open_static(make_vectors()).embed("one text")
    with pytest.raises(UsageError, match="only 'sif'"):
        open_static(make_vectors()).fit(TEXTS)


def test_unit_rows_keep_zeros_and_tiny_rows() -> None:
    made = unit(np.array([[0, 0], [3e-20, 4e-20], [3e20, 4e20]], np.float32))
    np.testing.assert_allclose(made, [[0, 0], [0.6, 0.8], [0.6, 0.8]], rtol=1e-6)


def test_static_texts_leave_torch_alone() -> None:
    make_vectors().save("v")
    code = (
        "import sys; from textkit import TextEmbedder; TextEmbedder.open('v').encode(['king']);"
        "assert not {'torch', 'transformers', 'sklearn', 'spacy'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(Path(__file__).parents[2])}
    )


@pytest.mark.slow
def test_another_process_maps_the_table_again() -> None:
    table = np.random.default_rng(0).standard_normal((2000, 600)).astype(np.float32)
    words = [f"w{i}" for i in range(2000)]
    Vectors(words, table).save("v")
    texts = ["w1 w2 W3", "nothing", "w1999 w1999 w7"]
    fitted = TextEmbedder.open("v", pooling="sif", normalize=True, lowercase=True).fit(texts)
    sent = pickle.dumps(fitted)
    assert len(sent) < table.nbytes / 4
    again = pickle.loads(sent)
    assert again.describe() == fitted.describe()
    np.testing.assert_array_equal(again.encode(texts), fitted.encode(texts))
    in_memory = TextEmbedder(open_static(Vectors(words, table)))
    again = pickle.loads(pickle.dumps(in_memory))
    np.testing.assert_array_equal(again.encode(texts), in_memory.encode(texts))


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("all-MiniLM-L12-v2", "hf:sentence-transformers/all-MiniLM-L12-v2"),
        ("sentence-transformers/all-minilm-l6-v2", "hf:sentence-transformers/all-MiniLM-L6-v2"),
        ("bge-small-en-v15", "hf:BAAI/bge-small-en-v1.5"),
        ("glvoe", "or name: glove, spacy:NAME"),
    ],
)
def test_a_known_short_name_is_answered_with_its_spec(spec: str, wanted: str) -> None:
    with pytest.raises(ArtifactError, match=wanted):
        TextEmbedder.open(spec)
