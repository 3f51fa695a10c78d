"""Run a server: open and warm the models, listen, and at a signal finish what was taken.

    listen -> open -> ready -> SIGTERM or SIGINT -> not ready -> last requests -> closed

It listens from the first moment, so that /health answers while models are opened; /ready says when
they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import uvicorn

from textkit.errors import StorageError, TextkitError
from textkit.serve.app import make_app
from textkit.serve.connection import bound_to
from textkit.serve.host import Host
from textkit.serve.options import ServeOptions
from textkit.watch import Watch

# Between a thread that computes and the loop, Python changes after this long. Its own 5 ms would be
# added to every answer while a batch runs.
_SWITCH_SECONDS = 0.0005
# Requests that come within this time of a signal are still taken.
_LAST_SECONDS = 0.2
_BACKLOG = 1024


def serve(options: ServeOptions, *, watch: Watch | None = None) -> None:
    """Serve until a signal comes; then answer what was taken, and return.

    watch: hears each line of the log. Raises the error of a model that cannot be opened, and
    StorageError for an address that cannot be had.
    """
    host = Host(options, log=(watch or Watch()).note)
    listening = _listen(options.host, options.port)
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        asyncio.run(_live(host, listening))
    finally:
        sys.setswitchinterval(before)
        gc.unfreeze()
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    listening = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as err:
        if listening is not None:
            listening.close()
        raise StorageError(
            f"cannot listen there: {err.strerror or err}; choose another --host or --port",
            where=f"{host}:{port}",
        ) from err
    return listening


async def _live(host: Host, listening: socket.socket) -> None:
    server = QuietServer(make_config(host), host=host)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    address, port = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    try:
        await _open(host, serving)
        set_aside()
        if host.is_ready:
            host.log(f"ready: http://{shown}:{port}/")
        watching = asyncio.create_task(_watch(host))
        await serving
        watching.cancel()
        host.log("stopped; all that was taken is answered")
    finally:
        server.should_exit = True
        await serving
        await asyncio.to_thread(host.close)


async def _open(host: Host, serving: asyncio.Task[None]) -> None:
    """Open the models in a thread, unless a signal comes first."""
    opening = asyncio.ensure_future(asyncio.to_thread(host.open))
    await asyncio.wait({opening, serving}, return_when=asyncio.FIRST_COMPLETED)
    if opening.done():
        await opening
    else:
        opening.cancel()


async def _watch(host: Host) -> None:
    """Look at the models' folders again and again."""
    seconds = host.options.watch
    while seconds is not None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(TextkitError):
            if await host.reload_changed():
                await asyncio.to_thread(set_aside)


def set_aside() -> None:
    """Let the garbage collector look no more at what stays: the modules and the models.

    Else it looks at all of it, over and over, in a quarter of the time that small requests take.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def make_config(host: Host) -> uvicorn.Config:
    """Say to uvicorn what the limits are; its own log is off."""
    limits = host.limits
    return uvicorn.Config(
        make_app(host),
        http=bound_to(host),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(limits.idle_seconds),
        limit_concurrency=limits.connections,
        h11_max_incomplete_event_size=limits.header_bytes,
        backlog=_BACKLOG,
    )


class QuietServer(uvicorn.Server):
    """uvicorn's server, which a signal ends without ending the process by that signal."""

    def __init__(self, config: uvicorn.Config, *, host: Host) -> None:
        super().__init__(config)
        self._host = host

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        is_main = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGTERM, signal.SIGINT) if is_main else ()
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at the first signal; a second SIGINT does not wait for open requests."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
        self._host.stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what is under way, then close.

        The system has accepted connections that the loop has not seen; those are taken in the same
        moment in which no more can come.
        """
        await asyncio.sleep(_LAST_SECONDS)
        late = [connection for listening in sockets or () for connection in _accept_all(listening)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in late:
            await loop.connect_accepted_socket(self._new_connection, connection)
        await super().shutdown(sockets)

    def _new_connection(self) -> asyncio.Protocol:
        kind = self.config.http_protocol_class
        made: asyncio.Protocol = kind(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _accept_all(listening: socket.socket) -> Iterator[socket.socket]:
    """Accept what waits, without waiting for more."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            connection.setblocking(False)
            yield connection
