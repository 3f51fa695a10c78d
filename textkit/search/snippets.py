"""What is shown of a text that was found: a stretch of it around the words of the query, marked.

In: a text and the terms of a query. Out: places in the caller's own text.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from textkit.search.words import Place, find_marked

# Characters of a snippet; the words at its ends stay whole.
SNIPPET = 240
# Characters that stand before the first word that is marked, where the text begins before.
_LEAD = 40

Span = tuple[int, int]


def mark(text: str, terms: Collection[str]) -> tuple[tuple[Span, ...], Span]:
    """Find the words of a query in a text, and the stretch of it that shows most of them.

    Gives the marks, (start, end) ascending and apart, and the (start, end) of the snippet.

    >>> mark("The king's men", {"king"})
    (((4, 10),), (0, 14))
    """
    found = find_marked(text, terms) if terms else []
    return tuple(_join(found)), _cut(text, found)


def _join(places: Sequence[Place]) -> Iterator[Span]:
    """Make one of marks that overlap, as pairs of neighbours do."""
    held: Span | None = None
    for _, start, end in places:
        if held is not None and start < held[1]:
            held = held[0], max(end, held[1])
            continue
        if held is not None:
            yield held
        held = start, end
    if held is not None:
        yield held


def _cut(text: str, found: Sequence[Place]) -> Span:
    """Choose the stretch with the most different terms, then the most marks, the first of those."""
    if len(text) <= SNIPPET:
        return 0, len(text)
    best, score = 0, (0, 0)
    window: deque[Place] = deque()
    held: Counter[str] = Counter()
    for place in found:
        window.append(place)
        held[place.term] += 1
        while place.end - window[0].start > SNIPPET - 2 * _LEAD and len(window) > 1:
            gone = window.popleft()
            held[gone.term] -= 1
            if not held[gone.term]:
                del held[gone.term]
        now = len(held), len(window)
        if now > score:
            best, score = window[0].start, now
    start = max(0, min(best - _LEAD, len(text) - SNIPPET))
    return _whole_words(text, start, min(len(text), start + SNIPPET), keep=best if score[0] else 0)


def _whole_words(text: str, start: int, end: int, *, keep: int) -> Span:
    """Move the ends of a stretch to white space, where some is near; never past `keep`."""
    if start > 0:
        spaces = [i for i in range(start, min(start + _LEAD, keep)) if text[i - 1].isspace()]
        start = spaces[0] if spaces else _off_mark(text, start)
    if end < len(text):
        spaces = [i for i in range(end, end - _LEAD, -1) if text[i].isspace()]
        end = spaces[0] if spaces else _off_mark(text, end)
    return start, end


def _off_mark(text: str, place: int) -> int:
    """Move a cut before what belongs to the character before it: marks, joiners."""
    import unicodedata

    while 0 < place < len(text) and (
        unicodedata.category(text[place]) in ("Mn", "Mc", "Me", "Sk")
        or "\u200d" in (text[place], text[place - 1])
    ):
        place -= 1
    return place


def pieces(text: str, marks: Sequence[Span], snippet: Span) -> Iterator[tuple[str, bool]]:
    """Cut a snippet into stretches, each with whether it is marked; dots where text was left out.

    >>> list(pieces("a king", [(2, 6)], (0, 6)))
    [('a ', False), ('king', True)]
    """
    start, end = snippet
    inner = [(max(a, start), min(b, end)) for a, b in marks if a < end and b > start]
    ends = [(start, start), *inner, (end, end)]
    if start > 0:
        yield "… ", False
    for (_, before), (first, last) in pairwise(ends):
        if first > before:
            yield text[before:first], False
        if last > first:
            yield text[first:last], True
    if end < len(text):
        yield " …", False
