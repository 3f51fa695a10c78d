"""Clients for benchmarks/serve.py: as little work a request as Python can, so that the server is
what is measured.

In: a port, bodies, a number of connections. Out: statuses and seconds of every request.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Answers:
    """What a load got: a status, the seconds and perhaps the body of each request."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    retry_after: list[str] = field(default_factory=list)
    took: float = 0.0

    def quantile(self, share: float, *, status: int = 200) -> float:
        """Give the seconds within which a share of the answers of a status came."""
        got = zip(self.statuses, self.seconds, strict=True)
        told = sorted(seconds for code, seconds in got if code == status)
        return told[min(len(told) - 1, int(share * len(told)))] if told else float("nan")


class Connection:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Send a request, and read the answer whole; a lost connection is status 0."""
        try:
            return await self._ask(path, body)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0, b""

    async def _ask(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 26)
        reader, writer = self._streams
        method, size = ("GET", 0) if body is None else ("POST", len(body))
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
            + (body or b"")
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        told = await reader.readexactly(length)
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return int(head[9:12]), told

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def load(
    port: int,
    path: str,
    bodies: Sequence[bytes],
    *,
    connections: int,
    check: Callable[[int, int, bytes], None] = lambda i, status, body: None,
    until: float | None = None,
    pause: float = 0.0,
) -> Answers:
    """Send every body once, or all again and again until a time; the next when the last is
    answered. check: called with the number of a body, the status and the answer.
    """
    made = Answers()
    numbers = iter(range(10**9 if until else len(bodies)))
    began = time.perf_counter()

    async def one() -> None:
        connection = Connection(port)
        for i in numbers:
            if until is not None and time.perf_counter() > until:
                break
            start = time.perf_counter()
            status, body = await connection.ask(path, bodies[i % len(bodies)])
            made.statuses.append(status)
            made.seconds.append(time.perf_counter() - start)
            check(i % len(bodies), status, body)
            if pause or status == 429:
                await asyncio.sleep(pause)
        connection.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    made.took = time.perf_counter() - began
    return made


def bodies_of(texts: Sequence[str], key: str = "texts", **more: object) -> list[bytes]:
    """Make a request of each text."""
    return [json.dumps({key: [text], **more}).encode() for text in texts]
