"""`textkit tokenizer`: train a tokenizer from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from textkit import tokenizers
from textkit.cli.output import note

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _tokenizer() -> None:
    """Train a tokenizer."""


@app.command()
def train(
    inputs: Annotated[list[Path], typer.Argument(metavar="FILES", help="txt, csv, tsv or jsonl, each also .gz.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    kind: Annotated[str, typer.Option("--kind", "-k", help="word, char, bpe, wordpiece, or a plug-in.")] = "bpe",
    size: Annotated[int, typer.Option(help="Tokens in the vocabulary, special ones included.")] = 30_000,
    min_frequency: Annotated[int | None, typer.Option(help="Leave out what occurs less often.")] = None,
    lowercase: Annotated[bool | None, typer.Option("--lowercase/--no-lowercase", help="Fold case.")] = None,
) -> None:
    """Learn a vocabulary from files and save it as a tokenizer folder."""
    chosen = {"size": size, "min_frequency": min_frequency, "lowercase": lowercase}
    options: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    tokenizer = tokenizers.train(kind, inputs, **options)
    tokenizer.save(out)
    note(f"{out}: {kind}, {len(tokenizer.vocabulary):,} tokens, fingerprint {tokenizer.fingerprint[:12]}")
