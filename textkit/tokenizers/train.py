"""Train or make a tokenizer of any registered kind by its name.

In: a kind, texts, files or counts, options. Out: a Tokenizer, or several sizes of it from one run. Options are checked
against what the kind takes, so a misspelt one is refused with the nearest known name.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tokenizers as hf

from textkit import registry
from textkit.errors import UsageError
from textkit.tokenizers import counting
from textkit.tokenizers.base import Kind, PipelineTokenizer, Tokenizer


def train(
    kind: str,
    source: Path | Iterable[str | Path],
    *,
    memory_bytes: int | None = None,
    **options: Any,
) -> Tokenizer:
    """Learn a vocabulary from texts (str) or files (Path; any format that `textkit.corpus` reads).

    The result is the same on every run, for any order of the texts and any number of threads. options: `size` (tokens,
    special ones included), `min_frequency`, `lowercase`, and what else the kind takes. memory_bytes: count the pieces
    first, on disk where they do not fit.

    >>> word = train("word", ["pride and vanity", "vanity"], size=4)
    >>> sorted(word.vocabulary, key=word.vocabulary.get)
    ['[PAD]', '[UNK]', 'vanity', 'and']
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.train, options, what=f"tokenizer '{kind}'")
    texts = iterate_texts(source)
    if memory_bytes is None:
        return found.train(texts, **options)
    backend = splitter(kind, **options)
    counts = counting.count_texts(texts, backend, memory_bytes=memory_bytes)
    return found.train(counting.expand_counts(counts, backend), **options)


def train_counts(kind: str, paths: Sequence[Path], **options: Any) -> Tokenizer:
    """Learn a vocabulary from counts files, as `write_counts` of `textkit.tokenizers.counting` makes them."""
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.train, options, what=f"tokenizer '{kind}'")
    backend = splitter(kind, **options)
    counts = counting.read_counts(list(paths), facts=count_facts(kind, **options))
    return found.train(counting.expand_counts(counts, backend), **options)


def splitter(kind: str, **options: Any) -> hf.Tokenizer:
    """Give the normaliser and splitter that a kind trains behind, by training it on nothing."""
    found: Kind = registry.resolve("tokenizer", kind)
    if kind == "unigram":
        raise UsageError("unigram learns from whole texts, not from counts; leave out --memory and --counts")
    small = {"size": 300} if "size" in registry.default_options(found.train) else {}
    made = found.train(["a"], **{**options, **small})
    assert isinstance(made, PipelineTokenizer)
    return hf.Tokenizer.from_str(made.json)


def count_facts(kind: str, **options: Any) -> dict[str, Any]:
    """Say what decides the pieces of a kind, for the header of a counts file."""
    deciding = {key: value for key, value in sorted(options.items()) if key not in ("size", "min_frequency")}
    return {"kind": kind, "options": deciding}


def create(kind: str, **options: Any) -> Tokenizer:
    """Make a tokenizer without training, from options such as `vocabulary`.

    >>> create("word").encode(["pride and vanity"], spans=True).spans.tolist()
    [[0, 5], [6, 9], [10, 16]]
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.create, options, what=f"tokenizer '{kind}'")
    return found.create(**options)


def cut_vocabulary(tokenizer: Tokenizer, size: int) -> PipelineTokenizer:
    """Give the smaller tokenizer that training to `size` would have given: vocabularies of a run nest.

    Holds for kinds that learn token after token: BPE, WordPiece, words, characters. Unigram prunes, and is refused.

    >>> word = train("word", ["a a a b b c"])
    >>> cut_vocabulary(word, 3).encode(["a b"]).ids.tolist()
    [2, 1]
    """
    assert isinstance(tokenizer, PipelineTokenizer)
    description = copy.deepcopy(json.loads(tokenizer.json))
    model = description["model"]
    if model["type"] == "Unigram":
        raise UsageError("unigram vocabularies do not nest; train one size at a time")
    if size > len(tokenizer.vocabulary):
        raise UsageError(f"size is {size}, but only {len(tokenizer.vocabulary)} tokens were learnt")
    model["vocab"] = {token: i for token, i in model["vocab"].items() if i < size}
    if "merges" in model:
        pairs = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [pair for pair in pairs if all(part in model["vocab"] for part in (*pair, "".join(pair)))]
    return PipelineTokenizer(hf.Tokenizer.from_str(json.dumps(description)), kind=tokenizer.kind)


def iterate_texts(source: Path | Iterable[str | Path]) -> Iterator[str]:
    """Give the texts of a mixed list of texts and files; a lone str is refused, it might be either."""
    if isinstance(source, str):
        raise UsageError("expected a list of texts or a pathlib.Path, found one str; write [text] or Path('file.txt')")
    for item in [source] if isinstance(source, Path) else source:
        if isinstance(item, Path):
            from textkit import corpus

            yield from (row.text for row in corpus.read_rows(item))
        else:
            yield item
