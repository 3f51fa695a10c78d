"""Word vectors as whole pieces of work: convert, describe, search, index, score and draw them.

In: an options dataclass that names vectors of any known format. Out: numbers, our folder, an index,
a picture. Nothing is printed: notes, and how far a long file is read, go to a Watch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textkit.io import files
from textkit.io.inputs import refuse_streams
from textkit.vectors.packaged import STATIC_FORMAT, STATIC_KIND, is_static
from textkit.vectors.vectors import Vectors
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    from textkit.evaluation.word_vectors import AnalogyScore, SimilarityScore
    from textkit.vectors.index import NeighbourIndex
    from textkit.vectors.plot import Picture

Neighbours = list[tuple[str, float]]


@dataclass(frozen=True, kw_only=True)
class ConvertVectorsOptions:
    """vectors: folder or file of any known format, glove, or spacy:NAME. out: folder to write.

    dtype: float32, float16 or int8; by default float32, or what our own folder is stored as.
    overwrite: finished work in `out` may go.
    """

    vectors: str
    out: Path
    dtype: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class DistilOptions:
    """model: a sentence encoder, as TextEmbedder.open takes it. out: folder to write.

    dim: width of a vector. words: a file of words, one a line, the most frequent first, that have
    vectors instead of the encoder's own pieces. overwrite: finished work in `out` may go.
    """

    model: str
    out: Path
    dim: int = 256
    words: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Where words are looked up.

    top: neighbours of a word. index: folder of an index of the vectors, faster in millions of
    rows. cache: where large files are converted to; by default the user's cache.
    """

    vectors: str
    top: int = 10
    index: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True, kw_only=True)
class IndexVectorsOptions:
    """connectivity: edges of a row. effort: candidates of a query.

    overwrite: finished work in `out` may go.
    """

    vectors: str
    out: Path
    connectivity: int = 16
    effort: int = 64
    cache: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluateVectorsOptions:
    """files: lines of two words and a score, or of four words.

    candidates: analogies are answered only with the first N words.
    """

    vectors: str
    files: Sequence[Path]
    candidates: int | None = None
    cache: Path | None = None


@dataclass(frozen=True, kw_only=True)
class PlotVectorsOptions:
    """What is drawn: the words of a file, those that are named, or the first `top` of the table.

    out: the HTML page; a PNG of that name is written beside it. word_file: words, one a line; after
    a tab, a label for its colour.
    """

    vectors: str
    out: Path
    words: Sequence[str] | None = None
    word_file: Path | None = None
    top: int = 500
    method: Literal["pca", "umap"] = "pca"
    cache: Path | None = None


@dataclass(frozen=True)
class VectorsDescription:
    """Vectors, and whether every byte of their folder was verified, as only ours can be."""

    vectors: Vectors
    verified: bool

    def to_dict(self) -> dict[str, object]:
        """Give what JSON can hold."""
        v = self.vectors
        return {
            "source": v.source,
            "n_words": len(v),
            "n_rows": len(v.table),
            "dim": v.dim,
            "dtype": v.dtype,
            "n_bytes": v.table.nbytes,
            "n_ngrams": None if v.ngrams is None else len(v.ngrams.table),
            "first_words": list(v.words[:10]),
            "notes": v.notes,
            "facts": v.facts,
            "verified": self.verified,
        }


def open_vectors(spec: str, *, cache: Path | None = None, watch: Watch = Watch()) -> Vectors:
    """Open vectors of any known format, and note what was odd about them."""
    opened = Vectors.open(spec, cache=cache, progress=_report(watch, "reading"))
    _note_all(opened, watch)
    return opened


def convert_vectors(options: ConvertVectorsOptions, *, watch: Watch = Watch()) -> Vectors:
    """Write our folder from vectors of any known format and open it."""
    from textkit.vectors.formats import convert

    progress = _report(watch, "converting")
    convert(
        options.vectors,
        options.out,
        dtype=options.dtype,
        progress=progress,
        overwrite=options.overwrite,
    )
    converted = Vectors.load(options.out)
    _note_all(converted, watch)
    return converted


def distil_vectors(options: DistilOptions, *, watch: Watch = Watch()) -> Vectors:
    """Write static vectors of an encoder's pieces, or of words, and open them."""
    from textkit.embedders.distilling import distil
    from textkit.vectors.plot import read_words

    words = None if options.words is None else read_words(options.words)[0]
    distil(
        options.model,
        options.out,
        dim=options.dim,
        words=words,
        overwrite=options.overwrite,
        watch=watch,
    )
    return open_vectors(str(options.out), watch=watch)


