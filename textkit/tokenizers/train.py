"""Train or make a tokenizer of any registered kind by its name.

In: a kind, texts or files, options. Out: a Tokenizer. Options are checked against what the kind takes, so a misspelt
one is refused with the nearest known name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from textkit import corpus, registry
from textkit.errors import UsageError
from textkit.tokenizers.base import Kind, Tokenizer


def train(kind: str, source: Path | Iterable[str | Path], **options: Any) -> Tokenizer:
    """Learn a vocabulary from texts (str) or files (Path; any format that `textkit.corpus` reads).

    options: `size` (tokens, special ones included), `min_frequency`, `lowercase`, and what else the kind takes.

    >>> word = train("word", ["pride and vanity", "vanity"], size=4)
    >>> sorted(word.vocabulary, key=word.vocabulary.get)
    ['[PAD]', '[UNK]', 'vanity', 'and']
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.train, options, what=f"tokenizer '{kind}'")
    return found.train(iterate_texts(source), **options)


def create(kind: str, **options: Any) -> Tokenizer:
    """Make a tokenizer without training, from options such as `vocabulary`.

    >>> create("word").encode(["pride and vanity"], spans=True).spans.tolist()
    [[0, 5], [6, 9], [10, 16]]
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.create, options, what=f"tokenizer '{kind}'")
    return found.create(**options)


def iterate_texts(source: Path | Iterable[str | Path]) -> Iterator[str]:
    """Give the texts of a mixed list of texts and files; a lone str is refused, it might be either."""
    if isinstance(source, str):
        raise UsageError("expected a list of texts or a pathlib.Path, found one str; write [text] or Path('file.txt')")
    for item in [source] if isinstance(source, Path) else source:
        if isinstance(item, Path):
            yield from (row.text for row in corpus.read_rows(item))
        else:
            yield item
