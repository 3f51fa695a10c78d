"""Changes of a vocabulary: tokens added behind it, a smaller one, and the rows of a model that
follow.

In: the description of a tokenizer, as its tokenizer.json has it. Out: another one; the given one
stays. `carry_rows` gives a table of rows by id, as an embedding layer has them, the rows that the
changed tokenizer needs.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from textkit.errors import UsageError
from textkit.tokenizers.description import Description, TableModel
from textkit.tokenizers.protocol import Tokenizer

# What byte fallback calls the bytes of characters that have no token.
BYTE_PIECES = frozenset(f"<0x{byte:02X}>" for byte in range(256))


def with_words(
    description: Description, vocabulary: Mapping[str, int], words: Iterable[str]
) -> Description:
    """Put words behind the ids of a list of words; those that it has stay where they are."""
    description = copy.deepcopy(description)
    model = description["model"]
    assert model["type"] == "WordLevel"
    first = max(vocabulary.values(), default=-1) + 1
    new = [word for word in words if word not in model["vocab"]]
    model["vocab"] |= {word: first + i for i, word in enumerate(new)}
    return description


def shrunk(description: Description, *, size: int) -> Description:
    """Keep the first `size` ids, and the merges among them."""
    description = copy.deepcopy(description)
    model = description["model"]
    if model["type"] == "Unigram":
        raise UsageError("unigram vocabularies do not nest; train one size at a time")
    vocabulary = {token: i for token, i in model["vocab"].items() if i < size}
    model["vocab"] = vocabulary
    if "merges" in model:
        model["merges"] = [
            [left, right]
            for left, right in merges_of(model)
            if left in vocabulary and right in vocabulary and left + right in vocabulary
        ]
    return description


def pruned(
    description: Description, vocabulary: Mapping[str, int], keep: Collection[str]
) -> Description:
    """Keep some tokens and what they need; ids close up in their order.

    What is needed: added tokens, the unknown token, bytes, what a template names, single
    characters of BPE, the parts of BPE's merges, and Unigram's least probable piece, by which an
    unknown character is judged.
    """
    description = copy.deepcopy(description)
    model = description["model"]
    kept = {*keep, *(token["content"] for token in description["added_tokens"])}
    kept |= BYTE_PIECES
    if model["type"] == "Unigram":
        unknown = model.get("unk_id")
        pieces = model["vocab"]
        if unknown is not None:
            kept.add(pieces[unknown][0])
        kept.add(min(pieces, key=lambda piece: piece[1])[0])
        names = [name for name, _ in pieces if name in kept]
        if unknown is not None:
            model["unk_id"] = names.index(pieces[unknown][0])
        model["vocab"] = [piece for piece in pieces if piece[0] in kept]
    else:
        kept.add(model.get("unk_token") or "")
        if "merges" in model:
            kept |= _parts_of(model, kept)
            model["merges"] = [
                [left, right] for left, right in merges_of(model) if left + right in kept
            ]
        names = sorted(model["vocab"], key=model["vocab"].__getitem__)
        names = [name for name in names if name in kept]
        model["vocab"] = {name: i for i, name in enumerate(names)}
    return _renumbered(description, names, vocabulary)


def merges_of(model: TableModel) -> list[tuple[str, str]]:
    """Give the merges as pairs, however the file spells them."""
    pairs = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"]]
    return [(left, right) for left, right in pairs]


def _parts_of(model: TableModel, kept: Collection[str]) -> set[str]:
    """Give every token that a merge towards a kept one may pass through, and the characters."""
    prefix = model.get("continuing_subword_prefix") or ""
    if prefix or model.get("end_of_word_suffix"):
        raise UsageError("a BPE whose pieces mark the begin or end of words cannot be pruned")
    makes: dict[str, list[str]] = {}
    for left, right in merges_of(model):
        makes.setdefault(left + right, []).extend((left, right))
    needed = {name for name in model["vocab"] if len(name) == 1}
    todo = [*kept, *needed]
    while todo:
        for part in makes.get(todo.pop(), ()):
            if part not in needed:
                needed.add(part)
                todo.append(part)
    return needed


def _renumbered(
    description: Description, names: Sequence[str], vocabulary: Mapping[str, int]
) -> Description:
    """Give added tokens and the post-processor the ids of a model that has these tokens."""
    ids = {name: i for i, name in enumerate(names)}
    for token in sorted(description["added_tokens"], key=lambda token: token["id"]):
        token["id"] = ids.setdefault(token["content"], len(ids))
    moved = {i: ids[name] for name, i in vocabulary.items() if name in ids}
    step = cast(dict[str, Any] | None, description["post_processor"]) or {}
    for part in (step, *step.get("processors", ())):
        _renumber_step(part, moved)
    return description


def _renumber_step(step: dict[str, Any], moved: Mapping[int, int]) -> None:
    for role in ("sep", "cls"):
        if isinstance(step.get(role), list | tuple):
            name, i = step[role]
            step[role] = [name, moved[i]]
    special = step.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else ():
        token["ids"] = [moved[i] for i in token["ids"]]


def carry_rows(
    table: NDArray[np.floating], *, old: Tokenizer, new: Tokenizer
) -> NDArray[np.floating]:
    """Give a table of rows by `old`'s ids, (n_old, dim), the rows of `new`'s ids: (n_new, dim), in
    the same dtype.

    A token of both has its row. A new one has the mean of the rows of the pieces that `old` reads
    its text as, or of all rows where there are none but the unknown token.

    >>> from textkit import tokenizers
    >>> old = tokenizers.create("wordpiece", vocabulary=["[UNK]", "play", "##ing"])
    >>> new = old.add_tokens(["playing"])
    >>> carry_rows(np.array([[0.0], [1.0], [3.0]]), old=old, new=new).ravel().tolist()
    [0.0, 1.0, 3.0, 2.0]
    """
    table = np.asarray(table)
    highest = max(old.vocabulary.values(), default=-1)
    if table.ndim != 2 or len(table) <= highest:
        raise UsageError(f"a table of shape {table.shape} has no row for the id {highest}")
    rows = np.zeros((max(new.vocabulary.values(), default=-1) + 1, table.shape[1]), table.dtype)
    rows[:] = table[: highest + 1].mean(axis=0, dtype=np.float64)
    for name, i in new.vocabulary.items():
        if name in old.vocabulary:
            rows[i] = table[old.vocabulary[name]]
            continue
        pieces = old.encode([new.decode([i]).strip()])[0]
        pieces = pieces[pieces != (-1 if old.unknown_id is None else old.unknown_id)]
        if len(pieces):
            rows[i] = table[pieces].mean(axis=0, dtype=np.float64)
    return rows
