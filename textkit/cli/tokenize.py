"""`textkit tokenize`: text in, tokens out, row by row: JSONL, TSV, or colours on a terminal."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from textkit import tokenizers
from textkit.batch import TokenBatch
from textkit.cli.output import note, to_json
from textkit.corpus import RowReader
from textkit.errors import UsageError
from textkit.registry import BUILT_IN
from textkit.tokenizers import Tokenizer

app = typer.Typer(rich_markup_mode=None)

_CHUNK_ROWS = 1024
_CHUNK_CHARACTERS = 8 << 20
# Background colours that dark and light terminals both show; neighbours always differ.
_COLOURS = ("48;5;24", "48;5;58", "48;5;90", "48;5;22", "48;5;94")


class Output(StrEnum):
    """How tokens are written."""

    jsonl = "jsonl"
    tsv = "tsv"
    colour = "colour"


@app.command()
def tokenize(
    inputs: Annotated[list[str], typer.Argument(metavar="FILES", help="txt, csv, tsv, jsonl, also .gz; - is stdin.")],
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", "-t", help="Tokenizer folder, tokenizer.json, or: word, char.")
    ] = "word",
    to: Annotated[
        Output | None, typer.Option(help="Output; by default colour on a terminal, else jsonl.", show_default=False)
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column or key that holds the text.")] = None,
    format: Annotated[str | None, typer.Option(help="Input format, where the name does not tell.")] = None,
    max_length: Annotated[int | None, typer.Option(min=0, help="Tokens a row at most; what is cut is said.")] = None,
) -> None:
    """Turn text files into tokens, one row out for each row in."""
    tok = open_tokenizer(tokenizer)
    chosen = to or (Output.colour if sys.stdout.isatty() else Output.jsonl)
    started, rows, tokens, cut = time.perf_counter(), 0, 0, 0
    for name in inputs:
        reader = RowReader(name, text_column=text_column, format=format)
        for texts in _chunks(reader):
            batch = tok.encode(texts, spans=True, max_length=max_length)
            lines = {"jsonl": _jsonl, "tsv": _tsv, "colour": _coloured}[chosen](tok, texts, batch, rows)
            sys.stdout.buffer.write("".join(lines).encode("utf-8", "backslashreplace"))
            rows, tokens, cut = rows + len(texts), tokens + len(batch.ids), cut + int((batch.truncated > 0).sum())
        for line in reader.notes():
            note(line)
    sys.stdout.buffer.flush()
    seconds = time.perf_counter() - started
    truncated = f", {cut:,} rows cut at {max_length} tokens" if cut else ""
    note(f"{rows:,} rows, {tokens:,} tokens{truncated}, {seconds:.1f} s")


def open_tokenizer(source: str) -> Tokenizer:
    """Load a tokenizer by path; the bare kinds `word` and `char` split without a vocabulary."""
    if source in ("word", "char") and not Path(source).exists():
        return tokenizers.create(source)
    if source in BUILT_IN["tokenizer"] and not Path(source).exists():
        raise UsageError(
            f"a '{source}' tokenizer must be trained first: textkit tokenizer train FILES -k {source} -o tok/"
        )
    return tokenizers.load(source)


def _chunks(reader: RowReader) -> Iterator[list[str]]:
    """Group rows so that neither their number nor their length fills the memory."""
    chunk: list[str] = []
    size = 0
    for row in reader:
        chunk.append(row.text)
        size += len(row.text)
        if len(chunk) == _CHUNK_ROWS or size >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pieces(texts: Sequence[str], batch: TokenBatch) -> Iterator[tuple[str, list[tuple[int, int]], list[int]]]:
    for row, text in enumerate(texts):
        spans = [(start, end) for start, end in batch.row_spans(row).tolist()]
        yield text, spans, batch[row].tolist()


def _has_ids(tok: Tokenizer) -> bool:
    """Tell whether the tokenizer has a vocabulary beyond its special tokens."""
    return len(tok.vocabulary) > 2


def _jsonl(tok: Tokenizer, texts: Sequence[str], batch: TokenBatch, first_row: int) -> Iterator[str]:
    for number, (text, spans, ids) in enumerate(_pieces(texts, batch), start=first_row):
        row = {"row": number, "tokens": [text[start:end] for start, end in spans], "spans": spans}
        yield to_json({**row, "ids": ids} if _has_ids(tok) else row) + "\n"


def _tsv(tok: Tokenizer, texts: Sequence[str], batch: TokenBatch, first_row: int) -> Iterator[str]:
    """Write row, token, start, end, id; a tab or line end inside a token is escaped as in Python."""
    for number, (text, spans, ids) in enumerate(_pieces(texts, batch), start=first_row):
        for (start, end), i in zip(spans, ids, strict=True):
            token = text[start:end].replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
            yield f"{number}\t{token}\t{start}\t{end}\t{i if _has_ids(tok) else ''}\n"


def _coloured(tok: Tokenizer, texts: Sequence[str], batch: TokenBatch, first_row: int) -> Iterator[str]:
    for text, spans, _ in _pieces(texts, batch):
        colours = itertools.cycle(_COLOURS)
        parts, position = [], 0
        for start, end in spans:
            if end <= position:  # a further token of the same character, as byte-level BPE makes
                continue
            parts.append(text[position:start])
            parts.append(f"\x1b[{next(colours)}m{_visible(text[start:end])}\x1b[0m")
            position = end
        yield "".join(parts) + text[position:] + "\n"


def _visible(token: str) -> str:
    """Keep control characters of the text from steering the terminal."""
    return "".join(char if char.isprintable() or char == " " else f"\\x{ord(char):02x}" for char in token)
