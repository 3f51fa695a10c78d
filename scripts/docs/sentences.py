"""Read the docstrings of this project: sentences of the form `name: meaning` among the others.

In: a paragraph, and the names that may stand before a colon. Out: what stands before them, their
meanings, and what stands behind; or a whole docstring in the sections of the `google` style, which
mkdocstrings reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# Sentences that speak of the whole call, wherever they stand.
_OF_ALL = ("Raises ", "Returns ", "Gives ", "Needs ", "The rest ")


def split_items(paragraph: str, names: Collection[str]) -> tuple[str, dict[str, str], str]:
    """Split a paragraph into its lead, {name: meaning} and its tail; any of the three may be empty.

    >>> split_items("Cut. size: tokens\\nat most. seed: of draws. Needs time.", ["size", "seed"])
    ('Cut.', {'size': 'tokens at most.', 'seed': 'of draws.'}, 'Needs time.')
    >>> split_items("Read b: it is no name here.", ["b"])
    ('Read b: it is no name here.', {}, '')
    """
    text = " ".join(paragraph.split())
    # A name stands at the beginning of a sentence, before a colon or, where it is called, before a
    # bracket.
    starts = [
        match
        for match in re.finditer(r"(?:^|(?<=\. ))(\w+)(?:: |(?=\())", text)
        if match.group(1) in names
    ]
    if not starts:
        return text, {}, ""
    items, tail = {}, []
    ends = [match.start() for match in starts[1:]] + [len(text)]
    for match, end in zip(starts, ends, strict=True):
        is_called = not match.group().endswith(": ")
        meaning = text[match.start() if is_called else match.end() : end].strip()
        own = []
        for sentence in re.split(r"(?<=\.) (?=[A-Z])", meaning):
            (tail if sentence.startswith(_OF_ALL) else own).append(sentence)
        items[match.group(1)] = " ".join(own)
    return text[: starts[0].start()].strip(), items, " ".join(tail)


def restyle(docstring: str, parameters: dict[str, str], attributes: set[str]) -> str:
    """Rewrite one docstring.

    >>> restyle("Cut.\\n\\nsize: at most.\\n\\n>>> cut(3)", {"size": "size"}, set()).splitlines()
    ['Cut.', '', 'Args:', '    size: at most.', '', 'Examples:', '    >>> cut(3)']
    """
    blocks = []
    for paragraph in re.split(r"\n\s*\n", docstring.strip()):
        if paragraph.startswith(">>>"):
            blocks.append(_section("Examples", paragraph.splitlines()))
            continue
        if paragraph.startswith((" ", "-", "1.", "```")):
            blocks.append(paragraph)
            continue
        lead, items, tail = split_items(paragraph, {*parameters, *attributes})
        of_call = [
            f"{parameters[name]}: {meaning}"
            for name, meaning in items.items()
            if name in parameters
        ]
        of_object = [f"{name}: {meaning}" for name, meaning in items.items() if name in attributes]
        blocks += [lead, _section("Args", of_call), _section("Attributes", of_object), tail]
    return "\n\n".join(block for block in blocks if block)


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"{title}:", *(f"    {line}" for line in lines)]) if lines else ""
