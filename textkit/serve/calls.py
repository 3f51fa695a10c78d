"""What the clients of a server share: how a call is put together, and what is made of its answer.

What a server refuses is a ServerError with its status, code and field.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import StorageError, TextkitError, require

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
Texts = str | Sequence[str]

# Statuses after which the same request may succeed: full, and starting or stopping.
AGAIN = (429, 503)
_LONGEST_WAIT = 60.0


class ServerError(TextkitError):
    """A server refused a request. status: of HTTP; code and param: what was wrong, and where."""

    def __init__(self, message: str, *, status: int, code: str = "", param: str | None = None):
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


def read_results(told: Json) -> list[list[Json]]:
    """Give the hits of each query; ServerError for the first that could not be answered."""
    for i, row in enumerate(told["results"]):
        if "error" in row:
            raise ServerError(row["error"], status=200, code="text", param=f"queries.{i}")
    return [row["hits"] for row in told["results"]]


class Calls:
    """What both clients share: how a call is asked, and what is made of its answer."""

    def __init__(self, *, retries: int) -> None:
        require("httpx", needed_by="a client")
        self._retries = retries

    def _waits(self) -> Iterator[float]:
        """Give the least wait before each further try: doubled, and spread by chance."""
        for n in range(self._retries):
            yield 0.1 * 2**n * (1 + random.random())  # noqa: S311 - no secret


def settings(url: str, key: str | None, timeout: float) -> Json:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {"base_url": url, "headers": headers, "timeout": timeout}


def put_together(texts: Texts, *, field: str = "texts", **more: object) -> Json:
    """Leave out what was not given; the server has its own default."""
    given = [texts] if isinstance(texts, str) else list(texts)
    return {field: given} | {name: value for name, value in more.items() if value is not None}


def read(answer: httpx.Response) -> Json:
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


def wait_of(answer: httpx.Response, least: float) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(_LONGEST_WAIT, max(least, float(said) if said.isdigit() else 0.0))


def read_vectors(told: Json) -> NDArray[np.float32]:
    """Give (n, dim) float32; ServerError for the first text that could not be worked on."""
    rows = told["embeddings"]
    for i, row in enumerate(rows):
        if "error" in row:
            raise ServerError(row["error"], status=200, code="text", param=f"texts.{i}")
    vectors = [row["vector"] for row in rows]
    return np.array(vectors, np.float32).reshape(len(rows), told["dim"])


def no_answer(err: Exception, url: str) -> StorageError:
    reason = str(err) or type(err).__name__
    return StorageError(f"no answer: {reason}; is `textkit serve` running there?", where=url)
