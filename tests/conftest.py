"""What all tests share: a scratch folder as the working directory, and the public data beside
the project.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read where torch is imported: its threads wait without spinning, as those of `textkit` do.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared() -> Path:
    """Give the folder of public data; skip where a checkout has none."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data beside the project")
    return SHARED
