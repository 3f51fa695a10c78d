"""Data in memory: a column of any library is its values, and a table is never its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow
import pytest

from textkit import Vectors, tokenizers
from textkit.errors import UsageError
from textkit.io.composed import is_missing
from textkit.io.tables import find_columns, take_column, take_texts, take_values

TEXTS = ["good film", "bad plot", ""]


def imported(name: str) -> Any:
    """Import a library of frames, or skip the test where it is not installed."""
    return pytest.importorskip(name)


class Frame:
    """A frame that offers no more than names and columns."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = list(columns)
        self._held = columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Any:
        return self._held[name]


def make_records(columns: dict[str, list[str]]) -> Any:
    kinds = [(name, "U20") for name in columns]
    return np.array(list(zip(*columns.values(), strict=True)), dtype=kinds)


TABLES: dict[str, Callable[[dict[str, list[str]]], Any]] = {
    "dict": dict,
    "own frame": lambda columns: Frame(**columns),
    "numpy records": make_records,
    "pyarrow table": pyarrow.table,
    "pyarrow batch": pyarrow.record_batch,
    "polars": lambda columns: imported("polars").DataFrame(columns),
    "pandas": lambda columns: imported("pandas").DataFrame(columns),
    "datasets": lambda columns: imported("datasets").Dataset.from_dict(columns),
}
COLUMNS: dict[str, Callable[[list[str]], Any]] = {
    "tuple": tuple,
    "generator": iter,
    "numpy": np.array,
    "numpy objects": lambda texts: np.array(texts, dtype=object),
    "pyarrow array": pyarrow.array,
    "pyarrow chunks": lambda texts: pyarrow.chunked_array([texts[:1], texts[1:]]),
    "polars": lambda texts: imported("polars").Series(texts),
    "pandas": lambda texts: imported("pandas").Series(texts, index=[7, 7, 2]),
    "pandas index": lambda texts: imported("pandas").Index(texts),
    "pandas category": lambda texts: imported("pandas").Series(texts, dtype="category"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_column_of_any_table_is_its_values(kind: str) -> None:
    table = TABLES[kind]({"body": TEXTS, "topic": ["a", "b", "a"]})
    assert find_columns(table) == ["body", "topic"]
    assert take_column(table, "body") == TEXTS
    assert list(take_texts(table, column="topic")) == ["a", "b", "a"]


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_any_library_is_plain_python(kind: str) -> None:
    values = take_values(COLUMNS[kind](TEXTS), what="texts")
    assert values == TEXTS
    assert {type(value) for value in values} == {str}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_tokenizer_and_vectors_take_a_column_of_any_library(kind: str) -> None:
    words = tokenizers.train("word", COLUMNS[kind](TEXTS))
    assert (words.encode(COLUMNS[kind](TEXTS)).ids == words.encode(TEXTS).ids).all()
    vectors = Vectors(TEXTS[:2], np.eye(2, dtype=np.float32))
    assert vectors.rows(COLUMNS[kind](TEXTS)).tolist() == [0, 1, -1]
    assert vectors.lookup(COLUMNS[kind](TEXTS)).tolist() == [[1, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("columns", [["body"], ["body", "topic"]])
@pytest.mark.parametrize("use", ["encode", "train", "rows", "lookup"])
def test_a_table_where_texts_are_wanted_is_refused_by_name(
    kind: str, columns: list[str], use: str
) -> None:
    """Going through a frame gives the names of its columns, which are texts to nobody."""
    table = TABLES[kind]({name: ["good"] for name in columns})
    vectors = Vectors(["good"], np.ones((1, 1), np.float32))
    uses: dict[str, Callable[[Any], object]] = {
        "encode": tokenizers.create("char").encode,
        "train": lambda texts: tokenizers.train("word", texts),
        "rows": vectors.rows,
        "lookup": vectors.lookup,
    }
    named = ", ".join(columns)
    with pytest.raises(UsageError, match=rf"found a \w+ with the columns? {named}; give one"):
        uses[use](table)


def test_a_column_that_is_not_there_or_there_twice_is_named() -> None:
    with pytest.raises(UsageError, match=r"unknown column 'bdy'; did you mean 'body'\?"):
        take_column({"body": TEXTS}, "bdy")
    twice = Frame(body=TEXTS)
    twice.columns.append("body")
    with pytest.raises(UsageError, match="has 2 columns 'body'; rename all but one"):
        take_column(twice, "body")
    with pytest.raises(UsageError, match="'body' is named, but a list is no table"):
        take_column(TEXTS, "body")


def test_a_frame_that_offers_only_its_exchange_is_read() -> None:
    class Exchanged:
        def __dataframe__(self, *given: Any, **options: Any) -> Any:
            return pyarrow.table({"body": TEXTS}).__dataframe__()

    assert take_column(Exchanged(), "body") == TEXTS


class Lazy:
    columns = ("body",)

    def collect(self) -> None: ...
    def collect_schema(self) -> None: ...


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("good film", "found one str; wrap it in a list"),
        (b"good film", "found one bytes"),
        ({"good film"}, "in order, found a set"),
        (None, "found a NoneType"),
        (7, "found a int"),
        (np.array([["good"], ["bad"]]), "in one column, found a ndarray of 2 x 1"),
        (np.array("good"), "found a ndarray of no rows"),
        (Lazy(), r"a Lazy has no rows yet; call \.collect\(\) first"),
    ],
)
def test_what_is_no_column_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tokenizers.create("char").encode(given)


def test_a_lazy_frame_of_polars_is_refused() -> None:
    lazy = imported("polars").LazyFrame({"body": TEXTS})
    with pytest.raises(UsageError, match=r"LazyFrame has no rows yet; call \.collect\(\)"):
        take_column(lazy, "body")


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan"), np.datetime64("NaT")])
def test_a_text_that_is_missing_is_named_with_its_row(value: Any) -> None:
    with pytest.raises(UsageError, match=r"text 1 is missing \(\w+\), expected str"):
        tokenizers.create("char").encode(["good", value])


def test_missing_values_of_pandas_are_missing() -> None:
    pandas = imported("pandas")
    assert is_missing(pandas.NA) and is_missing(pandas.NaT)
    assert not is_missing(np.array([1, 2]))


def test_no_library_of_frames_is_imported() -> None:
    """Only what the caller has imported may be asked about."""
    import subprocess
    import sys

    code = (
        "import sys; from textkit import tokenizers; tokenizers.create('char').encode(('a',));"
        "print(sorted({'pandas', 'polars', 'datasets', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
