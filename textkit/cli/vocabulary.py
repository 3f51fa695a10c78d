"""`textkit tokenizer inspect`, `extend` and `compare`: tokenizers that are there already.

The work stands in textkit/jobs/vocabulary.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, TOKENIZER
from textkit.cli.options import (
    AsJsonLine,
    Delimiter,
    OutFolder,
    Overwrite,
    SplitPattern,
    TextKey,
    among,
    complete_paths,
)

Name = Annotated[
    str,
    typer.Argument(
        metavar="TOKENIZER", help="Folder or file, or hf:NAME.", autocompletion=complete_paths
    ),
]
Other = Annotated[
    str,
    typer.Argument(metavar="OTHER", help="Another one.", autocompletion=complete_paths),
]


def inspect(tokenizer: Name, pattern: SplitPattern = None, as_json: AsJsonLine = False) -> None:
    """Say what is in a tokenizer: size, special tokens, template, longest tokens.

    Examples:
        textkit tokenizer inspect tok/
        textkit tokenizer inspect tokenizer.json --json
    """
    from textkit.cli.output import to_json, write_line
    from textkit.jobs.vocabulary import inspect_tokenizer
    from textkit.tokenizers.inspection import render_inspection

    found = inspect_tokenizer(tokenizer, pattern=pattern)
    write_line(to_json(found) if as_json else render_inspection(found))


def extend(
    out: OutFolder,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOKENIZER] [FILES]",
            help="Folder or file, or hf:NAME; then files with a token a line.",
            autocompletion=complete_paths,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Extend the tokenizer of this model, with its rows; FILES alone stand before.",
            autocompletion=complete_paths,
            rich_help_panel=MODEL,
        ),
    ] = None,
    special: Annotated[
        bool,
        typer.Option(
            "--special", help="They are special: not read from text.", rich_help_panel=TOKENIZER
        ),
    ] = False,
    template: Annotated[
        str | None,
        typer.Option(
            help="Special tokens round texts: bert, roberta, t5, llama.",
            autocompletion=among("bert", "roberta", "t5", "llama"),
            rich_help_panel=TOKENIZER,
        ),
    ] = None,
    prune: Annotated[
        list[str] | None,
        typer.Option(help="Texts; tokens that they do not need go.", rich_help_panel=INPUT),
    ] = None,
    text_column: TextKey = None,
    delimiter: Delimiter = None,
    overwrite: Overwrite = False,
) -> None:
    """Add tokens and a template to a tokenizer, or to that of a model, or leave out what texts do
    not need.

    With --model a folder of the model is written: of textkit, or of transformers with its weights
    as safetensors. A new token gets the mean of the rows of its pieces.

    Examples:
        textkit tokenizer extend tok/ names.txt -o tok2
        textkit tokenizer extend tok/ --template bert -o tok2
        textkit tokenizer extend tok/ --prune corpus.txt -o small
        textkit tokenizer extend names.txt --model bert/ -o bert2
    """
    from textkit.cli.output import note
    from textkit.jobs.vocabulary import ExtendOptions, extend_tokenizer
    from textkit.watch import Watch

    given = names or []
    old, new = extend_tokenizer(
        ExtendOptions(
            tokenizer=given[0] if given and model is None else None,
            model=model,
            out=out,
            tokens=given if model is not None else given[1:],
            special=special,
            template=template,
            prune=prune or (),
            text_column=text_column,
            delimiter=delimiter,
            overwrite=overwrite,
        ),
        watch=Watch(note=note),
    )
    note(
        f"{out}: {new.kind}, {len(new):,} tokens where there were {len(old):,}, fingerprint"
        f" {new.fingerprint[:12]}"
    )


def compare(
    tokenizer: Name,
    other: Other,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FILES", help="Files, globs, folders; any format textkit reads."),
    ],
    text_column: TextKey = None,
    delimiter: Delimiter = None,
    show: Annotated[
        Path | None,
        typer.Option(
            help="Write texts that differ, coloured, as an HTML page.", rich_help_panel=OUTPUT
        ),
    ] = None,
    as_json: AsJsonLine = False,
) -> None:
    """Hold two tokenizers side by side on texts: tokens a word, and the texts that differ.

    Examples:
        textkit tokenizer compare tok/ bert/ corpus.txt
        textkit tokenizer compare tok/ bert/ corpus.txt --show page.html
    """
    from textkit.cli.output import note, to_json, write_line
    from textkit.jobs.vocabulary import CompareOptions, compare_tokenizers
    from textkit.tokenizers.inspection import render_comparison
    from textkit.watch import Watch

    options = CompareOptions(
        first=tokenizer,
        second=other,
        inputs=inputs,
        text_column=text_column,
        delimiter=delimiter,
        show=show,
    )
    found = compare_tokenizers(options, watch=Watch(note=note))
    write_line(to_json(found) if as_json else render_comparison(found, (tokenizer, other)))
