"""Search beside bm25s, rank_bm25, faiss, usearch and sentence-transformers, in one run.

    python benchmarks/search.py [--texts FILE] [--rows 20000] [--queries 200] [--only textkit]

Each contender is a process of its own: it reads the same texts and the same vectors (word vectors
of `glove`, pooled, made once before), builds its index, and answers one query after the other. A
query is eight words in a row of one of the texts. Printed for each:

- build: seconds from texts or vectors to an index that answers, on disk where it has one.
- queries/s: ours with texts, snippets and marks, and the ranking alone as the others do it.
- source@10: the share of queries whose text is among the 10 best; overlap@10: the share of the 10
  nearest vectors, or of bm25s's 10 best rows, that are found.
- memory: the most that the process held, less what it held with its libraries and data loaded.

A contender that is not installed is left out, and said.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from textkit import SearchIndex, TextEmbedder
from textkit.embedders.backend import TextVectors, not_fitted
from textkit.search.building import IndexOptions
from textkit.search.ranking import rank_scores
from textkit.search.words import find_terms

TEXTS = Path(__file__).parents[1] / "../shared/data/corpora/imdb_unsup.txt.gz"
Answer = Callable[[int], Sequence[int]]


class Given:
    """A backend that gives vectors which were made before: of texts, in order, then of queries."""

    parallel, notes = False, ()

    def __init__(self, vectors: np.ndarray, queries: dict[str, np.ndarray]) -> None:
        self.vectors, self.queries, self.at = vectors, queries, 0

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def embed(self, texts: Sequence[str]) -> TextVectors:
        if self.at < len(self.vectors):
            found = self.vectors[self.at : self.at + len(texts)]
            self.at += len(texts)
        else:
            found = np.array([self.queries[text] for text in texts])
        return TextVectors(found, np.zeros(len(texts), np.int32))

    def fit(self, texts: object, *, n_components: int = 1) -> Any:
        raise not_fitted()

    def describe(self) -> dict[str, object]:
        return {"given": self.vectors.shape[1]}


class Data:
    """What every contender reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        self.queries = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
        self.vectors = np.load(folder / "vectors.npy")
        self.query_vectors = np.load(folder / "query_vectors.npy")


def textkit_words(data: Data) -> Iterator[Answer]:
    index = SearchIndex.build(data.texts, data.folder / "words")
    yield lambda i: [hit.row for hit in index.query(data.queries[i])]


def textkit_words_ranking(data: Data) -> Iterator[Answer]:
    index = SearchIndex.build(data.texts, data.folder / "words-ranking")
    postings = index._postings
    yield lambda i: rank_scores(
        postings.score(find_terms(data.queries[i])), k=10, allowed=None
    ).rows.tolist()


def _dense(data: Data, name: str, **options: Any) -> SearchIndex:
    queries = dict(zip(data.queries, data.query_vectors, strict=True))
    embedder = TextEmbedder(Given(data.vectors, queries))
    return SearchIndex.build(
        data.texts, data.folder / name, model=embedder, options=IndexOptions(**options)
    )


def textkit_exact(data: Data) -> Iterator[Answer]:
    index = _dense(data, "exact", words=False)
    yield lambda i: [hit.row for hit in index.query(data.queries[i], method="dense")]


def textkit_exact_ranking(data: Data) -> Iterator[Answer]:
    index = _dense(data, "exact-ranking", words=False)
    yield lambda i: index._rank_vectors(data.query_vectors[i : i + 1], k=10)[0].rows.tolist()


def textkit_graph(data: Data) -> Iterator[Answer]:
    index = _dense(data, "graph", words=False, approximate=True)
    print("recall in the manifest", index.config["graph"]["recall_at_10"], file=sys.stderr)
    yield lambda i: [hit.row for hit in index.query(data.queries[i], method="dense")]


def textkit_graph_ranking(data: Data) -> Iterator[Answer]:
    index = _dense(data, "graph-ranking", words=False, approximate=True)
    yield lambda i: index._rank_vectors(data.query_vectors[i : i + 1], k=10)[0].rows.tolist()


def textkit_hybrid(data: Data) -> Iterator[Answer]:
    index = _dense(data, "hybrid")
    yield lambda i: [hit.row for hit in index.query(data.queries[i])]


def bm25s(data: Data) -> Iterator[Answer]:
    import bm25s

    made = bm25s.BM25(method="lucene")
    made.index(bm25s.tokenize(data.texts, stopwords=None, show_progress=False), show_progress=False)
    made.save(data.folder / "bm25s", show_progress=False)

    def answer(i: int) -> list[int]:
        tokens = bm25s.tokenize([data.queries[i]], stopwords=None, show_progress=False)
        return made.retrieve(tokens, k=10, show_progress=False)[0][0].tolist()

    yield answer


def rank_bm25(data: Data) -> Iterator[Answer]:
    from rank_bm25 import BM25Okapi

    made = BM25Okapi([text.lower().split() for text in data.texts])
    yield lambda i: np.argsort(-made.get_scores(data.queries[i].lower().split()))[:10].tolist()


def _units(data: Data) -> tuple[np.ndarray, np.ndarray]:
    def unit(rows: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths > 0, lengths, 1)

    return unit(data.vectors), unit(data.query_vectors)


def faiss_flat(data: Data) -> Iterator[Answer]:
    import faiss

    rows, queries = _units(data)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    faiss.write_index(index, str(data.folder / "flat.faiss"))
    yield lambda i: index.search(queries[i : i + 1], 10)[1][0].tolist()


