"""Parts of a corpus worked on by Ray, in the place of processes of this machine.

In: a piece of work, parts in order, and where Ray is. Out: the results in the order of the parts.
A task is one part:

1. The work, with its model, is put into Ray once; each node fetches it once, and each process of a
   node unpacks it once.
2. At most two parts a processor are under way, so that neither Ray's object store nor the driver
   ever holds more of a corpus, and parts wait for no one while one is taken back.
3. A part whose process or node is lost is made again elsewhere; whoever writes it writes the same
   bytes, whole or not at all.

Ray (2.60) sends how it is used over the network unless told not to: the one begun here does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textkit.errors import ArtifactError, StorageError, TextkitError, UsageError, require
from textkit.io.bulk import Part
from textkit.threads import one_core
from textkit.version import __version__

if TYPE_CHECKING:
    import ray

# How often a part may lose its process before the job ends: a part that ends every process that
# takes it, as one that fills the memory does, must not be tried for ever.
_RETRIES = 20
_WAITING = 2
_KNOCK_SECONDS = 10.0
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

Result = TypeVar("Result")


def parse_on(on: str) -> str | None:
    """Give the address of Ray in `ray[:ADDRESS]`; None is one that is begun for this work.

    >>> parse_on("ray"), parse_on("ray:auto"), parse_on("ray:ray://head:10001")
    (None, 'auto', 'ray://head:10001')
    """
    name, colon, address = on.partition(":")
    if name != "ray" or (colon and not address):
        raise UsageError(f"expected --on ray or --on ray:ADDRESS, found '{on}'")
    return address or None


def map_on_ray(
    work: Callable[[Part], Result], parts: Iterable[Part], *, on: str
) -> Iterator[Result]:
    """Apply `work` to each part on Ray and give the results in order.

    The errors of the work are its own. Raises StorageError where Ray is not there, or where a part
    lost its process again and again.
    """
    with connected(on):
        import ray

        # In a list, so that a task gets the name of the work and unpacks it once a process.
        held = [ray.put(work)]
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_Worker.run)
        waiting: deque[ray.ObjectRef] = deque()
        try:
            for part in parts:
                waiting.append(task.remote(held, part, __version__))
                if len(waiting) >= _WAITING * _n_cpus():
                    yield _take(waiting.popleft())
            while waiting:
                yield _take(waiting.popleft())
        finally:
            for ref in waiting:
                ray.cancel(ref, force=True)


class _Worker:
    """The work of this process, unpacked when its first part comes."""

    held: ClassVar[str] = ""
    work: ClassVar[Callable[[Part], Any]]

    @staticmethod
    def run(held: list[ray.ObjectRef], part: Part, version: str) -> Any:
        if version != __version__:
            raise ArtifactError(
                f"textkit is {__version__} on the node {os.uname().nodename} and {version} here;"
                " install the same on every node"
            )
        name = held[0].hex()
        if _Worker.held != name:
            import ray

            _Worker.work, _Worker.held = ray.get(held[0]), name
        with one_core():  # the one that the task has
            return _Worker.work(part)


def _take(ref: ray.ObjectRef) -> Any:
    """Wait for the result of a part."""
    from ray import exceptions

    try:
        import ray

        return ray.get(ref)
    except exceptions.RayTaskError as err:
        if isinstance(err.cause, TextkitError):
            raise err.cause from None
        if isinstance(err.cause, exceptions.RaySystemError):
            reason = str(err.cause).removeprefix("System error: ").partition("\n")[0]
            raise ArtifactError(
                f"a machine of Ray cannot open what the work needs: {reason}; put it where all"
                " machines see it"
            ) from err
        raise
    except exceptions.RayError as err:
        reason = " ".join(str(err).split())[:300]
        raise StorageError(
            f"Ray lost a part {_RETRIES + 1} times, or was lost itself: {reason}; go on with"
            " --resume"
        ) from err


def _n_cpus() -> int:
    """Count the processors of Ray as it is now: nodes come and go."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 0)))


@contextlib.contextmanager
def connected(on: str) -> Iterator[None]:
    """Connect to Ray for this block, or begin one here that ends with it.

    Where this process is connected already, that is taken, and left.
    """
    address = parse_on(on)
    require("ray", needed_by=f"--on {on}")
    import ray

    if ray.is_initialized():
        yield
        return
    with contextlib.ExitStack() as stack:
        address = address or os.environ.get("RAY_ADDRESS")
        options: dict[str, object] = {"address": address}
        if address is not None:
            _knock(on, address)
        else:
            import tempfile

            stack.enter_context(_environment(_QUIET))
            folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
            options = {
                "address": "local",
                "include_dashboard": False,
                "_temp_dir": stack.enter_context(folder),
            }
        _connect(on, options)
        stack.callback(ray.shutdown)
        # Ray says on standard output what it loses; that is for data.
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _knock(on: str, address: str) -> None:
    """Refuse an address at which nobody answers: Ray itself tries again for many minutes."""
    import socket

    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if not (colon and port.isdigit()):
        return  # a word of Ray's, as auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except (OSError, OverflowError) as err:
        raise StorageError(f"--on {on}: nobody answers at {host}:{port}: {err}") from err


def _connect(on: str, options: dict[str, object]) -> None:
    """Connect, quietly, and leave the program its own signals: Ray takes SIGTERM for itself."""
    import logging

    import ray

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if in_main else None
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as err:  # one that does not start says so by a bare Exception
        reason = " ".join(str(err).split())[:300]
        raise StorageError(f"--on {on}: Ray cannot be reached: {reason}") from err
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables that are not set, for this block."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
