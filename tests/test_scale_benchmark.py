"""The simulated scheduler of `benchmarks/scale.py` loses no part and doubles none; its fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NEVER = 1e12


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import scale

    return scale


def calm(scale: Any, **changes: float) -> Any:
    """Give assumptions: nothing fails, no machine is slow, the driver takes no time."""
    quiet = {"days_between_failures": NEVER, "driver_days": NEVER}
    return replace(scale.Assumptions(), slowest=0.0, driver_seconds=0.0, **(quiet | changes))


@pytest.mark.parametrize(("machines", "rounds"), [(1, 10), (3, 4), (10, 1), (50, 1)])
def test_without_failures_the_last_round_ends_it(scale: Any, machines: int, rounds: int) -> None:
    given = calm(scale, part_mb=100.0)
    outcome = scale.simulate(1000.0, 50.0, machines, given)
    assert outcome.hours * 3600 == pytest.approx(rounds * 2.0)
    assert (outcome.n_parts, outcome.n_failures, outcome.lost_share) == (10, 0, 0)


def test_failures_cost_time_and_what_they_lost_is_made_again(scale: Any) -> None:
    given = calm(scale, part_mb=100.0)
    whole = scale.simulate(1e5, 10.0, 5, given)
    hours = [whole.hours]
    for days in (0.02, 0.005):
        outcome = scale.simulate(1e5, 10.0, 5, replace(given, days_between_failures=days))
        assert outcome.n_failures > 0 and 0 < outcome.lost_share < 0.5
        assert outcome == scale.simulate(1e5, 10.0, 5, replace(given, days_between_failures=days))
        hours.append(outcome.hours)
    assert hours == sorted(hours)
    away = scale.simulate(1e5, 10.0, 5, replace(given, driver_days=0.005))
    assert away.n_driver_failures > 0 and away.hours > whole.hours


def test_a_busy_driver_is_the_limit(scale: Any) -> None:
    given = calm(scale, part_mb=100.0)
    outcome = scale.simulate(1e5, 100.0, 1000, replace(given, driver_seconds=1.0))
    assert outcome.hours * 3600 == pytest.approx(1000 + 1.0)
    assert outcome.driver_share > 0.99


def test_fits_find_what_was_put_in(scale: Any) -> None:
    runs = [
        scale.Run("count", mb, 1, 1.5 + 0.25 * mb, 9.0, int(1e8 + 2e6 * mb), int(1.5e6 * mb))
        for mb in (1.0, 2.0, 4.0, 8.0, 16.0)
    ]
    runs.append(scale.Run("count", 16.0, 2, 2 * 5.5, 9.0, 10**8, 0))
    growth = scale.fit(runs)
    assert (growth.start, growth.rate, growth.exponent) == pytest.approx((1.5, 0.25, 1.0))
    assert (growth.peak_bytes_a_mb, growth.out, growth.second_worker) == pytest.approx(
        (2e6, 1.5, 0.5)
    )
    lines = scale.plan({"dedup": growth}, scale.Assumptions(memory_gb=64.0))
    assert "stops at 32 GB of text" in lines[1] and "2.50 TB of disk: fits" in lines[1]
    lines = scale.plan({"count": growth}, scale.Assumptions(memory_gb=64.0, disk_tb=1.0))
    assert "memory of a machine 2.1 of 64 GB: fits" in lines[3] and "needs 3 disks" in lines[3]
