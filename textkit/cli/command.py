"""What all verbs share: options that come in groups, and a help that shows them so.

In: a function whose parameters are dataclasses of options (and single options). Out: a command
whose flags are the dataclasses' fields, and whose `--help` uses the terminal's whole width, lists
the options group by group, cuts nothing, and ends with the examples of the docstring:

    @dataclass(frozen=True, kw_only=True)
    class Corpus:
        group: ClassVar = INPUT
        inputs: Annotated[list[str], typer.Argument(metavar="FILES", help="Files to read.")]
        text_column: TextColumn = None

    @verb(app)
    def train(corpus: Corpus, out: OutFolder, running: Running) -> None:
        '''Train word vectors.

        Examples:
            textkit vectors train corpus.txt -o vectors
        '''
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import ParameterInfo

from textkit.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from typer._click.core import Command, Context, Parameter
    from typer._click.formatting import HelpFormatter

INPUT, MODEL, TOKENIZER, VECTORS = "Input", "Model", "Tokenizer", "Vectors"
TRAINING, SPLIT, CHECKS = "Training", "Split", "Checks"
OUTPUT, RUNNING, OTHER = "Output", "Running", "Other"
GROUPS = (INPUT, MODEL, TOKENIZER, VECTORS, TRAINING, SPLIT, CHECKS, OUTPUT, RUNNING, OTHER)

# Names of options longer than this stand on a line of their own, their help below.
NAMES_COLUMNS = 34
# Click stops at 80 columns unless it is told of another bound.
ANY_WIDTH = 10_000
# typer puts these into every verb; `textkit --help` shows them.
OF_THE_ROOT = ("install_completion", "show_completion")

EXAMPLES = "Examples:"

Function = TypeVar("Function", bound=Callable[..., None])
Options = TypeVar("Options")


class Verb(TyperCommand):
    """A command whose help shows its options in groups, then the examples of its docstring.

    bare: options whose value may be left out; it is then the empty text. streams: parameters for
    which - is standard output; no other file or folder is written under that name.
    """

    bare: ClassVar[Sequence[str]] = ()
    streams: ClassVar[Sequence[str]] = ()

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, [*_close_bare(args, self.bare)])
        for parameter in self.params:
            is_dash = ctx.params.get(parameter.name or "") == Path("-")
            if is_dash and group_of(parameter) == OUTPUT and parameter.name not in self.streams:
                name = parameter.opts[-1]
                message = f"{name} - : it is not written to standard output; name a file or folder"
                raise UsageError(message)
        return rest

    def get_help(self, ctx: Context) -> str:
        ctx.max_content_width = ANY_WIDTH
        return super().get_help(ctx)

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        # Of a metavar that has brackets of its own, typer makes [[FILE]].
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("[[", "[").replace("]]", "]") for piece in pieces]

    def format_help_text(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_text(self, formatter)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_examples(self, formatter)


class VerbGroup(TyperGroup):
    """A command of verbs, whose help gives the first sentence of each uncut."""

    def verb_lines(self, ctx: Context) -> list[tuple[str, str]]:
        """Name each verb with its line in the help."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return [(name, _summary(command)) for name, command in commands.items() if command]

    def get_help(self, ctx: Context) -> str:
        ctx.max_content_width = ANY_WIDTH
        return super().get_help(ctx)

    def format_help_text(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_text(self, formatter)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_rows(formatter, "Commands", self.verb_lines(ctx))
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        _write_examples(self, formatter)


def new_group(help: str) -> typer.Typer:
    """Make a command of verbs; without arguments it gives its help."""
    return typer.Typer(cls=VerbGroup, help=help, rich_markup_mode=None, no_args_is_help=True)


def new_verb() -> typer.Typer:
    """Make what holds a single verb."""
    return typer.Typer(rich_markup_mode=None)


def verb(
    app: typer.Typer, *, bare: Sequence[str] = (), streams: Sequence[str] = ()
) -> Callable[[Function], Function]:
    """Make a function a verb of an app, its dataclasses of options spread out to flags.

    bare: options, as --abstain, whose value may be left out. streams: parameters, as out, for which
    - is standard output.
    """

    def add(function: Function) -> Function:
        cls = type("Verb", (Verb,), {"bare": bare, "streams": streams})
        app.command(cls=cls)(spread(function))
        return function

    return add


def _close_bare(args: Sequence[str], bare: Sequence[str]) -> Iterator[str]:
    """Write `--name=` for an option of `bare` that no value follows.

    >>> [*_close_bare(["--abstain", "--json", "--abstain", "none"], ["--abstain"])]
    ['--abstain=', '--json', '--abstain', 'none']
    """
    for word, following in itertools.zip_longest(args, args[1:]):
        is_last = following is None or (following.startswith("-") and following != "-")
        yield f"{word}=" if word in bare and is_last else word


def spread(function: Callable[..., None]) -> Callable[..., None]:
    """Take one by one the options that a function wants as dataclasses.

    A dataclass's `group` is the group in the help of those of its fields that name none.

    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Size:
    ...     dim: int
    ...     depth: int = 1
    >>> def build(size: Size, *, seed: int = 0) -> None:
    ...     print(size, seed)
    >>> build.__annotations__["size"] = Size  # a doctest's names are not a module's
    >>> inspect.signature(spread(build))
    <Signature (*, dim: int, depth: int = 1, seed: int = 0) -> None>
    >>> spread(build)(dim=8, depth=2, seed=3)
    Size(dim=8, depth=2) 3
    """
    hints = get_type_hints(function, include_extras=True)
    groups = {
        name: hint
        for name, hint in hints.items()
        if isinstance(hint, type) and dataclasses.is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters += _fields_of(groups[name])
            continue
        parameters.append(
            parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        )

    def command(**values: object) -> None:
        taken = {
            name: group(**{field.name: values.pop(field.name) for field in _init_fields(group)})
            for name, group in groups.items()
        }
        function(**taken, **values)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__module__ = function.__module__
    command.__annotations__ = {entry.name: entry.annotation for entry in parameters}
    command.__dict__["__signature__"] = inspect.Signature(parameters, return_annotation=None)
    return command


def gather(options: Callable[..., Options], *groups: DataclassInstance, **more: object) -> Options:
    """Build a job's options from groups of a verb's options with fields of the same names.

    A member of an enumeration becomes its value.

    >>> @dataclasses.dataclass
    ... class Group:
    ...     dim: int = 3
    >>> gather(dict, Group(), out="folder")
    {'dim': 3, 'out': 'folder'}
    """
    values = {key: value for group in groups for key, value in vars(group).items()} | more
    return options(**{key: v.value if isinstance(v, Enum) else v for key, v in values.items()})


def examples(command: Command) -> list[str]:
    """Give the examples of a command's docstring, each a line for the shell."""
    _, _, lines = (command.help or "").partition(EXAMPLES)
    return [line.strip() for line in lines.splitlines() if line.strip()]


def group_of(parameter: Parameter) -> str:
    """Name the group of an option; an argument is input unless it says otherwise."""
    named: str | None = getattr(parameter, "rich_help_panel", None)
    return named or (INPUT if parameter.param_type_name == "argument" else OTHER)


def _init_fields(group: type[DataclassInstance]) -> tuple[dataclasses.Field[object], ...]:
    return tuple(field for field in dataclasses.fields(group) if field.init)


def _fields_of(group: type[DataclassInstance]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    panel: str | None = getattr(group, "group", None)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty
            if field.default is dataclasses.MISSING
            else field.default,
            annotation=_into_panel(hints[field.name], panel),
        )
        for field in _init_fields(group)
    ]


def _into_panel(hint: object, panel: str | None) -> object:
    """Put an option that names no group into a group."""
    if get_origin(hint) is not Annotated:
        return hint
    bare, *facts = get_args(hint)
    for i, fact in enumerate(facts):
        if isinstance(fact, ParameterInfo) and not fact.rich_help_panel:
            facts[i] = copy(fact)
            facts[i].rich_help_panel = panel
    return Annotated[(bare, *facts)]


def _text(command: Command) -> str:
    return (command.help or "").partition(EXAMPLES)[0].strip()


def _summary(command: Command) -> str:
    """Give the first paragraph of a command's help on one line."""
    return " ".join(_text(command).split("\n\n")[0].split())


def _write_text(command: Command, formatter: HelpFormatter) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(_text(command))


def _write_options(command: Command, ctx: Context, formatter: HelpFormatter) -> None:
    rows: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
    arguments_first = sorted(command.get_params(ctx), key=lambda p: p.param_type_name)
    for parameter in arguments_first:
        record = parameter.get_help_record(ctx)
        if record and not (ctx.parent and parameter.name in OF_THE_ROOT):
            rows.setdefault(group_of(parameter), []).append(record)
    width = _names_width(row for group in rows.values() for row in group)
    for name, group in rows.items():
        _write_rows(formatter, name, group, width=width)


def _names_width(rows: Iterable[tuple[str, str]]) -> int:
    return min(NAMES_COLUMNS, max((len(names) for names, _ in rows), default=0))


def _write_rows(
    formatter: HelpFormatter,
    title: str,
    rows: Sequence[tuple[str, str]],
    *,
    width: int | None = None,
) -> None:
    """Write names and what they mean beside them; no name is broken at its hyphens."""
    if not rows:
        return
    width = _names_width(rows) if width is None else width
    with formatter.section(title):
        indent = " " * formatter.current_indent
        for names, text in rows:
            lines = textwrap.wrap(
                " ".join(text.split()),
                max(formatter.width - len(indent) - width - 2, 20),
                break_long_words=False,
                break_on_hyphens=False,
            )
            beside = lines.pop(0) if lines and len(names) <= width else ""
            formatter.write(f"{indent}{names:{width}}  {beside}".rstrip() + "\n")
            for line in lines:
                formatter.write(f"{indent}{'':{width}}  {line}\n")


def _write_examples(command: Command, formatter: HelpFormatter) -> None:
    lines = examples(command)
    if lines:
        with formatter.section(EXAMPLES.removesuffix(":")):
            for line in lines:  # never wrapped: they are to be copied
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
