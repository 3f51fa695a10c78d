"""`textkit recipe`: write the JSON schema of recipes for editors, and show a recipe with nothing
left to default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textkit.cli.command import new_group, verb
from textkit.cli.options import AsJsonLine, Overrides, complete_recipe
from textkit.cli.output import to_json, write_line

app = new_group("Check and show recipes.")


@verb(app)
def schema() -> None:
    """Write the JSON schema of recipes: keys, types, bounds, what each is for.

    Examples:
        textkit recipe schema > recipe.schema.json
    """
    from textkit.recipe import recipe_schema

    write_line(recipe_schema().rstrip("\n"))


@verb(app)
def show(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="Recipe file; without it the defaults.",
            autocompletion=complete_recipe,
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJsonLine = False,
) -> None:
    """Check a recipe and write it whole, with every default that a training would use.

    Examples:
        textkit recipe show
        textkit recipe show recipe.toml -s encoder.name=lstm --json
    """
    from textkit.recipe import complete_recipe, read_recipe

    whole = complete_recipe(read_recipe(recipe, overrides or []))
    write_line(to_json(whole.model_dump(mode="json")) if as_json else whole.to_toml().rstrip("\n"))
