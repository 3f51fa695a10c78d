"""The pages of the Python API: one for each public name, each public module, and the errors.

The pages say only what is to be shown; mkdocstrings fills them from the docstrings when the site is
built.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
from collections.abc import Collection

import textkit
from textkit import errors

# Modules whose public names users import; one that names none in `__all__` has no page.
MODULES = ("textkit.tokenizers", "textkit.jobs")

Pages = dict[str, tuple[str, str]]


def api_pages() -> Pages:
    """Give the pages: path -> (title, text)."""
    pages: Pages = {}
    for name in sorted(set(textkit.__all__) - {"__version__", "TextkitError"}):
        pages[f"reference/{name}.md"] = (name, _directive(f"textkit.{name}", heading_level=1))
    for module in MODULES:
        names = getattr(importlib.import_module(module), "__all__", ())
        if names:
            short = module.removeprefix("textkit.")
            pages[f"reference/{short}.md"] = (module, _module_page(module, names))
    pages["reference/errors.md"] = ("Errors", _errors_page())
    return pages


def _module_page(name: str, members: Collection[str]) -> str:
    """Write the page of a module: its docstring, then each of its public names."""
    parts = [
        f"# {name}",
        _directive(name, members=False, show_root_heading=False, show_root_toc_entry=False),
    ]
    for member in sorted(members, key=str.lower):
        thing, path = getattr(importlib.import_module(name), member), f"{name}.{member}"
        if importlib.util.find_spec(path) is not None:
            # A file has the name too, and griffe would describe the file.
            path = f"{thing.__module__}.{thing.__qualname__}"
        is_protocol = getattr(thing, "_is_protocol", False)
        parts.append(_directive(path, heading=f"{name}.{member}", show_if_no_docstring=is_protocol))
    return "\n\n".join(parts) + "\n"


def _directive(path: str, **options: bool | int | str) -> str:
    """Ask mkdocstrings for what stands at a path."""
    return "\n".join(
        [
            f"::: {path}",
            "    options:",
            *(f"      {key}: {json.dumps(options[key])}" for key in options),
        ]
    )


def _errors_page() -> str:
    """Write the page of the errors: what each means, and what the shell exits with."""
    family = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TextkitError) and kind is not errors.TextkitError
    ]
    family.sort(key=lambda kind: (kind.exit_code, kind.__name__))
    rows = []
    for kind in family:
        others = ", ".join(
            f"`{base.__name__}`" for base in kind.__bases__ if base is not errors.TextkitError
        )
        link = f"[`{kind.__name__}`][textkit.errors.{kind.__name__}]"
        rows.append(f"| {link} | {kind.exit_code} | {others} |")
    return "\n".join(
        [
            "# Errors\n",
            "Every failure that textkit foresees is a",
            "[`TextkitError`][textkit.errors.TextkitError] of one line.",
            "The shell prints that line and exits with its code.\n",
            "| error | exit code | also a |",
            "|---|---|---|",
            *rows,
            "",
            *(f"::: textkit.errors.{kind.__name__}\n" for kind in (errors.TextkitError, *family)),
        ]
    )
