"""The `textkit` command in a process of its own, without its imports: for tests of the shell.

Importing torch, scikit-learn and matplotlib costs 2 to 4 s of processor time a command, half of
all that the suite took. One server for each process of pytest imports them once; every command is a
fork of it, with its own folder, environment and streams:

1. `run_textkit(...)` sends the arguments, and the three streams as open files, over a socket.
2. The server forks a minder, which forks the command, waits for it and sends how it ended.

What a command imports, and how it takes a signal, is not to be seen here: such tests start Python.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What the verbs import that is slow to import; none of it starts a thread.
SLOW = (
    "accelerate",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "pyarrow.parquet",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.svm",
    "torch",
)
_servers: dict[int, socket.socket] = {}


def run_textkit(
    *arguments: str,
    input: bytes = b"",
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[bytes]:
    """Run `textkit` in a folder, else the working directory; give its exit code (-n for signal n)
    and its output.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        ours = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
        call = {
            "arguments": arguments,
            "environment": ours | (environment or {}),
            "folder": str((folder or Path()).absolute()),
        }
        stdin = _open_input(input)
        try:
            code = _send(call, [stdin, stdout.fileno(), stderr.fileno()], timeout=timeout)
        finally:
            os.close(stdin)
        output = []
        for stream in (stdout, stderr):
            stream.seek(0)
            output.append(stream.read())
    return subprocess.CompletedProcess(["textkit", *arguments], code, *output)


def _open_input(data: bytes) -> int:
    """Give a file to read `data` from: the end of a pipe, as a shell's, if they fit into it."""
    ours, its = os.pipe()
    os.set_blocking(its, False)
    fits = not data or os.write(its, data) == len(data)
    os.close(its)
    if fits:
        return ours
    os.close(ours)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return os.dup(file.fileno())


def _send(call: Mapping[str, object], streams: list[int], *, timeout: float) -> int:
    server = _servers.get(os.getpid()) or _start()
    server.settimeout(timeout)
    socket.send_fds(server, [json.dumps(call).encode()], streams)
    try:
        answer = server.recv(64)
    except TimeoutError:
        _servers.pop(os.getpid()).close()
        raise
    assert answer, f"the server of commands has ended; the command was {call['arguments']}"
    return int(answer)


def _start() -> socket.socket:
    """Start the server of this process; it ends when this process does."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    its.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    subprocess.Popen(
        [sys.executable, "-m", "tests.shell", str(its.fileno())],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        pass_fds=[its.fileno()],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    ).returncode = 0  # it waits for the end of the socket, and nobody for it
    its.close()
    _servers[os.getpid()] = ours
    return ours


def _serve(channel: socket.socket) -> None:
    for name in SLOW:
        __import__(name)
    os.fsync = lambda _: None  # the power stays on, as in conftest.py
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no minder stays behind
    while True:
        message, streams, _, _ = socket.recv_fds(channel, 1 << 20, 3)
        if not message:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            command = os.fork()
            if command == 0:
                channel.close()
                _run(json.loads(message), streams)
            status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
            channel.send(str(status).encode())
            os._exit(0)
        for stream in streams:
            os.close(stream)


def _run(call: dict[str, object], streams: list[int]) -> None:
    """Be `python -m textkit`, to its end."""
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(str(call["folder"]))
    os.environ.clear()
    os.environ.update(call["environment"])  # type: ignore[call-overload]
    sys.path.insert(0, str(call["folder"]))
    sys.argv = ["textkit", *call["arguments"]]  # type: ignore[misc]
    code = 1
    try:
        runpy.run_module("textkit", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else 0 if err.code is None else 1
    except BaseException:  # noqa: BLE001 - as Python does at its end
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
