"""Names -> classes."""

from __future__ import annotations

import pytest

from textkit import registry
from textkit.errors import UsageError


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
