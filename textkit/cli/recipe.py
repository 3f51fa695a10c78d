"""`textkit recipe`: write the JSON schema of recipes for editors, and show a recipe with nothing
left to default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textkit.cli.output import to_json, write_line

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _recipe() -> None:
    """Check and show recipes."""


@app.command()
def schema() -> None:
    """Write the JSON schema of recipes: keys, types, bounds, what each is for."""
    from textkit.recipe import recipe_schema

    write_line(recipe_schema().rstrip("\n"))


@app.command()
def show(
    recipe: Annotated[
        Path | None,
        typer.Argument(metavar="[RECIPE]", help="Recipe file; without it the defaults."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override, as encoder.dim=128."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one line of JSON.")] = False,
) -> None:
    """Check a recipe and write it whole, with every default that a training would use."""
    from textkit.recipe import complete_recipe, read_recipe

    whole = complete_recipe(read_recipe(recipe, overrides or []))
    write_line(to_json(whole.model_dump(mode="json")) if as_json else whole.to_toml().rstrip("\n"))
