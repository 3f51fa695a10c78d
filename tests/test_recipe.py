"""Recipes: all problems at once, the nearest known key, and a TOML that reads back."""

from __future__ import annotations

from pathlib import Path

import pytest

from textkit import TextClassifier
from textkit.errors import UsageError
from textkit.recipe import Recipe, complete_recipe, make_recipe, read_recipe


def test_a_written_recipe_reads_back_equal() -> None:
    recipe = complete_recipe(
        make_recipe(encoder={"name": "gru", "dim": 7}, tokenizer="bpe", training__epochs=2, seed=5)
    )
    Path("recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    assert read_recipe("recipe.toml", []) == recipe
    assert complete_recipe(recipe) == recipe


def test_a_completed_recipe_holds_every_option() -> None:
    recipe = complete_recipe(Recipe())
    assert recipe.encoder.options == {
        "dim": 64,
        "layers": 1,
        "bidirectional": True,
        "norm": "none",
        "dropout": 0.0,
    }
    assert recipe.tokenizer.options["lowercase"] is True


def test_every_problem_is_named_with_the_nearest_key() -> None:
    with pytest.raises(UsageError) as caught:
        make_recipe({"training": {"epoch": 3, "lr": -1.0}, "embeding": {}})
    message = str(caught.value)
    assert "unknown recipe key 'training.epoch'; did you mean 'training.epochs'?" in message
    assert "training.lr = -1.0: input should be greater than 0" in message
    assert "unknown recipe key 'embeding'; did you mean 'embedding'?" in message


def test_misspelt_encoder_option_is_refused() -> None:
    with pytest.raises(
        UsageError, match="unknown option of encoder 'lstm' 'dims'; did you mean 'dim'"
    ):
        complete_recipe(make_recipe(encoder__dims=3))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("encoder.dim", "--set: expected section.key=value, found 'encoder.dim'"),
        ("training.lr=fast", "training.lr = 'fast'"),
        ("training.lr=nan", "training.lr = nan"),
        ("seed=-1", "seed = -1"),
    ],
)
def test_bad_override_is_refused(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_recipe(None, [override])


def test_overrides_win_over_the_file() -> None:
    Path("r.toml").write_text("seed = 3\n[encoder]\nname = 'gru'\ndim = 5\n", encoding="utf-8")
    recipe = read_recipe("r.toml", ["encoder.dim=6", "head.pooling=['max']"])
    assert (recipe.seed, recipe.encoder.name, recipe.encoder.options) == (3, "gru", {"dim": 6})
    assert recipe.head.pooling == ("max",)


def test_bad_toml_is_one_line() -> None:
    Path("r.toml").write_text("seed = = 3\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"^r.toml: not valid TOML"):
        read_recipe("r.toml", [])


@pytest.mark.parametrize("given", ["linear", Path("r.toml"), 3, ["encoder"]])
def test_what_is_no_recipe_is_refused_with_what_to_do(given: object) -> None:
    with pytest.raises(UsageError, match=r"expected a Recipe or a dict .*encoder='\.\.\.'"):
        make_recipe(given)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected a Recipe or a dict"):
        TextClassifier(given)  # type: ignore[arg-type]
