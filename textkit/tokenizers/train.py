"""Train or make a tokenizer of any registered kind by its name.

In: a kind, texts, files or counts, options. Out: a Tokenizer, or several sizes of it from one run.
Options are checked against what the kind takes, so a misspelt one is refused with the nearest known
name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from textkit import registry
from textkit.errors import UsageError
from textkit.io.tables import take_texts
from textkit.tokenizers import counting
from textkit.tokenizers.protocol import Kind, Tokenizer


def train(
    kind: str,
    source: Path | Iterable[str | Path],
    *,
    memory_bytes: int | None = None,
    say: Callable[[str], None] | None = None,
    **options: object,
) -> Tokenizer:
    """Learn a vocabulary from texts (str) or files (Path, any format that `textkit.io.corpus`
    reads).

    The result is the same on every run, for any order of the texts and any number of threads.
    options: `size` (tokens, special ones included), `min_frequency`, `lowercase`, and what else the
    kind takes. memory_bytes: hold so much at most; counts that do not fit are on disk meanwhile,
    and the rarest pieces are left out where the trainer has no room for all. `say` is told how much
    fits and what was left out.

    >>> word = train("word", ["pride and vanity", "vanity"], size=4)
    >>> sorted(word.vocabulary, key=word.vocabulary.get)
    ['[PAD]', '[UNK]', 'vanity', 'and']
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.train, options, what=f"tokenizer '{kind}'")
    if memory_bytes is None:
        return found.train(iterate_texts(source), **registry.gather_options(found.train, options))
    pieces, learn = piece_finder(kind, **options), _learner(kind)
    if say is not None:
        say(
            f"up to {memory_bytes // counting.PIECE_BYTES:,} different pieces are counted in"
            f" memory, more go to disk;"
            f" the vocabulary is learnt from the {counting.learnable_pieces(memory_bytes):,} most"
            f" frequent"
        )
    counts = counting.count_texts(iterate_texts(source), pieces, memory_bytes=memory_bytes)
    frequent = counting.keep_frequent(counts, memory_bytes=memory_bytes, say=say)
    return learn(frequent, **registry.gather_options(learn, options))


def train_counts(
    kind: str,
    paths: Sequence[Path],
    *,
    memory_bytes: int | None = None,
    say: Callable[[str], None] | None = None,
    **options: object,
) -> Tokenizer:
    """Learn a vocabulary from counts files, as `write_counts` of `textkit.tokenizers.counting`
    makes them.
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.train, options, what=f"tokenizer '{kind}'")
    learn = _learner(kind)
    counts = counting.read_counts(list(paths), facts=count_facts(kind, **options))
    frequent = counting.keep_frequent(counts, memory_bytes=memory_bytes, say=say)
    return learn(frequent, **registry.gather_options(learn, options))


def piece_finder(kind: str, **options: object) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into the pieces that training a kind counts.

    >>> piece_finder("wordpiece")("Don't stop")
    ['don', "'", 't', 'stop']
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.train, options, what=f"tokenizer '{kind}'")
    _learner(kind)
    assert found.pieces is not None
    deciding = {name: value for name, value in options.items() if name not in _NOT_DECIDING}
    return found.pieces(**registry.gather_options(found.pieces, deciding))


def _learner(kind: str) -> Callable[..., Tokenizer]:
    found: Kind = registry.resolve("tokenizer", kind)
    if found.learn is None:
        raise UsageError(
            f"tokenizer '{kind}' does not learn from counts; leave out --memory and --counts"
        )
    return found.learn


# They decide what is learnt of the pieces, not the pieces.
_NOT_DECIDING = (
    "size",
    "min_frequency",
    "special_tokens",
    "initial_alphabet",
    "limit_alphabet",
    "max_token_length",
)


def count_facts(kind: str, **options: object) -> dict[str, object]:
    """Say what decides the pieces of a kind, for the header of a counts file."""
    deciding = {key: value for key, value in sorted(options.items()) if key not in _NOT_DECIDING}
    return {"kind": kind, "options": deciding}


def create(kind: str, **options: object) -> Tokenizer:
    """Make a tokenizer without training, from options such as `vocabulary`.

    >>> create("word").encode(["pride and vanity"], spans=True).spans.tolist()
    [[0, 5], [6, 9], [10, 16]]
    """
    found: Kind = registry.resolve("tokenizer", kind)
    registry.check_options(found.create, options, what=f"tokenizer '{kind}'")
    return found.create(**registry.gather_options(found.create, options))


def iterate_texts(source: Path | Iterable[str | Path]) -> Iterator[str]:
    """Give the texts of a mixed list of texts and files.

    A lone str is refused, it might be either.
    """
    if isinstance(source, str):
        raise UsageError(
            "expected a list of texts or a pathlib.Path, found one str; write [text] or"
            " Path('file.txt')"
        )
    if not isinstance(source, Path | set | frozenset):  # no order of texts matters here
        source = take_texts(source)
    for item in [source] if isinstance(source, Path) else source:
        if isinstance(item, Path):
            from textkit.io import corpus

            yield from (row.text for row in corpus.read_rows(item))
        else:
            yield item
