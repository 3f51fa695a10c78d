"""Property tests draw the same examples on every run of `make test`, whatever else the process
has loaded.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.skipif(settings.get_current_profile_name() == "search", reason="a search draws freely")
def test_examples_are_the_same_whatever_modules_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, str]] = []

    @settings(max_examples=200)
    @given(st.integers(), st.text())
    def draw(number: int, text: str) -> None:
        drawn.append((number, text))

    draw()
    first = drawn.copy()
    drawn.clear()
    Path("fresh.py").write_text(
        f"NUMBERS = {list(range(1000, 2000, 7))}\nWORDS = ['one', 'two', 'three']\n"
    )
    spec = importlib.util.spec_from_file_location("fresh", Path("fresh.py").resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fresh", module)
    spec.loader.exec_module(module)
    draw()
    assert drawn == first
