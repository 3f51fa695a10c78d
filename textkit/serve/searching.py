"""`/search`: the rows of an index that answer queries, as `textkit search query` finds them.

In: a request with queries. Out: a list of hits each. An index answers one query at a time, in a
thread of its own, beside the batches of other models; a client that hangs up takes its queries with
it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from textkit.errors import TextkitError, UsageError
from textkit.search.index import Hit, SearchIndex
from textkit.serve.admission import Share
from textkit.serve.answers import invalid
from textkit.serve.host import Host
from textkit.serve.routes import admit, list_texts
from textkit.serve.search_schema import SearchRequest

Json = dict[str, Any]


async def search(host: Host, asked: SearchRequest, share: Share) -> Json:
    """Find the rows that are nearest to each query."""
    hosted = host.find(asked.model, "search")
    index = hosted.model.index
    assert index is not None
    queries = list_texts(asked.queries)
    _check(index, asked)
    admit(host, queries, share, param="queries")
    waiting = [hosted.aside.submit(_find, index, query, asked) for query in queries]
    try:
        rows = await asyncio.gather(*map(asyncio.wrap_future, waiting))
    finally:
        for future in waiting:
            future.cancel()
    return {"model": hosted.model.name, "results": rows}


def _check(index: SearchIndex, asked: SearchRequest) -> None:
    """Refuse the field that no query could be answered with."""
    for number, text in enumerate(asked.where):
        try:
            index.check_condition(text)
        except UsageError as err:
            raise invalid(err.message, param=f"where.{number}") from err
    try:
        index.choose(asked.method)
    except UsageError as err:
        raise invalid(err.message, param="method") from err


def _find(index: SearchIndex, query: str, asked: SearchRequest) -> Json:
    """Answer one query; where it cannot be, it fails alone."""
    try:
        hits = index.query(
            query, asked.k, method=asked.method, where=asked.where, exact=asked.exact
        )
    except TextkitError as err:
        return {"error": err.message}
    return {"hits": [_tell(hit, asked.characters) for hit in hits]}


def _tell(hit: Hit, characters: int) -> Json:
    """Say what a hit is, with at most so many characters of its text."""
    start, end = hit.snippet
    inside = [(max(a, start), min(b, end)) for a, b in hit.marks if a < end and b > start]
    return {
        **hit.to_dict(),
        "text": hit.text[:characters],
        "cut": max(0, len(hit.text) - characters),
        "marks": [[a, b] for a, b in hit.marks if b <= characters],
        "snippet": hit.text[start:end],
        "snippet_marks": [[a - start, b - start] for a, b in inside],
    }
