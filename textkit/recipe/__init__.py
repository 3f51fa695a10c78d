"""Recipes: every choice of a training run as checked data."""

from textkit.recipe.reading import (
    Recipe,
    check_code,
    check_recipe,
    complete_recipe,
    flatten,
    leaves_open,
    list_code,
    make_recipe,
    read_recipe,
    recipe_schema,
)

__all__ = [
    "Recipe",
    "check_code",
    "check_recipe",
    "complete_recipe",
    "flatten",
    "leaves_open",
    "list_code",
    "make_recipe",
    "read_recipe",
    "recipe_schema",
]
