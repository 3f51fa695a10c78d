"""`textkit vectors`: train, convert, describe, search, index, score and draw word vectors of any
known format.

Longer than other modules: most of it is the options of eight verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from textkit.cli.command import INPUT, RUNNING, TRAINING, VECTORS, gather, new_group, verb
from textkit.cli.options import OutFolder, TextKey, complete_tokenizer

if TYPE_CHECKING:
    from textkit import Vectors
    from textkit.vectors.index import NeighbourIndex

app = new_group("Train, convert, describe, search, score and draw word vectors.")

Spec = Annotated[
    str,
    typer.Argument(
        metavar="VECTORS", help="Folder or file of any known format, glove, or spacy:NAME."
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(help="Where large files are converted to; by default the user's cache."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]
IndexFolder = Annotated[
    Path | None,
    typer.Option(
        "--index", help="Index that `textkit vectors index` wrote: faster in millions of rows."
    ),
]
Top = Annotated[int, typer.Option("--top", "-k", min=1, help="Neighbours a word.")]


class Model(StrEnum):
    """What is trained."""

    word2vec = "word2vec"
    fasttext = "fasttext"


class Algorithm(StrEnum):
    """How it is trained."""

    skipgram = "skipgram"
    cbow = "cbow"


class Method(StrEnum):
    """How a picture is laid out."""

    pca = "pca"
    umap = "umap"


class Dtype(StrEnum):
    """How a table is stored."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The texts that words are learnt from, and what cuts them."""

    group: ClassVar = INPUT
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILES", help="Files, globs, folders; any known format.")
    ]
    text_column: TextKey = None
    tokenizer: Annotated[
        str,
        typer.Option(
            "--tokenizer",
            "-t",
            help="word, whitespace, char, ..., or a tokenizer's folder.",
            autocompletion=complete_tokenizer,
        ),
    ] = "word"
    lowercase: Annotated[
        bool, typer.Option("--lowercase", help="Fold case, with -t word and the like.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """What is trained: which words have a vector, and of what it is made."""

    group: ClassVar = VECTORS
    model: Annotated[Model, typer.Option("--model", "-m", help="What is trained.")] = Model.word2vec
    dim: Annotated[int, typer.Option(help="Width of a vector.")] = 100
    min_count: Annotated[int, typer.Option(help="Leave out words that occur less often.")] = 5
    max_words: Annotated[int | None, typer.Option(help="Keep only the most frequent words.")] = None
    min_n: Annotated[int, typer.Option(help="fastText: shortest character n-gram.")] = 3
    max_n: Annotated[int, typer.Option(help="fastText: longest character n-gram.")] = 6
    buckets: Annotated[int, typer.Option(help="fastText: rows for character n-grams.")] = 200_000


@dataclass(frozen=True, kw_only=True)
class Training:
    """How it is trained."""

    group: ClassVar = TRAINING
    algorithm: Annotated[Algorithm, typer.Option(help="How.")] = Algorithm.skipgram
    window: Annotated[int, typer.Option(help="Words to either side.")] = 5
    negative: Annotated[int, typer.Option(help="Negative samples.")] = 5
    epochs: Annotated[int, typer.Option(help="Passes over the corpus.")] = 5
    sample: Annotated[
        float, typer.Option(help="Leave out occurrences of words more frequent than this.")
    ] = 1e-3
    alpha: Annotated[float, typer.Option(help="First learning rate.")] = 0.025
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 1
    workers: Annotated[
        int, typer.Option("--workers", "-w", help="Threads; with 1 the bytes are the same.")
    ] = 1


@verb(app)
def train(
    corpus: Corpus,
    out: OutFolder,
    table: Table,
    training: Training,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from where a run was stopped or killed.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
) -> None:
    """Train word vectors; Ctrl-C saves a checkpoint, and --resume goes on from it.

    Examples:
        textkit vectors train corpus.txt -o vectors
        textkit vectors train texts/ -m fasttext --dim 300 -w 4 -o vectors
        textkit vectors train corpus.txt -o vectors --resume
    """
    from textkit.cli.errors import StopSignal
    from textkit.cli.output import Display, note
    from textkit.jobs.vectors import TrainVectorsOptions, train_word_vectors
    from textkit.vectors.train import TrainOptions

    options = gather(
        TrainVectorsOptions,
        corpus,
        out=out,
        training=gather(TrainOptions, table, training),
        resume=resume,
    )
    with StopSignal() as stop, Display() as watch:
        trained = train_word_vectors(options, watch=replace(watch, should_stop=stop.is_set))
    if trained is None:
        raise stop.error(
            f"stopped by a signal; {out}.training holds the work so far; to go on, add --resume to"
            f" the same command"
        )
    note(
        f"{out}: {len(trained):,} words, {trained.dim} wide, from {trained.facts['n_tokens']:,}"
        f" words of text"
    )


@app.command()
def convert(
    vectors: Spec,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    dtype: Annotated[
        Dtype | None, typer.Option(help="Storage; float32 unless VECTORS says otherwise.")
    ] = None,
) -> None:
    """Turn vectors of any known format into our folder, which opens at once and is mapped."""
    from textkit import Vectors
    from textkit.cli.output import note
    from textkit.vectors.formats import convert as write

    with _reading("converting") as progress:
        write(vectors, out, dtype=None if dtype is None else dtype.value, progress=progress)
    made = Vectors.load(out)
    _notes(made)
    note(f"{out}: {len(made):,} words, {made.dim} wide, {made.dtype}")


@app.command()
def info(vectors: Spec, cache: Cache = None, as_json: AsJson = False) -> None:
    """Say what vectors hold; of our own folders, verify every byte."""
    from textkit import Vectors
    from textkit.cli.output import to_json, write_line
    from textkit.io import files

    path = Path(vectors)
    own = (path / files.MANIFEST).exists()
    v = Vectors.load(path, verify=True) if own else _open(vectors, cache)
    facts: dict[str, Any] = {
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
        "verified": own,
    }
    if as_json:
        write_line(to_json(facts))
        return
    write_line(
        f"{vectors}: {len(v):,} words, {v.dim} wide, {v.dtype}"
        + (", all files verified" if own else "")
    )
    write_line(f"source     {v.source}")
    write_line(f"table      {len(v.table):,} rows, {v.table.nbytes:,} bytes")
    if v.ngrams is not None:
        lengths = f"{v.ngrams.shortest} to {v.ngrams.longest} characters"
        write_line(
            f"n-grams    {len(v.ngrams.table):,} rows, {lengths}: unknown words have vectors too"
        )
    write_line(f"words      {' '.join(v.words[:10])} ...")
    for line in v.notes:
        write_line(f"note       {line}")


@app.command()
def nearest(
    vectors: Spec,
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="Words to look up.")],
    top: Top = 10,
    index: IndexFolder = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """List the nearest words by cosine; a fastText model answers for words it has never seen."""
    v = _open(vectors, cache)
    opened = _open_index(index)
    queries = v.lookup(words, "error" if v.ngrams is None else "ngram")
    found = [
        v.nearest(word, top, index=opened)
        if word in v
        else v.nearest(queries[i : i + 1], top, index=opened)[0]
        for i, word in enumerate(words)
    ]
    _print_neighbours(words, found, as_json=as_json)


@app.command()
def analogy(
    vectors: Spec,
    a: Annotated[str, typer.Argument(metavar="A", help="As in man : king = woman : ?")],
    b: Annotated[str, typer.Argument(metavar="B")],
    c: Annotated[str, typer.Argument(metavar="C")],
    top: Top = 10,
    index: IndexFolder = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Say what is to C as B is to A."""
    found = _open(vectors, cache).analogy(a, b, c, top, index=_open_index(index))
    _print_neighbours([f"{a} : {b} = {c} : ?"], [found], as_json=as_json)


@app.command()
def index(
    vectors: Spec,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    connectivity: Annotated[
        int, typer.Option(min=2, help="Edges a row: more finds more, in more memory.")
    ] = 16,
    effort: Annotated[
        int, typer.Option(min=1, help="Candidates a query: more finds more, slower.")
    ] = 64,
    cache: Cache = None,
) -> None:
    """Build an index of neighbours for large tables; nearest and analogy take it as --index."""
    from textkit.cli.output import note
    from textkit.vectors.index import build_index

    v = _open(vectors, cache)
    with _reading("indexing", unit="rows") as progress:
        made = build_index(v, out, connectivity=connectivity, effort=effort, progress=progress)
    note(f"{out}: {len(made):,} rows of {v.source}")


@app.command()
def evaluate(
    vectors: Spec,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES", help="Lines of two words and a score, or of four words."),
    ],
    candidates: Annotated[
        int | None, typer.Option(min=1, help="Analogies: only of the first N words.")
    ] = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Score vectors on word similarities (Spearman) and analogies (accuracy), with their
    coverage.
    """
    from textkit.cli.output import to_json, write_line
    from textkit.evaluation.word_vectors import is_analogies, score_analogies, score_similarity

    v = _open(vectors, cache)
    for path in files:
        if is_analogies(path):
            solved = score_analogies(v, path, n_candidates=candidates)
            correct, covered, n_all = (
                sum(counts[i] for counts in solved.sections.values()) for i in range(3)
            )
            line = (
                f"{path.name}: accuracy {solved.accuracy:.3f}, {correct:,} of {covered:,}"
                f" covered, {n_all:,} in all"
            )
            write_line(to_json({"file": str(path), **solved.to_dict()}) if as_json else line)
            continue
        score = score_similarity(v, path)
        line = (
            f"{path.name}: Spearman {score.spearman:.3f}, {score.n_covered:,} of"
            f" {score.n_pairs:,} pairs covered"
        )
        if score.missing:
            more = ", ..." if len(score.missing) > 10 else ""
            line += f"; missing: {', '.join(score.missing[:10])}{more}"
        write_line(to_json({"file": str(path), **score.to_dict()}) if as_json else line)


@app.command()
def plot(
    vectors: Spec,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORDS]", help="Words to draw.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="HTML page to write; a PNG of that name beside it.")
    ] = Path("vectors.html"),
    word_file: Annotated[
        Path | None,
        typer.Option(
            "--words", help="File of words, one a line; after a tab, a label for its colour."
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option("--top", "-k", min=2, help="With no words named: the first N of the table."),
    ] = 500,
    method: Annotated[
        Method, typer.Option(help="How words are laid out; umap is an extra.")
    ] = Method.pca,
    cache: Cache = None,
) -> None:
    """Draw words as points: a page with hover and search, and a PNG."""
    from textkit.cli.output import note
    from textkit.vectors import plot as drawing

    v = _open(vectors, cache)
    if word_file is not None:
        chosen, labels = drawing.read_words(word_file)
    else:
        chosen, labels = (list(words) if words else list(v.words[:top])), None
    picture = drawing.lay_out(v, chosen, labels, method=method.value)
    for line in picture.notes:
        note(line)
    title = f"{Path(vectors).name}: {len(picture.words):,} words"
    drawing.write_png(picture, out.with_suffix(".png"), title=title)
    drawing.write_html(picture, out, title=title)
    note(f"{out} and {out.with_suffix('.png').name}: {len(picture.words):,} words, {picture.axes}")


@contextmanager
def _reading(title: str, *, unit: str = "bytes") -> Iterator[Callable[[int, int | None], None]]:
    """Show how far a long file is read; nothing where no reading is needed."""
    from textkit.cli.output import ProgressBar

    with ExitStack() as stack:
        bars: list[ProgressBar] = []

        def update(done: int, total: int | None) -> None:
            if not bars:
                bars.append(stack.enter_context(ProgressBar(title, total=total, unit=unit)))
            bars[0].update(done, total=total)

        yield update


def _open(spec: str, cache: Path | None) -> Vectors:
    from textkit import Vectors

    with _reading("reading") as progress:
        opened = Vectors.open(spec, cache=cache, progress=progress)
    _notes(opened)
    return opened


def _open_index(folder: Path | None) -> NeighbourIndex | None:
    from textkit.vectors.index import open_index

    return None if folder is None else open_index(folder)


def _notes(vectors: Vectors) -> None:
    from textkit.cli.output import note

    for line in vectors.notes:
        note(line)


def _print_neighbours(
    titles: list[str], found: list[list[tuple[str, float]]], *, as_json: bool
) -> None:
    """Write neighbours as a table on a terminal, tab-separated lines elsewhere, or JSON."""
    import sys

    from textkit.cli.output import to_json, write_line

    if as_json:
        for title, row in zip(titles, found, strict=True):
            write_line(
                to_json(
                    {
                        "query": title,
                        "nearest": [{"word": w, "cosine": round(c, 6)} for w, c in row],
                    }
                )
            )
        return
    if not sys.stdout.isatty():
        for title, row in zip(titles, found, strict=True):
            for word, cosine in row:
                write_line(f"{title}\t{word}\t{cosine:.4f}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for title, row in zip(titles, found, strict=True):
        table = Table(title=Text(title), title_justify="left")
        table.add_column("word")
        table.add_column("cosine", justify="right")
        table.add_column("")
        for word, cosine in row:
            table.add_row(
                Text(word), f"{cosine:.3f}", Text("█" * round(20 * max(cosine, 0.0)), style="cyan")
            )
        console.print(table)
