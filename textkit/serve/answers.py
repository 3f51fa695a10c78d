"""Answers and errors as bytes: JSON of what a route gives, and one form for whatever goes wrong."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json
from starlette.responses import Response

from textkit.errors import LimitError, TextkitError
from textkit.serve.admission import BusyError

_TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error"}


class RequestError(TextkitError):
    """A request that is answered with an error of HTTP.

    param: the field it is about.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.headers = dict(headers or {})


def invalid(message: str, *, param: str) -> RequestError:
    """Make the error of a field that cannot be used: 422."""
    return RequestError(message, status=422, code="invalid", param=param)


def too_large(message: str, *, param: str | None = None) -> RequestError:
    """Make the error of a request that is larger than the server takes: 413."""
    return RequestError(message, status=413, code="too_large", param=param)


def say_json(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON; lone surrogates in texts become U+FFFD."""
    try:
        body = to_json(value)
    except (UnicodeEncodeError, PydanticSerializationError):  # the second where it lies deep
        body = to_json(_whole(value))
    return Response(body, status, dict(headers or {}), "application/json")


def _whole(value: object) -> object:
    """Replace lone surrogates in all texts of plain values."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    return value


def say_error(err: Exception, *, request_id: str) -> Response:
    """Answer with an error; what is none of ours is told as a bug, without its words."""
    known = as_request_error(err)
    problem = {
        "message": known.message,
        "type": _TYPES.get(known.status, "invalid_request_error"),
        "param": known.param,
        "code": known.code,
    }
    return say_json(
        {"error": problem, "request_id": request_id}, status=known.status, headers=known.headers
    )


def as_request_error(err: Exception) -> RequestError:
    """Give the status and the words of an error."""
    if isinstance(err, RequestError):
        return err
    if isinstance(err, ValidationError):
        return _from_pydantic(err)
    if isinstance(err, BusyError):
        headers = {"Retry-After": str(err.after_seconds)}
        return RequestError(err.message, status=429, code="busy", headers=headers)
    if isinstance(err, LimitError):
        return too_large(str(err))
    if isinstance(err, TextkitError):
        return RequestError(str(err), status=422, code="invalid")
    return RequestError(
        "a bug in textkit, or in the model; the server's log says more",
        status=500,
        code="internal",
    )


def _from_pydantic(err: ValidationError) -> RequestError:
    """Name the field that is wrong; of a union's problems the one that got furthest."""
    problems = err.errors(include_url=False, include_context=False, include_input=False)
    furthest = max(problems, key=lambda problem: len(_path(problem["loc"])))
    path = ".".join(_path(furthest["loc"]))
    message = f"{path}: {furthest['msg']}" if path else furthest["msg"]
    code = "not_json" if furthest["type"] == "json_invalid" else "invalid"
    return RequestError(message, status=422, code=code, param=path or None)


def _path(loc: tuple[int | str, ...]) -> list[str]:
    """Give the steps to a field, without pydantic's names of the members of a union."""
    return [
        str(step)
        for step in loc
        if isinstance(step, int) or (step.isidentifier() and step not in ("str", "int"))
    ]
