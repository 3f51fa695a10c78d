"""`textkit tokenizer`: train a vocabulary, count for one, convert one, and report how well it
fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILES", help="Files, globs, folders; any format textkit reads."),
]
KindName = Annotated[
    str, typer.Option("--kind", "-k", help="bpe, wordpiece, unigram, word, char, ... or a plug-in.")
]
TextColumn = Annotated[str | None, typer.Option(help="Column or key that holds the text.")]
MinFrequency = Annotated[int | None, typer.Option(help="Leave out what occurs less often.")]
Lowercase = Annotated[bool | None, typer.Option("--lowercase/--no-lowercase", help="Fold case.")]
Form = Annotated[str | None, typer.Option(help="Unicode normal form: nfc, nfd, nfkc, nfkd.")]
Pattern = Annotated[str | None, typer.Option(help="For -k regex: the pattern of a token.")]
Split = Annotated[str | None, typer.Option(help="For -k bpe: gpt2, cl100k or o200k.")]


@app.callback()
def _tokenizer() -> None:
    """Train, count, convert and report on tokenizers."""


@app.command()
def train(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILES", help="Texts, or with --counts counts files.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder to write; with several sizes, -SIZE is added."),
    ],
    kind: KindName = "bpe",
    size: Annotated[
        str, typer.Option(help="Tokens, special ones included; several as 8000,16000.")
    ] = "30000",
    min_frequency: MinFrequency = None,
    lowercase: Lowercase = None,
    form: Form = None,
    pattern: Pattern = None,
    split: Split = None,
    text_column: TextColumn = None,
    memory: Annotated[
        str | None, typer.Option(help="Count pieces first, in this much memory (2G), then on disk.")
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="FILES are counts of `textkit tokenizer count`.")
    ] = False,
) -> None:
    """Learn a vocabulary: the same bytes on every run, for any order of the files and any number
    of threads.
    """
    from textkit import tokenizers
    from textkit.cli.learning import Watch
    from textkit.cli.output import note
    from textkit.tokenizers.counting import parse_memory
    from textkit.tokenizers.train import cut_vocabulary, train_counts

    sizes = _parse_sizes(size)
    options = _chosen(
        size=max(sizes),
        min_frequency=min_frequency,
        lowercase=lowercase,
        form=form,
        pattern=pattern,
        split=split,
    )
    if kind == "byte":
        options.pop("size")
    bounds: dict[str, Any] = {
        "memory_bytes": None if memory is None else parse_memory(memory),
        "say": note,
    }
    with Watch(kind) as watch:
        if counts:
            watch.start_learning()
            largest = train_counts(kind, [Path(name) for name in inputs], **bounds, **options)
        else:
            texts = _texts(inputs, text_column, when_read=watch.start_learning)
            largest = tokenizers.train(kind, texts, **bounds, **options)
    for number in sizes:
        whole = number >= len(largest.vocabulary) or len(sizes) == 1
        made = largest if whole else cut_vocabulary(largest, number)
        folder = out if len(sizes) == 1 else out.with_name(f"{out.name}-{number}")
        made.save(folder)
        note(
            f"{folder}: {kind}, {len(made.vocabulary):,} tokens, fingerprint"
            f" {made.fingerprint[:12]}"
        )


@app.command()
def count(
    inputs: Files,
    out: Annotated[Path, typer.Option("--out", "-o", help="Counts file to write.")],
    kind: KindName = "bpe",
    lowercase: Lowercase = None,
    form: Form = None,
    pattern: Pattern = None,
    split: Split = None,
    text_column: TextColumn = None,
    memory: Annotated[str, typer.Option(help="Memory for counts before they go to disk.")] = "2G",
) -> None:
    """Count pieces for a later `train --counts`, so that machines can count apart and train
    together.
    """
    from textkit.cli.output import note
    from textkit.tokenizers import counting
    from textkit.tokenizers.train import count_facts, piece_finder

    options = _chosen(lowercase=lowercase, form=form, pattern=pattern, split=split)
    limit = counting.parse_memory(memory)
    note(
        f"up to {limit // counting.PIECE_BYTES:,} different pieces are held in {memory}; more go"
        f" to disk"
    )
    found = counting.count_texts(
        _texts(inputs, text_column), piece_finder(kind, **options), memory_bytes=limit
    )
    number = counting.write_counts(out, found, facts=count_facts(kind, **options))
    note(f"{out}: {number:,} different pieces")


@app.command()
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="tokenizer.json, vocab.txt, vocab.json, .tiktoken, .model, folder, hf:NAME."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
) -> None:
    """Turn any known tokenizer format into a folder that textkit, tokenizers and transformers
    read.
    """
    from textkit import tokenizers
    from textkit.cli.output import note

    made = tokenizers.load(source)
    made.save(out)
    note(
        f"{out}: {made.kind}, {len(made.vocabulary):,} tokens, fingerprint {made.fingerprint[:12]}"
    )


@app.command()
def report(
    tokenizer: Annotated[
        str, typer.Argument(metavar="TOKENIZER", help="Folder or file, or hf:NAME.")
    ],
    inputs: Files,
    by: Annotated[str | None, typer.Option(help="Column to report by, such as language.")] = None,
    text_column: TextColumn = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one line of JSON.")] = False,
) -> None:
    """Say how well a tokenizer fits texts: coverage, fertility, unused ids."""
    from textkit import tokenizers
    from textkit.cli.output import to_json, write_line
    from textkit.io.bulk import Inputs
    from textkit.tokenizers.report import measure_fit, render_fit

    rows = Inputs.of(inputs, text_column=text_column, keep=() if by is None else (by,))
    pairs = ((row.text, "" if by is None else row.kept[0] or "(none)") for row in rows)
    found = measure_fit(tokenizers.load(tokenizer), pairs)
    write_line(to_json(found) if as_json else render_fit(found))


def _texts(
    inputs: list[str], text_column: str | None, *, when_read: Callable[[], None] | None = None
) -> Iterator[str]:
    """Stream the texts of files with a progress line, with the time left where sizes tell.

    Say what was guessed.
    """
    from textkit.cli.output import ProgressBar, note
    from textkit.io.bulk import Inputs

    rows = Inputs.of(inputs, text_column=text_column)
    plain = all(name.endswith(".txt") for name in rows.names)
    total = sum(Path(name).stat().st_size for name in rows.names) // 1000 if plain else None
    n_bytes = 0
    with ProgressBar("reading", total=total, unit="kB") as progress:
        for number, row in enumerate(rows, start=1):
            n_bytes += len(row.text.encode("utf-8", "surrogatepass")) + 1
            if number % 1000 == 0:
                progress.update(n_bytes // 1000, details=f"{number:,} rows")
            yield row.text
    for line in rows.notes:
        note(line)
    if when_read is not None:
        when_read()


def _parse_sizes(text: str) -> list[int]:
    from textkit.errors import UsageError

    if not all(part.isdigit() for part in text.split(",")):
        raise UsageError(f"expected --size N or N,M,..., found '{text}'")
    return sorted({int(part) for part in text.split(",")})


def _chosen(**options: Any) -> dict[str, Any]:
    """Leave out what was not chosen: the kind has its own defaults."""
    return {name: value for name, value in options.items() if value is not None}
