"""The page at `/`: three files of the package, with a policy that lets nothing else run."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from textkit.serve.host import Host

FILES: dict[str, Callable[[Host], Response]] = {}
