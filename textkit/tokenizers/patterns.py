"""The user's regular expressions: rewritten so that every engine reads them alike, and checked for
linear time.

In: a pattern as Python's `re` reads it, with \\p{L} and the other general categories as well. Out:
the same pattern with every class, case and anchor spelled out. Python and Oniguruma (tokenizers'
engine) differ on \\w, ^, $, (?m) and more; on what is written here they agree, so ids, spans and a
saved tokenizer.json are the same everywhere.
"""

from __future__ import annotations

import re
import re._compiler as regex_compiler  # type: ignore[import-not-found]
import re._parser as regex_parser  # type: ignore[import-not-found]
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tokenizers as hf

from textkit.errors import LimitError, UsageError, require
from textkit.tokenizers.character_classes import (
    ANYTHING,
    NOTHING,
    Mask,
    category,
    escape,
    every_character,
    expand_properties,
    mask_of,
    write_class,
)
from textkit.tokenizers.pattern_cost import Node, Tree, is_linear

# Seconds that a pattern which may read far ahead and fail has for one text.
TIME_LIMIT_SECONDS = 10.0
_START, _END = rf"(?<!{ANYTHING})", rf"(?!{ANYTHING})"
# An escape or a class of a portable pattern.
_CLASS = re.compile(r"\\.|\[(?:[^\]\\]|\\.)*\]", re.DOTALL)


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

    >>> is_sure(r"\p{L}+|\s+"), is_sure(r"\s+\z"), is_sure(r"\p{L}+@")
    (True, False, False)
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
    if found[0][0] == "\\" or found[0] in (NOTHING, ANYTHING):
        return found[0]
    mask = _mask(_parse(found[0])[0], 0)
    mask[0x10000:] = mask[0xFFFF]
    return write_class(mask)


def _rewrite(pattern: str, *, said: str) -> str:
    try:
        tree = _parse(expand_properties(pattern))
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
    if name == "LITERAL" and not flags & re.IGNORECASE and not 0xD800 <= argument < 0xE000:
        return escape(argument)  # as its class is written, but without one
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
        return NOTHING
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
        word = write_class(category("CATEGORY_WORD", flags & re.ASCII))
        if name == "AT_BOUNDARY":
            return f"(?:(?<={word})(?!{word})|(?<!{word})(?={word}))"
        return f"(?:(?<={word})(?={word})|(?<!{word})(?!{word}))"
    if name == "AT_BEGINNING":
        return r"(?<![^\x0a])" if lines else _START
    if name == "AT_END":
        return r"(?![^\x0a])" if lines else rf"(?=\x0a?{_END})"
    return _START if name == "AT_BEGINNING_STRING" else _END


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
            found |= category(str(value), flags & re.ASCII)
    return ~found if negate else found


def _ask_python(node: Node, flags: int) -> Mask:
    """Find the characters that match one node by asking Python's own engine, whose rules of case
    are many.
    """
    state = regex_parser.State()
    state.flags = flags
    compiled = regex_compiler.compile(regex_parser.SubPattern(state, [node]), flags)
    return mask_of("".join(compiled.findall(every_character())))
