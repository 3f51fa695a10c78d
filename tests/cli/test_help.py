"""The help of every verb: options in groups, nothing cut, examples that the shell would take."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from textkit.cli import app
from textkit.cli.command import GROUPS, OTHER, examples, group_of

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


def groups(command: Any = ROOT, name: str = "textkit") -> Iterator[tuple[str, Any]]:
    if hasattr(command, "list_commands"):
        yield name, command
        for word in command.list_commands(None):
            yield from groups(command.get_command(None, word), f"{name} {word}")


@pytest.mark.parametrize("name", dict(groups()))
def test_a_group_gives_the_whole_line_of_each_of_its_verbs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    command = dict(groups())[name]
    page = " ".join(command.get_help(command.make_context(name, ["x"])).split())
    for verb, line in command.verb_lines(None):
        assert f"{verb} {line}" in page
        assert line.endswith(".") and "\n" not in line


@pytest.mark.parametrize("columns", [80, 120, 200])
@pytest.mark.parametrize("name", ["textkit", "textkit vectors", *VERBS])
def test_a_page_fills_the_terminal_and_no_more(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    command = dict(groups()).get(name) or VERBS[name]
    page = command.get_help(command.make_context(name, [], resilient_parsing=True))
    widths = [len(line) for line in page.splitlines()]
    assert max(widths) <= columns
    if name == "textkit embed" and columns < 200:
        assert max(widths) > columns - 12
    assert "[[" not in page


def complete(words: str, *, shell: str = "bash") -> list[str]:
    """Ask as the script of a shell asks, with the cursor behind the last word."""
    program = "import sys; from textkit.cli import main\ntry: main()\n"
    program += "finally: print(sorted({'torch', 'pyarrow', 'rich'} & set(sys.modules)))"
    asked = {
        "_TEXTKIT_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **asked},
        capture_output=True,
        text=True,
        timeout=60,
    )
    *found, heavy = done.stdout.splitlines()
    assert (heavy, done.stderr) == ("[]", "")
    return found


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("textkit ve", ["vectors"]),
        ("textkit vectors n", ["nearest"]),
        ("textkit train --encoder ls", ["lstm"]),
        ("textkit train -t word", ["word", "wordpiece"]),
        ("textkit train --task m", ["multi-label"]),
        ("textkit tokenizer train -k uni", ["unicode", "unigram"]),
        ("textkit train -r ", ["pipelines/a.toml", "pipelines/more/"]),
        ("textkit recipe show mi", ["mine.toml"]),
        ("textkit tokenize --to j", ["jsonl"]),
        ("textkit embed --pooling s", ["sif"]),
        ("textkit vectors nearest g", ["glove"]),
        ("textkit predict --format ts", ["tsv"]),
    ],
)
def test_the_shell_completes_verbs_and_values(words: str, wanted: list[str]) -> None:
    Path("pipelines/more").mkdir(parents=True)
    for name in ("pipelines/a.toml", "pipelines/README.md", "mine.toml", "mi.csv"):
        Path(name).touch()
    assert complete(words) == wanted


@pytest.mark.parametrize(
    ("shell", "said"), [("zsh", "_arguments '*: :((\"lstm\"))'"), ("fish", "lstm")]
)
def test_other_shells_complete_too(shell: str, said: str) -> None:
    assert complete("textkit train --encoder ls", shell=shell) == [said]


KNOWN = {"device", "encoder", "format", "kind", "model", "pooling", "precision", "recipe", "task"}
KNOWN |= {"dtype", "split", "tokenizer"}


def test_every_option_whose_values_are_known_is_completed() -> None:
    Path("a.toml").touch()
    n_found = 0
    for name, command in VERBS.items():
        context = command.make_context(name, [], resilient_parsing=True)
        for parameter in command.params:
            if parameter.name in KNOWN and parameter.param_type_name == "option":
                assert parameter.shell_complete(context, ""), f"{name} --{parameter.name}"
                n_found += 1
    assert n_found > len(KNOWN)
