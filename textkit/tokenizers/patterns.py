"""The user's regular expressions: rewritten so that every engine reads them alike, and checked for
linear time.

In: a pattern as Python's `re` reads it, with \\p{L} and the other general categories as well. Out:
the same pattern with every class, case and anchor spelled out. Python and Oniguruma (tokenizers'
engine) differ on \\w, ^, $, (?m) and more; on what is written here they agree, so ids, spans and a
saved tokenizer.json are the same everywhere. One file, although a long one: reading, rewriting and
running a pattern share one notion of what a node of it matches.
"""

from __future__ import annotations

import re
import re._compiler as regex_compiler  # type: ignore[import-not-found]
import re._parser as regex_parser  # type: ignore[import-not-found]
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import tokenizers as hf
from numpy.typing import NDArray

from textkit.errors import LimitError, UsageError, require
from textkit.tokenizers.pattern_cost import Node, Tree, is_linear

Mask = NDArray[np.bool_]
# Seconds that a pattern which may read far ahead and fail has for one text.
TIME_LIMIT_SECONDS = 10.0
SURROGATES = slice(0xD800, 0xE000)
_NOTHING, _ANYTHING = r"[^\s\S]", r"[\s\S]"
_START, _END = rf"(?<!{_ANYTHING})", rf"(?!{_ANYTHING})"
_SPECIAL = frozenset("\\^$.|?*+()[]{}-#&~")
# An escape or a class of a portable pattern.
_CLASS = re.compile(r"\\.|\[(?:[^\]\\]|\\.)*\]", re.DOTALL)
_PROPERTY = re.compile(r"\\(?:[^pP]|([pP])(?:\{(\^?)(\w+)\}|([A-Z])))|\[\^?\]?|\]", re.DOTALL)


def portable(pattern: str) -> str:
    r"""Rewrite a pattern so that Python's re and Oniguruma find the same matches.

    Raises UsageError where it does not compile, can match the empty text, or refers back to a
    group.

    >>> portable("(?i)a.$")
    '[Aa][^\\x0a](?=\\x0a?(?![\\s\\S]))'
    """
    written = pattern
    for _ in range(4):  # the parser simplifies; what it makes of its own output stays
        before, written = written, _rewrite(written, said=pattern)
        if written == before:
            break
    try:
        hf.Regex(written)
    # tokenizers raises bare Exception.
    except Exception as err:
        raise UsageError(f"pattern {pattern!r} is not one that tokenizers takes: {err}") from err
    return written


def is_portable(pattern: str) -> bool:
    """Tell whether a pattern is one that `portable` wrote, so that the engines agree on it.

    >>> is_portable("[a-z]+"), is_portable(r"\\w+")
    (True, False)
    """
    try:
        return _rewrite(pattern, said=pattern) == pattern
    except UsageError:
        return False


def is_sure(pattern: str) -> bool:
    r"""Tell whether no text can make a pattern slow, of Oniguruma's too; UsageError where it cannot
    be read.

    >>> is_sure(r"\p{L}+|\s+\z"), is_sure(r"\p{L}+@")
    (True, False)
    """
    # A text ends for Python's parser at \Z.
    tree = _parse(_rewrite(pattern.replace(r"\z", r"\Z"), said=pattern))
    return is_linear(tree, lambda node: _mask(node, tree.state.flags))


def reads_spaces(pattern: str) -> bool:
    """Tell whether a portable pattern may take, or look at, a space: one that does not never looks
    past it either.

    >>> reads_spaces("[a-z]+"), reads_spaces("[^a-z]"), reads_spaces("a(?= )")
    (False, True, True)
    """
    tree = _parse(pattern)
    return _may_read(ord(" "), tree, tree.state.flags)


def _may_read(code: int, tree: Tree, flags: int) -> bool:
    for node in tree:
        name, argument = str(node[0]), node[1]
        if name in _CLASS_NODES:
            found = bool(_mask(node, flags)[code])
        elif name == "BRANCH":
            found = any(_may_read(code, branch, flags) for branch in argument[1])
        elif name in ("SUBPATTERN", "ATOMIC_GROUP", "ASSERT", "ASSERT_NOT") or name.endswith(
            "_REPEAT"
        ):
            found = _may_read(code, argument if name == "ATOMIC_GROUP" else argument[-1], flags)
        else:
            found = name != "FAILURE"
        if found:
            return True
    return False


@dataclass(frozen=True)
class Cutter:
    """How to cut a text at the matches of a pattern: `cut` gives gap, match, gap, ..., match, gap.

    is_linear: no text can make it slow. A pattern of which that is not sure runs under
    TIME_LIMIT_SECONDS a text.
    """

    cut: Callable[[str], list[str]]
    is_linear: bool


