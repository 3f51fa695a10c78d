"""The scheduler of benchmarks/scale.py: a queue of parts, machines that fail, a driver that does.

In: how much there is, what a machine does a second, and Assumptions. Out: an Outcome, the same for
the same seed.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Assumptions:
    """What no measurement here says. Change one with `--set name=value`.

    - cores: of a machine that work at once; each is taken to be as fast as the one measured.
    - core_share: what a core of a full machine does of what one alone does: memory bandwidth.
    - disk_mb: what a machine reads and writes a second, input and output together.
    - disk_tb, memory_gb: of a machine.
    - part_mb: of input a part; a part that breaks off is made again from its beginning.
    - days_between_failures, minutes_away: of one machine, exponential and fixed.
    - driver_days, driver_minutes: the same of the driver, while whose absence no part begins.
    - driver_seconds: of work of the driver for a part: the manifest's line, and handing out.
    - slowest: spread of the machines' speeds, deviation of its logarithm.
    """

    cores: int = 16
    core_share: float = 0.7
    disk_mb: float = 500.0
    disk_tb: float = 4.0
    memory_gb: float = 64.0
    part_mb: float = 256.0
    days_between_failures: float = 30.0
    minutes_away: float = 10.0
    driver_days: float = 30.0
    driver_minutes: float = 10.0
    driver_seconds: float = 0.02
    slowest: float = 0.1


@dataclass(frozen=True)
class Outcome:
    """hours until all parts are finished; lost_share: of the work, made again after failures."""

    hours: float
    n_parts: int
    n_failures: int
    n_driver_failures: int
    lost_share: float
    driver_share: float


def simulate(
    total_mb: float, mb_a_second: float, n_machines: int, given: Assumptions, *, seed: int = 0
) -> Outcome:
    """Simulate a queue of equal parts on machines that fail; every part is finished once.

    A machine works on one part at a time, with all its cores: a failure loses what it had of it.
    """
    random = np.random.default_rng(seed)
    n_parts = left = max(1, round(total_mb / given.part_mb))
    speeds = mb_a_second * np.exp(random.normal(0.0, given.slowest, n_machines))
    life, away = given.days_between_failures * 86_400, given.minutes_away * 60
    fails_at = random.exponential(life, n_machines)
    driver = _Driver(given, random)
    # When a machine is free, or gives back the part that it failed on.
    events = [(0.0, machine, False) for machine in range(n_machines)]
    idle: list[int] = []
    end, worked, lost, failures, finished = 0.0, 0.0, 0.0, 0, 0
    while events:
        now, machine, has_failed = heapq.heappop(events)
        if has_failed:
            failures += 1
            left += 1
            fails_at[machine] = now + away + random.exponential(life)
            heapq.heappush(events, (now + away, machine, False))
            for waiting in idle:
                heapq.heappush(events, (now, waiting, False))
            idle.clear()
        elif not left:
            idle.append(machine)
        else:
            began, taken = driver.hand_out(now), given.part_mb / speeds[machine]
            left -= 1
            fails_at[machine] = max(fails_at[machine], began)  # what failed idle, fails now
            if fails_at[machine] < began + taken:
                lost += fails_at[machine] - began
                heapq.heappush(events, (fails_at[machine], machine, True))
            else:
                finished += 1
                worked, end = worked + taken, max(end, began + taken)
                heapq.heappush(events, (began + taken, machine, False))
    assert finished == n_parts
    share = lost / (worked + lost)
    return Outcome(end / 3600, n_parts, failures, driver.failures, share, driver.busy / end)


class _Driver:
    """Hands parts out one after the other, and is away now and then."""

    def __init__(self, given: Assumptions, random: np.random.Generator) -> None:
        self.given, self.random = given, random
        self.life = given.driver_days * 86_400
        self.free = self.busy = 0.0
        self.fails_at = random.exponential(self.life)
        self.failures = 0

    def hand_out(self, now: float) -> float:
        """Give the moment at which the part that is asked for now begins."""
        while self.fails_at <= max(now, self.free):
            self.failures += 1
            self.free = max(self.free, self.fails_at + self.given.driver_minutes * 60)
            self.fails_at = self.free + self.random.exponential(self.life)
        self.free = max(now, self.free) + self.given.driver_seconds
        self.busy += self.given.driver_seconds
        return self.free
