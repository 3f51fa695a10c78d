"""The help of every verb: options in groups, nothing cut, examples that the shell would take."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from textkit.cli import app
from textkit.cli.command import GROUPS, OTHER, examples, group_of
from textkit.cli.options import complete_encoder, complete_recipe, complete_tokenizer

ROOT = typer.main.get_command(app)


def verbs(command: Any = ROOT, name: str = "textkit") -> Iterator[tuple[str, Any]]:
    inner = command.list_commands(None) if hasattr(command, "list_commands") else []
    if not inner:
        yield name, command
    for word in inner:
        yield from verbs(command.get_command(None, word), f"{name} {word}")


VERBS = dict(verbs())


def textkit_calls(example: str) -> Iterator[list[str]]:
    """Give the words of each call of textkit in a line for the shell, without what it redirects."""
    shlexer = shlex.shlex(example, posix=True, punctuation_chars="|&<>")
    shlexer.whitespace_split = True
    words = [*shlexer, "|"]
    while "|" in words or "&&" in words:
        end = min(i for i, word in enumerate(words) if word in ("|", "&&"))
        call, words = words[:end], words[end + 1 :]
        for sign in (">", "<"):
            call = call[: call.index(sign)] if sign in call else call
        if call and call[0] == "textkit":
            yield call


@pytest.mark.parametrize("name", VERBS)
def test_the_examples_of_a_verb_are_calls_that_it_takes(name: str) -> None:
    lines = examples(VERBS[name])
    assert lines
    calls = [call for line in lines for call in textkit_calls(line)]
    assert len(calls) >= len(lines)
    named = set()
    for call in calls:  # an example may show the next verb too
        name_of_call = next(" ".join(call[:n]) for n in (3, 2) if " ".join(call[:n]) in VERBS)
        named.add(name_of_call)
        VERBS[name_of_call].make_context(name_of_call, call[len(name_of_call.split()) :])
    assert name in named


@pytest.mark.parametrize("name", VERBS)
def test_options_stand_in_groups_and_no_text_is_cut(name: str) -> None:
    command = VERBS[name]
    context = command.make_context(name, [], resilient_parsing=True)
    context.terminal_width = 100
    page = command.get_help(context)
    titles = [line.removesuffix(":") for line in page.splitlines() if line and line[0] != " "]
    wanted = [group for group in GROUPS if group in titles]
    assert [title for title in titles if title in GROUPS] == wanted
    words = page.split()
    for parameter in command.params:
        if parameter.name not in ("help", "install_completion", "show_completion"):
            assert group_of(parameter) in GROUPS and group_of(parameter) != OTHER, parameter.name
            said = (parameter.help or "").split()
            assert any(
                words[i : i + len(said)] == said for i in range(len(words) - len(said) + 1)
            ), parameter.name


def test_values_are_completed() -> None:
    assert complete_encoder("ls") == ["lstm"]
    assert "word" in complete_tokenizer("wo")
    assert complete_recipe("no/such/") == []
