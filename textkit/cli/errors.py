"""What the shell sees of a failure: one line on standard error and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from textkit.errors import StorageError, TextkitError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# C0 but tab and line end, DEL and C1; marks, embeddings, overrides and isolates of direction; and
# the ends of lines that only some programs know. \u escapes are JSON's own, too.
_STEERING = (
    *(n for n in range(0x20) if n not in (0x09, 0x0A)),
    *range(0x7F, 0xA0),
    *(0x61C, 0x200E, 0x200F, 0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_ESCAPES = {n: f"\\u{n:04x}" for n in _STEERING}

INTERRUPTED, TERMINATED, BROKEN_PIPE, BUG = 130, 143, 141, 70


class CarriedError(Exception):
    """Carry a KeyboardInterrupt or BrokenPipeError, its cause, past typer, which has exits of
    its own for both.
    """


class StoppedError(Exception):
    """A signal ended the work early, and what was done is saved.

    `str` says what to run to go on.
    """

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StopSignal:
    """Remember that SIGINT or SIGTERM came; a second one stops at once.

    >>> with StopSignal() as stop:
    ...     stop.is_set()
    False
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def __enter__(self) -> StopSignal:
        self._before = {
            number: signal.signal(number, self._catch) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        say("stopping after this step; once more to stop at once")

    def is_set(self) -> bool:
        """Tell whether a signal came; what a Watch's should_stop asks."""
        return self.number is not None

    def error(self, message: str) -> StoppedError:
        """Make the error that ends the verb, with the exit code of the signal."""
        code = TERMINATED if self.number == signal.SIGTERM else INTERRUPTED
        return StoppedError(message, exit_code=code)


def run_guarded(work: Callable[[], object], *, debug: bool) -> int:
    """Run a command; turn every way to fail into a line and an exit code."""
    try:
        try:
            return _run(work)
        except CarriedError as err:
            raise err.__cause__ or err from None
    except TextkitError as err:
        return fail(str(err), code=err.exit_code, debug=debug)
    except StoppedError as err:
        return fail(str(err), code=err.exit_code, debug=False)
    except KeyboardInterrupt:
        return fail("interrupted", code=INTERRUPTED, debug=False)
    except BrokenPipeError:
        # The reader of our output went away, as in `textkit tokenize ... | head`: not an error
        # worth a word.
        silence(sys.stdout)
        return BROKEN_PIPE
    except OSError as err:
        where = "" if err.filename is None else f"{err.filename}: "
        return fail(f"{where}{err.strerror or err}", code=StorageError.exit_code, debug=debug)
    # The last line of defence: a bug becomes one line and exit code 70.
    except Exception as err:  # noqa: BLE001
        message = (
            f"a bug in textkit: {type(err).__name__}: {err}; run again with --debug and report it"
        )
        return fail(message, code=BUG, debug=debug)


def _run(work: Callable[[], object]) -> int:
    """Run a command to the last byte of its output: a full disk may show only then."""
    try:
        work()
        code = 0
    except SystemExit as err:
        if isinstance(err.__context__, BrokenPipeError):  # click and rich end with 1 then
            raise err.__context__ from None
        code = int(err.code or 0)
    sys.stdout.flush()
    return code


class StandardOutput(io.FileIO):
    """The bytes of standard output; an error that they meet says where it was met."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as err:
            raise OSError(err.errno, err.strerror, "standard output") from err


def silence(stream: TextIO) -> None:
    """Let what is still to be written to a stream go nowhere, so that the exit meets no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def open_streams() -> None:
    """Let standard output name itself in errors, and open the streams that the shell closed.

    No file of ours gets their numbers then (`>&-`): what is written to standard output fails, as it
    should, and messages go nowhere.
    """
    names = ("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")
    for number, (name, flags, mode) in enumerate(names):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)  # the lowest that is free
            if descriptor != number:
                os.dup2(descriptor, number)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115 - stays open
    sys.stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(StandardOutput(sys.stdout.fileno(), "w", closefd=False)),
        encoding=sys.stdout.encoding,
        errors=sys.stdout.errors,
        line_buffering=sys.stdout.isatty(),
    )


def fail(message: str, *, code: int, debug: bool) -> int:
    """Say it on one line of standard error; output that is left goes out if it can."""
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)
    if debug:
        import traceback

        say(traceback.format_exc().rstrip("\n"))
    say(f"error: {' '.join(message.split(chr(10)))}")
    return code


def visible(text: str) -> str:
    r"""Write what would steer a terminal as its escape: control characters but tab and line end,
    and the marks that turn the direction of writing.

    >>> print(visible("a\x1b[31m b\u202ec"))
    a\u001b[31m b\u202ec
    """
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


def say(message: str) -> None:
    """Write a line to standard error; where that cannot be written, the work goes on without."""
    try:
        line = visible(message).encode("utf-8", "backslashreplace").decode("utf-8")
        print(line, file=sys.stderr)
    except OSError:
        silence(sys.stderr)
