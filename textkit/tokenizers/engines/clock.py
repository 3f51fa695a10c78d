"""A time limit for the patterns of a tokenizer that somebody else wrote.

In: the description of a tokenizer. Out: a Clock, which ends a call of an engine that takes too
long.

The engines that run patterns, Oniguruma and splintr's, have no clock of their own: `[a-z]+@` on a
million letters takes hours. A pattern that is known, or shown to take linear time, needs none. With
any other a call runs in a thread of its own, which is waited for; one that is given up goes on
until it ends, or the process does. Of what tokenizers offers only `encode_batch` can be waited for:
the other calls hold Python's lock, so they come after it, on a text that it has been through.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

from textkit.errors import ArtifactError, LimitError, UsageError
from textkit.tokenizers.description import Description, Step
from textkit.tokenizers.engines.forking import native_calls

Result = TypeVar("Result")

# A call may take so many seconds, and one more for so many characters: at the slowest, 1 % of what
# a pattern that takes linear time needs on one busy core.
LIMIT_SECONDS, CHARACTERS_A_SECOND = 10.0, 50_000
_SHOWN = 60
# A longer pattern is not looked at: each of its classes takes 3 ms.
_LONGEST = 4_000
# A place where a text begins and is none of some words: tried once.
_ONE_LOOK_AHEAD = re.compile(r"\\A\(\?!\(\?:[^\\()*+{]*(?:\\.[^\\()*+{]*)*\)\?\\z\)").fullmatch


@dataclass(frozen=True)
class Clock:
    """Runs calls of engines, under a limit where a tokenizer has a pattern that may be slow.

    pattern: that one, or None. normalizes: the normaliser has it.

    >>> Clock(None).run(lambda: 1, ["a"])
    1
    """

    pattern: str | None
    normalizes: bool = False

    @classmethod
    def of(cls, description: Description) -> Clock:
        """Make the clock of a tokenizer.

        ArtifactError for a decoder with such a pattern: it cannot be run under a clock.
        """
        slow = next(_slow_patterns(description["decoder"]), None)
        if slow is not None:
            raise ArtifactError(
                f"the decoder has the pattern {_shown(slow)}, which can read far ahead and then"
                " fail; textkit runs no such pattern where it cannot be stopped"
            )
        first = next(_slow_patterns(description["normalizer"]), None)
        if first is not None:
            return cls(first, normalizes=True)
        return cls(next(_slow_patterns(description["pre_tokenizer"]), None))

    @property
    def is_needed(self) -> bool:
        """Tell whether there is a pattern that may be slow."""
        return self.pattern is not None

    def run(self, call: Callable[[], Result], texts: Sequence[str]) -> Result:
        """Give what a call gives that reads these texts; LimitError where it takes too long."""
        if self.pattern is None:
            return call()
        n_characters = sum(map(len, texts))
        seconds = LIMIT_SECONDS + n_characters / CHARACTERS_A_SECOND
        outcome: list[tuple[Any, BaseException | None]] = []

        def work() -> None:
            try:
                outcome.append((call(), None))
            except BaseException as err:  # noqa: BLE001 - raised again where it is waited for
                outcome.append((None, err))

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(seconds)
        if not outcome:
            native_calls.give_up(worker)
            raise LimitError(
                f"the pattern {_shown(self.pattern)} of this tokenizer takes more than"
                f" {seconds:.0f} s on {n_characters:,} characters; it reads far ahead and then"
                " fails; cut the text, or take another tokenizer"
            )
        result, err = outcome[0]
        if err is not None:
            raise err
        return cast(Result, result)


NO_CLOCK = Clock(None)


def _shown(pattern: str) -> str:
    return repr(pattern if len(pattern) < _SHOWN else pattern[: _SHOWN - 3] + "...")


def _slow_patterns(step: Step | None) -> Iterator[str]:
    """Give the patterns of a step, and of those within it, that are not known to be linear."""
    if step is None:
        return
    for inner in (
        *step.get("normalizers", ()),
        *step.get("pretokenizers", ()),
        *step.get("decoders", ()),
    ):
        yield from _slow_patterns(inner)
    pattern = step.get("pattern", {}).get("Regex")
    if pattern is not None and not _is_linear(pattern):
        yield pattern


@cache
def _is_linear(pattern: str) -> bool:
    from textkit.tokenizers.splitters import AT_THE_ENDS, META_AT_THE_END, QWEN, SPLITS
    from textkit.tokenizers.unicode_breaks import CHARACTERS, TILINGS

    # Looked at by hand: where one of them reads a run of spaces in vain, it takes that run next.
    known = (*SPLITS.values(), QWEN, AT_THE_ENDS, META_AT_THE_END, CHARACTERS, *TILINGS)
    if pattern in known or _ONE_LOOK_AHEAD(pattern):
        return True
    from textkit.tokenizers.patterns import is_sure  # whose classes of characters take 20 ms

    try:
        return len(pattern) <= _LONGEST and is_sure(pattern)
    except UsageError:
        return False