def cutter(pattern: str) -> Cutter:
    """Make the cutter of a portable pattern.

    One that may be slow needs the extra `regex`, whose engine has a clock.

    >>> cutter("[a-z]+").cut("ab, c")
    ['', 'ab', ', ', 'c', '']
    >>> cutter("[a-z]+@").is_linear
    False
    """
    if is_sure(pattern):
        return Cutter(_linear_cut(pattern), True)
    shown = pattern if len(pattern) < 60 else pattern[:57] + "..."
    require("regex", needed_by=f"pattern {shown!r}, which can read far ahead and then fail,")
    import regex

    compiled = regex.compile(f"({pattern})", regex.VERSION0)

    def cut_in_time(text: str) -> list[str]:
        try:
            return list(compiled.split(text, timeout=TIME_LIMIT_SECONDS))
        except TimeoutError as err:
            raise LimitError(
                f"the pattern takes more than {TIME_LIMIT_SECONDS:g} s on a text of {len(text):,}"
                f" characters; it reads"
                " far ahead and then fails; make what follows each * or + optional, or cut the text"
            ) from err

    return Cutter(cut_in_time, False)


def _linear_cut(pattern: str) -> Callable[[str], list[str]]:
    """Give the split of `re` in the form that suits the text: a class with no range above U+FFFF
    is 9 times as fast.
    """
    beyond = re.compile(r"[^\0-\uffff]").search
    quick = pattern
    for name in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
        quick = quick.replace(_write_anchor(name, 0), r"\b" if name == "AT_BOUNDARY" else r"\B")
    narrow = re.compile(f"({_CLASS.sub(_narrow_class, quick)})").split
    wide = re.compile(f"({quick})").split
    return lambda text: narrow(text) if text.isascii() or beyond(text) is None else wide(text)


def _narrow_class(found: re.Match[str]) -> str:
    if found[0][0] == "\\" or found[0] in (_NOTHING, _ANYTHING):
        return found[0]
    mask = _mask(_parse(found[0])[0], 0)
    mask[0x10000:] = mask[0xFFFF]
    return write_class(mask)


def _rewrite(pattern: str, *, said: str) -> str:
    try:
        tree = _parse(_expand_properties(pattern))
    except (re.error, OverflowError, RecursionError) as err:
        raise UsageError(f"pattern {said!r} is no regular expression: {err}") from err
    if tree.getwidth()[0] == 0:
        raise UsageError(
            f"pattern {said!r} can match the empty text; every token needs a character"
        )
    try:
        return _write(tree, tree.state.flags)
    except NotImplementedError as err:
        raise UsageError(
            f"pattern {said!r} has {err}, which a tokenizer cannot run in bounded time"
        ) from err


def _parse(pattern: str) -> Tree:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # "possible nested set": it is read as Python reads it
        tree: Tree = regex_parser.parse(pattern)
        return tree


def _write(tree: Tree, flags: int) -> str:
    return "".join(_write_node(node, flags) for node in tree)


def _write_node(node: Node, flags: int) -> str:
    name, argument = str(node[0]), node[1]
    if name in _CLASS_NODES:
        return write_class(_mask(node, flags))
    if name == "AT":
        return _write_anchor(str(argument), flags)
    if name == "BRANCH":
        return "(?:" + "|".join(_write(branch, flags) for branch in argument[1]) + ")"
    if name == "SUBPATTERN":
        _, added, removed, content = argument
        if added & _ALPHABETS:
            flags &= ~_ALPHABETS
        return _write(content, (flags | added) & ~removed)
    if name.endswith("_REPEAT"):
        return _write_repeat(name, *argument, flags=flags)
    if name == "ATOMIC_GROUP":
        return f"(?>{_write(argument, flags)})"
    if name in ("ASSERT", "ASSERT_NOT"):
        direction, content = argument
        mark = ("<" if direction < 0 else "") + ("=" if name == "ASSERT" else "!")
        return f"(?{mark}{_write(content, flags)})"
    if name == "FAILURE":
        return _NOTHING
    raise NotImplementedError(
        "a reference back to a group" if name.startswith("GROUPREF") else name.lower()
    )


_ALPHABETS = int(re.ASCII | re.UNICODE)
_CLASS_NODES = ("LITERAL", "NOT_LITERAL", "IN", "ANY")


def _write_repeat(name: str, least: int, most: int, content: Tree, *, flags: int) -> str:
    unbounded = most is regex_parser.MAXREPEAT
    body = _write(content, flags)
    if content.getwidth()[1] == 0:  # look-arounds alone: once is as good as often
        return body if least else ""
    if len(content) != 1 or str(content[0][0]) not in _CLASS_NODES:
        body = f"(?:{body})"
    short = {(0, True): "*", (1, True): "+"}.get((int(least), unbounded))
    short = "?" if (least, most) == (0, 1) else short
    count = short or (
        f"{{{least},}}" if unbounded else f"{{{least}}}" if least == most else f"{{{least},{most}}}"
    )
    if name == "MIN_REPEAT" and least != most:
        return f"{body}{count}?"
    return f"(?>{body}{count})" if name == "POSSESSIVE_REPEAT" else f"{body}{count}"


