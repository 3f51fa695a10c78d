"""The elements of one JSON array, one after the other, however its lines are broken.

In: the lines of a file whose first character is `[`. Out: each element, its own text and the line
that it begins on. What is held is one element, or about a megabyte of small ones, never the array.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from textkit.errors import DataError
from textkit.io.text_lines import TextLines

_CHUNK_CHARACTERS = 1 << 16
# An error so near to the end of what was read may be the end's own fault, as of `tru`.
_NEAR = 16
_SPACE = " \t\n\r"


class Element(NamedTuple):
    """One element of an array; bad: why a line of it is no UTF-8, else None."""

    value: object
    text: str
    line: int
    bad: DataError | None


class ArrayReader:
    """Iterate over the elements of the array in a file; each is given once.

    Raises DataError at the line where the array is none: after it nobody knows where the next
    element begins.
    """

    def __init__(self, first: str, rest: Iterator[str], lines: TextLines) -> None:
        self.rest, self.lines = rest, lines
        self.text, self.at, self.line = first, 0, lines.number
        self.bad: list[tuple[int, DataError]] = []
        self._note_bad()

    def __iter__(self) -> Iterator[Element]:
        self._expect("[")
        opened = self.line
        if self._next(opened) == "]":
            self._step()
        else:
            while True:
                yield self._element(opened)
                mark = self._next(opened)
                self._step()
                if mark == "]":
                    break
                if mark != ",":
                    raise self._error(f"expected ',' or ']' in the array, found {mark!r}")
                self._next(opened)
        if self._skip():
            raise self._error(
                "text follows the end of the array; expected one array, or one object a line"
            )

    def _element(self, opened: int) -> Element:
        """Read on until an element is whole and what follows it is there too."""
        decoder = json.JSONDecoder()
        while True:
            try:
                value, end = decoder.raw_decode(self.text, self.at)
            except RecursionError as err:
                raise self._error("not valid JSON: nested too deeply") from err
            except json.JSONDecodeError as err:
                cut = err.msg.startswith("Unterminated") or err.pos > len(self.text) - _NEAR
                if not cut or not self._more():
                    self._move(err.pos)
                    where = "" if self.line == opened else f" in the array of line {opened}"
                    raise self._error(f"not valid JSON: {err.msg}{where}") from err
            else:
                # A number may go on where the text read so far ends.
                if end < len(self.text) or not self._more():
                    break
        text, line = self.text[self.at : end], self.line
        self._move(end)
        bad = next((error for number, error in self.bad if line <= number <= self.line), None)
        self.bad = [(number, error) for number, error in self.bad if number >= self.line]
        return Element(value, text, line, bad)

    def _expect(self, mark: str) -> None:
        if self._skip() != mark:
            raise self._error(f"expected {mark!r}")
        self._step()

    def _next(self, opened: int) -> str:
        mark = self._skip()
        if not mark:
            raise self._error(
                f"the array that opens on line {opened} is not closed; the file is cut short"
            )
        return mark

    def _skip(self) -> str:
        """Go to the next character that is no white space; give it, or nothing at the end."""
        while True:
            end = self.at
            while end < len(self.text) and self.text[end] in _SPACE:
                end += 1
            self._move(end)
            if end < len(self.text):
                return self.text[end]
            if not self._more():
                return ""

    def _step(self) -> None:
        self._move(self.at + 1)

    def _move(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def _more(self) -> bool:
        """Read as much again as is held, so that a long element costs its length a few times."""
        held = self.text[self.at :]
        if len(held) > self.lines.limit.n_bytes:
            raise self.lines.limit.error("the element", f"{self.lines.name}:{self.line}")
        parts, n_read = [held], 0
        for line in self.rest:
            self._note_bad()
            parts.append(line)
            n_read += len(line)
            if n_read >= max(_CHUNK_CHARACTERS, len(held)):
                break
        self.text, self.at = "".join(parts), 0
        return n_read > 0

    def _note_bad(self) -> None:
        if self.lines.bad is not None:
            self.bad.append((self.lines.number, self.lines.bad))

    def _error(self, message: str) -> DataError:
        return DataError(message, where=f"{self.lines.name}:{self.line}")
