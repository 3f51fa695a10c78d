"""Check a built site: links lead to pages and anchors that are there, no asset to the network.

    python scripts/docs/links.py build/docs/site

Links to other sites are counted and not followed: a build asks nothing of the network.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself, unlike what `<a href>` names.
_FETCHED = {
    ("img", "src"),
    ("script", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("link", "href"),
    ("object", "data"),
}


class Page(HTMLParser):
    """What a page points at and what of it can be pointed at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value)
            elif (tag, name) in _FETCHED and not value.startswith("data:"):
                self.fetched.append(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)


def check_site(site: Path) -> tuple[list[str], int]:
    """Give what is wrong with a site, one line each, and the number of links that were checked."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    problems, n_links = [], 0
    for path, page in pages.items():
        # The page for addresses that are none is served from any depth: its links start at the
        # root.
        base = site if path.name == "404.html" else path.parent
        name = path.relative_to(site)
        problems += [
            f"{name}: fetches {target} from the network"
            for target in page.fetched
            if _is_foreign(target)
        ]
        for target in [*page.links, *page.fetched]:
            if not _is_foreign(target):
                n_links += 1
                problem = _follow(target, path, base, site, pages)
                problems += [f"{name}: {target}: {problem}"] if problem else []
    for path in sorted(site.rglob("*.css")):
        for target in re.findall(
            r"url\(\s*['\"]?((?:https?:)?//[^)'\"]+)", path.read_text(encoding="utf-8")
        ):
            problems.append(f"{path.relative_to(site)}: fetches {target} from the network")
    return problems, n_links


def _is_foreign(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.scheme or parts.netloc)


def _follow(target: str, path: Path, base: Path, site: Path, pages: dict[Path, Page]) -> str | None:
    """Say what is wrong with a link of the page at `path`, or None."""
    parts = urlsplit(target)
    place = unquote(parts.path)
    found = (
        (site / place.lstrip("/") if place.startswith("/") else base / place).resolve()
        if place
        else path
    )
    if found.is_dir():
        found /= "index.html"
    if not found.is_file():
        return "no such file"
    if parts.fragment and found in pages and unquote(parts.fragment) not in pages[found].anchors:
        return "no such anchor"
    return None


def main() -> None:
    """Check the site that is named on the command line; exit with 1 where something is wrong."""
    problems, n_links = check_site(Path(sys.argv[1]).resolve())
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(f"{len(problems)} broken of {n_links:,} links")
    print(f"{n_links:,} links lead somewhere; nothing asks the network")


if __name__ == "__main__":
    main()