def describe_vectors(
    spec: str, *, cache: Path | None = None, watch: Watch = Watch()
) -> VectorsDescription:
    """Open vectors to say what they hold; of our own folders, verify every byte.

    >>> _ = Path("v.txt").write_text("king 1 0\\nqueen 0 1\\n", encoding="utf-8")
    >>> describe_vectors("v.txt").to_dict()["first_words"]
    ['king', 'queen']
    """
    if is_static(Path(spec)):
        files.check_manifest(spec, kind=STATIC_KIND, format=STATIC_FORMAT)
        return VectorsDescription(open_vectors(spec, watch=watch), verified=True)
    if (Path(spec) / files.MANIFEST).exists():
        return VectorsDescription(Vectors.load(spec, verify=True), verified=True)
    return VectorsDescription(open_vectors(spec, cache=cache, watch=watch), verified=False)


def find_nearest(
    options: SearchOptions, words: Sequence[str], *, watch: Watch = Watch()
) -> list[Neighbours]:
    """Find the nearest words of each word by cosine, the nearest first.

    A fastText model answers for words that it has never seen; of others, an unknown word is an
    error.
    """
    v, index = _open_both(options, watch)
    return v.nearest(list(words), options.top, index=index)


def solve_analogy(
    options: SearchOptions, a: str, b: str, c: str, *, watch: Watch = Watch()
) -> Neighbours:
    """Find what is to c as b is to a."""
    v, index = _open_both(options, watch)
    return v.analogy(a, b, c, options.top, index=index)


def index_vectors(options: IndexVectorsOptions, *, watch: Watch = Watch()) -> tuple[int, str]:
    """Build an index of neighbours for a large table; give its rows and what they are of."""
    from textkit.vectors.index import build_index

    v = open_vectors(options.vectors, cache=options.cache, watch=watch)
    index = build_index(
        v,
        options.out,
        connectivity=options.connectivity,
        effort=options.effort,
        progress=_report(watch, "indexing", unit="rows"),
        overwrite=options.overwrite,
    )
    return len(index), v.source


def evaluate_vectors(
    options: EvaluateVectorsOptions, *, watch: Watch = Watch()
) -> Iterator[tuple[Path, SimilarityScore | AnalogyScore]]:
    """Score vectors on files of word similarities and analogies, one after the other.

    The vectors are open, and everything about them is noted, when this returns.
    """
    from textkit.evaluation.word_vectors import is_analogies, score_analogies, score_similarity

    refuse_streams(options.files)
    v = open_vectors(options.vectors, cache=options.cache, watch=watch)
    return (
        (
            path,
            score_analogies(v, path, n_candidates=options.candidates)
            if is_analogies(path)
            else score_similarity(v, path),
        )
        for path in options.files
    )


def plot_vectors(options: PlotVectorsOptions, *, watch: Watch = Watch()) -> Picture:
    """Draw words as points: a page with hover and search, and a PNG."""
    from textkit.vectors import plot

    v = open_vectors(options.vectors, cache=options.cache, watch=watch)
    if options.word_file is not None:
        words, labels = plot.read_words(options.word_file)
    else:
        words, labels = list(options.words or v.words[: options.top]), None
    picture = plot.lay_out(v, words, labels, method=options.method)
    for line in picture.notes:
        watch.note(line)
    title = f"{Path(options.vectors).name}: {len(picture.words):,} words"
    plot.write_png(picture, options.out.with_suffix(".png"), title=title)
    plot.write_html(picture, options.out, title=title)
    return picture


def _open_both(options: SearchOptions, watch: Watch) -> tuple[Vectors, NeighbourIndex | None]:
    from textkit.vectors.index import open_index

    v = open_vectors(options.vectors, cache=options.cache, watch=watch)
    return v, None if options.index is None else open_index(options.index)


def _note_all(vectors: Vectors, watch: Watch) -> None:
    for line in vectors.notes:
        watch.note(line)


def _report(watch: Watch, title: str, *, unit: str = "bytes") -> Callable[[int, int | None], None]:
    """Say how far a long file is read; nothing where no reading is needed."""
    return lambda done, total: watch.progress(Progress(title, done, total, unit))
