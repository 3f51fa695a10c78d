"""The golden lists: no name, verb or option that others rely on appears or goes unseen."""

from __future__ import annotations

import difflib

import pytest

from tests.golden.observations import GOLDEN
from tests.golden.surface import LISTS


@pytest.mark.parametrize("name", LISTS)
def test_names_are_those_of_the_golden_list(name: str) -> None:
    recorded = (GOLDEN / name).read_text(encoding="utf-8").splitlines()
    found = LISTS[name]()
    changed = [line for line in difflib.ndiff(recorded, found) if line[0] in "-+"]
    assert not changed, (
        f"{name} has changed, and others rely on it. If it is meant, say it in CHANGELOG.md"
        " and run: python scripts/make_golden.py names\n" + "\n".join(changed)
    )
