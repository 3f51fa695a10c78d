"""Tokenizers that cut a text by a pattern and look each piece up: words, graphemes and characters
share this.

In: a pattern whose matches are the tokens, and texts to count or a vocabulary. Out: a
PipelineTokenizer whose vocabulary is [PAD], [UNK] and then the pieces by falling frequency, ties in
code point order: the same on every run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import tokenizers as hf
from tokenizers import Regex, models, pre_tokenizers

from textkit.errors import UsageError
from textkit.tokenizers.counting import count_texts
from textkit.tokenizers.normalization import make_normalizer
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import PAD, UNKNOWN, Kind, check_size
from textkit.tokenizers.unicode_breaks import CHARACTERS, SPACE, TILINGS, WORDS, WORDS_ONLY

# WORDS_ONLY tries every alternative at each space; WORDS takes the space and goes on, ten times
# faster.
_COUNTED = {WORDS_ONLY: WORDS}


def pattern_kind(kind: str, pattern: str, *, decoder: Any = None) -> Kind:
    """Make the kind whose tokens are the matches of a pattern."""
    return Kind(
        train=partial(train_lookup, kind, pattern, decoder),
        create=partial(create_lookup, kind, pattern, decoder),
        pieces=partial(find_lookup, pattern),
        learn=partial(learn_lookup, kind, pattern, decoder),
    )


def train_lookup(
    kind: str,
    token_pattern: str,
    decoder: Any,
    texts: Iterable[str],
    *,
    size: int = 30_000,
    min_frequency: int = 1,
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn the `size` most frequent pieces that occur at least `min_frequency` times."""
    options: dict[str, Any] = {"lowercase": lowercase, "form": form, "strip_accents": strip_accents}
    counts = count_texts(texts, find_lookup(token_pattern, **options))
    return learn_lookup(
        kind, token_pattern, decoder, counts, size=size, min_frequency=min_frequency, **options
    )


def find_lookup(
    token_pattern: str,
    *,
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> Callable[[str], list[str]]:
    """Give the function that normalises a text and finds its pieces."""
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    find = _finder(token_pattern)
    return find if normalizer is None else lambda text: find(normalizer.normalize_str(text))


def learn_lookup(
    kind: str,
    token_pattern: str,
    decoder: Any,
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 30_000,
    min_frequency: int = 1,
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Take the most frequent of counted pieces; ties stand in code point order."""
    check_size(size, at_least=2)
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    # The pattern that is counted with finds white space too.
    is_space = re.compile(f"{SPACE}+" if token_pattern in _COUNTED else "(?!)").fullmatch
    known = {piece: n for piece, n in counts if n >= min_frequency and piece not in (PAD, UNKNOWN)}
    ranked = sorted(
        (piece for piece in known if not is_space(piece)), key=lambda piece: (-known[piece], piece)
    )
    return make_lookup(
        ranked[: size - 2], kind=kind, pattern=token_pattern, normalizer=normalizer, decoder=decoder
    )


def create_lookup(
    kind: str,
    token_pattern: str,
    decoder: Any,
    *,
    vocabulary: Sequence[str] = (),
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Make a tokenizer from a list of pieces.

    With none it still splits, and every piece is unknown.
    """
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    return make_lookup(
        vocabulary, kind=kind, pattern=token_pattern, normalizer=normalizer, decoder=decoder
    )


def _finder(pattern: str) -> Callable[[str], list[str]]:
    """Give the function that finds the pieces of a text: our own patterns at once, a user's with
    its cutter.
    """
    if pattern in TILINGS or pattern == CHARACTERS:
        return re.compile(_COUNTED.get(pattern, pattern)).findall
    from textkit.tokenizers import patterns

    cut = patterns.cutter(pattern).cut
    return lambda text: cut(text)[1::2]


def make_lookup(
    vocabulary: Sequence[str], *, kind: str, pattern: str, normalizer: Any, decoder: Any = None
) -> PipelineTokenizer:
    """Build the tokenizer of a vocabulary.

    [PAD] and [UNK] are put first where it does not hold them.
    """
    missing = [token for token in (PAD, UNKNOWN) if token not in vocabulary]
    tokens = dict.fromkeys([*missing, *vocabulary])
    if len(tokens) != len(missing) + len(vocabulary):
        twice = next(token for token, count in Counter(vocabulary).items() if count > 1)
        raise UsageError(f"vocabulary holds {twice!r} more than once")
    backend = hf.Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token=UNKNOWN)
    )
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    if decoder is not None:
        backend.decoder = decoder
    backend.add_special_tokens([PAD, UNKNOWN])
    return PipelineTokenizer(backend, kind=kind)
