"""A page of what was found: each hit with its words marked, its columns and its ranks; it needs
nothing but itself.

In: queries and their Hits. Out: an HTML page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from textkit.io import files
from textkit.search.index import Hit
from textkit.search.snippets import pieces

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>
:root {{ color-scheme: light dark; --soft: #667; --line: #ddd; --mark: #ffe08a; --ink: #111 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --soft: #9aa; --line: #444; --mark: #6b5200; --ink: #eee }} }}
body {{ font: 16px/1.55 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem;
  padding: 0 1rem }}
h1 {{ font-size: 1.2rem }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere }}
ol {{ list-style: none; margin: 0; padding: 0 }}
li {{ border-bottom: 1px solid var(--line); padding: .6rem 0 }}
p {{ margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere }}
mark {{ background: var(--mark); color: var(--ink); border-radius: 3px }}
small {{ color: var(--soft); overflow-wrap: anywhere }} summary {{ color: var(--soft);
  cursor: pointer; font-size: .85rem }}
</style></head><body>
"""


def write_page(
    path: Path, queries: Sequence[str], found: Sequence[Sequence[Hit]], *, title: str
) -> None:
    """Write the hits of queries as one page."""
    files.write_text(path, "".join(_page(queries, found, title)))


def _page(queries: Sequence[str], found: Sequence[Sequence[Hit]], title: str) -> Iterator[str]:
    yield _HEAD.format(title=escape(title))
    yield f"<h1><bdi>{escape(title)}</bdi></h1>\n"
    for query, hits in zip(queries, found, strict=True):
        yield f'<h2 dir="auto">{_escape(query)}</h2>\n'
        if not hits:
            yield "<p><small>nothing was found</small></p>\n"
        yield "<ol>\n"
        for rank, hit in enumerate(hits, start=1):
            yield from _hit(rank, hit)
        yield "</ol>\n"
    yield "</body></html>\n"


def _hit(rank: int, hit: Hit) -> Iterator[str]:
    shown = _marked(hit, hit.snippet)
    yield f'<li><p dir="auto">{shown}</p>'
    by = ", ".join(f"{name} {place} ({score:.3f})" for name, (place, score) in hit.found_by.items())
    kept = "".join(
        f" · {escape(name)}: <bdi>{_escape(str(value))}</bdi>" for name, value in hit.kept.items()
    )
    yield f"<small>{rank}. row {hit.row} · score {hit.score:.4f} · {by}{kept}</small>"
    if hit.snippet != (0, len(hit.text)):
        whole = _marked(hit, (0, len(hit.text)))
        yield f'<details><summary>whole text</summary><p dir="auto">{whole}</p></details>'
    yield "</li>\n"


def _marked(hit: Hit, stretch: tuple[int, int]) -> str:
    return "".join(
        f"<mark>{_escape(piece)}</mark>" if is_marked else _escape(piece)
        for piece, is_marked in pieces(hit.text, hit.marks, stretch)
    )


def _escape(text: str) -> str:
    """Escape what HTML would read, and spell what it cannot hold."""
    return escape(text.replace("\0", "\\x00"))
