"""What others rely on by name: Python names, registry names, the shell's verbs and options.

In: the package as it is. Out: lines, which are compared with a file in tests/data/golden, so that
no name appears or goes without somebody meaning it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np
import typer

import textkit
from textkit import errors, registry, tokenizers

SPECIAL = ("__contains__", "__getitem__", "__iter__", "__len__")


def python_names() -> list[str]:
    """List the public names: classes with their attributes and methods, functions, errors."""
    vectors = textkit.Vectors(["a"], np.ones((1, 2), np.float32))
    lines = [f"textkit.{name}" for name in textkit.__all__]
    for cls, made in (
        (textkit.AsyncClient, None),
        (textkit.Client, None),
        (textkit.SearchIndex, None),
        (textkit.TextClassifier, None),
        (textkit.TextEmbedder, textkit.TextEmbedder.__new__(textkit.TextEmbedder)),
        (textkit.TokenBatch, None),
        (textkit.Vectors, vectors),
    ):
        lines += class_lines(f"textkit.{cls.__name__}", cls, made)
    lines += [f"textkit.tokenizers.{name}" for name in tokenizers.__all__]
    for name in tokenizers.__all__:
        value = getattr(tokenizers, name)
        if inspect.isfunction(value):
            lines.append(f"textkit.tokenizers.{name}{parameters(value)}")
        else:
            made = tokenizers.create("char") if name == "PipelineTokenizer" else None
            lines += class_lines(f"textkit.tokenizers.{name}", value, made)
    return sorted(set(lines)) + error_lines(textkit.TextkitError)


def class_lines(name: str, cls: type, made: Any) -> list[str]:
    """List a class's constructor, attributes and methods; `made` is an object of it, if needed."""
    lines = [f"{name}{parameters(cls)}"] if cls.__init__ is not object.__init__ else []
    found = {*dir(cls), *inspect.get_annotations(cls), *(() if made is None else vars(made))}
    for attribute in sorted(found):
        if attribute.startswith("_") and not (attribute in SPECIAL and hasattr(cls, attribute)):
            continue
        value = getattr(cls, attribute, None)
        lines.append(f"{name}.{attribute}{parameters(value) if callable(value) else ''}")
    return lines


def parameters(function: Callable[..., Any]) -> str:
    """Spell the parameters of a function: names and defaults, no types.

    >>> parameters(sorted)
    '(iterable, /, *, key=None, reverse=False)'
    """
    signature = inspect.signature(function)
    bare = [
        value.replace(annotation=inspect.Parameter.empty)
        for value in signature.parameters.values()
        if value.name != "self"
    ]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def error_lines(error: type) -> list[str]:
    """List the error family: name, exit code, and what else it is."""
    bases = ", ".join(base.__name__ for base in error.__bases__)
    lines = [f"error {error.__name__}({bases}) exit_code={vars(error).get('exit_code')}"]
    for cls in sorted(error.__subclasses__(), key=lambda cls: cls.__name__):
        if getattr(errors, cls.__name__, None) is cls:
            lines += error_lines(cls)
    return lines


def registry_names() -> list[str]:
    """List the built-in names of every kind."""
    return sorted(f"{kind} {name}" for kind, table in registry.BUILT_IN.items() for name in table)


def shell_names() -> list[str]:
    """List every verb with its arguments and options."""
    from textkit.cli import app

    return list(walk(typer.main.get_command(app), "textkit"))


def walk(command: Any, name: str) -> Iterator[str]:
    """Give the lines of a command and of those below it: arguments in their order, options by
    their names.
    """
    yield name
    types = {} if command.callback is None else type_names(command.callback)
    arguments = [option for option in command.params if option.param_type_name == "argument"]
    options = [option for option in command.params if option.param_type_name == "option"]
    for option in [*arguments, *sorted(options, key=lambda option: option.opts)]:
        yield f"{name} {option_line(option, types.get(option.name))}"
    for inner in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from walk(command.get_command(None, inner), f"{name} {inner}")


def type_names(function: Callable[..., Any]) -> dict[str, str]:
    """Spell the type of each parameter of a verb; a choice by its values.

    >>> def verb(n: int | None, names: list[str]) -> None: ...
    >>> type_names(verb)
    {'n': 'int', 'names': 'list[str]'}
    """
    found = {}
    for name, value in inspect.signature(function, eval_str=True).parameters.items():
        bare = value.annotation
        while get_origin(bare) in (Annotated, Union, UnionType):
            bare = get_args(bare)[0]
        if get_origin(bare) is None:
            members = bare if issubclass(bare, Enum) else ()
            found[name] = "|".join(str(member.value) for member in members) or bare.__name__
        else:
            found[name] = str(bare)
    return found


def option_line(option: Any, type_name: str | None) -> str:
    """Spell one option or argument: names, what it takes, whether it is required, default."""
    default = option.default.value if isinstance(option.default, Enum) else option.default
    default = str(default) if isinstance(default, Path) else default
    facts = {
        "metavar": option.metavar,
        "type": type_name,
        "min": getattr(option, "min", None),
        "max": getattr(option, "max", None),
        "required": option.required or None,
        "default": None if callable(default) else default,
        "hidden": getattr(option, "hidden", False) or None,
    }
    said = "".join(f" {key}={value!r}" for key, value in facts.items() if value is not None)
    return f"{option.param_type_name} {'/'.join([*option.opts, *option.secondary_opts])}{said}"


LISTS = {"names.txt": python_names, "registry.txt": registry_names, "shell.txt": shell_names}
