"""Train once more what is left of a model, on texts and labels: shortly, from where it stands.

In: a Fitted that was narrowed. Out: one of the same ids and classes. A linear model learns the
weights of its features anew; a network goes on with a third of its epochs at a tenth of its rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textkit.classify.ensemble import EnsembleModel
from textkit.classify.fitted import Fitted
from textkit.classify.given import Given
from textkit.classify.linear import LinearModel
from textkit.data.targets import Labels
from textkit.errors import require
from textkit.recipe import check_recipe
from textkit.watch import Watch

# Of the epochs and of the rate of the recipe.
_EPOCHS, _RATE = 1 / 3, 1 / 10


def retrain(
    fitted: Fitted, texts: Sequence[str], labels: Labels, *, watch: Watch = Watch()
) -> Fitted:
    """Train a narrowed model once more; the same rows and seed give the same bytes."""
    if isinstance(fitted.model, EnsembleModel):
        members = [retrain(member, texts, labels, watch=watch) for member in fitted.model.members]
        return replace(fitted, model=replace(fitted.model, members=tuple(members)), facts=None)
    if isinstance(fitted.model, LinearModel):
        from textkit.classify.linear_fitting import relearn

        return relearn(fitted, texts, labels, watch=watch)
    require("torch", "accelerate", needed_by="training once more")
    from textkit.classify.fitting import fit_texts

    values = fitted.recipe.model_dump()
    training = values["training"]
    training["epochs"] = max(1, round(training["epochs"] * _EPOCHS))
    training["lr"] *= _RATE
    recipe = check_recipe(values, where=None)
    keep = fitted.task != "regression"
    given = Given(list(texts), list(labels), init_from=fitted, keep_labels=keep)
    again = fit_texts(recipe, given, watch=Watch(should_stop=watch.should_stop))
    return replace(again, recipe=fitted.recipe, facts=None)
