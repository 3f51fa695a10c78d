"""Tell whether a regular expression takes linear time on every text, in an engine that backtracks.

In: the tree of Python's own parser. Out: True where no text can make it slow. The argument: follow
the characters that the pattern consumes as a graph of positions. Where the match may end at a
position at once, a search that fails further on falls back to it; so an attempt wastes at most what
it did since the last such position. If the positions where it may not end form no loop, and few
paths run through them, that waste is bounded by a constant. `[a-z]+@` is not of this kind: on
"aaa..." each start reads to the end and fails.
"""

from __future__ import annotations

import re._parser as regex_parser  # type: ignore[import-not-found]
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# A part of a pattern: its name, and what stands behind it, which differs from name to name.
Node = tuple[object, Any]
MaskOf = Callable[[Node], NDArray[np.bool_]]
# Beyond these a pattern is held for slow: copies that a counted repeat is unrolled to, positions,
# paths, and the characters that a look-around reads.
_MAX_COPIES, _MAX_POSITIONS, _MAX_PATHS, _MAX_LOOK = 32, 600, 2000, 64


class State(Protocol):
    """What the parser knows of a whole pattern."""

    flags: int


class Tree(Protocol):
    """What Python's parser makes of a pattern, or of a part of it: nodes, one after the other."""

    state: State

    def getwidth(self) -> tuple[int, int]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> Node: ...
    def __iter__(self) -> Iterator[Node]: ...


class _TooLargeError(Exception):
    """The pattern is larger than this module follows."""


@dataclass
class _Graph:
    """Positions, and which may follow which; a look-around is a position too, since it can fail."""

    mask_of: MaskOf
    follow: list[set[int]] = field(default_factory=list)

    def add(self) -> int:
        if len(self.follow) == _MAX_POSITIONS:
            raise _TooLargeError
        self.follow.append(set())
        return len(self.follow) - 1


@dataclass(frozen=True)
class _Part:
    """A piece of the graph: whether it may be passed without a position, and the positions it
    starts and ends with.
    """

    empty: bool
    first: frozenset[int]
    last: frozenset[int]


_NONE = _Part(True, frozenset(), frozenset())
_ONE_CHARACTER = ("LITERAL", "NOT_LITERAL", "IN", "ANY")


def is_linear(tree: Tree, mask_of: MaskOf) -> bool:
    """Tell whether matching `tree` again and again over a text is sure to take time in proportion
    to its length.

    mask_of: gives the set of code points of a node that matches one character.
    """
    graph = _Graph(mask_of)
    try:
        whole = _sequence(graph, tree)
        return _n_paths(graph, whole.first, ends=whole.last) <= _MAX_PATHS
    except (_TooLargeError, RecursionError):
        return False


def _n_paths(graph: _Graph, first: frozenset[int], *, ends: frozenset[int]) -> int:
    """Count the paths through positions that are no ends; _TooLargeError where they form a loop."""
    open_: set[int] = set()

    @cache
    def paths(position: int) -> int:
        if position in open_:
            raise _TooLargeError
        open_.add(position)
        total = 1 + sum(paths(after) for after in graph.follow[position] if after not in ends)
        open_.discard(position)
        if total > _MAX_PATHS:
            raise _TooLargeError
        return total

    # What an end leads to may fail as well, before the match falls back to that end.
    starts = set(first).union(*(graph.follow[end] for end in ends)) - ends
    return max((sum(paths(position) for position in starts), 0))


def _sequence(graph: _Graph, nodes: Tree) -> _Part:
    part = _NONE
    for i, node in enumerate(nodes):
        if not (i and _is_assured(graph, nodes[i - 1], node)):
            part = _join(graph, part, _node(graph, node))
    return part


def _join(graph: _Graph, left: _Part, right: _Part) -> _Part:
    for position in left.last:
        graph.follow[position] |= right.first
    return _Part(
        left.empty and right.empty,
        left.first | right.first if left.empty else left.first,
        left.last | right.last if right.empty else right.last,
    )


