"""SIGKILL at random moments in work on Ray: of its workers while it goes on, and of the driver,
which is then taken up with `--resume`. What comes out has the bytes of a run without Ray, and
nothing half written lies beside it.

Not part of `make test`. WORKERS and DRIVERS are the kills of each kind; moments are drawn from
SEED. Only processes that this one began, by their descent, are killed. Exits 1 where anything does
not hold, and prints what.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.children import Contents, contents, scratch_folder

N_ROWS, PART_ROWS = 12_000, 100
VERB = ["tokenize", "in.txt", "-t", "word", "--part-rows", str(PART_ROWS)]
# How Ray calls a process that works on a part, and one that waits for one. Others of its names are
# its own agents: without one of them the node ends, and with the only node the driver.
_WORKERS = (b"ray::run", b"ray::IDLE")


@dataclass
class Figures:
    """What came out: kills of each kind, runs, drivers that ended before theirs, failures."""

    workers: int = 0
    drivers: int = 0
    n_runs: int = 0
    n_ended_before: int = 0
    n_kept: int = 0
    failures: list[str] = field(default_factory=list)


def write_input(folder: Path) -> None:
    """Write rows that no two parts share."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 9))) for _ in range(2000)]
    lines = (" ".join(draw.choices(words, k=40)) for _ in range(N_ROWS))
    (folder / "in.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def begin(folder: Path, out: str, *more: str) -> subprocess.Popen[bytes]:
    """Begin the verb in a folder; what it says goes to a file there."""
    with open(folder / "said", "wb") as said:
        arguments = [sys.executable, "-m", "textkit", *VERB, "-o", out, *more]
        return subprocess.Popen(arguments, cwd=folder, stdout=said, stderr=said)


def descendants(pid: int) -> Iterator[int]:
    """Give the processes that descend from one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            waiting.append(child)
            yield child


def workers_of(pid: int) -> list[int]:
    """Give the workers of the Ray that a driver began."""
    found = []
    for child in descendants(pid):
        try:
            name = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(_WORKERS):
            found.append(child)
    return found


def end_all(pids: list[int]) -> None:
    """Wait until processes are gone, and end those that stay longer than ten seconds."""
    ends = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > ends:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        time.sleep(0.1)


def check(folder: Path, whole: Contents, what: str, code: int, figures: Figures) -> None:
    """Note what does not hold after a run."""
    said = (folder / "said").read_text(encoding="utf-8", errors="replace").strip()
    if code != 0:
        figures.failures.append(f"{what}: exit code {code}: {said[-300:]}")
    found = contents(folder / "out") or {}
    if found != whole:
        names = sorted(name for name in {*found, *whole} if found.get(name) != whole.get(name))
        figures.failures.append(f"{what}: other bytes: {names[:5]}")


def kill_workers(folder: Path, whole: Contents, n_kills: int, draw: random.Random) -> Figures:
    """Let runs go on while their workers are killed, until there are so many kills."""
    figures = Figures()
    while figures.workers < n_kills:
        shutil.rmtree(folder / "out", ignore_errors=True)
        driver, here = begin(folder, "out", "--on", "ray"), 0
        figures.n_runs += 1
        while driver.poll() is None:
            time.sleep(draw.uniform(0, 1.5))
            found = workers_of(driver.pid) if figures.workers < n_kills else []
            if found:
                os.kill(draw.choice(found), signal.SIGKILL)
                figures.workers, here = figures.workers + 1, here + 1
        check(folder, whole, f"{here} workers killed", driver.wait(), figures)
    return figures


def kill_drivers(
    folder: Path, whole: Contents, seconds: float, n_kills: int, draw: random.Random
) -> Figures:
    """Kill drivers at moments within the time that one takes, and take each up."""
    figures = Figures()
    while figures.drivers < n_kills:
        shutil.rmtree(folder / "out", ignore_errors=True)
        moments: list[float] = []
        for _ in range(draw.randint(1, 3)):
            resume = ["--resume"] if (folder / "out" / "_job.json").exists() else []
            moments.append(draw.uniform(0, seconds))
            driver = begin(folder, "out", "--on", "ray", *resume)
            try:
                driver.wait(moments[-1])
            except subprocess.TimeoutExpired:
                below = list(descendants(driver.pid))
                driver.kill()
                driver.wait()
                end_all(below)
                figures.drivers += 1
                continue
            figures.n_ended_before += 1
            break
        figures.n_runs += 1
        told = ", ".join(f"{moment:.1f}" for moment in moments)
        if (folder / "out" / "_manifest.json").exists():
            check(folder, whole, f"driver killed after {told} s", 0, figures)
            continue
        figures.n_kept += len(list((folder / "out").glob("part-*")))
        resume = ["--resume"] if (folder / "out" / "_job.json").exists() else []
        code = begin(folder, "out", "--on", "ray", *resume).wait()
        check(folder, whole, f"driver killed after {told} s", code, figures)
    return figures


def main() -> int:
    """Run the campaign as the environment says, and print its figures."""
    draw = random.Random(int(os.environ.get("SEED", "0")))
    n_workers = int(os.environ.get("WORKERS", "50"))
    n_drivers = int(os.environ.get("DRIVERS", "10"))
    with scratch_folder() as folder:
        write_input(folder)
        assert begin(folder, "whole").wait() == 0, (folder / "said").read_text()
        whole = contents(folder / "whole") or {}
        started = time.monotonic()
        assert begin(folder, "out", "--on", "ray").wait() == 0, (folder / "said").read_text()
        seconds = time.monotonic() - started
        first, second = Figures(), Figures()
        if n_workers:
            first = kill_workers(folder, whole, n_workers, draw)
            print(f"workers: {first.workers} kills in {first.n_runs} runs", flush=True)
        if n_drivers:
            second = kill_drivers(folder, whole, seconds, n_drivers, draw)
            print(
                f"drivers: {second.drivers} kills in {second.n_runs} runs of {seconds:.0f} s,"
                f" {second.n_kept} parts taken up, {second.n_ended_before} ended before theirs"
            )
    failures = first.failures + second.failures
    for line in failures:
        print(f"FAILED {line}")
    n_parts = N_ROWS // PART_ROWS
    print(f"ray kills: {len(failures)} failures; each run {N_ROWS:,} rows in {n_parts} parts")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
