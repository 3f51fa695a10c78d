"""Tokenize a corpus: into a folder of parts, into a stream, or only to count and check.

In: TokenizeOptions. Out: a report with what was counted; one row for each row. Nothing is printed:
what is guessed, skipped and how far the work is goes to a Watch.
"""

from __future__ import annotations

import itertools
import operator
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar

from textkit.batch import TokenBatch
from textkit.errors import DataError, UsageError, unknown_name
from textkit.io import files
from textkit.io.bulk import Job, Part, check_kept, cut_parts, part_name
from textkit.io.kept_values import declared_types, describe_types
from textkit.jobs.colours import html_page
from textkit.jobs.parts import (
    PART_CHARACTERS,
    CorpusOptions,
    PartsReport,
    Stoppable,
    write_parts,
)
from textkit.jobs.token_counts import TokenCounts, check_rows
from textkit.jobs.token_output import TABLE_OUTPUTS, TEXT_OUTPUTS, TokenColumns, render, write_file
from textkit.jobs.workers import Workers
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.documents import cut_windows
from textkit.tokenizers.formats import open_tokenizer
from textkit.tokenizers.sentences import UNICODE
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    import pyarrow

STREAM_ROWS, SHOWN_ROWS = 1024, 200


@dataclass(frozen=True, kw_only=True)
class TokenizeOptions(CorpusOptions):
    """What is tokenized, by what, and what is written of it.

    - tokenizer: a Tokenizer, or what names one: a folder, a file, `hf:NAME`, `word`, `char`, ...
    - pattern, lowercase: how a .tiktoken file splits texts, and whether a vocab.txt is of
      lower-cased text, as `tokenizers.load` takes them.
    - out: the folder of the parts.
    - output: parquet, arrow, jsonl, tsv or text; in a stream also colour. By default parquet in a
      folder and jsonl in a stream.
    - max_length: tokens a row at most; what is cut is counted.
    - window, stride, sentences: cut rows into windows of so many tokens, as `tokenizers.windows`
      does; an output row is a window then, and says its row and its (start, end) in the row's text.
    - spans, tokens: whether (start, end) of every token and the tokens' texts are written.
    - check: verify spans and round trip; `count_corpus` raises DataError where rows fail.
    """

    keeps_values: ClassVar[bool] = True

    tokenizer: str | Tokenizer = "word"
    pattern: str | None = None
    lowercase: bool | None = None
    out: Path | None = None
    output: str | None = None
    max_length: int | None = None
    window: int | None = None
    stride: int | None = None
    sentences: str | None = None
    spans: bool = True
    tokens: bool = True
    check: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        own = ("row", "ids", "spans", "tokens")
        check_kept(self.keep, own=own if self.window is None else (*own, "window"))
        if self.window is None:
            for name in ("stride", "sentences"):
                if getattr(self, name) is not None:
                    raise UsageError(f"{name} is for windows; give window too")
        elif self.max_length is not None:
            raise UsageError("max_length cuts rows and window divides them; give one of the two")
        elif self.output in ("text", "colour"):
            raise UsageError(f"--to {self.output} has no place for where a window is; take jsonl")

    def open_tokenizer(self, watch: Watch = Watch()) -> Tokenizer:
        """Open the tokenizer that is named, or give the one that is there; what had to be guessed
        of its file is noted.
        """
        if not isinstance(self.tokenizer, str):
            if self.pattern is not None or self.lowercase is not None:
                raise UsageError(
                    "pattern= and lowercase= are for the name of a file, not a Tokenizer"
                )
            return self.tokenizer
        tokenizer = open_tokenizer(self.tokenizer, pattern=self.pattern, lowercase=self.lowercase)
        for line in tokenizer.engine_notes:
            watch.note(f"{self.tokenizer}: {line}")
        return tokenizer


TokenizeReport = PartsReport[TokenCounts]


