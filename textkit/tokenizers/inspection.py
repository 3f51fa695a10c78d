"""What is in a tokenizer, and how two of them differ on texts.

In: one tokenizer, or two and texts. Out: numbers and names, as a dict for JSON and as lines for
people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np

from textkit.batch import cut_rows
from textkit.tokenizers.protocol import Tokenizer
from textkit.tokenizers.report import FitReport, measure_fit
from textkit.tokenizers.templates import Part

_CHUNK_ROWS = 2048


class Inspection(TypedDict):
    """kind, size, fingerprint, special tokens by name, the template, what it promises, and the
    shortest and longest tokens.
    """

    kind: str
    tokens: int
    highest_id: int
    fingerprint: str
    lossless: bool
    pad_id: int | None
    unknown_id: int | None
    special: dict[str, int]
    single: str
    pair: str
    length: dict[str, int]
    longest: list[str]
    notes: list[str]


class Difference(TypedDict):
    """A text that two tokenizers cut in different ways, with the tokens of both."""

    row: int
    text: str
    first: list[str]
    second: list[str]


class Comparison(TypedDict):
    """n_other_tokens, n_other_ids: rows whose tokens, or ids, differ. shared: tokens that both
    vocabularies have. examples: the first rows of other tokens.
    """

    n_rows: int
    n_other_tokens: int
    n_other_ids: int
    shared: int
    first: FitReport
    second: FitReport
    examples: list[Difference]


def inspect(tokenizer: Tokenizer, *, n_longest: int = 10) -> Inspection:
    """Say what a tokenizer is.

    >>> from textkit import tokenizers
    >>> found = inspect(tokenizers.create("wordpiece", vocabulary=["[UNK]", "low", "##est"]))
    >>> found["tokens"], found["special"], found["longest"][0]
    (3, {'[UNK]': 0}, '##est')
    """
    names = {i: name for name, i in tokenizer.vocabulary.items()}
    special = {names[i]: i for i in sorted(tokenizer.special_ids) if i in names}
    own = sorted((name for name in names.values() if name not in special), key=_by_length)
    lengths = np.array([len(name) for name in own] or [0])
    return {
        "kind": tokenizer.kind,
        "tokens": len(tokenizer.vocabulary),
        "highest_id": max(names, default=-1),
        "fingerprint": tokenizer.fingerprint,
        "lossless": tokenizer.lossless,
        "pad_id": tokenizer.pad_id,
        "unknown_id": tokenizer.unknown_id,
        "special": special,
        "single": _spell(tokenizer.template.single),
        "pair": _spell(tokenizer.template.pair),
        "length": {str(p): int(np.percentile(lengths, p)) for p in (0, 50, 99, 100)},
        "longest": own[:n_longest],
        "notes": tokenizer.engine_notes,
    }


def compare(
    first: Tokenizer, second: Tokenizer, texts: Iterable[str], *, n_examples: int = 10
) -> Comparison:
    """Encode texts with two tokenizers and say where they differ.

    >>> from textkit import tokenizers
    >>> one = tokenizers.create("wordpiece", vocabulary=["[UNK]", "low", "##er"])
    >>> two = tokenizers.create("wordpiece", vocabulary=["[UNK]", "low", "lower"])
    >>> found = compare(one, two, ["low", "lower"])
    >>> found["n_other_tokens"], found["examples"][0]["second"]
    (1, ['lower'])
    """
    held = list(texts)
    examples: list[Difference] = []
    n_tokens = n_ids = begin = 0
    for chunk in cut_rows(held, n_rows=_CHUNK_ROWS):
        one, two = first.encode(chunk), second.encode(chunk)
        for row, text in enumerate(chunk):
            n_ids += not np.array_equal(one[row], two[row])
            names = [first.tokens(one[row].tolist()), second.tokens(two[row].tolist())]
            if names[0] == names[1]:
                continue
            n_tokens += 1
            if len(examples) < n_examples:
                examples.append(
                    {"row": begin + row, "text": text, "first": names[0], "second": names[1]}
                )
        begin += len(chunk)
    return {
        "n_rows": len(held),
        "n_other_tokens": n_tokens,
        "n_other_ids": n_ids,
        "shared": len(first.vocabulary.keys() & second.vocabulary.keys()),
        "first": measure_fit(first, ((text, "") for text in held)),
        "second": measure_fit(second, ((text, "") for text in held)),
        "examples": examples,
    }


def render_inspection(found: Inspection) -> str:
    """Write an inspection as lines, a fact a line."""
    special = ", ".join(f"{_shown(name)} {i}" for name, i in list(found["special"].items())[:40])
    more = len(found["special"]) - 40
    return "\n".join(
        (
            f"kind         {found['kind']}, {'lossless' if found['lossless'] else 'not lossless'}",
            f"tokens       {found['tokens']:,}, the highest id is {found['highest_id']:,}",
            f"fingerprint  {found['fingerprint'][:12]}",
            f"special      {special or 'none'}{f' and {more:,} more' if more > 0 else ''}",
            f"a text       {found['single']}",
            f"a pair       {found['pair']}",
            f"characters   {found['length']['50']} at the median, {found['length']['99']} at 99 %,"
            f" {found['length']['100']} at most",
            f"longest      {' '.join(map(_shown, found['longest']))}",
            *(f"note         {line}" for line in found["notes"]),
        )
    )


def render_comparison(found: Comparison, names: Sequence[str]) -> str:
    """Write a comparison as a table of two columns, then the texts that differ."""
    fits = (found["first"], found["second"])
    n_rows = max(found["n_rows"], 1)
    lines = [f"{'':16}" + "".join(f" {_shown(name)[-20:]:>20}" for name in names)]
    lines.append(f"{'vocabulary':16}" + "".join(f" {fit['vocabulary']:20,}" for fit in fits))
    for title, key, form in (
        ("tokens", "n_tokens", ",.0f"),
        ("tokens a word", "fertility", ".3f"),
        ("characters/token", "characters_per_token", ".2f"),
        ("unknown", "unknown_rate", ".2%"),
        ("p99 length", "p99_length", ".0f"),
    ):
        values = [fit["all"][key] for fit in fits]  # type: ignore[literal-required]
        lines.append(f"{title:16}" + "".join(f" {format(value, form):>20}" for value in values))
    lines.append(f"{'unused ids':16}" + "".join(f" {fit['unused_ids']:20,}" for fit in fits))
    lines += [
        "",
        f"{found['shared']:,} tokens in both; of {found['n_rows']:,} rows"
        f" {found['n_other_tokens']:,} ({found['n_other_tokens'] / n_rows:.1%}) have other tokens"
        f" and {found['n_other_ids']:,} other ids",
    ]
    for example in found["examples"]:
        lines += [
            f"row {example['row']}: {_shown(example['text'][:200])}",
            *(f"  {' '.join(map(_shown, example[side][:60]))}" for side in ("first", "second")),
        ]
    return "\n".join(lines)


def _by_length(name: str) -> tuple[int, str]:
    return -len(name), name


def _spell(parts: Sequence[Part]) -> str:
    return " ".join(f"{_shown(part.name)}{f':{part.type}' if part.type else ''}" for part in parts)


def _shown(name: str) -> str:
    """Keep control characters from steering the terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in name)
