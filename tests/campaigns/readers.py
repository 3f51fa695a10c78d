"""Damaged files through every reader: a TextkitError, or a result that holds only numbers.

Usage: python -m tests.campaigns.readers [TARGET ...] [--budget 60] [--seed 0] [--trials N]
                                         [--only TARGET:NUMBER]

1. Each target (targets.py) makes a small valid file or folder of its own and reads it.
2. A trial damages a copy of it (mutations.py), seals a folder anew every other time, and reads it.
   Its damage depends on the seed, the target and its number alone, so `--only` repeats it.
3. Trials run in forked children under a limit of memory. A watchdog ends one that hangs.

Counted are escapes (an error that is no TextkitError), deaths, hangs, and silent successes: a
sealed folder that was changed and opens, or a result that is not finite. Any of them is listed, and
the exit status is 1. The budget, in seconds or as 1h, is shared out evenly; a target has at least
one block.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import json
import math
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

from tests.campaigns.mutations import damage_folder
from tests.campaigns.targets import TARGETS, Target
from textkit.errors import TextkitError
from textkit.io import files

BLOCK = 25
HANG_SECONDS = 30.0
MEMORY_BYTES = 2 << 30
BAD = ("escape", "death", "hang", "silent")


@dataclass
class Tally:
    """What came of the trials of a target."""

    counts: Counter[str] = field(default_factory=Counter)
    # What went wrong -> how often, and the first trial of it.
    found: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, outcome: str, *, said: str, trial: str) -> None:
        self.counts[outcome] += 1
        if outcome in BAD:
            n, first = self.found.get(f"{outcome}: {said}", (0, trial))
            self.found[f"{outcome}: {said}"] = (n + 1, first)


@dataclass(frozen=True)
class Sample:
    """A valid file or folder: `name` is its place within `folder`, which holds all of it."""

    target: Target
    folder: Path
    name: str

    def read(self, folder: Path) -> Any:
        """Read it, or a copy of it in another folder."""
        return self.target.read(folder / self.name)


def try_once(sample: Sample, damage: Random, *, expected: Any) -> tuple[str, str, str]:
    """Damage a copy of a sample and read it: the outcome, what is said, the damage."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch, "in")
        shutil.copytree(sample.folder, place)
        sealed_anew = damage.random() < 0.5
        manifests = [path.parent for path in place.rglob("manifest.json")] if sealed_anew else []
        manners = damage_folder(place, damage)
        if sealed_anew and (sealed_anew := _seal(manifests)):
            manners += "; sealed anew"
        changed = _changed(place, sample.folder)
        if not changed:
            return "same", "", manners
        try:
            found = sample.read(place)
        except TextkitError as err:
            line = str(err)
            if "\n" in line:
                return "escape", f"a message of several lines: {line[:100]!r}", manners
            return "refused", "", manners
        except BaseException as err:  # noqa: BLE001 - what escapes is what is looked for
            frames = traceback.extract_tb(err.__traceback__)
            own = [f for f in frames if "/textkit/" in f.filename] or frames
            at = f"{own[-1].filename.rpartition('/textkit/')[2]}:{own[-1].lineno}"
            return "escape", f"{type(err).__name__} at {at}: {str(err)[:90]!r}", manners
        if not _is_finite(found):
            return "silent", "a result that is not finite", manners
        # A manifest may be written in another manner, and then says the same.
        others = {name for name in changed if not name.endswith("manifest.json")}
        is_sealed = sample.target.sealed and not sealed_anew
        if sample.target.foreign and not list(place.rglob("manifest.json")):
            is_sealed = False
        if is_sealed and (others or found != expected):
            return "silent", "a sealed folder that was changed opens", manners
        return "read", "", manners


def _seal(folders: list[Path]) -> bool:
    """Write the manifests anew, as the author of a folder could."""
    done = False
    for folder in folders:
        path = folder / "manifest.json"
        with contextlib.suppress(OSError, ValueError, TextkitError, RecursionError):
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(manifest, dict) and isinstance(manifest.get("files"), dict):
                facts = {k: v for k, v in manifest.items() if k not in ("kind", "format", "files")}
                kind, format = manifest.get("kind", ""), manifest.get("format", 1)
                files.write_manifest(folder, kind=kind, format=format, facts=facts)
                done = True
    return done


def _changed(place: Path, valid: Path) -> set[str]:
    """Name the files that differ."""

    def tree(folder: Path) -> dict[str, bytes]:
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    ours, theirs = tree(place), tree(valid)
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def run_block(sample: Sample, trials: list[tuple[int, str]], to: IO[str]) -> None:
    """Run trials in this process, which is a child, and say before and after each what it is."""
    expected = sample.read(sample.folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)
    for number, seed in trials:
        print(json.dumps([number, "began"]), file=to, flush=True)
        outcome = try_once(sample, Random(seed), expected=expected)
        print(json.dumps([number, *outcome]), file=to, flush=True)


def fork(work: Any) -> tuple[int, IO[str]]:
    """Start a child that does the work with a pipe to write to; give its id and the other end."""
    reads, writes = os.pipe()
    child = os.fork()
    if child:
        os.close(writes)
        return child, open(reads, encoding="utf-8", errors="replace")
    status = 1
    try:
        os.close(reads)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        if not os.environ.get("SHOW"):
            os.dup2(quiet, 2)
        faulthandler.disable()
        warnings.simplefilter("ignore")
        with open(writes, "w", encoding="utf-8", errors="replace") as to:
            work(to)
        status = 0
    except BaseException:  # noqa: BLE001 - a child ends here, whatever happened
        traceback.print_exc()
    finally:
        os._exit(status)


