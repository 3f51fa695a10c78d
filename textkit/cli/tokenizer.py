"""`textkit tokenizer`: train a vocabulary, count for one, convert one, and report how well it
fits; what looks at one and changes it is in vocabulary.py.

The work stands in textkit/jobs/tokenizer.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from textkit.cli import vocabulary
from textkit.cli.command import INPUT, OUTPUT, RUNNING, TOKENIZER, gather, new_group, verb
from textkit.cli.options import (
    AsJsonLine,
    Delimiter,
    Lowercase,
    On,
    OutFolder,
    Overwrite,
    SplitPattern,
    TextKey,
    among,
    complete_kind,
    complete_paths,
)

if TYPE_CHECKING:
    from textkit.tokenizers import Tokenizer

app = new_group("Train, convert, extend, inspect, compare and report on tokenizers.")

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILES", help="Files, globs, folders; any format textkit reads."),
]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What a kind makes of a text before it learns."""

    group: ClassVar = TOKENIZER
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            "-k",
            help="bpe, wordpiece, unigram, word, char, ... or a plug-in.",
            autocompletion=complete_kind,
        ),
    ] = "bpe"
    lowercase: Annotated[
        bool | None, typer.Option("--lowercase/--no-lowercase", help="Fold case.")
    ] = None
    form: Annotated[
        str | None,
        typer.Option(
            help="Unicode normal form: nfc, nfd, nfkc, nfkd.",
            autocompletion=among("nfc", "nfd", "nfkc", "nfkd"),
        ),
    ] = None
    pattern: Annotated[str | None, typer.Option(help="For -k regex: the pattern of a token.")] = (
        None
    )
    split: Annotated[
        str | None,
        typer.Option(
            help="For -k bpe: gpt2, cl100k or o200k.",
            autocompletion=among("gpt2", "cl100k", "o200k"),
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What is learnt of the pieces."""

    group: ClassVar = TOKENIZER
    size: Annotated[
        str, typer.Option(help="Tokens, special ones included; several as 8000,16000.")
    ] = "30000"
    min_frequency: Annotated[int | None, typer.Option(help="Leave out what occurs less often.")] = (
        None
    )


@verb(app)
def train(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILES", help="Texts, or with --counts counts files.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder to write; with several sizes, -SIZE is added.",
            rich_help_panel=OUTPUT,
        ),
    ],
    pieces: Pieces,
    learnt: Learnt,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENIZER",
            help="Go on from this one; its ids and merges stay.",
            autocompletion=complete_paths,
            rich_help_panel=TOKENIZER,
        ),
    ] = None,
    text_column: TextKey = None,
    delimiter: Delimiter = None,
    counts: Annotated[
        bool,
        typer.Option(
            "--counts",
            help="FILES are counts of `textkit tokenizer count`.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Count pieces first, in this much memory (2G), then on disk.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    on: On = None,
    overwrite: Overwrite = False,
) -> None:
    """Learn a vocabulary: the same bytes on every run, for any order of the files and any number
    of threads.

    Examples:
        textkit tokenizer train corpus.txt -o tok
        textkit tokenizer train texts/ -k wordpiece --size 8000,16000 -o tok
        textkit tokenizer train counts-1 counts-2 --counts -o tok
        textkit tokenizer train more.txt --start gpt2/ --size 60000 -o tok
    """
    from textkit.cli.learning import LearningClock
    from textkit.cli.output import note
    from textkit.jobs.tokenizer import PieceOptions, TrainTokenizerOptions, train_tokenizer

    options = TrainTokenizerOptions(
        inputs=inputs,
        out=out,
        pieces=gather(PieceOptions, pieces),
        start=start,
        sizes=_parse_sizes(learnt.size),
        min_frequency=learnt.min_frequency,
        text_column=text_column,
        delimiter=delimiter,
        memory=memory,
        on=on,
        counts=counts,
        overwrite=overwrite,
    )
    with LearningClock(pieces.kind) as watch:
        saved = train_tokenizer(options, watch=watch)
    for folder, tokenizer in saved:
        note(f"{folder}: {tokenizer.kind}, {_describe(tokenizer)}")


@verb(app)
def count(
    inputs: Files,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Counts file to write.", rich_help_panel=OUTPUT),
    ],
    pieces: Pieces,
    text_column: TextKey = None,
    delimiter: Delimiter = None,
    memory: Annotated[
        str,
        typer.Option(help="Memory for counts before they go to disk.", rich_help_panel=RUNNING),
    ] = "2G",
    on: On = None,
) -> None:
    """Count pieces for a later `train --counts`, so that machines can count apart and train
    together.

    Examples:
        textkit tokenizer count part-1/ -k wordpiece -o counts-1
        textkit tokenizer train counts-1 counts-2 --counts -k wordpiece -o tok
    """
    from textkit.cli.output import Display, note
    from textkit.jobs.tokenizer import CountPiecesOptions, PieceOptions, count_pieces

    options = CountPiecesOptions(
        inputs=inputs,
        out=out,
        pieces=gather(PieceOptions, pieces),
        text_column=text_column,
        delimiter=delimiter,
        memory=memory,
        on=on,
    )
    with Display() as watch:
        number = count_pieces(options, watch=watch)
    note(f"{out}: {number:,} different pieces")


@verb(app)
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="tokenizer.json, vocab.txt, vocab.json, .tiktoken, .model, folder, hf:NAME.",
            autocompletion=complete_paths,
        ),
    ],
    out: OutFolder,
    pattern: SplitPattern = None,
    lowercase: Lowercase = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn any known tokenizer format into a folder that textkit, tokenizers and transformers
    read.

    Examples:
        textkit tokenizer convert cl100k_base.tiktoken -o tok
        textkit tokenizer convert own.tiktoken --pattern qwen -o tok
        textkit tokenizer convert hf:google-bert/bert-base-uncased -o bert
        textkit tokenizer convert vocab.txt --no-lowercase -o tok
    """
    from textkit.cli.output import note
    from textkit.jobs.tokenizer import convert_tokenizer

    tokenizer = convert_tokenizer(
        source, out, pattern=pattern, lowercase=lowercase, overwrite=overwrite
    )
    for line in tokenizer.engine_notes:
        note(f"{source}: {line}")
    note(f"{out}: {tokenizer.kind}, {_describe(tokenizer)}")


@verb(app)
def report(
    tokenizer: Annotated[
        str,
        typer.Argument(
            metavar="TOKENIZER",
            help="Folder or file, or hf:NAME.",
            autocompletion=complete_paths,
        ),
    ],
    inputs: Files,
    pattern: SplitPattern = None,
    by: Annotated[
        str | None,
        typer.Option(help="Column to report by, such as language.", rich_help_panel=INPUT),
    ] = None,
    text_column: TextKey = None,
    delimiter: Delimiter = None,
    as_json: AsJsonLine = False,
) -> None:
    """Say how well a tokenizer fits texts: coverage, fertility, unused ids.

    Examples:
        textkit tokenizer report tok/ corpus.txt
        textkit tokenizer report tok/ texts.csv --by language --json
    """
    from textkit.cli.output import note, to_json, write_line
    from textkit.jobs.tokenizer import MeasureFitOptions, measure_tokenizer
    from textkit.tokenizers.report import render_fit
    from textkit.watch import Watch

    options = MeasureFitOptions(
        tokenizer=tokenizer,
        inputs=inputs,
        pattern=pattern,
        by=by,
        text_column=text_column,
        delimiter=delimiter,
    )
    found = measure_tokenizer(options, watch=Watch(note=note))
    write_line(to_json(found) if as_json else render_fit(found))


for command in (vocabulary.inspect, vocabulary.extend, vocabulary.compare):
    verb(app)(command)


def _describe(tokenizer: Tokenizer) -> str:
    return f"{len(tokenizer.vocabulary):,} tokens, fingerprint {tokenizer.fingerprint[:12]}"


def _parse_sizes(text: str) -> list[int]:
    from textkit.errors import UsageError

    if not all(part.isdigit() for part in text.split(",")):
        raise UsageError(f"expected --size N or N,M,..., found '{text}'")
    return sorted({int(part) for part in text.split(",")})
