"""The clients: the same answers as in Python, and patience with a busy server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.serve.calls import open_host, run
from textkit import AsyncClient, Client, TextkitError, Vectors
from textkit.errors import StorageError
from textkit.serve.app import make_app
from textkit.serve.client import ServerError
from textkit.serve.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    Vectors(["king", "queen"], np.eye(2, dtype=np.float32)).save(tmp_path / "vectors")
    host = open_host([str(tmp_path / "vectors")], key="secret")
    yield host
    host.close()


class Busy:
    """A server that is full a few times."""

    def __init__(self, n_busy: int, *, status: int = 429) -> None:
        self.n_busy, self.status, self.n_asked = n_busy, status, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.n_asked += 1
        if self.n_asked <= self.n_busy:
            problem = {"message": "full", "code": "busy", "param": None}
            return httpx.Response(
                self.status, json={"error": problem}, headers={"Retry-After": "7"}
            )
        return httpx.Response(200, json={"predictions": [{"labels": []}]})


def test_the_async_client_gives_what_the_model_gives(host: Host) -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(make_app(host))
        async with AsyncClient("http://test", key="secret", transport=transport) as client:
            assert (await client.embed(["a king", ""])).tolist() == [[1, 0], [0, 0]]
            assert (await client.embed([])).shape == (0, 2)
            (told,) = await client.tokenize("the queen")
            assert told["tokens"] == ["the", "queen"] or len(told["ids"]) == 2
            assert [model["name"] for model in (await client.info())["models"]] == ["vectors"]
            with pytest.raises(ServerError, match="has 2") as caught:
                await client.embed("king", dimensions=9)
            assert (caught.value.status, caught.value.param) == (422, "dimensions")
            with pytest.raises(ServerError, match="can predict") as caught:
                await client.predict("king")
            assert caught.value.status == 404

    run(ask())


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_after_what_it_says(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    busy = Busy(3, status=status)
    with Client("http://test", transport=httpx.MockTransport(busy)) as client:
        assert client.predict("a film") == [{"labels": []}]
    assert waits == [7, 7, 7]

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    client = AsyncClient("http://test", transport=httpx.MockTransport(Busy(2, status=status)))
    assert run(client.predict("a film")) == [{"labels": []}]
    assert waits[3:] == [7, 7]


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    busy = Busy(9)
    with (
        Client("http://test", retries=2, transport=httpx.MockTransport(busy)) as client,
        pytest.raises(ServerError, match="full") as caught,
    ):
        client.predict("a film")
    assert (busy.n_asked, caught.value.code) == (3, "busy")
    assert isinstance(caught.value, TextkitError)


def test_what_is_no_server_is_named() -> None:
    page = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>"))
    with Client("http://test", transport=page) as client, pytest.raises(ServerError, match="html"):
        client.info()

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with (
        Client("http://test", transport=httpx.MockTransport(refuse)) as client,
        pytest.raises(StorageError, match="is `textkit serve` running"),
    ):
        client.embed("a")
