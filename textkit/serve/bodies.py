"""Read the body of a request within bounds, and what it holds.

A body takes its bytes from the server's share before they are read; one that is too large or too
slow ends here, before anything is parsed.
"""

from __future__ import annotations

import asyncio
import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from textkit.serve.admission import Admission, Share
from textkit.serve.answers import RequestError, too_large

# Bytes that earn a slow body a second more.
_BYTES_PER_SECOND = 64 << 10
# A larger body is parsed in a thread: 30 ms for 10 MB.
_LARGE_BYTES = 256 << 10

Schema = TypeVar("Schema", bound=BaseModel)


async def read_body(request: Request, admission: Admission, share: Share) -> bytes:
    """Read a whole body; what is held of it is counted in the share."""
    limits = admission.limits
    said = request.headers.get("content-length", "")
    n_said = int(said) if said.isdigit() and len(said) < 16 else 0
    _check_size(max(n_said, len(said) >= 16 and limits.body_bytes + 1), limits.body_bytes)
    admission.take(share, bytes=n_said)
    parts, n_read = [], 0
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout_at(began + limits.body_seconds) as patience:
            async for part in request.stream():
                n_read += len(part)
                _check_size(n_read, limits.body_bytes)
                if n_read > share.bytes:  # no length was said
                    admission.take(share, bytes=n_read - share.bytes)
                parts.append(part)
                if n_read != n_said:  # more is to come: a timer costs as much as a small part
                    seconds = limits.body_seconds + n_read / _BYTES_PER_SECOND
                    patience.reschedule(began + seconds)
    except TimeoutError:
        raise RequestError(
            f"the body came too slowly: {n_read:,} bytes so far; send it again",
            status=408,
            code="too_slow",
            headers={"Connection": "close"},
        ) from None
    return b"".join(parts)


def _check_size(n_bytes: int, bound: int) -> None:
    if n_bytes > bound:
        raise too_large(f"the body has more than {bound:,} bytes; send fewer texts at a time")


async def read_request(
    request: Request, schema: type[Schema], admission: Admission, share: Share
) -> Schema:
    """Read what a request asks; a pydantic ValidationError says what is wrong with it."""
    body = await read_body(request, admission, share)
    if len(body) > _LARGE_BYTES:
        return await asyncio.to_thread(parse, schema, body)
    return parse(schema, body)


def parse(schema: type[Schema], body: bytes) -> Schema:
    """Read JSON; a pydantic ValidationError names the field.

    Two things are let through that a strict reader refuses: half a surrogate pair, of which every
    tokenizer makes U+FFFD and counts it, and 5.0 where a whole number is asked for, which is one in
    JSON and in its schemas.
    """
    try:
        return schema.model_validate_json(body)
    except ValidationError as err:
        kinds = {problem["type"] for problem in err.errors(include_url=False, include_input=False)}
        if not ("json_invalid" in kinds and b"\\u" in body) and "int_type" not in kinds:
            raise
        try:
            value = json.loads(body, parse_float=_number)
        except (ValueError, RecursionError):
            raise err from None
        return schema.model_validate(value)


def _number(spelled: str) -> int | float:
    value = float(spelled)
    return int(value) if value.is_integer() else value


async def until_gone(request: Request) -> None:
    """Wait until the client hangs up."""
    try:
        while (await request.receive())["type"] != "http.disconnect":
            pass
    except ClientDisconnect:
        pass
