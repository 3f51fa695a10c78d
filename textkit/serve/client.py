"""Clients of a textkit server: texts in, plain lists and arrays out; busy servers are asked again.

`Client` waits for each answer, `AsyncClient` is the same with `await`. What a server refuses is a
ServerError with its status, code and field.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from textkit.serve.calls import (
    AGAIN,
    Calls,
    Json,
    ServerError,
    Texts,
    no_answer,
    put_together,
    read,
    read_results,
    read_vectors,
    settings,
    wait_of,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncClient", "Client", "ServerError"]


class Client(Calls):
    """A client that waits for each answer; any number of threads may use one.

    url: of the server. key: what the server wants in `TEXTKIT_API_KEY`. retries: how often a
    request is sent again to a server that is full or starting, after as long as it says. transport:
    an httpx transport in the place of the network.

    >>> import httpx
    >>> def answer(request):
    ...     return httpx.Response(200, json={"predictions": [{"labels": []}]})
    >>> with Client("http://films", transport=httpx.MockTransport(answer)) as client:
    ...     client.predict("a good film")
    [{'labels': []}]
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        retries: int = 6,
        timeout: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(retries=retries)
        import httpx

        self._http = httpx.Client(**settings(url, key, timeout), transport=transport)

    def predict(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        top: int | None = None,
        threshold: float | None = None,
    ) -> list[Json]:
        """Give a prediction a text: `labels` with probabilities, or `values`, and what was cut."""
        asked = put_together(texts, model=model, top=top, threshold=threshold)
        return list(self._post("/predict", asked)["predictions"])

    def explain(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        label: str | None = None,
        against: str | None = None,
        flips: bool | None = None,
    ) -> list[Json]:
        """Give an explanation a text: `words` with what each did for the `label`."""
        asked = put_together(texts, model=model, label=label, against=against, flips=flips)
        return list(self._post("/explain", asked)["explanations"])

    def embed(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
    ) -> NDArray[np.float32]:
        """Give the vectors of texts: (n, dim) float32."""
        asked = put_together(texts, model=model, dimensions=dimensions, normalize=normalize)
        return read_vectors(self._post("/embed", asked))

    def search(
        self,
        queries: Texts,
        *,
        model: str | None = None,
        k: int | None = None,
        method: str | None = None,
        where: Sequence[str] | None = None,
        exact: bool | None = None,
    ) -> list[list[Json]]:
        """Give the hits of each query, the best first, as `SearchIndex.query` finds them."""
        more: Json = {"model": model, "k": k, "method": method, "where": where, "exact": exact}
        told = self._post("/search", put_together(queries, field="queries", **more))
        return read_results(told)

    def tokenize(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        spans: bool | None = None,
        max_length: int | None = None,
    ) -> list[Json]:
        """Give `ids`, `tokens`, `spans` and what was cut of each text."""
        asked = put_together(texts, model=model, spans=spans, max_length=max_length)
        return list(self._post("/tokenize", asked)["texts"])

    def info(self) -> Json:
        """Say what the server has: models, limits, versions."""
        return self._send("GET", "/info", None)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, asked: Json) -> Json:
        return self._send("POST", path, asked)

    def _send(self, method: str, path: str, asked: Json | None) -> Json:
        for wait in self._waits():
            answer = self._once(method, path, asked)
            if answer.status_code not in AGAIN:
                return read(answer)
            time.sleep(wait_of(answer, wait))
        return read(self._once(method, path, asked))

    def _once(self, method: str, path: str, asked: Json | None) -> httpx.Response:
        import httpx

        try:
            return self._http.request(method, path, json=asked)
        except httpx.HTTPError as err:
            raise no_answer(err, str(self._http.base_url)) from err


class AsyncClient(Calls):
    """The same client for asyncio: `await client.predict(texts)`.

    >>> import httpx
    >>> async def ask():
    ...     answer = httpx.MockTransport(lambda request: httpx.Response(200, json={"models": []}))
    ...     async with AsyncClient("http://films", transport=answer) as client:
    ...         return await client.info()
    >>> asyncio.run(ask())
    {'models': []}
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        retries: int = 6,
        timeout: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(retries=retries)
        import httpx

        self._http = httpx.AsyncClient(**settings(url, key, timeout), transport=transport)

    async def predict(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        top: int | None = None,
        threshold: float | None = None,
    ) -> list[Json]:
        """Give a prediction a text: `labels` with probabilities, or `values`, and what was cut."""
        asked = put_together(texts, model=model, top=top, threshold=threshold)
        return list((await self._post("/predict", asked))["predictions"])

    async def explain(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        label: str | None = None,
        against: str | None = None,
        flips: bool | None = None,
    ) -> list[Json]:
        """Give an explanation a text: `words` with what each did for the `label`."""
        asked = put_together(texts, model=model, label=label, against=against, flips=flips)
        return list((await self._post("/explain", asked))["explanations"])

    async def embed(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        dimensions: int | None = None,
        normalize: bool | None = None,
    ) -> NDArray[np.float32]:
        """Give the vectors of texts: (n, dim) float32."""
        asked = put_together(texts, model=model, dimensions=dimensions, normalize=normalize)
        return read_vectors(await self._post("/embed", asked))

    async def search(
        self,
        queries: Texts,
        *,
        model: str | None = None,
        k: int | None = None,
        method: str | None = None,
        where: Sequence[str] | None = None,
        exact: bool | None = None,
    ) -> list[list[Json]]:
        """Give the hits of each query, the best first, as `SearchIndex.query` finds them."""
        more: Json = {"model": model, "k": k, "method": method, "where": where, "exact": exact}
        told = await self._post("/search", put_together(queries, field="queries", **more))
        return read_results(told)

    async def tokenize(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        spans: bool | None = None,
        max_length: int | None = None,
    ) -> list[Json]:
        """Give `ids`, `tokens`, `spans` and what was cut of each text."""
        asked = put_together(texts, model=model, spans=spans, max_length=max_length)
        return list((await self._post("/tokenize", asked))["texts"])

    async def info(self) -> Json:
        """Say what the server has: models, limits, versions."""
        return await self._send("GET", "/info", None)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def _post(self, path: str, asked: Json) -> Json:
        return await self._send("POST", path, asked)

    async def _send(self, method: str, path: str, asked: Json | None) -> Json:
        for wait in self._waits():
            answer = await self._once(method, path, asked)
            if answer.status_code not in AGAIN:
                return read(answer)
            await asyncio.sleep(wait_of(answer, wait))
        return read(await self._once(method, path, asked))

    async def _once(self, method: str, path: str, asked: Json | None) -> httpx.Response:
        import httpx

        try:
            return await self._http.request(method, path, json=asked)
        except httpx.HTTPError as err:
            raise no_answer(err, str(self._http.base_url)) from err
