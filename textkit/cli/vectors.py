"""`textkit vectors`: train, convert, distil, describe, search, index, score and draw word vectors
of any known format.

The work stands in textkit/jobs/vectors.py and textkit/jobs/train_vectors.py. Longer than other
modules: most of it is the options of nine verbs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, OUTPUT, RUNNING, TRAINING, VECTORS, gather, new_group, verb
from textkit.cli.options import (
    AsJson,
    Delimiter,
    OutFolder,
    Overwrite,
    SplitPattern,
    TextKey,
    complete_tokenizer,
    complete_vectors,
)

if TYPE_CHECKING:
    from textkit.evaluation.word_vectors import AnalogyScore, SimilarityScore
    from textkit.jobs.vectors import Neighbours

app = new_group("Train, convert, describe, search, score and draw word vectors.")

Spec = Annotated[
    str,
    typer.Argument(
        metavar="VECTORS",
        help="Folder or file of any known format, glove, or spacy:NAME.",
        autocompletion=complete_vectors,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Where large files are converted to; by default the user's cache.",
        rich_help_panel=RUNNING,
    ),
]


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


class StoredDtype(StrEnum):
    """How a table is stored."""

    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The texts that words are learnt from, and what cuts them."""

    group: ClassVar = INPUT
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILES", help="Files, globs, folders; any known format.")
    ]
    text_column: TextKey = None
    delimiter: Delimiter = None
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
    pattern: SplitPattern = None


