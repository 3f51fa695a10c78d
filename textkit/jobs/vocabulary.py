"""Tokenizers that are there already: look into one, extend one, hold two side by side.

In: names of tokenizers and of files. Out: what was found, a tokenizer folder, a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textkit import tokenizers
from textkit.errors import DataError, UsageError
from textkit.io import files
from textkit.io.bulk import Inputs
from textkit.jobs.colours import html_page
from textkit.jobs.runs import find_model
from textkit.tokenizers import PipelineTokenizer, Tokenizer
from textkit.tokenizers.inspection import Comparison, Inspection, compare, inspect
from textkit.watch import Watch


@dataclass(frozen=True, kw_only=True)
class ExtendOptions:
    """What is extended by what.

    tokenizer: what is extended; or model: a folder of a model, whose tokenizer is extended and
    whose rows follow; what is written is a folder of a model then. tokens: files with a token a
    line; those that the vocabulary has are left out. special: they are special tokens, never read
    from plain text. template: bert, roberta, t5 or llama, whose special tokens are added where the
    vocabulary has none. prune: files of texts; tokens that they do not need go.
    """

    tokenizer: str | None = None
    model: str | None = None
    out: Path
    tokens: Sequence[str] = ()
    special: bool = False
    template: str | None = None
    prune: Sequence[str] = ()
    text_column: str | None = None
    delimiter: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Two tokenizers, and the texts that both encode. show: a page of the texts that differ."""

    first: str
    second: str
    inputs: Sequence[str]
    text_column: str | None = None
    delimiter: str | None = None
    show: Path | None = None


def inspect_tokenizer(name: str, *, pattern: str | None = None) -> Inspection:
    """Open a tokenizer and say what is in it."""
    return inspect(tokenizers.load(name, pattern=pattern))


def extend_tokenizer(
    options: ExtendOptions, *, watch: Watch = Watch()
) -> tuple[Tokenizer, Tokenizer]:
    """Add tokens and a template, drop what texts do not need, save it; give the tokenizer as it was
    and as it is.

    >>> _ = Path("new.txt").write_text("<br>\\n", encoding="utf-8")
    >>> tokenizers.create("wordpiece", vocabulary=["[UNK]", "low"]).save("tok")
    >>> more = ExtendOptions(tokenizer="tok", tokens=["new.txt"], out=Path("tok2"))
    >>> [len(tok) for tok in extend_tokenizer(more)]
    [2, 3]
    """
    if not (options.tokens or options.template or options.prune):
        raise UsageError("nothing to change: give files of tokens, --template or --prune")
    files.refuse_finished(options.out, overwrite=options.overwrite)
    if (options.tokenizer is None) == (options.model is None):
        raise UsageError("name a tokenizer, or a model whose tokenizer is meant")
    if options.model is not None:
        return _extend_model(find_model(options.model), options, watch)
    old = tokenizers.load(str(options.tokenizer))
    new = _extended(old, options, watch)
    new.save(options.out, overwrite=options.overwrite)
    return old, new


def _extend_model(
    folder: Path, options: ExtendOptions, watch: Watch
) -> tuple[Tokenizer, Tokenizer]:
    """Extend the tokenizer of a model, and write the model with it."""
    config = files.read_object(folder / "config.json")
    if config.get("model_type") == "textkit":
        from textkit.classify import model_folder, narrowing

        fitted = model_folder.load(folder)
        old = fitted.text_input.tokenizer
        new = _extended(old, options, watch)
        changed = narrowing.change_tokenizer(fitted, new)
        model_folder.save(changed, options.out, overwrite=options.overwrite)
        return old, new
    from textkit.embedders.token_rows import write_with_tokenizer

    old = tokenizers.load(folder)
    new = _extended(old, options, watch)
    with files.atomic_folder(options.out, overwrite=options.overwrite) as temporary:
        for line in write_with_tokenizer(folder, temporary, old=old, new=new):
            watch.note(line)
    return old, new


def _extended(old: Tokenizer, options: ExtendOptions, watch: Watch) -> PipelineTokenizer:
    """Prune, add the tokens and the template."""
    if not isinstance(old, PipelineTokenizer):
        raise UsageError(f"a tokenizer of kind '{old.kind}' cannot be extended")
    new = old
    if options.prune:
        new = new.prune(_texts(options, options.prune, watch))
    if options.tokens:
        tokens = [token for name in options.tokens for token in _read_tokens(Path(name))]
        if not options.special:
            # An added token goes before all pieces: 'low' added would leave 'er' of 'lower' alone.
            tokens = [token for token in tokens if token not in new.vocabulary]
        new = new.add_tokens(tokens, special=options.special)
    if options.template is not None:
        new = new.with_template(options.template, add=True)
    return new


def compare_tokenizers(options: CompareOptions, *, watch: Watch = Watch()) -> Comparison:
    """Say where two tokenizers differ on texts, with the tokens of both a word side by side."""
    first, second = tokenizers.load(options.first), tokenizers.load(options.second)
    for name, tokenizer in ((options.first, first), (options.second, second)):
        for line in tokenizer.engine_notes:
            watch.note(f"{name}: {line}")
    found = compare(first, second, _texts(options, options.inputs, watch))
    if options.show is not None:
        texts = [example["text"] for example in found["examples"]]
        pages = (
            html_page(f"{name}: {fit['all']['fertility']:.3f} tokens a word", texts, batch)
            for name, fit, batch in (
                (options.first, found["first"], first.encode(texts, spans=True)),
                (options.second, found["second"], second.encode(texts, spans=True)),
            )
        )
        one, two = pages
        body = two[two.index("<h1>") :]
        files.write_text(options.show, one.replace("</body></html>", body.rstrip(), 1))
    return found


def _texts(
    options: ExtendOptions | CompareOptions, names: Sequence[str], watch: Watch
) -> list[str]:
    """Read the texts of files, and say what was guessed."""
    rows = Inputs.of(names, text_column=options.text_column, delimiter=options.delimiter)
    texts = [row.text for row in rows]
    for line in rows.notes:
        watch.note(line)
    return texts


def _read_tokens(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as err:
        raise DataError("is no UTF-8, expected a token a line", where=str(path)) from err
    return [line for line in dict.fromkeys(lines) if line]
