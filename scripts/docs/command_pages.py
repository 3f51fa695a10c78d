"""The pages of the command line: one for each verb, read from the commands themselves.

In: typer's tree of commands. Out: for each command its usage, what its help says, its arguments and options in the
groups that `--help` shows.
"""

from __future__ import annotations

import re
from typing import Any

import typer

from textkit.cli import app

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
# Of the whole program; the index shows them once.
_EVERYWHERE = ("--help", "--install-completion", "--show-completion")


def command_pages() -> dict[str, tuple[str, str]]:
    """Give the pages: path -> (title, text); the index comes first."""
    root = typer.main.get_command(app)
    context = root.context_class(root, info_name="textkit")
    verbs = [(name, root.get_command(context, name)) for name in root.list_commands(context)]
    pages = {"reference/cli/README.md": ("The shell", _index(root, context, verbs))}
    for name, command in verbs:
        pages[f"reference/cli/{name}.md"] = (f"textkit {name}", "\n".join(_describe(command, name, context, "#")))
    return pages


def _index(root: Any, context: Any, verbs: list[tuple[str, Any]]) -> str:
    """Write the page of the program: its verbs, its own options, its exit codes."""
    return "\n".join(
        [
            "# The shell",
            "",
            *_prose(root.help),
            "Data goes to standard output, everything else to standard error; `-` is standard input or output.",
            "",
            "| verb | what it does |",
            "|---|---|",
            *(f"| [`{name}`]({name}.md) | {_first_line(command)} |" for name, command in verbs),
            "",
            *_tables(root, context, hide=(), heading="##"),
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
    lines = [f"{heading} {context.command_path}", "", "```text", usage, "```", "", *_prose(command.help)]
    below = [(sub, command.get_command(context, sub)) for sub in getattr(command, "commands", {})]
    if below:
        lines += ["| command | what it does |", "|---|---|"]
        for sub, inner in below:
            anchor = f"{context.command_path}-{sub}".replace(" ", "-")
            lines.append(f"| [`{sub}`](#{anchor}) | {_first_line(inner)} |")
        lines.append("")
    lines += _tables(command, context, hide=_EVERYWHERE, heading="**")
    lines += _prose(command.epilog)
    for sub, inner in below:
        lines += _describe(inner, sub, context, heading + "#")
    return lines


def _tables(command: Any, context: Any, *, hide: tuple[str, ...], heading: str) -> list[str]:
    """Write a table for each group of parameters, in the order of `--help`."""
    groups: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or record[0] in hide:
            continue
        default_group = "Arguments" if parameter.param_type_name == "argument" else "Options"
        group = getattr(parameter, "rich_help_panel", None) or default_group
        names, meaning = (" ".join(text.split()) for text in record)
        groups.setdefault(group, []).append(f"| {_code(names)} | {_escape(meaning)} |")
    lines = []
    for group, rows in groups.items():
        title = f"{heading} {group}" if heading.startswith("#") else f"**{group}**"
        column = "argument" if group == "Arguments" else "option"
        lines += [title, "", f"| {column} | meaning |", "|---|---|", *rows, ""]
    return lines


def _prose(text: str | None) -> list[str]:
    """Turn a help text into Markdown: paragraphs, and command lines as code."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", (text or "").replace("\b", "").strip()):
        rows = [row.strip() for row in paragraph.splitlines() if row.strip()]
        if rows and all(re.match(r"\$? ?textkit ", row) for row in rows):
            lines += ["```console", *(row if row.startswith("$") else f"$ {row}" for row in rows), "```", ""]
        elif rows:
            lines += [_escape(" ".join(rows)), ""]
    return lines


def _first_line(command: Any) -> str:
    return _escape((command.help or "").split("\n\n")[0].replace("\n", " "))


def _code(names: str) -> str:
    # Not between backticks: a bar would end the cell of the table.
    return f"<code>{_escape(names)}</code>"


def _escape(text: str) -> str:
    """Keep what Markdown would take for its own: tags, bars of tables, emphasis, links."""
    return re.sub(r"[<>|*_\[\]&]", lambda found: f"&#{ord(found.group())};", text)
