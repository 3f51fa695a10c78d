"""Why a text is of no use for training a language model: too short or long, one thing again and
again, no words.

In: texts and bounds. Out: for each text the first bound that it breaks, with its measure. After the
rules of Gopher (Rae and others, 2021), each of which stands alone here and is off unless asked for;
where words have no spaces between them, as in Chinese, a character counts as a word.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textkit.data.checked_rows import normalise
from textkit.errors import UsageError

# From here on each character is a word: Chinese, Japanese and Korean.
_FIRST_CJK = "\u2e80"
_GRAM = 3


@dataclass(frozen=True)
class Fault:
    """Why a text goes: the rule and what was measured."""

    rule: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a text must keep to; None is no bound.

    - min_characters, max_characters, min_words, max_words: of its length.
    - max_repeats: the share of its runs of three words that come in it before, 0 to 1.
    - max_repeated_lines: the share of its lines, of those that are not blank, that come before.
    - max_symbols: the share of its characters that are no letter, mark, digit or white space.

    >>> bounds = Bounds(min_words=2, max_repeats=0.5)
    >>> bounds.judge("so it goes"), bounds.judge("no")
    (None, Fault(rule='min_words', value=1))
    >>> bounds.judge("buy now " * 9)
    Fault(rule='max_repeats', value=0.875)
    """

    min_characters: int | None = None
    max_characters: int | None = None
    min_words: int | None = None
    max_words: int | None = None
    max_repeats: float | None = None
    max_repeated_lines: float | None = None
    max_symbols: float | None = None

    def __post_init__(self) -> None:
        for name, bound in self.given().items():
            most = 1 if name in _SHARES else None
            if bound < 0 or (most is not None and bound > most):
                wanted = "0 to 1" if most else "at least 0"
                raise UsageError(f"{name} is {bound}, expected {wanted}")
        for kind in ("characters", "words"):
            least, most = getattr(self, f"min_{kind}"), getattr(self, f"max_{kind}")
            if least is not None and most is not None and least > most:
                raise UsageError(f"min_{kind} is {least}, more than max_{kind}, {most}")

    def given(self) -> dict[str, float]:
        """Give the bounds that there are, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def judge(self, text: str) -> Fault | None:
        """Give the first bound that a text breaks."""
        for name, bound in self.given().items():
            value = _MEASURES[name](text)
            if value < bound if name.startswith("min") else value > bound:
                return Fault(name, round(value, 4))
        return None


def split_words(text: str) -> list[str]:
    """Cut a text into words without case and punctuation, each character where there are no spaces.

    >>> split_words("Don't stop, 漢字!")
    ['dont', 'stop', '漢', '字']
    """
    words: list[str] = []
    for word in normalise(text).split():
        if word < _FIRST_CJK and max(word) < _FIRST_CJK:
            words.append(word)
            continue
        held = ""
        for char in word:
            if char < _FIRST_CJK:
                held += char
                continue
            words += [held, char] if held else [char]
            held = ""
        words += [held] if held else []
    return words


def _repeats(text: str) -> float:
    words = split_words(text)
    return _share_repeated([tuple(words[at : at + _GRAM]) for at in range(len(words) - _GRAM + 1)])


def _repeated_lines(text: str) -> float:
    return _share_repeated([line.strip() for line in text.splitlines() if line.strip()])


def _share_repeated(items: Sequence[object]) -> float:
    return 1 - len(set(items)) / len(items) if items else 0.0


def _symbols(text: str) -> float:
    """Give the share of characters that are no letter, mark, digit or white space."""
    counts = Counter(text)
    other = sum(
        number
        for char, number in counts.items()
        if not char.isspace() and unicodedata.category(char)[0] not in "LMN"
    )
    return other / len(text) if text else 0.0


_SHARES = ("max_repeats", "max_repeated_lines", "max_symbols")
_MEASURES: dict[str, Callable[[str], float]] = {
    "min_characters": len,
    "max_characters": len,
    "min_words": lambda text: len(split_words(text)),
    "max_words": lambda text: len(split_words(text)),
    "max_repeats": _repeats,
    "max_repeated_lines": _repeated_lines,
    "max_symbols": _symbols,
}
