"""TF-IDF of n-grams: the features and values of scikit-learn's TfidfVectorizer, whatever the texts
and the settings.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit.errors import DataError, UsageError
from textkit.features import tfidf
from textkit.features.grams import GramTable, Sequences
from textkit.features.tfidf import SparseRows, TfidfFeatures, TfidfOptions

TEXTS = [
    "A good film, a GOOD plot: it's well-made.",
    "",
    "   \t\n ",
    "a b c I",
    "ΟΔΥΣΣΕΥΣ ὈΔΥΣΣΕΎΣ Σ ΣΣ",
    "İstanbul'da ISPARTA ıssız naïve e\u0301te\u0301",
    "我是猫。 ここは東京です ไทย नमस्ते दुनिया",
    "😀😀 👩‍👩‍👧 snake_case __init__ x2 12 3",
    "tab\tnew\x1cline\x85next\u2028para\u00a0nbsp\u200bzero\u3000wide",
    "lone \ud800 surrogate \udfffx",
    "a good good good good film film, a good",
    "ﬀ ß ẞ ǅ",
]
SETTINGS = [
    {},
    {"words": (1, 1), "characters": ()},
    {"words": (), "characters": (1, 1)},
    {"words": (2, 3), "characters": (4, 6)},
    {"words": (1, 4), "characters": (3, 3), "sublinear": False},
    {"words": (), "characters": (6, 9), "lowercase": False},
    {"min_rows": 2},
    {"words": (2, 2), "characters": (4, 5), "min_rows": 2},
]


def peers(texts: list[str], **settings: object) -> tuple[list[str], np.ndarray, object]:
    """Give scikit-learn's names of the features, its dense values, and its function of texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    options = {"words": (1, 2), "characters": (2, 5), **settings}
    common = {
        "sublinear_tf": options.get("sublinear", True),
        "lowercase": options.get("lowercase", True),
        "min_df": options.get("min_rows", 1),
    }
    made = []
    if options["words"]:
        made.append(TfidfVectorizer(ngram_range=options["words"], **common))
    if options["characters"]:
        made.append(
            TfidfVectorizer(analyzer="char_wb", ngram_range=options["characters"], **common)
        )
    values = np.hstack([vectorizer.fit_transform(texts).toarray() for vectorizer in made])
    names = [name for vectorizer in made for name in vectorizer.get_feature_names_out()]
    n_words = len(made[0].vocabulary_) if options["words"] else 0
    marked = [("word" if i < n_words else "characters", name) for i, name in enumerate(names)]

    def transform(other: list[str]) -> np.ndarray:
        return np.hstack([vectorizer.transform(other).toarray() for vectorizer in made])

    return marked, values, transform


def dense(rows: SparseRows, n_features: int) -> np.ndarray:
    values = np.zeros((len(rows), n_features))
    owners = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    values[owners, rows.columns] = rows.values
    return values


def by_peer(features: TfidfFeatures, rows: SparseRows, marked: list[str]) -> np.ndarray:
    """Give dense values, their columns in the order of scikit-learn's names."""
    n_words = features.n_word_features
    own = [("word" if i < n_words else "characters", n) for i, n in enumerate(features.names())]
    assert sorted(own) == sorted(marked)
    place = {name: i for i, name in enumerate(own)}
    return dense(rows, len(own))[:, [place[name] for name in marked]]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_features_and_values_are_those_of_scikit_learn(settings):
    marked, values, transform = peers(TEXTS, **settings)
    features, rows = TfidfFeatures.learn(TEXTS, TfidfOptions(**settings))
    assert np.abs(by_peer(features, rows, marked) - values).max() < 1e-6
    new = ["a film of Σ and ＮＥＷ words 日本", "", "zzz", *reversed(TEXTS)]
    assert np.abs(by_peer(features, features.encode(new), marked) - transform(new)).max() < 1e-6


@given(st.lists(st.text(alphabet="aAbΣσİ \t\u3000_'é😀", max_size=30), min_size=1, max_size=6))
def test_any_texts_have_the_features_of_scikit_learn(texts):
    anchored = [*texts, "ab ba"]  # scikit-learn refuses texts without any word
    marked, values, _ = peers(anchored)
    features, rows = TfidfFeatures.learn(anchored, TfidfOptions())
    assert np.abs(by_peer(features, rows, marked) - values).max() < 1e-6


