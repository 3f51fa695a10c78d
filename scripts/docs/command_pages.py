"""The pages of the command line: one for each verb, read from the commands themselves.

In: typer's tree of commands. Out: for each command its usage, what its help says, its arguments and
options in the groups that `--help` shows, and its examples.
"""

from __future__ import annotations

import re
from typing import Any

import typer

from textkit.cli import app
from textkit.cli.command import EXAMPLES, GROUPS, OF_THE_ROOT, examples, group_of

_EXIT_CODES = (
    (0, "done"),
    (2, "a wrong option or argument, or an extra that is not installed"),
    (3, "bad input data"),
    (4, "a bad or incompatible model, tokenizer or vectors"),
    (5, "a file or folder that cannot be opened, read or written"),
    (6, "a limit was hit"),
    (70, "a bug of ours; run again with `--debug` and report it"),
    (130, "stopped by Ctrl-C; the message says what to run to go on"),
    (141, "the reader of the output went away, as in `textkit tokenize corpus/ | head`"),
    (143, "stopped by SIGTERM, as 130"),
)


def command_pages() -> dict[str, tuple[str, str]]:
    """Give the pages: path -> (title, text); the index comes first."""
    root = typer.main.get_command(app)
    context = root.context_class(root, info_name="textkit")
    verbs = [(name, root.get_command(context, name)) for name in root.list_commands(context)]
    pages = {"reference/cli/README.md": ("The shell", _index(root, context, verbs))}
    for name, command in verbs:
        text = "\n".join(_describe(command, name, context, "#"))
        pages[f"reference/cli/{name}.md"] = (f"textkit {name}", text)
    return pages


def _index(root: Any, context: Any, verbs: list[tuple[str, Any]]) -> str:
    """Write the page of the program: its verbs, its own options, its exit codes."""
    return "\n".join(
        [
            "# The shell",
            "",
            *_prose(root),
            "Data goes to standard output, everything else to standard error; `-` is standard",
            "input or output.",
            "",
            "| verb | what it does |",
            "|---|---|",
            *(f"| [`{name}`]({name}.md) | {_summary(command)} |" for name, command in verbs),
            "",
            *_examples(root),
            "## Options",
            "",
            *_tables(root, context, hide=()),
            "## Exit codes",
            "",
            "| code | meaning |",
            "|---|---|",
            *(f"| {code} | {meaning} |" for code, meaning in _EXIT_CODES),
            "",
        ]
    )


def _describe(command: Any, name: str, parent: Any, heading: str) -> list[str]:
    """Describe a command and, one level deeper, the commands below it."""
    context = command.context_class(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"{heading} {context.command_path}", "", "```text", usage, "```", "", *_prose(command)]
    below = [(sub, command.get_command(context, sub)) for sub in getattr(command, "commands", {})]
    if below:
        lines += ["| command | what it does |", "|---|---|"]
        for sub, inner in below:
            anchor = f"{context.command_path}-{sub}".replace(" ", "-")
            lines.append(f"| [`{sub}`](#{anchor}) | {_summary(inner)} |")
        lines.append("")
    lines += _tables(command, context, hide=("help", *OF_THE_ROOT))
    lines += _examples(command)
    for sub, inner in below:
        lines += _describe(inner, sub, context, heading + "#")
    return lines


def _tables(command: Any, context: Any, *, hide: tuple[str, ...]) -> list[str]:
    """Write a table for each group of arguments and options, in the order of `--help`."""
    groups: dict[str, list[str]] = {name: [] for name in GROUPS}
    for parameter in sorted(command.get_params(context), key=lambda p: p.param_type_name):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name not in hide:
            names, meaning = (_escape(" ".join(text.split())) for text in record)
            # Not between backticks: a bar would end the cell of the table.
            row = f"| <code>{names}</code> | {meaning} |"
            groups.setdefault(group_of(parameter), []).append(row)
    lines = []
    for group, rows in groups.items():
        if rows:
            lines += [f"**{group}**", "", "| name | meaning |", "|---|---|", *rows, ""]
    return lines


def _prose(command: Any) -> list[str]:
    """Write the paragraphs of a help text, without its examples."""
    text = (command.help or "").partition(EXAMPLES)[0].strip()
    return [line for part in re.split(r"\n\s*\n", text) for line in (_escape(part), "")]


def _summary(command: Any) -> str:
    return " ".join(_prose(command)[0].split())


def _examples(command: Any) -> list[str]:
    lines = [f"$ {line}" for line in examples(command)]
    return ["**Examples**", "", "```console", *lines, "```", ""] if lines else []


def _escape(text: str) -> str:
    """Keep what Markdown would take for its own: tags, bars of tables, emphasis, links."""
    return re.sub(r"[<>|*_\[\]&]", lambda found: f"&#{ord(found.group())};", text)
