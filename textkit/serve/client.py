"""Clients of a textkit server: texts in, plain lists and arrays out; busy servers are asked again.

`Client` waits for each answer, `AsyncClient` is the same with `await`. What a server refuses is a
ServerError with its status, code and field.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from textkit.errors import StorageError, TextkitError, require

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
Texts = str | Sequence[str]

# Statuses after which the same request may succeed: full, and starting or stopping.
_AGAIN = (429, 503)
_LONGEST_WAIT = 60.0


class ServerError(TextkitError):
    """A server refused a request. status: of HTTP; code and param: what was wrong, and where."""

    def __init__(self, message: str, *, status: int, code: str = "", param: str | None = None):
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class _Calls:
    """What both clients share: how a call is asked, and what is made of its answer."""

    def __init__(self, *, retries: int) -> None:
        require("httpx", needed_by="a client")
        self._retries = retries

    def _waits(self) -> Iterator[float]:
        """Give the least wait before each further try: doubled, and spread by chance."""
        for n in range(self._retries):
            yield 0.1 * 2**n * (1 + random.random())  # noqa: S311 - no secret


def _settings(url: str, key: str | None, timeout: float) -> Json:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {"base_url": url, "headers": headers, "timeout": timeout}


def _asked(texts: Texts, **more: object) -> Json:
    """Leave out what was not given; the server has its own default."""
    given = [texts] if isinstance(texts, str) else list(texts)
    return {"texts": given} | {name: value for name, value in more.items() if value is not None}


def _read(answer: httpx.Response) -> Json:
    """Give what a server answered; ServerError where it refused."""
    try:
        told = answer.json()
    except ValueError:
        told = None
    if answer.status_code == 200 and isinstance(told, dict):
        return told
    problem = told.get("error") if isinstance(told, dict) else None
    if not isinstance(problem, dict):
        problem = {"message": f"no answer of a textkit server: {answer.text[:200]}"}
    raise ServerError(
        f"{problem.get('message')} (status {answer.status_code})",
        status=answer.status_code,
        code=str(problem.get("code", "")),
        param=problem.get("param"),
    )


def _wait_of(answer: httpx.Response, least: float) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(_LONGEST_WAIT, max(least, float(said) if said.isdigit() else 0.0))


def _vectors(told: Json) -> NDArray[np.float32]:
    """Give (n, dim) float32; ServerError for the first text that could not be worked on."""
    rows = told["embeddings"]
    for i, row in enumerate(rows):
        if "error" in row:
            raise ServerError(row["error"], status=200, code="text", param=f"texts.{i}")
    vectors = [row["vector"] for row in rows]
    return np.array(vectors, np.float32).reshape(len(rows), told["dim"])


class Client(_Calls):
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

        self._http = httpx.Client(**_settings(url, key, timeout), transport=transport)

    def predict(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        top: int | None = None,
        threshold: float | None = None,
    ) -> list[Json]:
        """Give a prediction a text: `labels` with probabilities, or `values`, and what was cut."""
        asked = _asked(texts, model=model, top=top, threshold=threshold)
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
        asked = _asked(texts, model=model, label=label, against=against, flips=flips)
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
        asked = _asked(texts, model=model, dimensions=dimensions, normalize=normalize)
        return _vectors(self._post("/embed", asked))

    def tokenize(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        spans: bool | None = None,
        max_length: int | None = None,
    ) -> list[Json]:
        """Give `ids`, `tokens`, `spans` and what was cut of each text."""
        asked = _asked(texts, model=model, spans=spans, max_length=max_length)
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
            if answer.status_code not in _AGAIN:
                return _read(answer)
            time.sleep(_wait_of(answer, wait))
        return _read(self._once(method, path, asked))

    def _once(self, method: str, path: str, asked: Json | None) -> httpx.Response:
        import httpx

        try:
            return self._http.request(method, path, json=asked)
        except httpx.HTTPError as err:
            raise _no_answer(err, str(self._http.base_url)) from err


class AsyncClient(_Calls):
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

        self._http = httpx.AsyncClient(**_settings(url, key, timeout), transport=transport)

    async def predict(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        top: int | None = None,
        threshold: float | None = None,
    ) -> list[Json]:
        """Give a prediction a text: `labels` with probabilities, or `values`, and what was cut."""
        asked = _asked(texts, model=model, top=top, threshold=threshold)
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
        asked = _asked(texts, model=model, label=label, against=against, flips=flips)
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
        asked = _asked(texts, model=model, dimensions=dimensions, normalize=normalize)
        return _vectors(await self._post("/embed", asked))

    async def tokenize(
        self,
        texts: Texts,
        *,
        model: str | None = None,
        spans: bool | None = None,
        max_length: int | None = None,
    ) -> list[Json]:
        """Give `ids`, `tokens`, `spans` and what was cut of each text."""
        asked = _asked(texts, model=model, spans=spans, max_length=max_length)
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
            if answer.status_code not in _AGAIN:
                return _read(answer)
            await asyncio.sleep(_wait_of(answer, wait))
        return _read(await self._once(method, path, asked))

    async def _once(self, method: str, path: str, asked: Json | None) -> httpx.Response:
        import httpx

        try:
            return await self._http.request(method, path, json=asked)
        except httpx.HTTPError as err:
            raise _no_answer(err, str(self._http.base_url)) from err


def _no_answer(err: Exception, url: str) -> StorageError:
    reason = str(err) or type(err).__name__
    return StorageError(f"no answer: {reason}; is `textkit serve` running there?", where=url)