def faiss_hnsw(data: Data) -> Iterator[Answer]:
    import faiss

    rows, queries = _units(data)
    index = faiss.IndexHNSWFlat(rows.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = index.hnsw.efSearch = 64
    index.add(rows)
    faiss.write_index(index, str(data.folder / "hnsw.faiss"))
    yield lambda i: index.search(queries[i : i + 1], 10)[1][0].tolist()


def usearch(data: Data) -> Iterator[Answer]:
    from usearch.index import Index

    rows, queries = _units(data)
    index = Index(
        ndim=rows.shape[1],
        metric="cos",
        dtype="f16",
        connectivity=16,
        expansion_add=64,
        expansion_search=64,
    )
    index.add(np.arange(len(rows)), rows)
    index.save(str(data.folder / "usearch"))
    yield lambda i: np.asarray(index.search(queries[i], 10).keys).tolist()


def sentence_transformers(data: Data) -> Iterator[Answer]:
    from sentence_transformers.util import semantic_search

    def answer(i: int) -> list[int]:
        found = semantic_search(data.query_vectors[i : i + 1], data.vectors, top_k=10)
        return [hit["corpus_id"] for hit in found[0]]

    yield answer


# Name -> (what it runs, the package it needs, whether its answers are compared with the vectors').
CONTENDERS: dict[str, tuple[Callable[[Data], Iterator[Answer]], str, bool]] = {
    "textkit bm25": (textkit_words, "textkit", False),
    "textkit bm25, ranking": (textkit_words_ranking, "textkit", False),
    "bm25s": (bm25s, "bm25s", False),
    "rank_bm25": (rank_bm25, "rank_bm25", False),
    "textkit exact": (textkit_exact, "textkit", True),
    "textkit exact, ranking": (textkit_exact_ranking, "textkit", True),
    "faiss flat": (faiss_flat, "faiss", True),
    "sentence-transformers": (sentence_transformers, "sentence_transformers", True),
    "textkit graph": (textkit_graph, "textkit", True),
    "textkit graph, ranking": (textkit_graph_ranking, "textkit", True),
    "usearch": (usearch, "usearch", True),
    "faiss hnsw": (faiss_hnsw, "faiss", True),
    "textkit hybrid": (textkit_hybrid, "textkit", False),
}


def prepare(folder: Path, texts: Path, n_rows: int, n_queries: int) -> list[int]:
    """Write what the contenders read; give the row of each query."""
    opener = gzip.open if texts.suffix == ".gz" else open
    with opener(texts, "rt", encoding="utf-8") as file:
        rows = [line.strip() for line, _ in zip(file, range(n_rows), strict=False)]
    generator = np.random.default_rng(0)
    long = [i for i, text in enumerate(rows) if len(text.split()) >= 30]
    sources = generator.choice(long, n_queries, replace=False).tolist()
    queries = []
    for source in sources:
        words = rows[source].split()
        start = int(generator.integers(len(words) - 8))
        queries.append(" ".join(words[start : start + 8]))
    embedder = TextEmbedder.open("glove")
    np.save(folder / "vectors.npy", embedder.encode(rows))
    np.save(folder / "query_vectors.npy", embedder.encode(queries))
    (folder / "texts.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "queries.json").write_text(json.dumps(queries), encoding="utf-8")
    return sources


def peak() -> float:
    """Give the most megabytes that this process held; Linux says it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def contend(name: str, folder: Path) -> None:
    """Be one contender: build, answer, and print what it took."""
    data = Data(folder)
    run, package, _ = CONTENDERS[name]
    importlib.import_module(package)
    before = peak()
    started = time.perf_counter()
    answer = next(run(data))
    built = time.perf_counter() - started
    answer(0)  # what is opened at the first query
    started = time.perf_counter()
    found = [list(answer(i)) for i in range(len(data.queries))]
    seconds = time.perf_counter() - started
    megabytes = peak() - before
    told = {"build": built, "seconds": seconds, "found": found, "megabytes": megabytes}
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")


def overlap(found: list[list[int]], wanted: list[list[int]]) -> float:
    """Give the mean share of the wanted rows that were found."""
    shares = [len({*a} & {*b}) / len(b) for a, b in zip(found, wanted, strict=True)]
    return float(np.mean(shares))


def main() -> None:
    """Run all contenders, one after the other, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, default=TEXTS)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contender:
        contend(chosen.contender, chosen.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = prepare(folder, chosen.texts, chosen.rows, chosen.queries)
        rows, queries = _units(Data(folder))
        nearest = [np.argsort(-(rows @ query), kind="stable")[:10].tolist() for query in queries]
        best: list[list[int]] = []
        print("contender                  build s  queries/s  source@10  overlap@10  memory MB")
        order = sorted(CONTENDERS, key=lambda n: n != "bm25s")  # the others are compared with it
        for contender in (n for n in order if chosen.only in n or n == "bm25s"):
            command = [sys.executable, __file__, "--contender", contender, "--folder", name]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{contender:25}  left out: {done.stderr.strip().splitlines()[-1]}")
                continue
            told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
            found = told["found"]
            if contender == "bm25s":
                best = found
            hit = np.mean([s in rows for s, rows in zip(sources, found, strict=True)])
            is_dense = CONTENDERS[contender][2]
            like = overlap(found, nearest if is_dense else best) if is_dense or best else np.nan
            print(
                f"{contender:25}  {told['build']:7.2f}  {len(sources) / told['seconds']:9.0f}"
                f"  {hit:9.3f}  {like:10.3f}  {told['megabytes']:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
