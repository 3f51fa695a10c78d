"""Every script in examples/ runs, in a scratch folder, on real text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run_script(path: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        capture_output=True,
        env=environment,
        timeout=300,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_example_runs(path: Path) -> None:
    said = run_script(path)
    assert said
    if path.name == "classify.py":
        assert float(said.split()[1]) > 0.7
        assert "Open a socket to the server.             network" in said