@dataclass(frozen=True)
class TokenizeParts:
    """Encode the rows of a part, count, check, and write or spell what the options say."""

    title: ClassVar[str] = "tokenizing"
    options: TokenizeOptions
    tokenizer: Tokenizer
    ending: str
    types: Mapping[str, pyarrow.DataType] = field(default_factory=dict)

    @property
    def columns(self) -> TokenColumns:
        """What an output row has."""
        options = self.options
        return TokenColumns(
            options.keep,
            self.tokenizer.has_vocabulary,
            options.spans,
            options.tokens,
            self.types,
            windows=options.window is not None,
        )

    def describe(self) -> Mapping[str, object]:
        """Say all that decides the bytes beside the rows."""
        return {
            "kind": "tokenize",
            "tokenizer": self.tokenizer.fingerprint,
            "output": self.ending,
            "max_length": self.options.max_length,
            "spans": self.options.spans,
            "tokens": self.options.tokens,
            **self._describe_windows(),
            **describe_types(self.types),
        }

    def _describe_windows(self) -> Mapping[str, object]:
        options = self.options
        if options.window is None:
            return {}
        return {
            "window": options.window,
            "stride": options.stride,
            "sentences": options.sentences or UNICODE,
        }

    def facts(self, job: Job) -> Mapping[str, object]:
        """Say nothing more of a finished job."""
        return {}

    def write(self, part: Part, folder: Path) -> TokenCounts:
        """Write the file of a part."""
        batch = self._encode(part, spans=self._needs_spans())
        write_file(folder / part_name(part.number, self.ending), part, batch, self.columns)
        return self._count(part, batch)

    def spell(self, part: Part) -> tuple[TokenCounts, bytes]:
        """Give the bytes of a part in a stream."""
        batch = self._encode(part, spans=True)
        return self._count(part, batch), render(self.ending, part, batch, self.columns)

    def count(self, part: Part) -> tuple[TokenCounts, bytes]:
        """Count the tokens of a part, and check its rows if asked; give no bytes."""
        counts = self._count(part, self._encode(part, spans=False))
        if self.options.check:
            counts.failures = check_rows(self.tokenizer, part.texts, first_row=part.first_row)
        return counts, b""

    def _needs_spans(self) -> bool:
        return self.options.spans or self.options.tokens or self.ending in TEXT_OUTPUTS

    def _encode(self, part: Part, *, spans: bool) -> TokenBatch:
        options = self.options
        if options.window is None:
            return self.tokenizer.encode(part.texts, spans=spans, max_length=options.max_length)
        batch = self.tokenizer.encode(part.texts, spans=True)
        return cut_windows(
            batch,
            part.texts,
            size=options.window,
            stride=options.stride,
            sentences=options.sentences or UNICODE,
        ).tokens

    def _count(self, part: Part, batch: TokenBatch) -> TokenCounts:
        unknown = self.tokenizer.unknown_id if self.tokenizer.has_vocabulary else None
        return TokenCounts(
            n_rows=len(part.rows),
            n_tokens=len(batch.ids),
            n_text_bytes=sum(
                len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
                for text in part.texts
            ),
            n_unknown=0 if unknown is None else int((batch.ids == unknown).sum()),
            n_truncated_rows=int((batch.truncated > 0).sum()),
            n_truncated_tokens=int(batch.truncated.sum()),
            n_replaced=batch.n_replaced,
            n_windows=0 if batch.sources is None else len(batch),
            lengths=Counter((batch.lengths + batch.truncated).tolist()),
        )


@dataclass(frozen=True)
class TokenizeOpening:
    """Open the work on a corpus: each process that shares in it does so by itself."""

    options: TokenizeOptions
    output: str
    types: Mapping[str, pyarrow.DataType] = field(default_factory=dict)

    def __call__(self, watch: Watch = Watch()) -> TokenizeParts:
        """Open the tokenizer, and note what had to be guessed of it."""
        tokenizer = self.options.open_tokenizer(watch)
        return TokenizeParts(self.options, tokenizer, self.output, self.types)


def tokenize_corpus(options: TokenizeOptions, *, watch: Watch = Watch()) -> TokenizeReport:
    """Tokenize a corpus into the folder `options.out`, as parts that a stopped job goes on from.

    >>> _ = Path("a.txt").write_text("Vanity and pride\\n\\n", encoding="utf-8")
    >>> report = tokenize_corpus(TokenizeOptions(inputs=["a.txt"], out=Path("tokens")))
    >>> report.n_parts, report.counts.n_rows, report.counts.n_tokens
    (1, 2, 3)
    """
    output = options.output or "parquet"
    if output not in (*TABLE_OUTPUTS, *TEXT_OUTPUTS):
        raise UsageError(unknown_name("output", output, (*TABLE_OUTPUTS, *TEXT_OUTPUTS)))
    if output == "colour":
        raise UsageError(
            "--to colour is for a terminal; use --show PAGE.html, or another --to with -o"
        )
    if options.out is None:
        raise UsageError("no folder for the parts; name one with out, or stream the tokens")
    source, types = options.open_inputs(), {}
    if output in TABLE_OUTPUTS:
        types = declared_types(source.names, options.format, options.keep)
    opening = TokenizeOpening(options, output, types)
    with Workers(options.workers, opening, on=options.on) as workers:
        work = opening(watch)
        return write_parts(
            work, options.out, source, options, counting=TokenCounts, watch=watch, workers=workers
        )


