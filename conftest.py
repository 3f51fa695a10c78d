"""Every test and doctest runs in a scratch folder of its own, and draws the same on every run.

The property tests draw 50 fixed examples each, whatever ran before them. TEXTKIT_SEARCH=2000 looks
for so many new ones instead (`make fuzz`); what it finds becomes an `@example` of the test.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

SEARCH = int(os.environ.get("TEXTKIT_SEARCH", "0"))
# What torch's generator starts with.
SEED = 67280421310721

# Threads that wait for their share of a matrix product sleep instead of spinning, in the processes
# that tests start too: the same bytes, and on a busy machine tests/classify/test_classifier.py took
# 11 s of processor time instead of 80 s.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# What a package brought is no candidate of `auto`: it would take seconds in every test that trains.
os.environ["TEXTKIT_PACKAGED"] = "0"

# A busy machine is no failure: neither a deadline nor the time that examples take.
settings.register_profile(
    "search" if SEARCH else "fixed",
    derandomize=not SEARCH,
    max_examples=SEARCH or 50,
    deadline=None,
    database=None,
    print_blob=bool(SEARCH),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("search" if SEARCH else "fixed")
if not SEARCH:
    # Hypothesis mixes in the constants of the modules that happen to be loaded; "derandomize" does
    # not stop that.
    providers._get_local_constants = lambda: providers._local_constants


@pytest.fixture(autouse=True, scope="session")
def _no_power_cut() -> Iterator[None]:
    """Let what a test writes reach the disk whenever it does: the 8,800 waits of tests/jobs took
    31 s. The commands of tests.shell do the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def _scratch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """Start the global generators of every test alike, whichever tests ran before it."""
    random.seed(SEED)
    np.random.seed(SEED % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)
