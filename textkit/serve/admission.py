"""What the server may hold at once: items, tokens and bytes of all requests together.

A request takes its share before it is read and gives it back when it is answered. Past the bounds
it is refused with the seconds after which to come again. Only the event loop's thread uses this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from textkit.errors import LimitError
from textkit.serve.options import Limits

# The pace of the last batches, of which each counts a tenth.
_NEWEST = 0.1


class BusyError(LimitError):
    """The server holds all it may; after_seconds: when to come again."""

    def __init__(self, message: str, *, after_seconds: int = 1) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


@dataclass
class Share:
    """What one request holds."""

    items: int = 0
    tokens: int = 0
    bytes: int = 0


class Admission:
    """Count what all requests hold.

    >>> admission = Admission(Limits(items=2))
    >>> share = Share()
    >>> admission.take(share, items=2)
    >>> admission.take(Share(), items=1)
    Traceback (most recent call last):
    textkit.serve.admission.BusyError: the server holds 2 items, and 1 more would pass its 2
    >>> admission.give_back(share)
    >>> admission.held.items
    0
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held = Share()
        self.tokens_per_second = 0.0

    def take(self, share: Share, *, items: int = 0, tokens: int = 0, bytes: int = 0) -> None:
        """Let a request hold more; BusyError where that would pass a bound.

        A request alone may pass the bound of tokens: else it could never be answered.
        """
        asked = {"items": items, "tokens": tokens, "bytes": bytes}
        for name, more in asked.items():
            held, bound = getattr(self.held, name), getattr(self.limits, name)
            if more and held + more > bound and not (name == "tokens" and held == 0):
                raise BusyError(
                    f"the server holds {held:,} {name}, and {more:,} more would pass its {bound:,}",
                    after_seconds=self.wait_seconds(),
                )
        for name, more in asked.items():
            setattr(share, name, getattr(share, name) + more)
            setattr(self.held, name, getattr(self.held, name) + more)

    def refuse_when_full(self) -> None:
        """Raise BusyError where not one more item could be held: the quickest refusal there is."""
        for name in ("items", "tokens", "bytes"):
            bound = getattr(self.limits, name)
            if getattr(self.held, name) >= bound:
                raise BusyError(
                    f"the server holds all the {bound:,} {name} that it may",
                    after_seconds=self.wait_seconds(),
                )

    def give_back(self, share: Share) -> None:
        """Let go of all that a request held."""
        for name in ("items", "tokens", "bytes"):
            setattr(self.held, name, getattr(self.held, name) - getattr(share, name))
            setattr(share, name, 0)

    def note_batch(self, tokens: int, seconds: float) -> None:
        """Learn the pace from a batch."""
        pace = tokens / max(seconds, 1e-6)
        old = self.tokens_per_second
        self.tokens_per_second = pace if not old else old + _NEWEST * (pace - old)

    def wait_seconds(self) -> int:
        """Guess when half of what is held will be done: 1 to 60 whole seconds."""
        if not self.tokens_per_second:
            return 1
        return min(60, max(1, math.ceil(self.held.tokens / 2 / self.tokens_per_second)))
