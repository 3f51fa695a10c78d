"""Where the sentences of a text are: by the rules of UAX 29, or by spaCy's.

In: a text. Out: the (start, end) of each sentence in it, in order. No model is asked: both rules
cut "Dr. Smith" behind the full stop, and UAX 29 does not where a small letter follows.

1. `unicode`: Sentence_Break of UAX 29 (version UNICODE_VERSION; tests run its SentenceBreakTest
   file). The sentences tile the text: white space belongs to the one before it.
2. `spacy`, or `spacy:de` for another language: what spaCy's `sentencizer` makes of that language's
   tokens. White space between two sentences belongs to neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textkit.errors import UsageError, unknown_name
from textkit.threads import SharedLock
from textkit.tokenizers.spans import replace_surrogates
from textkit.tokenizers.unicode_tables.sentences import SENTENCE

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer as SpacyCutter

UNICODE, SPACY = "unicode", "spacy"
SPACY_LANGUAGE = "en"
Spans = NDArray[np.int32]
FindSentences = Callable[[str], Spans]


# Behind the last character of the Basic Multilingual Plane: Python's re looks the others up in a
# table, and goes through the ranges of these one by one.
_ASTRAL = "\U00010000-\U0010ffff"


def _none_of(classes: str) -> str:
    """Match characters outside of some classes, ten times faster than `[^classes]` in a run."""
    basic = re.sub(r"[\U00010000-\U0010ffff]-?", "", classes)
    return f"(?:[^{basic}{_ASTRAL}]++|(?=[{_ASTRAL}])[^{classes}])"


def _pattern() -> str:
    """Build the pattern of UAX 29 sentences; the rule numbers SB are the standard's.

    Every look ahead ends at the next terminator, and possessive quantifiers give nothing back, so
    that the time is linear.
    """
    s = SENTENCE
    # SB5: marks and formats belong to what stands before them. None is ASCII, which is told first.
    extend = s["Extend"] + s["Format"]
    e = f"(?:(?![\\x00-\\x7f])[{extend}]++)?+"
    line_end = s["Sep"] + s["CR"] + s["LF"]
    terminator = s["STerm"] + s["ATerm"]
    after = f"(?:[{s['Close']}]{e})*+(?:[{s['Sp']}]{e})*+"
    # SB8: what follows a full stop goes on where a small letter is the first letter in it.
    small = _none_of(s["OLetter"] + s["Upper"] + s["Lower"] + line_end + terminator)
    small += f"*+[{s['Lower']}]"
    # SB6, SB8, SB8a: what follows a terminator and is the same sentence.
    full_stop = (
        f"[{s['ATerm']}]{e}(?:(?=[{s['Numeric']}])"
        f"|{after}(?=[{s['SContinue']}{terminator}]|{small}))"
    )
    mark = f"[{s['STerm']}]{e}{after}(?=[{s['SContinue']}{terminator}])"
    # SB7: no break in "U.S": behind a letter, and its marks, a full stop before a capital.
    initials = f"(?<=[{s['Upper']}{s['Lower']}]){e}[{s['ATerm']}]{e}(?=[{s['Upper']}])"
    plain = _none_of(terminator + line_end + extend)
    inside = f"(?:{plain}|{initials}|[{extend}]++|{full_stop}|{mark})"
    # SB3, SB4, SB9 to SB11: a line end breaks, and goes to the terminator before it.
    line_end = f"(?:{s['CR']}{s['LF']}|[{line_end}])"
    end = f"(?:[{terminator}]{e}{after}{line_end}?+|{line_end})"
    return f"{inside}++{end}?+|{end}"


@cache
def _finder() -> re.Pattern[str]:
    return re.compile(_pattern())


def sentences(text: str, *, rules: str = UNICODE) -> Spans:
    """Give the (start, end) of every sentence of a text: (n_sentences, 2) int32.

    rules: "unicode" for UAX 29, "spacy" or "spacy:LANGUAGE" for spaCy's sentencizer on the tokens
    of that language (extra `spacy`). No text, no sentence.

    >>> text = "It rains, e.g. today. 3.5 mm!"
    >>> [text[start:end] for start, end in sentences(text)]
    ['It rains, e.g. today. ', '3.5 mm!']
    """
    if not isinstance(text, str):
        raise UsageError(f"expected a text, found a {type(text).__name__}")
    return find_sentences(rules)(text)


@cache
def find_sentences(rules: str) -> FindSentences:
    """Give the function that finds the sentences of a text; UsageError for unknown rules.

    >>> find_sentences("unicode")("One. Two.").tolist()
    [[0, 5], [5, 9]]
    """
    name, colon, language = rules.partition(":")
    if name == SPACY and bool(colon) == bool(language):
        return _SpacySentences(language or SPACY_LANGUAGE)
    if rules != UNICODE:
        raise UsageError(unknown_name("sentence rules", rules, (UNICODE, SPACY, "spacy:LANGUAGE")))
    return _unicode_sentences


def _unicode_sentences(text: str) -> Spans:
    edges = np.fromiter((match.end() for match in _finder().finditer(text)), dtype=np.int32)
    edges = np.concatenate([np.zeros(min(1, len(edges)), dtype=np.int32), edges])
    return np.stack([edges[:-1], edges[1:]], axis=1)


class _SpacySentences:
    """What spaCy's `sentencizer` with its own options finds, for a text of any length.

    A sentence begins at the first token that is no punctuation behind one that ends sentences.
    """

    def __init__(self, language: str) -> None:
        from textkit.tokenizers.spacy_words import open_language

        self._cutter: SpacyCutter = open_language(language)
        from spacy.pipeline import Sentencizer

        strings = self._cutter.vocab.strings
        ends = [strings.add(mark) for mark in Sentencizer.default_punct_chars]
        self._ends = np.array(ends, dtype=np.uint64)
        # spaCy's caches and its table of words know no threads.
        self._cutting = SharedLock()

    def __call__(self, text: str) -> Spans:
        from spacy.attrs import IDX, IS_PUNCT, LENGTH, ORTH

        from textkit.tokenizers.spacy_words import cut_runs

        pieces, starts, _ = cut_runs(replace_surrogates([text], errors="replace")[0])
        with self._cutting:
            columns = [
                np.asarray(doc.to_array([ORTH, IDX, LENGTH, IS_PUNCT]), dtype=np.uint64)
                for doc in self._cutter.pipe(pieces)
            ]
        table = np.concatenate(columns)
        begins = table[:, 1] + np.repeat(starts, list(map(len, columns)))
        ends_sentence = np.isin(table[:, 0], self._ends)
        plain = np.flatnonzero(~(table[:, 3].astype(bool) | ends_sentence))
        n_ends = np.cumsum(ends_sentence)[plain]
        opens = plain[np.diff(n_ends, prepend=0) > 0]
        first = np.unique(np.concatenate([np.zeros(min(1, len(table)), np.int64), opens]))
        last = np.append(first[1:], len(table))[: len(first)] - 1
        spans = np.stack([begins[first], begins[last] + table[last, 2]], axis=1)
        return spans.astype(np.int32)