def stream_corpus(
    options: TokenizeOptions,
    sink: IO[bytes],
    *,
    n_rows: int = STREAM_ROWS,
    watch: Watch = Watch(),
) -> TokenizeReport:
    """Tokenize a corpus into an open binary file, which is flushed every `n_rows` rows.

    >>> import io
    >>> _ = Path("a.txt").write_text("Vanity and pride\\n", encoding="utf-8")
    >>> sink = io.BytesIO()
    >>> report = stream_corpus(TokenizeOptions(inputs=["a.txt"], output="text"), sink)
    >>> sink.getvalue()
    b'Vanity and pride\\n'
    """
    output = options.output or "jsonl"
    if output in TABLE_OUTPUTS:
        raise UsageError(f"--to {output} writes files: name a folder with -o")
    if output not in TEXT_OUTPUTS:
        raise UsageError(unknown_name("output", output, (*TABLE_OUTPUTS, *TEXT_OUTPUTS)))
    return _pass(options, output, sink, n_rows=n_rows, watch=watch)


def count_corpus(options: TokenizeOptions, *, watch: Watch = Watch()) -> TokenizeReport:
    """Count the tokens of a corpus, and with `check` verify spans and round trip.

    >>> _ = Path("a.txt").write_text("Vanity and pride\\n", encoding="utf-8")
    >>> count_corpus(TokenizeOptions(inputs=["a.txt"], check=True)).counts.n_tokens
    3
    """
    return _pass(options, "", None, n_rows=STREAM_ROWS, watch=watch)


def count_files(
    options: TokenizeOptions, *, watch: Watch = Watch()
) -> Iterator[tuple[str, TokenizeReport]]:
    """Count the tokens of each file of a corpus by itself, in order.

    >>> _ = Path("a.txt").write_text("Vanity and pride\\n", encoding="utf-8")
    >>> _ = Path("b.txt").write_text("", encoding="utf-8")
    >>> found = count_files(TokenizeOptions(inputs=["a.txt", "b.txt"]))
    >>> [(name, report.counts.n_tokens) for name, report in found]
    [('a.txt', 3), ('b.txt', 0)]
    """
    tokenizer = options.open_tokenizer(watch)
    one = replace(options, tokenizer=tokenizer, pattern=None, lowercase=None)
    for name in options.open_inputs().names:
        yield name, count_corpus(replace(one, inputs=[name]), watch=watch)


def _pass(
    options: TokenizeOptions, output: str, sink: IO[bytes] | None, *, n_rows: int, watch: Watch
) -> TokenizeReport:
    """Go through a corpus once; without a sink only count and check."""
    opening, source = TokenizeOpening(options, output), options.open_inputs()
    with Workers(options.workers, opening, on=options.on) as workers:
        work = opening(watch)
        counts, started = TokenCounts(), time.perf_counter()
        parts = Stoppable(cut_parts(source, n_rows=n_rows, n_characters=PART_CHARACTERS), watch)
        made = operator.attrgetter("count" if sink is None else "spell")
        for counted, data in workers.map(work, made, parts):
            counts.add(counted)
            if sink is not None:
                sink.write(data)
                sink.flush()
            speed = counts.speed(time.perf_counter() - started)
            watch.progress(Progress(work.title, counts.n_rows, details=speed))
    if counts.failures:
        raise DataError(
            f"{len(counts.failures):,} rows fail the check, the first: {counts.failures[0]}",
            where=source.names[0],
        )
    seconds = time.perf_counter() - started
    for line in source.notes:
        watch.note(line)
    return PartsReport(counts, seconds, counts, n_rows=counts.n_rows, stopped=parts.stopped)


def show_corpus(options: TokenizeOptions, page: Path, *, n_rows: int = SHOWN_ROWS) -> TokenCounts:
    """Write the first rows with their tokens coloured as an HTML page; count rows and tokens.

    >>> _ = Path("a.txt").write_text("Vanity and pride\\n", encoding="utf-8")
    >>> show_corpus(TokenizeOptions(inputs=["a.txt"]), Path("page.html")).n_tokens
    3
    """
    if options.window is not None:
        raise UsageError("a page shows rows, not windows; leave out window")
    tokenizer = options.open_tokenizer()
    source = options.open_inputs()
    texts = [row.text for row in itertools.islice(source, n_rows)]
    batch = tokenizer.encode(texts, spans=True, max_length=options.max_length)
    name = options.tokenizer if isinstance(options.tokenizer, str) else tokenizer.kind
    files.write_text(page, html_page(f"{', '.join(source.names)} by {name}", texts, batch))
    return TokenCounts(n_rows=len(texts), n_tokens=len(batch.ids))