def _node(graph: _Graph, node: Node) -> _Part:
    name, argument = str(node[0]), node[1]
    if name == "SUBPATTERN":
        if argument[1] or argument[2]:
            raise _TooLargeError  # flags within: `portable` wrote them out
        return _sequence(graph, argument[3])
    if name == "ATOMIC_GROUP":
        return _sequence(graph, argument)
    if name == "BRANCH":
        parts = [_sequence(graph, branch) for branch in argument[1]]
        return _Part(
            any(part.empty for part in parts),
            frozenset().union(*(part.first for part in parts)),
            frozenset().union(*(part.last for part in parts)),
        )
    if name.endswith("_REPEAT"):
        return _repeat(graph, *argument)
    if name in ("ASSERT", "ASSERT_NOT"):
        _check_look(graph, argument[1])
    position = frozenset([graph.add()])
    return _Part(False, position, position)


def _repeat(graph: _Graph, least: int, most: int, content: Tree) -> _Part:
    """Unroll the copies that must stand.

    Those that may stand are one loop, which allows more than they do.
    """
    if least > _MAX_COPIES:
        raise _TooLargeError
    part = _NONE
    for _ in range(least):
        part = _join(graph, part, _sequence(graph, content))
    if most is not regex_parser.MAXREPEAT and most == least:
        return part
    optional = _sequence(graph, content)
    if most is regex_parser.MAXREPEAT or most > least + 1:
        for position in optional.last:
            graph.follow[position] |= optional.first
    return _join(graph, part, _Part(True, optional.first, optional.last))


def _check_look(graph: _Graph, content: Tree) -> None:
    """Hold what a look-around reads to a bounded number of characters and paths."""
    inner = _Graph(graph.mask_of)
    part = _sequence(inner, content)
    if (
        content.getwidth()[1] > _MAX_LOOK
        or _n_paths(inner, part.first, ends=frozenset()) > _MAX_PATHS
    ):
        raise _TooLargeError


def _is_assured(graph: _Graph, before: Node, look: Node) -> bool:
    """Tell whether a look-around after a greedy loop over one class holds after at most one step
    back.

    The loop ends where its class does. `(?!X)` holds there if X lies within the class; if X is
    disjoint from it, it holds one character earlier. A word boundary holds there if the class is
    that of word characters.
    """
    if not str(before[0]).startswith("MAX_REP") or before[1][1] is not regex_parser.MAXREPEAT:
        return False
    least, _, content = before[1]
    if not _is_one_character(content):
        return False
    loop = graph.mask_of(content[0])
    boundary = _boundary_class(look)
    if boundary is not None:
        return bool((graph.mask_of(boundary) == loop).all())
    if str(look[0]) != "ASSERT_NOT" or look[1][0] < 0 or not _is_one_character(look[1][1]):
        return False
    refused = graph.mask_of(look[1][1][0])
    return not bool((refused & ~loop).any()) or (least > 0 and not bool((loop & refused).any()))


def _is_one_character(content: Tree) -> bool:
    return len(content) == 1 and str(content[0][0]) in _ONE_CHARACTER


def _boundary_class(look: Node) -> Node | None:
    """Give the node of the word characters in a boundary as `portable` writes it, else None."""
    if str(look[0]) == "SUBPATTERN" and len(look[1][3]) == 1:
        look = look[1][3][0]
    if str(look[0]) != "BRANCH":
        return None
    branches = look[1][1]
    shape = [
        [(str(name), value[0]) for name, value in branch if str(name).startswith("ASSERT")]
        for branch in branches
    ]
    if shape != [[("ASSERT", -1), ("ASSERT_NOT", 1)], [("ASSERT_NOT", -1), ("ASSERT", 1)]]:
        return None
    if any(len(branch) != 2 for branch in branches):
        return None
    contents = [value[1] for branch in branches for _, value in branch]
    if any(
        not _is_one_character(content) or str(content) != str(contents[0]) for content in contents
    ):
        return None
    node: Node = contents[0][0]
    return node