def watch(child: int, pipe: IO[str]) -> Iterator[list[Any]]:
    """Give a child's lines; kill it where it says nothing for long, and say how it ended."""
    os.set_blocking(pipe.fileno(), False)
    held = ""
    hung = False
    while True:
        ready, _, _ = select.select([pipe], [], [], HANG_SECONDS)
        if not ready:
            hung = True
            os.kill(child, signal.SIGKILL)
        data = os.read(pipe.fileno(), 1 << 16) if ready else b""
        if not data:
            break
        *lines, held = (held + data.decode("utf-8", "replace")).split("\n")
        yield from map(json.loads, lines)
    pipe.close()
    _, status = os.waitpid(child, 0)
    if status or hung:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
        yield [-1, "hang" if hung else "death", f"signal {number}", ""]


def try_block(name: str, sample: Sample, trials: list[tuple[int, str]], tally: Tally) -> None:
    """Run trials in children: another goes on behind the trial that ended one."""
    while trials:
        current = trials[0][0] - 1
        child, pipe = fork(lambda to, left=trials: run_block(sample, left, to))
        ended = None
        for number, outcome, *rest in watch(child, pipe):
            if outcome == "began":
                current = number
            elif number == -1:
                ended = (outcome, rest[0])
            else:
                said, manners = rest
                tally.add(outcome, said=said, trial=f"{name}:{number} ({manners})")
        if ended is None:
            return
        if current < trials[0][0]:
            raise SystemExit(f"{name}: the valid file itself is not read; run with SHOW=1")
        tally.add(ended[0], said=ended[1], trial=f"{name}:{current}")
        trials = [(number, seed) for number, seed in trials if number > current]


def prepare(name: str, root: Path) -> Sample:
    """Make the valid file in a child, so that this process has no threads when it forks."""
    target, folder = TARGETS[name], root / name
    folder.mkdir()
    for module in ("textkit.tokenizers", "textkit.vectors", *target.warm):
        importlib.import_module(module)

    def make(to: IO[str]) -> None:
        print(json.dumps([0, target.make(folder).relative_to(folder).as_posix()]), file=to)

    child, pipe = fork(make)
    said = list(watch(child, pipe))
    if [number for number, *_ in said] != [0]:
        raise SystemExit(f"{name}: cannot be made; run with SHOW=1")
    return Sample(target, folder, said[0][1])


def parse_budget(text: str) -> float:
    """Read seconds, or minutes and hours as 5m and 1h.

    >>> parse_budget("5m"), parse_budget("60")
    (300.0, 60.0)
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    return float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text)


def run(names: list[str], *, seed: int, budget: float, trials: int | None) -> dict[str, Tally]:
    """Try targets by turns until the time is over, or each as many times as `trials` says."""
    tallies = {name: Tally() for name in names}
    with tempfile.TemporaryDirectory() as root:
        started = time.monotonic()
        for place, name in enumerate(names):
            sample = prepare(name, Path(root))
            end = started + budget * (place + 1) / len(names)
            tally, done = tallies[name], 0
            while done < trials if trials is not None else done == 0 or time.monotonic() < end:
                size = BLOCK if trials is None else min(BLOCK, trials - done)
                block = [(i, f"{seed}:{name}:{i}") for i in range(done, done + size)]
                try_block(name, sample, block, tally)
                done += size
            show(name, tally)
            shutil.rmtree(sample.folder)
    return tallies


def show(name: str, tally: Tally) -> None:
    """Print what came of a target."""
    counts = ", ".join(f"{tally.counts[kind]} {kind}" for kind in ("refused", "read", *BAD))
    print(f"{name:24} {sum(tally.counts.values()):7,} trials: {counts}", flush=True)
    for said, (n, first) in sorted(tally.found.items(), key=lambda item: -item[1][0]):
        print(f"    {n} x {said}\n        first {first}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Damaged files through every reader.")
    parser.add_argument("names", nargs="*", metavar="TARGET")
    parser.add_argument("--budget", default="60", help="seconds, or 5m, or 1h")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, help="of each target, whatever time it takes")
    parser.add_argument("--only", metavar="TARGET:NUMBER", help="repeat one trial in this process")
    asked = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if asked.only:
        name, _, number = asked.only.rpartition(":")
        return repeat(name, f"{asked.seed}:{name}:{number}")
    names = asked.names or list(TARGETS)
    budget = parse_budget(asked.budget)
    tallies = run(names, seed=asked.seed, budget=budget, trials=asked.trials)
    total = sum((tally.counts for tally in tallies.values()), Counter())
    print(f"{len(names)} readers, {sum(total.values()):,} trials: {dict(total)}")
    return 1 if any(total[kind] for kind in BAD) else 0


def repeat(name: str, seed: str) -> int:
    """Run one trial here, with its traceback."""
    with tempfile.TemporaryDirectory() as root:
        sample = prepare(name, Path(root))
        with tempfile.TemporaryDirectory() as scratch:
            place, damage = Path(scratch, "in"), Random(seed)
            shutil.copytree(sample.folder, place)
            manifests = [path.parent for path in place.rglob("manifest.json")]
            anew = damage.random() < 0.5
            print(damage_folder(place, damage), "sealed anew" if anew and _seal(manifests) else "")
            print(sample.read(place))
    return 0


if __name__ == "__main__":
    sys.exit(main())
