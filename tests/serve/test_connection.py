"""What goes out on a connection, and in how many pieces; what is left when a client hangs up."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.serve.calls import run
from textkit.serve.app import _unless_gone
from textkit.serve.connection import JoinedWrites
from textkit.serve.life import set_aside

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Recorder(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.sent.append(data)

    def close(self) -> None:
        self.sent.append(b"closed")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ([HEAD, b"{}"], [HEAD + b"{}"]),
        ([HEAD, b"", HEAD, b"{}"], [HEAD, HEAD + b"{}"]),
        ([HEAD, b"HTTP/1.1 a\r\n\r\n"], [HEAD + b"HTTP/1.1 a\r\n\r\n"]),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], [b"HTTP/1.1 100 Continue\r\n\r\n"]),
        ([HEAD, b"x" * (64 << 10)], [HEAD, b"x" * (64 << 10)]),
        ([HEAD], [HEAD, b"closed"]),
    ],
)
def test_a_head_goes_out_with_its_body(written: list[bytes], sent: list[bytes]) -> None:
    under = Recorder()
    joined = JoinedWrites(under)
    for data in written:
        joined.write(data)
    if sent[-1] == b"closed":
        assert under.sent == []
        joined.close()
    assert under.sent == sent


def test_what_stays_is_left_alone_by_the_collector() -> None:
    assert gc.get_freeze_count() == 0
    set_aside()
    try:
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


class Waiting:
    """A request whose client hangs up when it is told to."""

    def __init__(self) -> None:
        self.hangs_up = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.hangs_up.wait()
        return {"type": "http.disconnect"}


def test_work_ends_when_its_client_hangs_up_and_a_cancel_stays_a_cancel() -> None:
    async def go() -> None:
        request = Waiting()
        ended: list[str] = []

        async def work() -> dict[str, object]:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return {}

        async def quick() -> dict[str, object]:
            return {"a": 1}

        assert await _unless_gone(request, quick()) == {"a": 1}  # type: ignore[arg-type]
        asyncio.get_running_loop().call_soon(request.hangs_up.set)
        assert await _unless_gone(request, work()) is None  # type: ignore[arg-type]
        task = asyncio.current_task()
        assert ended == ["cancelled"] and task is not None and not task.cancelling()

        asking = asyncio.ensure_future(_unless_gone(Waiting(), work()))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    run(go())
