"""The command line: one small module per verb, imported when its verb is called.

Data goes to standard output, everything else to standard error. A TextkitError prints one line and
exits with its code; `--debug` shows the traceback.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING

import typer

from textkit.cli.command import VerbGroup

if TYPE_CHECKING:
    from typer._click.core import Command, Context

# verb -> (module under textkit.cli, its line in --help); `textkit --help` imports none of the
# modules.
VERBS = {
    "data": ("data", "Make, split and check data sets."),
    "tokenize": ("tokenize", "Turn text files into tokens: JSONL, TSV or colours."),
    "pack": ("pack", "Pack tokens into blocks of one length, for language models."),
    "tokenizer": ("tokenizer", "Train a tokenizer."),
    "embed": ("embed", "Turn each row of text files into a vector."),
    "search": ("search", "Index texts by meaning and by words, and search them."),
    "vectors": ("vectors", "Train, convert, search, score and draw word vectors."),
    "recipe": ("recipe", "Show a recipe whole; write its JSON schema for editors."),
    "train": ("train", "Train a text classifier from a file of texts and labels."),
    "tune": ("tune", "Search for the recipe that is best for a file."),
    "evaluate": ("evaluate", "Measure a model on a test file."),
    "compare": ("compare", "Compare models, encoders or recipes on one file."),
    "predict": ("predict", "Label texts from a file or standard input."),
    "serve": ("serve", "Serve models over HTTP, with a page to try them."),
    "draw": ("draw", "Draw a model or a recipe; walk a text through it."),
    "profile": ("profile", "Measure where the time of a prediction goes, and what it costs."),
    "explain": ("explain", "Show which words of a text decided what a model says of it."),
    "suggest": ("suggest", "Suggest which rows to label next."),
    "export": ("export", "Write a model so that it predicts without torch."),
    "compress": ("compress", "Write a model in fewer bytes, and say what that changes."),
    "push": ("push", "Push a model to the hub, with a card made from its run."),
    "info": ("info", "Verify a folder of a model or an index and say what is in it."),
}


class Verbs(VerbGroup):
    """A group that lists its verbs without importing them."""

    def invoke(self, ctx: Context) -> object:
        from textkit.cli.errors import CarriedError

        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, BrokenPipeError) as err:
            raise CarriedError from err

    def list_commands(self, ctx: Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"textkit.cli.{VERBS[cmd_name][0]}")
        command: Command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        self.commands = dict.fromkeys(VERBS, self)  # for "did you mean"; none is imported
        return super().resolve_command(ctx, args)

    def verb_lines(self, ctx: Context) -> list[tuple[str, str]]:
        return [(verb, line) for verb, (_, line) in VERBS.items()]


app = typer.Typer(
    cls=Verbs, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from textkit import __version__

        typer.echo(f"textkit {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Raw text in; a trained, measured text classifier out. Every stage can be swapped.

    Examples:
        textkit data docstrings -o data
        textkit train data/train.csv -o run
        textkit evaluate run/model data/test.csv
    """


def main() -> None:
    """Run the command line; the entry point of `textkit`."""
    from textkit.cli.errors import open_streams, run_guarded

    open_streams()
    # Read where torch is imported. Its threads would spin at the end of every operation: a training
    # beside other work of the machine takes ten times as long then, and ten times the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    arguments = sys.argv[1:]
    code = run_guarded(
        lambda: app(args=arguments, prog_name="textkit"), debug="--debug" in arguments
    )
    # All files are closed: a last search for cycles among what was imported would take a tenth of a
    # second.
    gc.freeze()
    sys.exit(code)
