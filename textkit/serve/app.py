"""The app of a server: routes to what they do, as starlette takes them.

`make_app(host)` is a whole ASGI app: whoever runs it opens the host first, and closes it last.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from textkit.serve import openapi, page, reasons, routes, schema, searching
from textkit.serve.admission import Share
from textkit.serve.answers import RequestError, as_request_error, say_error, say_json
from textkit.serve.bodies import read_request, until_gone
from textkit.serve.guard import GONE, Guard
from textkit.serve.host import Host
from textkit.serve.metrics import CONTENT_TYPE
from textkit.serve.search_schema import SearchRequest
from textkit.version import __version__

Schema = TypeVar("Schema", bound=BaseModel)
Work = Callable[[Host, Schema, Share], Awaitable[dict[str, Any]]]
Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(host: Host) -> Starlette:
    """Put the routes of a host together."""
    posts = [
        _post(host, "/predict", schema.PredictRequest, routes.predict),
        _post(host, "/explain", schema.ExplainRequest, reasons.explain),
        _post(host, "/embed", schema.EmbedRequest, routes.embed),
        _post(host, "/similarity", schema.SimilarityRequest, routes.compare),
        _post(host, "/search", SearchRequest, searching.search),
        _post(host, "/tokenize", schema.TokenizeRequest, routes.tokenize),
        _post(host, "/decode", schema.DecodeRequest, routes.decode),
        _post(host, "/v1/embeddings", schema.OpenaiRequest, routes.openai_embeddings),
    ]
    gets = [
        _get(host, "/health", _health),
        _get(host, "/ready", _ready),
        _get(host, "/info", _info),
        _get(host, "/metrics", _metrics),
        _get(host, "/v1/models", _openai_models),
        Route("/v1/models/{name:path}", _openai_model(host), methods=["GET"]),
        _get(host, "/openapi.json", lambda host: say_json(openapi.describe())),
        *(_get(host, path, answer) for path, answer in page.FILES.items()),
    ]
    return Starlette(
        routes=[*posts, *gets],
        middleware=[Middleware(Guard, host=host)],
        exception_handlers={HTTPException: _no_route, Exception: _bug},
    )


def _post(host: Host, path: str, asks: type[Schema], work: Work[Schema]) -> Route:
    """Make a route that reads a body, works on it, and stops when the client hangs up."""

    async def endpoint(request: Request) -> Response:
        request.state.route = path
        share = Share()
        host.n_open += 1
        try:
            _check_ready(host)
            asked = await read_request(request, asks, host.admission, share)
            made = await _unless_gone(request, work(host, asked, share))
            if made is None:
                return Response(status_code=GONE)
            request.state.told = f" texts={share.items}"
            return say_json(made)
        except ClientDisconnect:
            return Response(status_code=GONE)
        except Exception as err:  # noqa: BLE001 - every error has its answer
            if as_request_error(err).status == 500:
                host.log(f"a bug: {path}: {type(err).__name__}: {err}")
            return say_error(err, request_id=request.state.request_id)
        finally:
            host.n_open -= 1
            host.admission.give_back(share)

    return Route(path, endpoint, methods=["POST"])


def _get(host: Host, path: str, answer: Callable[[Host], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        request.state.route = path
        return answer(host)

    return Route(path, endpoint, methods=["GET"])


async def _unless_gone(request: Request, work: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
    """Give what the work gives; None when the client hung up first, and its rows are dropped."""
    task = asyncio.current_task()
    assert task is not None
    hung_up = False

    def stop(gone: asyncio.Task[None]) -> None:
        nonlocal hung_up
        if not gone.cancelled() and not gone.cancelling():
            hung_up = task.cancel()

    gone = asyncio.create_task(until_gone(request))
    gone.add_done_callback(stop)
    try:
        return await work
    except asyncio.CancelledError:
        if not hung_up or task.uncancel():
            raise
        return None
    finally:
        gone.remove_done_callback(stop)
        gone.cancel()


def _check_ready(host: Host) -> None:
    if not host.is_open:
        raise RequestError(
            "the server is not ready, or about to stop",
            status=503,
            code="not_ready",
            headers={"Retry-After": "1"},
        )


def _health(host: Host) -> Response:
    """Answer whether the server lives: its loop turns, and all its threads work."""
    alive = host.is_alive
    return say_json({"status": "ok" if alive else "broken"}, status=200 if alive else 503)


def _ready(host: Host) -> Response:
    ready = host.is_ready
    return say_json({"ready": ready}, status=200 if ready else 503)


def _info(host: Host) -> Response:
    return say_json(
        {
            "textkit": __version__,
            "python": platform.python_version(),
            "models": [model.describe() for model in host.models],
            "limits": vars(host.limits),
        }
    )


def _metrics(host: Host) -> Response:
    return Response(host.metrics.text(), media_type=CONTENT_TYPE)


def _openai_models(host: Host) -> Response:
    return say_json({"object": "list", "data": [_say_model(model.name) for model in host.models]})


def _openai_model(host: Host) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        request.state.route = "/v1/models/{name}"
        try:
            model = host.find(request.path_params["name"]).model
        except RequestError as err:
            return say_error(err, request_id=request.state.request_id)
        return say_json(_say_model(model.name))

    return endpoint


def _say_model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "textkit"}


async def _no_route(request: Request, err: Exception) -> Response:
    """Answer for a path that is no route, or a method that it does not have."""
    assert isinstance(err, HTTPException)
    message = f"{err.detail}; /openapi.json lists what there is"
    code = "no_route" if err.status_code == 404 else "no_method"
    known = RequestError(message, status=err.status_code, code=code, headers=err.headers)
    return say_error(known, request_id=request.state.request_id)


async def _bug(request: Request, err: Exception) -> Response:
    return say_error(err, request_id=request.state.request_id)
