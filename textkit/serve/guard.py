"""What stands before every route: a request id, the key, the count, the line of the log.

In: requests as the server read their heads. Out: to the app, or an error. A line of the log holds
no text and no key.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textkit.serve import page
from textkit.serve.admission import BusyError
from textkit.serve.answers import RequestError, say_error
from textkit.serve.host import Host

# What answers without a key: whether the server lives, for those who run it, and the page.
OPEN_PATHS = ("/health", "/ready", *page.OPEN_PATHS)
# Asked every few seconds by machines: counted, and no line of the log.
_UNTOLD = ("/health", "/ready", "/metrics")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# A client that hung up: nginx's number for it.
GONE = 499


class Guard:
    """Let requests with the key through; give each an id, count it, and log it."""

    def __init__(self, app: ASGIApp, *, host: Host) -> None:
        self._app = app
        self._host = host
        # A random number for each request would be 6 % of what a small one costs.
        self._series, self._numbers = secrets.token_hex(4), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else self._next_id()
        scope.setdefault("state", {})["request_id"] = request_id
        status = GONE
        began = time.perf_counter()

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
                if self._host.is_stopping:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if not self._is_allowed(scope["path"], headers):
                answer = say_error(_no_key(), request_id=request_id)
                await answer(scope, receive, send_named)
                return
            if scope["method"] == "POST":
                try:
                    self._host.admission.refuse_when_full()
                except BusyError as err:
                    # Before a route is looked for or a byte of the body is read.
                    scope["state"]["route"] = "refused"
                    await say_error(err, request_id=request_id)(scope, receive, send_named)
                    return
            await self._app(scope, receive, send_named)
        finally:
            self._note(scope, status, time.perf_counter() - began, request_id)

    def _next_id(self) -> str:
        return f"{self._series}-{next(self._numbers):x}"

    def _is_allowed(self, path: str, headers: MutableMapping[bytes, bytes]) -> bool:
        key = self._host.options.key
        if key is None or path in OPEN_PATHS:
            return True
        word, _, given = headers.get(b"authorization", b"").partition(b" ")
        return word.lower() == b"bearer" and secrets.compare_digest(given.strip(), key.encode())

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        state: dict[str, Any] = scope["state"]
        route = state.get("route", "other")
        self._host.metrics.note_request(route, status, seconds=seconds)
        if self._host.options.access_log and route not in _UNTOLD:
            client = (scope.get("client") or ("-",))[0]
            # The path of a request that no route took may hold anything.
            path = route if route != "other" else f"other ({len(scope['path'])} characters)"
            told = state.get("told", "")
            self._host.log(
                f"{client} {scope['method']} {path} {status} {1000 * seconds:.1f} ms"
                f" id={request_id}{told}"
            )


def _no_key() -> RequestError:
    return RequestError(
        "no key, or a wrong one; send it as the header Authorization: Bearer KEY",
        status=401,
        code="no_key",
        headers={"WWW-Authenticate": "Bearer"},
    )
