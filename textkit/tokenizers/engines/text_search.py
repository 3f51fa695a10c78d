"""Whether a text holds any of many texts: what finds the rows that may spell an added token.

In: the texts to look for. Out: a search whose time does not grow with their number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

# So many characters of a text are looked for by a pattern, the rest in a table; the groups of the
# pattern are no deeper than this.
_HEAD = 8
# A look for one first character costs as much as passing over 6 characters of a text; in a million
# of them a look takes .03 ms at most and a pass 4 to 7 ms, as long as some 200 looks.
_CHARACTERS_A_LOOK, _MOST_LOOKS = 6, 128


class TextSearch:
    """Look for many texts at once.

    The heads of the texts make one pattern, a branch for every character that may come next. Where
    a head stands, the longer texts that begin with it are looked up by their lengths.

    >>> search = TextSearch(["<tool>", "<tool_call>", "[a]"])
    >>> [search.found_in(text) for text in ("a <tool>", "a <tool", "[a", "x[a]")]
    [True, False, False, True]
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = {text for text in texts if text}
        self._firsts = {text[0] for text in self._texts}
        lengths: dict[str, set[int]] = defaultdict(set)
        for text in self._texts:
            lengths[text[:_HEAD]].add(len(text))
        self._lengths = {head: sorted(found) for head, found in lengths.items()}
        # A lookahead, so that a head within another one that led to nothing is found too.
        self._heads = re.compile(f"(?=({_branches(sorted(self._lengths))}))").finditer

    def may_be_in(self, text: str) -> bool:
        """Tell quickly whether a text holds a character that one of the texts begins with."""
        if len(self._firsts) > min(len(text) // _CHARACTERS_A_LOOK, _MOST_LOOKS):
            return not self._firsts.isdisjoint(text)
        return any(first in text for first in self._firsts)

    def found_in(self, text: str) -> bool:
        """Tell whether a text holds one of the texts."""
        if not self.may_be_in(text):
            return False
        for match in self._heads(text):
            start, head = match.start(), match[1]
            # The pattern takes the shortest head, which is a text itself where it is no full one.
            if any(text[start : start + n] in self._texts for n in self._lengths[head]):
                return True
        return False


def _branches(heads: Sequence[str]) -> str:
    """Write the pattern that matches the shortest of sorted heads.

    >>> _branches(["ab", "abc", "ad", "c"])
    '(?:a(?:b|d)|c)'
    """
    if not heads:
        return "(?!)"
    groups: dict[str, list[str]] = defaultdict(list)
    for head in heads:
        groups[head[0]].append(head[1:])
    branches = [
        re.escape(first) + ("" if "" in rests else _branches(rests))
        for first, rests in groups.items()
    ]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
