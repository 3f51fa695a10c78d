"""The page of recipes: every key with its type, default, bounds and meaning, from the JSON schema.

The sections `tokenizer` and `encoder` also take the options of the kind that they name; those come
from the signatures of the registered kinds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from sentences import split_items

from textkit import registry
from textkit.errors import UsageError
from textkit.recipe import complete_recipe, make_recipe, recipe_schema

Row = tuple[str, str, str, str]  # key, type, default, meaning

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
# What JSON schema calls Python's types.
_WORDS = {"int": "integer", "float": "number", "str": "string", "bool": "boolean", "tuple": "list"}


def recipe_page() -> str:
    """Write the page."""
    schema = json.loads(recipe_schema())
    sections = {name: _section(schema, value) for name, value in schema["properties"].items()}
    lines = [
        "# Recipe keys",
        "",
        "A recipe is a TOML file; each key below may also be given as `--set section.key=value`",
        "in the shell and as `section__key=value` in Python. `textkit recipe show` writes a",
        "recipe whole, with every default.",
        "",
    ]
    plain = {name: value for name, value in schema["properties"].items() if sections[name] is None}
    lines += _table((name, _type(value), _default(value), "") for name, value in plain.items())
    for name, section in sections.items():
        if section is not None:
            is_absent = schema["properties"][name].get("default", {}) is None
            lines += _describe(name, section, is_absent=is_absent)
    return "\n".join(lines)


def _section(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any] | None:
    """Give the section that a top-level key stands for, or None where it is a plain value."""
    for choice in (value, *value.get("anyOf", ()), *value.get("allOf", ())):
        if "$ref" in choice:
            section: dict[str, Any] = schema["$defs"][choice["$ref"].rpartition("/")[2]]
            return section
    return None


def _describe(name: str, section: dict[str, Any], *, is_absent: bool) -> list[str]:
    """Write a section: what it is, then its keys, then the keys that the kinds add to it."""
    keys = section["properties"]
    texts, meanings = [], {}
    for paragraph in section.get("description", "").split("\n\n"):
        lead, items, tail = split_items(paragraph, keys)
        texts += [lead, tail]
        meanings |= items
    if is_absent:
        texts.append("A recipe has no such section unless it is written.")
    rows = (
        (key, _type(value), _default(value), meanings.get(key, "")) for key, value in keys.items()
    )
    lines = [f"## {name}", "", *(f"{_cell(text)}\n" for text in texts if text), *_table(rows)]
    if section.get("additionalProperties"):
        lines += _describe_kinds(name)
    return lines


def _describe_kinds(section: str) -> list[str]:
    """Write the keys that kinds add to a section; kinds with the same keys share a table."""
    kinds: dict[tuple[Row, ...], list[str]] = {}
    for kind in registry.names(section):
        if rows := tuple(_options(section, kind)):
            kinds.setdefault(rows, []).append(kind)
    lines = []
    for rows, names in kinds.items():
        lines += [f"### {section}.name = {', '.join(names)}", "", *_table(rows)]
    return lines


def _options(section: str, kind: str) -> Iterable[Row]:
    """Give a registered kind's options: of a tokenizer's trainer, of an encoder's constructor."""
    thing = registry.resolve(section, kind)
    function: Callable[..., Any] = thing.train if section == "tokenizer" else thing
    try:
        preset = getattr(complete_recipe(make_recipe({section: {"name": kind}})), section).options
    except UsageError:  # an option of this kind must be given
        preset = {}
    for parameter in registry.keyword_parameters(function):
        if parameter.name != "in_dim":
            default = preset.get(parameter.name, parameter.default)
            annotation = parameter.annotation
            words = str(
                annotation if isinstance(annotation, str) else annotation.__name__
            ).removesuffix(" | None")
            words = re.sub(r"\w+", lambda found: _WORDS.get(found.group(), found.group()), words)
            words = re.sub(r"(?:Sequence|list|tuple)\[(\w+)(?:, \.\.\.)?\]", r"list of \1", words)
            yield (
                parameter.name,
                words,
                "must be given" if default is parameter.empty else _toml(default),
                "",
            )


def _table(rows: Iterable[Row]) -> list[str]:
    """Write a table of keys; its last column is left out where no key has a meaning."""
    rows = list(rows)
    width = 4 if any(meaning for *_, meaning in rows) else 3
    body = [
        (f"`{key}`", _cell(words), default, _cell(meaning))[:width]
        for key, words, default, meaning in rows
    ]
    table = [("key", "type", "default", "meaning")[:width], ("---",) * width, *body]
    return [*(f"| {' | '.join(cells)} |" for cells in table), ""] if rows else []


def _type(value: dict[str, Any]) -> str:
    """Say what values a key takes, with their bounds."""
    if "anyOf" in value:
        return " or ".join(
            _type(choice) for choice in value["anyOf"] if choice.get("type") != "null"
        )
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}"
    bounds = [f"{words} {_number(value[key])}" for key, words in _BOUNDS.items() if key in value]
    return ", ".join([value.get("type", "any"), *bounds])


def _default(value: dict[str, Any]) -> str:
    return _toml(value["default"]) if "default" in value else ""


def _toml(value: Any) -> str:
    return "none" if value is None else f"`{json.dumps(value)}`"


def _number(value: float) -> str:
    """Write a bound; 2**63 is easier to read than its digits."""
    power = value.bit_length() - 1 if isinstance(value, int) else 0
    return f"2^{power}" if power > 20 and value == 1 << power else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;")