@dataclass(frozen=True, kw_only=True)
class Words:
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
class Fitting:
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
    texts: Texts,
    out: OutFolder,
    words: Words,
    fitting: Fitting,
    overwrite: Overwrite = False,
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
    from textkit.jobs.train_vectors import TrainVectorsOptions, train_word_vectors
    from textkit.vectors.gensim_model import VectorTraining

    options = gather(
        TrainVectorsOptions,
        texts,
        out=out,
        training=gather(VectorTraining, words, fitting),
        overwrite=overwrite,
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


@dataclass(frozen=True, kw_only=True)
class Search:
    """Where words are looked up, and how many are wanted."""

    group: ClassVar = INPUT
    vectors: Spec
    top: Annotated[
        int,
        typer.Option("--top", "-k", min=1, help="Neighbours a word.", rich_help_panel=OUTPUT),
    ] = 10
    index: Annotated[
        Path | None,
        typer.Option(
            "--index", help="Index that `textkit vectors index` wrote: faster in millions of rows."
        ),
    ] = None
    cache: Cache = None


@verb(app)
def convert(
    vectors: Spec,
    out: OutFolder,
    dtype: Annotated[
        StoredDtype | None,
        typer.Option(
            help="Storage; float32 unless VECTORS says otherwise.", rich_help_panel=OUTPUT
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn vectors of any known format into our folder, which opens at once and is mapped.

    Examples:
        textkit vectors convert glove.6B.300d.txt.gz -o glove
        textkit vectors convert cc.en.300.bin -o english --dtype int8
    """
    from textkit.cli.output import Display, note
    from textkit.jobs.vectors import ConvertVectorsOptions, convert_vectors

    options = gather(
        ConvertVectorsOptions, vectors=vectors, out=out, dtype=dtype, overwrite=overwrite
    )
    with Display() as watch:
        v = convert_vectors(options, watch=watch)
    note(f"{out}: {len(v):,} words, {v.dim} wide, {v.dtype}")


@verb(app)
def distil(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Folder of a sentence encoder, or hf:NAME."),
    ],
    out: OutFolder,
    dim: Annotated[
        int, typer.Option(min=1, help="Width of a vector.", rich_help_panel=VECTORS)
    ] = 256,
    word_file: Annotated[
        Path | None,
        typer.Option(
            "--words",
            help="File of words, one a line, the most frequent first, instead of its pieces.",
            rich_help_panel=VECTORS,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn a sentence encoder into static vectors of its pieces, which need no torch.

    Examples:
        textkit vectors distil all-MiniLM-L6-v2/ -o static
        textkit vectors distil all-MiniLM-L6-v2/ --words words.txt --dim 128 -o static
    """
    from textkit.cli.output import Display, note
    from textkit.jobs.vectors import DistilOptions, distil_vectors

    options = DistilOptions(model=model, out=out, dim=dim, words=word_file, overwrite=overwrite)
    with Display() as watch:
        v = distil_vectors(options, watch=watch)
    note(f"{out}: {len(v):,} words, {v.dim} wide")


@verb(app)
def info(vectors: Spec, cache: Cache = None, as_json: AsJson = False) -> None:
    """Say what vectors hold; of our own folders, verify every byte.

    Examples:
        textkit vectors info glove
        textkit vectors info vectors/ --json
    """
    from textkit.cli.output import Display, show_line, to_json, write_line
    from textkit.jobs.vectors import describe_vectors

    with Display() as watch:
        found = describe_vectors(vectors, cache=cache, watch=watch)
    if as_json:
        write_line(to_json(found.to_dict()))
        return
    v = found.vectors
    show_line(
        f"{vectors}: {len(v):,} words, {v.dim} wide, {v.dtype}"
        + (", all files verified" if found.verified else "")
    )
    show_line(f"source     {v.source}")
    write_line(f"table      {len(v.table):,} rows, {v.table.nbytes:,} bytes")
    if v.ngrams is not None:
        lengths = f"{v.ngrams.shortest} to {v.ngrams.longest} characters"
        write_line(
            f"n-grams    {len(v.ngrams.table):,} rows, {lengths}: unknown words have vectors too"
        )
    show_line(f"words      {' '.join(v.words[:10])} ...")
    for line in v.notes:
        show_line(f"note       {line}")


@verb(app)
def nearest(
    search: Search,
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="Words to look up.")],
    as_json: AsJson = False,
) -> None:
    """List the nearest words by cosine; a fastText model answers for words it has never seen.

    Examples:
        textkit vectors nearest glove king queen
        textkit vectors nearest vectors/ tree -k 20 --json
    """
    from textkit.cli.output import Display
    from textkit.jobs.vectors import SearchOptions, find_nearest

    with Display() as watch:
        found = find_nearest(gather(SearchOptions, search), words, watch=watch)
    _write_neighbours(words, found, as_json=as_json)


@verb(app)
def analogy(
    search: Search,
    a: Annotated[str, typer.Argument(metavar="A", help="As in man : king = woman : ?")],
    b: Annotated[str, typer.Argument(metavar="B")],
    c: Annotated[str, typer.Argument(metavar="C")],
    as_json: AsJson = False,
) -> None:
    """Say what is to C as B is to A.

    Examples:
        textkit vectors analogy glove man king woman
    """
    from textkit.cli.output import Display
    from textkit.jobs.vectors import SearchOptions, solve_analogy

    with Display() as watch:
        found = solve_analogy(gather(SearchOptions, search), a, b, c, watch=watch)
    _write_neighbours([f"{a} : {b} = {c} : ?"], [found], as_json=as_json)


@verb(app)
def index(
    vectors: Spec,
    out: OutFolder,
    connectivity: Annotated[
        int,
        typer.Option(
            min=2,
            help="Edges a row: more finds more, in more memory.",
            rich_help_panel=VECTORS,
        ),
    ] = 16,
    effort: Annotated[
        int,
        typer.Option(
            min=1, help="Candidates a query: more finds more, slower.", rich_help_panel=VECTORS
        ),
    ] = 64,
    overwrite: Overwrite = False,
    cache: Cache = None,
) -> None:
    """Build an index of neighbours for large tables; nearest and analogy take it as --index.

    Examples:
        textkit vectors index vectors/ -o index
        textkit vectors nearest vectors/ king --index index
    """
    from textkit.cli.output import Display, note
    from textkit.jobs.vectors import IndexVectorsOptions, index_vectors

    options = IndexVectorsOptions(
        vectors=vectors,
        out=out,
        connectivity=connectivity,
        effort=effort,
        cache=cache,
        overwrite=overwrite,
    )
    with Display() as watch:
        n_rows, source = index_vectors(options, watch=watch)
    note(f"{out}: {n_rows:,} rows of {source}")


@verb(app)
def evaluate(
    vectors: Spec,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES", help="Lines of two words and a score, or of four words."),
    ],
    candidates: Annotated[
        int | None,
        typer.Option(min=1, help="Analogies: only of the first N words.", rich_help_panel=VECTORS),
    ] = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Score vectors on word similarities (Spearman) and analogies (accuracy), with their
    coverage.

    Examples:
        textkit vectors evaluate glove wordsim353.tsv
        textkit vectors evaluate vectors/ questions-words.txt --candidates 30000
    """
    from textkit.cli.output import Display, to_json, write_line
    from textkit.jobs.vectors import EvaluateVectorsOptions, evaluate_vectors

    options = EvaluateVectorsOptions(
        vectors=vectors, files=files, candidates=candidates, cache=cache
    )
    with Display() as watch:
        scores = evaluate_vectors(options, watch=watch)
    for path, score in scores:
        as_line = f"{path.name}: {_describe(score)}"
        write_line(to_json({"file": str(path), **score.to_dict()}) if as_json else as_line)


@verb(app)
def plot(
    vectors: Spec,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORDS]", help="Words to draw.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="HTML page to write; a PNG of that name beside it.",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("vectors.html"),
    word_file: Annotated[
        Path | None,
        typer.Option(
            "--words",
            help="File of words, one a line; after a tab, a label for its colour.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            "--top",
            "-k",
            min=2,
            help="With no words named: the first N of the table.",
            rich_help_panel=INPUT,
        ),
    ] = 500,
    method: Annotated[
        Method,
        typer.Option(help="How words are laid out; umap is an extra.", rich_help_panel=OUTPUT),
    ] = Method.pca,
    cache: Cache = None,
) -> None:
    """Draw words as points: a page with hover and search, and a PNG.

    Examples:
        textkit vectors plot glove -k 300 -o glove.html
        textkit vectors plot vectors/ --words animals.tsv -o animals.html
    """
    from textkit.cli.output import Display, note
    from textkit.jobs.vectors import PlotVectorsOptions, plot_vectors

    options = gather(
        PlotVectorsOptions,
        vectors=vectors,
        out=out,
        words=words,
        word_file=word_file,
        top=top,
        method=method,
        cache=cache,
    )
    with Display() as watch:
        picture = plot_vectors(options, watch=watch)
    note(f"{out} and {out.with_suffix('.png').name}: {len(picture.words):,} words, {picture.axes}")


def _describe(score: SimilarityScore | AnalogyScore) -> str:
    """Say a score in a line."""
    from textkit.evaluation.word_vectors import AnalogyScore

    if isinstance(score, AnalogyScore):
        correct, covered, n_all = (
            sum(counts[i] for counts in score.sections.values()) for i in range(3)
        )
        return (
            f"accuracy {score.accuracy:.3f}, {correct:,} of {covered:,} covered, {n_all:,} in all"
        )
    line = f"Spearman {score.spearman:.3f}, {score.n_covered:,} of {score.n_pairs:,} pairs covered"
    if score.missing:
        more = ", ..." if len(score.missing) > 10 else ""
        line += f"; missing: {', '.join(score.missing[:10])}{more}"
    return line


def _write_neighbours(titles: Sequence[str], found: Sequence[Neighbours], *, as_json: bool) -> None:
    """Write neighbours as a table on a terminal, tab-separated lines elsewhere, or JSON."""
    from textkit.cli.output import to_json, write_line

    for title, row in zip(titles, found, strict=True):
        if as_json:
            pairs = [{"word": word, "cosine": round(cosine, 6)} for word, cosine in row]
            write_line(to_json({"query": title, "nearest": pairs}))
        elif sys.stdout.isatty():
            _print_table(title, row)
        else:
            for word, cosine in row:
                write_line(f"{title}\t{word}\t{cosine:.4f}")


def _print_table(title: str, row: Neighbours) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from textkit.cli.errors import visible

    table = Table(title=Text(visible(title)), title_justify="left")
    table.add_column("word")
    table.add_column("cosine", justify="right")
    table.add_column("")
    for word, cosine in row:
        table.add_row(
            Text(visible(word)),
            f"{cosine:.3f}",
            Text("█" * round(20 * max(cosine, 0.0)), style="cyan"),
        )
    Console().print(table)
