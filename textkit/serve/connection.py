"""A connection that is patient, but not for ever: a client that is slow to send its headers, or the
rest of a refused body, or to take its answer, is closed.

uvicorn bounds how long a connection may be idle, and nothing else. Here a timer runs whenever the
client is to do something and no request is worked on; bytes that trickle in do not wind it up
again. A body that is read has its own deadline in textkit/serve/bodies.py.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from textkit.serve.host import Host

# How long an idle connection may still bring a request that was under way when the server stops.
_LAST_SECONDS = 0.25
# A body of more bytes is not copied behind its head.
_COPIED_BYTES = 64 << 10


class JoinedWrites(asyncio.Transport):
    """A transport on which the head of an answer goes out with its body: one call of the system and
    one packet, which is a seventh of all that a small request costs.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._under, self._head = transport, b""

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """Keep a head until what follows it; 100 Continue has no body, and goes at once."""
        head, self._head = self._head, b""
        is_head = data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1"
        if is_head and not head and data.endswith(b"\r\n\r\n"):
            self._head = data
        elif len(data) < _COPIED_BYTES:
            self._under.write(head + data)
        else:
            self._under.write(head)
            self._under.write(data)

    def close(self) -> None:
        """Send what is kept, and close."""
        if self._head:
            self._under.write(self._head)
        self._under.close()

    def abort(self) -> None:
        """Close at once."""
        self._under.abort()

    def is_closing(self) -> bool:
        """Whether the connection is closed, or will be."""
        return self._under.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Tell of the socket."""
        return self._under.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take no bytes for a while."""
        self._under.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._under.resume_reading()


class PatientConnection(H11Protocol):
    """uvicorn's connection with deadlines; made for one host by `bound_to`."""

    host: ClassVar[Host]
    _timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(JoinedWrites(transport))
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._send_timer is not None:
            self._send_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._set_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._set_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        seconds = self.host.limits.send_seconds
        self._send_timer = self.loop.call_later(seconds, self._give_up, "answer not taken")

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()

    def shutdown(self) -> None:
        """Close after this answer; an idle connection when nothing comes any more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_LAST_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _set_timer(self) -> None:
        """Run the timer where the client is to send and nothing is worked on."""
        working = self.cycle is not None and not self.cycle.response_complete
        began = self.cycle is None or self.conn.their_state is not h11.IDLE
        began = began or bool(self.conn.trailing_data[0])
        if working or not began or self.transport.is_closing():
            self._stop_timer()
        elif self._timer is None:
            seconds = self.host.limits.header_seconds
            self._timer = self.loop.call_later(seconds, self._give_up, "request not sent")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, why: str) -> None:
        if not self.transport.is_closing():
            self.host.metrics.note_closed(why)
            self.transport.abort()


def bound_to(host: Host) -> type[PatientConnection]:
    """Give the class of connections of a host."""
    return type("BoundConnection", (PatientConnection,), {"host": host})