def test_the_largest_features_stay_and_keep_their_meaning():
    features, _ = TfidfFeatures.learn(TEXTS, TfidfOptions())
    counts = dict(zip(features.names(), features.row_counts.tolist(), strict=True))
    few, rows = TfidfFeatures.learn(TEXTS, TfidfOptions(max_features=20))
    assert few.n_features == 20
    names = few.names()
    left = min(counts[name] for name in names)
    assert all(name in names for name, count in counts.items() if count > left)
    assert few.row_counts.tolist() == [counts[name] for name in names]
    n_words = few.n_word_features
    lengths = np.sqrt((dense(rows, 20)[:, :n_words] ** 2).sum(axis=1))
    assert all(length == 0 or abs(length - 1) < 1e-9 for length in lengths)


def test_rows_without_a_known_feature_are_empty():
    features, _ = TfidfFeatures.learn(["good film", "bad film"], TfidfOptions())
    assert np.diff(features.encode(["", "xyz", " "]).offsets).tolist() == [0, 0, 0]
    assert len(features.encode([])) == 0


@pytest.mark.parametrize("texts", [[""], ["", "  "], ["a", "b"]])
def test_texts_without_a_feature_that_stays_are_refused(texts):
    options = TfidfOptions(characters=()) if texts[0] else TfidfOptions()
    with pytest.raises(DataError, match="no n-gram of words or characters"):
        TfidfFeatures.learn(texts, options)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"words": (2, 1)}, r"words = \[2, 1\]; expected the shortest and the longest"),
        ({"words": (0, 1)}, r"words = \[0, 1\]"),
        ({"characters": (3,)}, r"characters = \[3\]"),
        ({"words": (), "characters": ()}, "leave no feature"),
    ],
)
def test_a_range_that_is_none_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        TfidfOptions(**wrong)


def test_blocks_and_forgotten_chunks_change_nothing(monkeypatch):
    texts = [*TEXTS, " ".join(TEXTS)] * 3
    features, whole = TfidfFeatures.learn(texts, TfidfOptions())
    monkeypatch.setattr(tfidf, "_BLOCK_CHUNKS", 5)
    monkeypatch.setattr(tfidf, "_LEARNT_CHUNKS", 3)
    monkeypatch.setattr(tfidf, "_REMEMBERED_CHUNKS", 4)
    again, small = TfidfFeatures.learn(texts, TfidfOptions())
    assert again.names() == features.names()
    for rows in (small, features.encode(texts), features.encode(texts)):
        assert np.array_equal(rows.columns, whole.columns)
        assert np.array_equal(rows.values, whole.values)
        assert np.array_equal(rows.offsets, whole.offsets)


def test_threads_that_encode_at_once_get_their_own_rows(monkeypatch):
    monkeypatch.setattr(tfidf, "_REMEMBERED_CHUNKS", 50)
    words = [f"w{i}x{i * 7 % 13}" for i in range(300)]
    texts = [" ".join(words[i : i + 5]) for i in range(295)]
    features, whole = TfidfFeatures.learn(texts, TfidfOptions())
    wrong: list[int] = []

    def encode(first: int) -> None:
        for i in range(first, 295, 8):
            row, known = features.encode([texts[i]]), whole.take(np.array([i]))
            if not (np.array_equal(row.columns, known.columns)):
                wrong.append(i)

    threads = [threading.Thread(target=encode, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_damaged_table_is_named():
    row = Sequences(np.array([0, 1, 1, 0]), np.array([0, 4]))
    table = GramTable.learn(row, n_symbols=2, shortest=1, longest=2)
    assert table.problem() is None
    keys, columns = table.keys, table.columns
    for damaged in (
        GramTable(2, 1, 2, (keys[0][::-1],), columns),
        GramTable(2, 1, 2, (keys[0] + 9,), columns),
        GramTable(2, 1, 2, keys, (columns[0], columns[1] + 1)),
        GramTable(3, 1, 2, keys, columns),
        GramTable(2, 1, 3, keys, columns),
    ):
        assert damaged.problem() is not None
