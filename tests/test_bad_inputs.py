"""Every bad input of docs/errors.md gets the exit code and the line that stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import bad_inputs


@pytest.mark.slow
def test_the_page_of_errors_is_what_the_commands_say(tmp_path: Path) -> None:
    bad_inputs.build(tmp_path)
    said = list(bad_inputs.page(tmp_path))
    shown = bad_inputs.PAGE.read_text(encoding="utf-8").splitlines()
    assert said == shown, "write it anew with python -m tests.bad_inputs"
    rows = [line.split(" | ") for line in said if line.startswith("| ") and "| textkit" not in line]
    codes = [cells[2] for cells in rows if cells[1].startswith("`textkit")]
    assert len(codes) == sum(map(len, bad_inputs.SECTIONS.values()))
    assert set(codes) <= {"2", "3", "4", "5", "6"}
