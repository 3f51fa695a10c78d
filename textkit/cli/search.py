"""`textkit search`: index a corpus by meaning and by words, and ask the index.

The work stands in textkit/jobs/search.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, RUNNING, VECTORS, gather, new_group, verb
from textkit.cli.embed import VectorDtype
from textkit.cli.options import (
    Allow,
    AsJson,
    CorpusRows,
    Keep,
    On,
    OutFolder,
    Overwrite,
    PartRows,
    Resume,
    among,
    complete_device,
    complete_tokenizer,
    complete_vectors,
    split_names,
)

if TYPE_CHECKING:
    from textkit.search.index import Hit

app = new_group("Index texts by meaning and by words, and search them.")


class Method(StrEnum):
    """By what rows are found."""

    dense = "dense"
    bm25 = "bm25"
    hybrid = "hybrid"


@dataclass(frozen=True, kw_only=True)
class IndexModel:
    """What makes the vectors, of texts and of queries."""

    group: ClassVar = MODEL
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Vectors (folder, file, glove), a folder of a model, or hf:NAME; without, texts"
            " are found by their words alone.",
            autocompletion=complete_vectors,
        ),
    ] = None
    pooling: Annotated[
        list[str] | None,
        typer.Option(
            help="Vectors: mean, sif, max. Models: mean, cls, last, max; may be repeated.",
            autocompletion=among("cls", "last", "max", "mean", "sif"),
        ),
    ] = None
    prompt: Annotated[str | None, typer.Option(help="Text before each text.")] = None
    prompt_name: Annotated[str | None, typer.Option(help="One of the model's own prompts.")] = None
    query_prompt: Annotated[
        str | None, typer.Option(help="Text before each query; else that of the texts.")
    ] = None
    query_prompt_name: Annotated[
        str | None, typer.Option(help="One of the model's own prompts, for queries.")
    ] = None
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens a row at most; what is cut is said.")
    ] = None
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            "-t",
            help="For vectors: what cuts texts; else what they came with.",
            autocompletion=complete_tokenizer,
        ),
    ] = None
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the index holds."""

    group: ClassVar = VECTORS
    words: Annotated[
        bool,
        typer.Option("--words/--no-words", help="Whether texts are found by words too (BM25)."),
    ] = True
    k1: Annotated[
        float, typer.Option(min=0, help="BM25: how soon more of a word says no more.")
    ] = 1.5
    b: Annotated[
        float, typer.Option(min=0, max=1, help="BM25: how much long texts are held down.")
    ] = 0.75
    dtype: Annotated[VectorDtype, typer.Option(help="How vectors are stored.")] = (
        VectorDtype.float32
    )
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="Also a graph of the vectors: faster in many rows."),
    ] = False
    connectivity: Annotated[
        int, typer.Option(min=2, help="Graph: edges a row; more finds more, in more memory.")
    ] = 16
    effort: Annotated[
        int, typer.Option(min=1, help="Graph: candidates a query; more finds more, slower.")
    ] = 64


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Where the work is done, and how it is shared out."""

    group: ClassVar = RUNNING
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, mps.", autocompletion=complete_device)
    ] = "auto"
    precision: Annotated[
        str,
        typer.Option(
            help="auto (bfloat16 on a GPU), float32, bfloat16.",
            autocompletion=among("auto", "float32", "bfloat16"),
        ),
    ] = "auto"
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Padded tokens of a batch.")] = (
        None
    )


@verb(app)
def build(
    corpus: CorpusRows,
    out: OutFolder,
    embedding: IndexModel,
    held: Held,
    hardware: Hardware,
    keep: Keep = None,
    part_rows: PartRows = 10_000,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes, for words and vectors; a model uses all cores in one.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    on: On = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
) -> None:
    """Index the rows of text files: their words, their vectors, and the columns to find them by.

    Examples:
        textkit search build corpus.txt -o index
        textkit search build a.jsonl -m all-MiniLM-L6-v2/ --keep lang -o index
        textkit search build texts/ -m glove --workers 2 -o index
    """
    from textkit.cli.errors import StopSignal
    from textkit.cli.output import Display, note
    from textkit.jobs.search import SearchBuildOptions, build_search
    from textkit.search.building import IndexOptions
    from textkit.search.model import SearchModel
    from textkit.search.postings import Bm25

    chosen = {name: value for name, value in vars(embedding).items() if name != "model"}
    pooling = embedding.pooling or []
    chosen |= {"pooling": pooling[0] if len(pooling) == 1 else pooling or None}
    chosen |= {"allow": embedding.allow or ()}
    model = None
    if embedding.model is not None:
        model = gather(SearchModel, hardware, spec=embedding.model, **chosen)
    else:
        _refuse_without_model(embedding)
    options = gather(
        SearchBuildOptions,
        corpus,
        model=model,
        out=out,
        keep=split_names(keep),
        index=IndexOptions(
            words=held.words,
            bm25=Bm25(k1=held.k1, b=held.b),
            dtype=held.dtype.value,
            approximate=held.approximate,
            connectivity=held.connectivity,
            effort=held.effort,
        ),
        part_rows=part_rows,
        workers=workers,
        on=on,
        overwrite=overwrite,
        resume=resume,
    )
    with StopSignal() as stop, Display() as watch:
        made = build_search(options, watch=replace(watch, should_stop=stop.is_set))
    counts, index = made.whole, made.index
    if index is None:
        raise stop.error(
            f"stopped by a signal; {options.parts} holds the work so far; to go on, add --resume to"
            " the same command"
        )
    cut = f", {counts.n_truncated:,} cut at the model's length" if counts.n_truncated else ""
    empty = f", {counts.n_empty:,} without a known word: no vector" if counts.n_empty else ""
    note(f"{counts.n_rows:,} rows{cut}{empty}, {made.seconds:.1f} s")
    if "graph" in index.config:
        recall = index.config["graph"]["recall_at_10"]
        note(f"the graph finds {recall:.1%} of the 10 nearest rows")
    note(f"{out}: {len(index):,} rows, searched by {_by(index.method)}")


def _refuse_without_model(embedding: IndexModel) -> None:
    """Refuse an option of a model where none is named."""
    from textkit.errors import UsageError

    given = next((name for name, value in vars(embedding).items() if value), None)
    if given is not None:
        raise UsageError(
            f"--{given.replace('_', '-')} is for the model of the vectors; name it: -m"
        )


def _by(method: str) -> str:
    return {"bm25": "words", "dense": "vectors", "hybrid": "words and vectors"}[method]


@verb(app)
def query(
    index: Annotated[
        Path, typer.Argument(metavar="INDEX", help="Folder that `textkit search build` wrote.")
    ],
    queries: Annotated[
        list[str],
        typer.Argument(metavar="QUERIES", help="What is sought; - reads a query a line."),
    ],
    top: Annotated[
        int, typer.Option("--top", "-k", min=1, help="Rows a query.", rich_help_panel=OUTPUT)
    ] = 10,
    method: Annotated[
        Method | None,
        typer.Option(
            help="dense, by vectors; bm25, by words; hybrid, by both; else all that is there.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Only rows of which it holds, as lang=en or 'year>=2020'; may be repeated.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Go through all vectors, not the graph.", rich_help_panel=RUNNING
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The model of the index's vectors, where it lies elsewhere now.",
            autocompletion=complete_vectors,
            rich_help_panel=MODEL,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page", metavar="PAGE.html", help="Also write a page.", rich_help_panel=OUTPUT
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the rows of an index that are nearest to a query, their matching words marked.

    Examples:
        textkit search query index "late delivery"
        textkit search query index "late delivery" --where lang=en -k 3 --json
        textkit search query index refund --method bm25 --page found.html
    """
    from textkit.cli.output import Display, note
    from textkit.jobs.search import SearchQueryOptions, query_search

    if queries == ["-"]:
        queries = [line.rstrip("\r\n") for line in sys.stdin if line.strip()]
    options = gather(
        SearchQueryOptions,
        index=index,
        top=top,
        method=method,
        where=where or (),
        exact=exact,
        model=model,
    )
    with Display() as watch:
        found = query_search(options, queries, watch=watch)
    if page is not None:
        from textkit.search.page import write_page

        write_page(page, queries, found, title=str(index))
        note(f"{page} is written")
    _show(queries, found, as_json=as_json)


