"""Names -> classes."""

from __future__ import annotations

from typing import Any

import pytest

from textkit import registry
from textkit.errors import UsageError
from textkit.recipe import complete_recipe, make_recipe


@pytest.mark.parametrize("kind", sorted(registry.BUILT_IN))
def test_every_built_in_name_can_be_imported(kind: str) -> None:
    for name in registry.BUILT_IN[kind]:
        assert registry.resolve(kind, name) is not None


def test_a_python_path_is_a_name() -> None:
    assert registry.resolve("encoder", "collections:Counter").__name__ == "Counter"


@pytest.mark.parametrize("name", ["nowhere:Name", "collections:Nothing"])
def test_a_python_path_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"cannot import encoder '{name}'"):
        registry.resolve("encoder", name)


def test_a_misspelt_name_gets_its_neighbour() -> None:
    with pytest.raises(UsageError, match="unknown encoder 'lsmt'; did you mean 'lstm'"):
        registry.resolve("encoder", "lsmt")


def test_an_entry_point_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint, EntryPoints

    point = EntryPoint(name="mine", value="collections:Counter", group="textkit.encoders")
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda **select: EntryPoints([point]).select(**select)
    )
    assert registry.resolve("encoder", "mine").__name__ == "Counter"
    assert "mine" in registry.names("encoder")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"encoder": {"name": "lstm", "dropout": 1.0}}, "dropout = 1.0; expected a number of 0 or"),
        ({"encoder": {"name": "lstm", "dropout": -0.1}}, "dropout = -0.1; expected a number of 0"),
        ({"encoder": {"name": "lstm", "dropout": "x"}}, "dropout = 'x'; expected a number of 0 or"),
        ({"encoder": {"name": "lstm", "norm": 3}}, "norm = 3; expected text"),
        ({"encoder": {"name": "lstm", "bidirectional": 1}}, "bidirectional = 1; expected true or"),
        ({"encoder": {"name": "mixer", "ffn": "wide"}}, "ffn = 'wide'; expected a number"),
        ({"tokenizer": {"name": "word", "size": "a"}}, "size = 'a'; expected a whole number of 1"),
    ],
)
def test_a_value_of_another_type_is_refused_before_training(
    options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        complete_recipe(make_recipe(**options))