def _write_anchor(name: str, flags: int) -> str:
    lines = bool(flags & re.MULTILINE)
    if name in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
        word = write_class(_category("CATEGORY_WORD", flags & re.ASCII))
        if name == "AT_BOUNDARY":
            return f"(?:(?<={word})(?!{word})|(?<!{word})(?={word}))"
        return f"(?:(?<={word})(?={word})|(?<!{word})(?!{word}))"
    if name == "AT_BEGINNING":
        return r"(?<![^\x0a])" if lines else _START
    if name == "AT_END":
        return r"(?![^\x0a])" if lines else rf"(?=\x0a?{_END})"
    return _START if name == "AT_BEGINNING_STRING" else _END


def write_class(mask: Mask) -> str:
    """Write a set of code points as a character class that every engine reads alike."""
    inside, outside = _ranges(mask), _ranges(~mask)
    if not inside or not outside:
        return _NOTHING if not inside else _ANYTHING
    if len(inside) == 1 and inside[0][0] == inside[0][1]:
        return _escape(inside[0][0])
    negate = len(outside) < len(inside) or outside[0][0] == outside[-1][1]
    pieces = []
    for first, last in outside if negate else inside:
        dash = "-" if last > first + 1 else ""
        pieces.append(_escape(first) + (dash + _escape(last) if last > first else ""))
    return f"[{'^' if negate else ''}{''.join(pieces)}]"


def _escape(code: int) -> str:
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\{chr(code)}" if chr(code) in _SPECIAL else chr(code)


def _ranges(mask: Mask) -> list[tuple[int, int]]:
    """Give the first and last code points of each run.

    A run goes on across the surrogates, which no text holds.
    """
    known = np.concatenate([[False], mask[: SURROGATES.start], mask[SURROGATES.stop :], [False]])
    edges = np.flatnonzero(known[1:] != known[:-1])
    width = SURROGATES.stop - SURROGATES.start
    starts = [int(i) + (width if i >= SURROGATES.start else 0) for i in edges[::2]]
    ends = [int(i) - 1 + (width if i > SURROGATES.start else 0) for i in edges[1::2]]
    return list(zip(starts, ends, strict=True))


def _mask(node: Node, flags: int) -> Mask:
    """Give the set of code points that a node of one character matches."""
    name, argument = str(node[0]), node[1]
    if name == "ANY":
        found = np.ones(0x110000, dtype=bool)
        found[10] = bool(flags & re.DOTALL)
        return found
    if flags & re.IGNORECASE:
        return _ask_python(node, flags)
    if name != "IN":
        found = np.zeros(0x110000, dtype=bool)
        found[argument] = True
        return ~found if name == "NOT_LITERAL" else found
    found = np.zeros(0x110000, dtype=bool)
    negate = False
    for item, value in argument:
        if str(item) == "NEGATE":
            negate = True
        elif str(item) == "LITERAL":
            found[value] = True
        elif str(item) == "RANGE":
            found[value[0] : value[1] + 1] = True
        else:
            found |= _category(str(value), flags & re.ASCII)
    return ~found if negate else found


def _ask_python(node: Node, flags: int) -> Mask:
    """Find the characters that match one node by asking Python's own engine, whose rules of case
    are many.
    """
    state = regex_parser.State()
    state.flags = flags
    compiled = regex_compiler.compile(regex_parser.SubPattern(state, [node]), flags)
    return _mask_of("".join(compiled.findall(_every_character())))


@cache
def _category(name: str, flags: int) -> Mask:
    code = {"CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w"}[
        name.replace("NOT_", "")
    ]
    found = _mask_of("".join(re.findall(code, _every_character(), flags)))
    return ~found if "NOT_" in name else found


def _mask_of(characters: str) -> Mask:
    mask = np.zeros(0x110000, dtype=bool)
    mask[np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)] = True
    return mask


@cache
def _every_character() -> str:
    return "".join(map(chr, range(0x110000)))


@cache
def _general_categories() -> NDArray[np.str_]:
    return np.array([unicodedata.category(character) for character in _every_character()])


def _expand_properties(pattern: str) -> str:
    r"""Write \p{L}, \pL, \P{Lu} and \p{^N}, which Python's re lacks, as ranges."""
    in_class = False

    def expand(found: re.Match[str]) -> str:
        nonlocal in_class
        letter, caret, name = found[1], found[2], found[3] or found[4]
        if letter is None:
            if found[0][0] == "[":
                in_class = True
            elif found[0] == "]":
                in_class = False
            return found[0]
        categories = _general_categories()
        mask = (categories.astype("U1") if len(name) == 1 else categories) == name
        if not mask.any():
            raise re.error(f"unknown general category '{name}', expected such as L, Lu, N, P")
        if (letter == "P") != bool(caret):
            mask = ~mask
        runs = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _ranges(mask))
        return runs if in_class else f"[{runs}]"

    return _PROPERTY.sub(expand, pattern) if "\\p" in pattern or "\\P" in pattern else pattern
