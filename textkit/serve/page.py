"""The page at `/`: four files of the package, with a policy that lets nothing else run.

No build step and nothing from the network: what the page shows it asks of this server, and writes
as text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.resources import files

from starlette.responses import Response

from textkit.serve.host import Host

# Scripts and styles of this server alone, none inside the page; no frames, no forms elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def _file(name: str, kind: str) -> Callable[[Host], Response]:
    """Make what answers with a file of the page."""

    @functools.cache
    def read() -> bytes:
        return (files("textkit.serve") / "site" / name).read_bytes()

    return lambda host: Response(read(), 200, _HEADERS, kind)


FILES: dict[str, Callable[[Host], Response]] = {
    "/": _file("index.html", "text/html; charset=utf-8"),
    "/page.css": _file("page.css", "text/css; charset=utf-8"),
    "/icon.svg": _file("icon.svg", "image/svg+xml"),
    "/page.js": _file("page.js", "text/javascript; charset=utf-8"),
}
# What answers without a key: the page asks for one.
OPEN_PATHS = tuple(FILES)
