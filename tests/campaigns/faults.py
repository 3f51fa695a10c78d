"""Every I/O operation of every writer, spoilt in every way: the old or the new, never neither.

For each writer: a first run counts its operations. Then, in a forked child and a fresh folder, the
N-th operation meets ENOSPC, EIO, EDQUOT, a short write, EINTR or SIGKILL, and afterwards

1. what lies under the name is the old or the new, whole, or for work in several steps what
   `--resume` goes on from;
2. an error has exit code 5 and is one line; a short write and EINTR are no errors;
3. the same work again, without a fault, gives the new bytes, and nothing half written is left.

Not part of `make test`, which runs a few seconds of it. BUDGET is in seconds; the order is drawn
from SEED. Exits 1 where anything does not hold, and prints what.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.children import Contents, all_contents, scratch_folder, wait
from tests.campaigns.faulty_system import ERRORS, KINDS, System
from tests.campaigns.writers import OUT, Work, Writer, prepare, writers
from textkit.cli.errors import run_guarded


@dataclass
class Figures:
    """What came out: executions by kind of fault and by outcome, and what did not hold."""

    n_operations: dict[str, int] = field(default_factory=dict)
    n_planned: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_outcome: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def run_child(work: Work, folder: Path, system: System) -> tuple[int, str]:
    """Run work in a fork, in its folder, with a spoilt system: the exit code and the messages.

    The number of operations comes back in the exit code's file.
    """
    said = folder / ".said"
    child = os.fork()
    if child == 0:
        sys.stderr = open(said, "w", encoding="utf-8")  # noqa: SIM115 - ends with the child
        os.chdir(folder)
        system.install()
        code = run_guarded(work, debug="DEBUG" in os.environ)
        print(f"operations {system.n_operations}", end="", file=sys.stderr, flush=True)
        os._exit(code)
    status = wait(child)
    text = said.read_text(encoding="utf-8", errors="replace")
    said.unlink()
    return status, text


def count_operations(writer: Writer, root: Path) -> tuple[int, Contents | None, Contents | None]:
    """Run a writer once without a fault: its operations, and what lay there before and after."""
    folder = root / "first"
    prepare(folder, models=writer.models)
    with contextlib.chdir(folder):  # here, so that no child imports anything
        writer.old()
        writer.new()
    shutil.rmtree(folder)
    prepare(folder, models=writer.models)
    run_child(writer.old, folder, System(0, ""))
    before = all_contents(folder, writer.outs)
    code, said = run_child(writer.new, folder, System(0, ""))
    assert code == 0, (writer.name, said)
    after = all_contents(folder, writer.outs)
    shutil.rmtree(folder)
    return int(said.rsplit(" ", 1)[1]), before, after


def try_fault(
    writer: Writer,
    number: int,
    kind: str,
    template: Path,
    place: Path,
    known: list[Contents | None],
) -> tuple[str, list[str]]:
    """Spoil one operation; give what was left, and what did not hold."""
    shutil.copytree(template, place)
    before, after = known
    wrong: list[str] = []
    code, said = run_child(writer.new, place, System(number, kind))
    left = all_contents(place, writer.outs)
    outcome = "old" if left == before else "new" if left == after else "part"
    if outcome == "part" and not (writer.steps and left is not None):
        wrong.append(f"neither old nor new: {sorted(left or {})}")
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    failing = {"kill": -signal.SIGKILL, **dict.fromkeys(ERRORS, 5)}
    if code not in (0, failing.get(kind)):
        wrong.append(f"exit code {code}: {said.strip()[-200:]}")
    if code == 5 and (len(errors) != 1 or "Traceback" in said):
        wrong.append(f"not one line: {said.strip()[-200:]}")
    if code == 0 and outcome != "new":
        wrong.append(f"exit code 0, but {outcome} is there")
    code, said = run_child(writer.again or writer.new, place, System(0, ""))
    if code != 0:
        wrong.append(f"again: exit code {code}: {said.strip()[-200:]}")
    elif all_contents(place, writer.outs) != after:
        wrong.append("again: other bytes")
    hidden = [path.name for path in place.rglob(".*")]
    started = [path.name for path in place.iterdir() if path.name.startswith(OUT + ".")]
    beside = [name for name in started if name not in writer.outs]
    if hidden or beside:
        wrong.append(f"left behind: {hidden + beside}")
    shutil.rmtree(place)
    return outcome, wrong


def run_campaign(
    *, budget: float, seed: int, made: list[Writer], only: str = "", most: int | None = None
) -> Figures:
    """Spoil as many operations as the budget of seconds allows, or `most`, in a drawn order."""
    figures = Figures()
    ends = time.monotonic() + budget
    with scratch_folder() as root:
        plan: list[tuple[Writer, int, str]] = []
        known: dict[str, list[Contents | None]] = {}
        for writer in made:
            if only not in writer.name:
                continue
            n_operations, before, after = count_operations(writer, root)
            figures.n_operations[writer.name] = n_operations
            known[writer.name] = [before, after]
            template = root / f"template {writer.name}"
            prepare(template, models=writer.models)
            run_child(writer.old, template, System(0, ""))
            plan += [(writer, number + 1, kind) for number in range(n_operations) for kind in KINDS]
        random.Random(seed).shuffle(plan)
        figures.n_planned = len(plan)
        for writer, number, kind in plan[:most]:
            if time.monotonic() > ends:
                break
            template = root / f"template {writer.name}"
            outcome, wrong = try_fault(
                writer, number, kind, template, root / "try", known[writer.name]
            )
            figures.by_kind[kind] += 1
            figures.by_outcome[outcome] += 1
            place = f"{writer.name}, operation {number}, {kind}"
            figures.failures += [f"{place}: {line}" for line in wrong]
            shutil.rmtree(root / "try", ignore_errors=True)
    return figures


def say(counted: Counter[str]) -> str:
    """Spell numbers by their names."""
    return ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))


def main() -> int:
    """Run the campaign as the environment says, and print its figures."""
    budget, seed = float(os.environ.get("BUDGET", "60")), int(os.environ.get("SEED", "0"))
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    figures = run_campaign(budget=budget, seed=seed, made=writers(), only=only)
    for name, number in figures.n_operations.items():
        print(f"{name}: {number} operations")
    for line in figures.failures:
        print(f"FAILED {line}")
    kinds, outcomes = say(figures.by_kind), say(figures.by_outcome)
    n_executed = sum(figures.by_kind.values())
    print(f"faults: seed {seed}, {n_executed} of {figures.n_planned} executed: {kinds}")
    print(f"left afterwards: {outcomes}; {len(figures.failures)} failures")
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
