"""`textkit pack`: tokens in, blocks of one length out, every token once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, OUTPUT, RUNNING, gather, new_verb, verb
from textkit.cli.options import On, Overwrite, Resume, Shard

app = new_verb()


class Manner(StrEnum):
    """How rows become blocks."""

    best_fit = "best-fit"
    concat = "concat"


class Layout(StrEnum):
    """How blocks are written."""

    npy = "npy"
    bin = "bin"
    parquet = "parquet"
    mds = "mds"


class IdType(StrEnum):
    """How ids are written."""

    int32 = "int32"
    uint16 = "uint16"


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What is packed."""

    group: ClassVar = INPUT
    tokens: Annotated[
        list[Path],
        typer.Argument(
            metavar="TOKENS", help="Folders of textkit tokenize -o, or .parquet and .arrow files."
        ),
    ]
    column: Annotated[str, typer.Option(help="The column of the ids.")] = "ids"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What blocks are made."""

    group: ClassVar = OUTPUT
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the parts.")]
    length: Annotated[int, typer.Option(min=1, help="Tokens of a block.")] = 2048
    manner: Annotated[
        Manner,
        typer.Option(help="best-fit keeps rows whole where they fit; concat joins them all."),
    ] = Manner.best_fit
    layout: Annotated[
        Layout, typer.Option("--to", help="npy and bin are mapped; mds is MosaicML's.")
    ] = Layout.npy
    end_id: Annotated[int | None, typer.Option(help="Put this id behind every row.")] = None
    pad_id: Annotated[int, typer.Option(help="Fill what is left of a block with this id.")] = 0
    least_fill: Annotated[
        float, typer.Option(help="Cut rows where best-fit fills less; 0 cuts none that fits.")
    ] = 0.98
    dtype: Annotated[IdType, typer.Option(help="Type of the ids.")] = IdType.int32
    part_blocks: Annotated[
        int, typer.Option(min=1, help="Blocks of a part, about; each part is packed by itself.")
    ] = 8192


@dataclass(frozen=True, kw_only=True)
class Processes:
    """How the work is shared out."""

    group: ClassVar = RUNNING
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None
    on: On = None
    shard: Shard = None
    overwrite: Overwrite = False
    resume: Resume = False


@verb(app)
def pack(
    tokens: Tokens,
    written: Written,
    running: Processes,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the counts as JSON.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Pack tokens into blocks of one length, for language models; every token once.

    Examples:
        textkit tokenize corpus/ -t tok --no-spans --no-tokens -o tokens
        textkit pack tokens -o blocks --length 2048
        textkit pack tokens -o blocks --manner concat --end-id 0 --to bin
        textkit pack tokens -o blocks --resume
    """
    from textkit.cli.output import Display, note, to_json, write_line
    from textkit.jobs.pack import PackOptions, pack_tokens

    with Display() as watch:
        made = pack_tokens(gather(PackOptions, tokens, written, running), watch=watch)
    counts = made.whole
    cut = f", {counts.n_cut:,} rows in more than one piece" if counts.n_cut else ""
    note(
        f"{counts.n_rows:,} rows, {counts.n_tokens:,} tokens, {counts.n_blocks:,} blocks of"
        f" {made.length:,}, {made.fill:.2%} filled{cut}, {made.seconds:.1f} s,"
        f" {made.counts.speed(made.seconds)}"
    )
    ready = f", {made.n_ready:,} of them finished before" if made.n_ready else ""
    note(f"{made.place}: {made.n_parts:,} parts{ready}")
    if as_json:
        write_line(to_json(made.to_dict()))
