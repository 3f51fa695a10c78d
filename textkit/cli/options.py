"""Options that several verbs share, each in its group of the help, and what the shell completes.

A verb takes one by its name (`text_column: TextColumn = None`). The completions read tables and
folders only: they import nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, RUNNING, TOKENIZER


def complete_paths(incomplete: str) -> list[str]:
    """Give the files and folders that begin so.

    >>> complete_paths("no/such/place")
    []
    """
    return [*_paths(incomplete, "")]


def _paths(incomplete: str, ending: str) -> Iterator[str]:
    """Give the files with an ending, and all folders, that begin so."""
    folder, _, start = incomplete.rpartition("/")
    head = f"{folder}/" if "/" in incomplete else ""
    place = Path(head or ".")
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        hidden = path.name.startswith(".") and not start.startswith(".")
        if path.name.startswith(start) and not hidden:
            if path.is_dir():
                yield f"{head}{path.name}/"
            elif path.name.endswith(ending):
                yield f"{head}{path.name}"


def complete_names(kind: str, incomplete: str) -> list[str]:
    """Give the registered names of a kind, plug-ins included, that begin so.

    >>> complete_names("encoder", "l")
    ['lstm']
    """
    from textkit.registry import names

    return [name for name in names(kind) if name.startswith(incomplete)]


def complete_encoder(incomplete: str) -> list[str]:
    """Give the encoders, and the models in the place of one, that begin so."""
    from textkit.registry import encoder_names

    return [name for name in encoder_names() if name.startswith(incomplete)]


def complete_kind(incomplete: str) -> list[str]:
    """Give the kinds of tokenizers that begin so."""
    return complete_names("tokenizer", incomplete)


def complete_tokenizer(incomplete: str) -> list[str]:
    """Give the kinds of tokenizers, files and folders that begin so."""
    return [*complete_kind(incomplete), *complete_paths(incomplete)]


def complete_vectors(incomplete: str) -> list[str]:
    """Give the packaged vectors, files and folders that begin so."""
    packaged = [name for name in ("glove", "spacy:") if name.startswith(incomplete)]
    return [*packaged, *complete_paths(incomplete)]


def complete_recipe(incomplete: str) -> list[str]:
    """Give the recipe files and folders that begin so; with nothing typed, those of pipelines/."""
    start = incomplete or ("pipelines/" if Path("pipelines").is_dir() else "")
    return [*_paths(start, ".toml")]


def complete_format(incomplete: str) -> list[str]:
    """Give the formats of rows that begin so."""
    from textkit.io.inputs import FORMATS

    return [name for name in FORMATS if name.startswith(incomplete)]


def among(*known: str) -> Callable[[str], list[str]]:
    """Make the completion of one of a few words.

    >>> among("cpu", "cuda", "mps")("c")
    ['cpu', 'cuda']
    """

    def complete(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    return complete


complete_device = among("auto", "cpu", "cuda", "mps")


def split_names(given: Sequence[str] | None) -> tuple[str, ...]:
    """Give the names of columns that stand behind --keep, each once; one that holds a comma stands
    in quotes.

    >>> split_names(["id,lang", '"a,b"']), split_names(None)
    (('id', 'lang', 'a,b'), ())
    """
    import csv

    return tuple(dict.fromkeys(name for row in csv.reader(given or ()) for name in row if name))


class Missing(StrEnum):
    """What a row without a label does."""

    error = "error"
    skip = "skip"
    keep = "keep"


class OnBad(StrEnum):
    """What a bad row does."""

    stop = "stop"
    skip = "skip"


class Texts(StrEnum):
    """What the texts of a .txt file are."""

    lines = "lines"
    paragraphs = "paragraphs"
    files = "files"


# Rows: where they are and how they are read.
RowFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="FILES",
        help="Files, globs, folders: txt csv tsv jsonl (.gz .zst), parquet, arrow, xlsx.",
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that holds the text; or several, as '{title}: {body}'.", rich_help_panel=INPUT
    ),
]
TextKey = Annotated[
    str | None,
    typer.Option(
        help="Column or key of the text; or several, as '{title}: {body}'.", rich_help_panel=INPUT
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that holds the label; or several of 0 and 1, as sport,money.",
        rich_help_panel=INPUT,
    ),
]
LabelSeparator = Annotated[
    str,
    typer.Option(help="Between the labels of a row, for multi-label.", rich_help_panel=INPUT),
]
Delimiter = Annotated[
    str | None, typer.Option(help="Field delimiter of a csv file.", rich_help_panel=INPUT)
]
Format = Annotated[
    str | None,
    typer.Option(
        help="Input format, where the name does not tell.",
        autocompletion=complete_format,
        rich_help_panel=INPUT,
    ),
]
OnBadRow = Annotated[
    OnBad,
    typer.Option(
        "--on-bad",
        help="A bad row: stop, or skip it and write it to _rejects.txt.",
        rich_help_panel=INPUT,
    ),
]

OnBadLabelledRow = Annotated[
    OnBad,
    typer.Option(
        "--on-bad",
        help="A row or label that cannot be used: stop, or skip it and write it down.",
        rich_help_panel=INPUT,
    ),
]
MissingLabel = Annotated[
    Missing,
    typer.Option(
        help="A row without a label: an error, skip it and write it down, or keep: NaN is a label.",
        rich_help_panel=INPUT,
    ),
]

NormalizeLabels = Annotated[
    bool,
    typer.Option(
        "--normalize-labels",
        help="Labels that differ in case, white space or Unicode form alone are one; said.",
        rich_help_panel=INPUT,
    ),
]

TextsAre = Annotated[
    Texts,
    typer.Option(help="What the texts of a .txt file are.", rich_help_panel=INPUT),
]

MaxRow = Annotated[
    int,
    typer.Option(min=1, help="A row of more megabytes is refused.", rich_help_panel=INPUT),
]

# What does the work, and with which choices.
ModelFolder = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="Run folder, model folder, or hf:NAME.", rich_help_panel=MODEL
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PACKAGE.MODULE:NAME",
        help="Import this when a model names it; may be repeated.",
        rich_help_panel=MODEL,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override, as encoder.dim=128.",
        rich_help_panel=MODEL,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=0, help="Tokens a row at most; what is cut is said.", rich_help_panel=TOKENIZER
    ),
]
SplitPattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        help="For a .tiktoken file: gpt2, cl100k, o200k, llama3, qwen, ... or a regex.",
        rich_help_panel=TOKENIZER,
        autocompletion=among(
            "gpt2", "cl100k", "o200k", "llama3", "llama4", "p50k", "qwen", "r50k", "whisper"
        ),
    ),
]

Lowercase = Annotated[
    bool | None,
    typer.Option(
        "--lowercase/--no-lowercase",
        help="Whether a vocab.txt is of lower-cased text.",
        show_default=False,
        rich_help_panel=TOKENIZER,
    ),
]

# What is written and where.
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", help="Folder to write.", rich_help_panel=OUTPUT)
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Finished work in -o may be replaced.", rich_help_panel=OUTPUT
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMNS",
        help="Columns to carry along, as id,lang; may be repeated.",
        rich_help_panel=OUTPUT,
    ),
]
PartRows = Annotated[
    int,
    typer.Option(
        min=1,
        help="Rows of a part at most; 8 million characters end it too.",
        rich_help_panel=OUTPUT,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.", rich_help_panel=OUTPUT)]
AsJsonLine = Annotated[
    bool, typer.Option("--json", help="Write one line of JSON.", rich_help_panel=OUTPUT)
]

# How it runs.
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N", help="Make only every N-th part, from the I-th.", rich_help_panel=RUNNING
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the job in -o, skipping finished parts.",
        rich_help_panel=RUNNING,
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray[:ADDRESS]",
        help="Work on the parts on Ray: one begun here, or at ADDRESS.",
        rich_help_panel=RUNNING,
    ),
]


@dataclass(frozen=True, kw_only=True)
class CorpusRows:
    """The rows of a corpus, and how they are read."""

    inputs: RowFiles
    text_column: TextKey = None
    delimiter: Delimiter = None
    format: Format = None
    texts_are: TextsAre = Texts.lines
    on_bad: OnBadRow = OnBad.stop
    max_row_mb: MaxRow = 32