def _show(queries: Sequence[str], found: Sequence[Sequence[Hit]], *, as_json: bool) -> None:
    """Write a line of JSON a query, or lines for people."""
    from textkit.cli.output import show_line, to_json, write_line

    for query, hits in zip(queries, found, strict=True):
        if as_json:
            write_line(to_json({"query": query, "hits": [hit.to_dict() for hit in hits]}))
            continue
        if len(queries) > 1:
            show_line(f"# {query}")
        for rank, hit in enumerate(hits, start=1):
            _show_hit(rank, hit)


def _show_hit(rank: int, hit: Hit) -> None:
    """Write the snippet of a hit on one line, its words in bold on a terminal, else in **."""
    from textkit.cli.errors import visible
    from textkit.cli.output import show_coloured
    from textkit.search.snippets import pieces

    before, after = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("**", "**")
    shown = "".join(
        f"{before}{_flat(piece)}{after}" if is_marked else _flat(piece)
        for piece, is_marked in pieces(hit.text, hit.marks, hit.snippet)
    )
    kept = " ".join(f"{visible(name)}={_flat(str(value))}" for name, value in hit.kept.items())
    facts = f"row {hit.row}" + (f" {kept}" if kept else "")
    show_coloured(f"{rank:>2}  {hit.score:.4f}  {facts}  {shown}")


def _flat(text: str) -> str:
    """Put text on one line, and keep it from steering a terminal."""
    from textkit.cli.errors import visible

    return visible(" ".join(text.split("\n")).replace("\r", " ").replace("\t", " "))
