"""What the shell sees of a failure: one line on standard error and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from textkit.errors import TextkitError

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
        from textkit.cli.output import note  # not at the top: `textkit --help` needs none of it

        note("stopping after this step; once more to stop at once")

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
            work()
        except CarriedError as err:
            raise err.__cause__ or err from None
    except SystemExit as err:
        return int(err.code or 0)
    except TextkitError as err:
        return fail(str(err), code=err.exit_code, debug=debug)
    except StoppedError as err:
        return fail(str(err), code=err.exit_code, debug=False)
    except KeyboardInterrupt:
        return fail("interrupted", code=INTERRUPTED, debug=False)
    except BrokenPipeError:
        # The reader of our output went away, as in `textkit tokenize ... | head`: not an error
        # worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    # The last line of defence: a bug becomes one line and exit code 70.
    except Exception as err:  # noqa: BLE001
        message = (
            f"a bug in textkit: {type(err).__name__}: {err}; run again with --debug and report it"
        )
        return fail(message, code=BUG, debug=debug)
    return 0


def fail(message: str, *, code: int, debug: bool) -> int:
    """Say it on one line of standard error."""
    if debug:
        import traceback

        traceback.print_exc()
    line = " ".join(message.split("\n")).encode("utf-8", "backslashreplace").decode("utf-8")
    print(f"error: {line}", file=sys.stderr)
    return code
