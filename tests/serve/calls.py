"""What the tests of the server share: small models on disk, and requests to an app without a
network.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from textkit import SearchIndex, TextClassifier, Vectors, tokenizers
from textkit.serve.app import make_app
from textkit.serve.host import Host
from textkit.serve.life import QuietServer, _listen, make_config
from textkit.serve.options import Limits, ServeOptions

TEXTS = ["good film", "bad film", "good plot", "bad plot"] * 10
LABELS = ["pos", "neg", "pos", "neg"] * 10


def save_models(folder: Path) -> Path:
    """Write a linear model, a multi-label one, a regression, vectors, a tokenizer and an index."""
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save(folder / "linear")
    many = [["pos", "film"], ["neg", "film"], ["pos"], ["neg"]] * 10
    TextClassifier(encoder="linear", head__task="multi-label").fit(TEXTS, many).save(
        folder / "many"
    )
    numbers = [1.0, 0.0, 2.0, 0.0] * 10
    TextClassifier(encoder="linear", head__task="regression").fit(TEXTS, numbers).save(
        folder / "numbers"
    )
    table = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    Vectors(["king", "queen"], table).save(folder / "vectors")
    tokenizers.train("bpe", TEXTS, size=280).save(folder / "bpe")
    SearchIndex.build(TEXTS, folder / "found")
    return folder


def open_host(
    models: Sequence[str],
    *,
    limits: Limits | None = None,
    log: list[str] | None = None,
    **more: Any,
) -> Host:
    """Open a host as the server does."""
    options = ServeOptions(models=models, limits=limits or Limits(), **more)
    host = Host(options, log=(lambda line: None) if log is None else log.append)
    host.open()
    return host


def client_of(host: Host) -> httpx.AsyncClient:
    """Give a client that asks the app of a host."""
    transport = httpx.ASGITransport(make_app(host), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end."""
    return asyncio.run(work)


def post(host: Host, path: str, asked: object = None, **more: Any) -> httpx.Response:
    """Send one request."""

    async def send() -> httpx.Response:
        async with client_of(host) as client:
            how = {"content": asked} if isinstance(asked, bytes) else {"json": asked}
            return await client.post(path, **how, **more)

    return run(send())


def get(host: Host, path: str, **more: Any) -> httpx.Response:
    """Ask for a page."""

    async def send() -> httpx.Response:
        async with client_of(host) as client:
            return await client.get(path, **more)

    return run(send())


@contextmanager
def served(host: Host) -> Iterator[int]:
    """Serve a host in a thread; give the port."""
    listening = _listen("127.0.0.1", 0)
    server = QuietServer(make_config(host), host=host)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        host.close()
