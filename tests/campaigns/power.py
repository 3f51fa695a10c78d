"""The power goes off at any moment of a writer: what the disk then holds, and whether it is read.

For each writer: one run in a forked child, whose operations are written down. Then states of the
disk are drawn, each one that a file system may leave:

1. the log is cut at an operation; what a flush before it had promised is there;
2. names (made, renamed, exchanged, removed) that no flush of their folder followed may be missing,
   from some operation on: in the order of all of them, or in each folder for itself;
3. the bytes of a file that no flush of the file followed are none, those of its last flush, a
   beginning of the new ones, zeros, or all: names may come before the data.

Each state has to show the old or the new, whole, or for work in several steps what `--resume` goes
on from; after the work's end the new; and the same work once more ends with the new.

Not part of `make test`, which runs a few states. BUDGET is in seconds; states are drawn from SEED.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaigns.children import Contents, all_contents, scratch_folder, wait
from tests.campaigns.faults import run_child, say
from tests.campaigns.faulty_system import System
from tests.campaigns.writers import Writer, prepare, writers
from textkit.cli.errors import run_guarded

STATES = 12  # of a writer at a time


@dataclass(eq=False)
class Node:
    """A file or a folder, whatever its names are."""

    is_folder: bool
    entries: dict[str, Node] = field(default_factory=dict)
    data: bytes = b""


@dataclass(frozen=True)
class Change:
    """An operation: names of folders that came to stand for something (None: for nothing more), or
    a flush of a node, or the bytes that a file then had.
    """

    names: tuple[tuple[Node, str, Node | None], ...] = ()
    flushed: Node | None = None
    written: tuple[Node, bytes] | None = None


class Recorder(System):
    """Writes down what the operations of this process, within a folder, did to the disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(0, "")
        self.folder = folder.resolve()
        self.root = _scan(self.folder)
        self.now: dict[Node, dict[str, Node]] = {}  # the entries as they are, by folder
        self._keep(self.root)
        self.log: list[Change] = []

    def _keep(self, node: Node) -> None:
        self.now[node] = dict(node.entries)
        for inner in node.entries.values():
            self._keep(inner)

    def after(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Write an operation down, once it is done."""
        if name == "fsync":
            self._flush(Path(f"/proc/self/fd/{arguments[0]}").readlink())
            return
        if name == "open" or name == "truncate":
            name = "create"
        paths = [self._full(argument, options) for argument in arguments[: _N_PATHS.get(name, 1)]]
        if None in paths:
            return
        if name in ("create", "mkdir"):
            folder, last = self._find(paths[0].parent), paths[0].name
            if last not in self.now[folder]:
                self._change((folder, last, self._new(is_folder=name == "mkdir")))
        elif name in ("unlink", "rmdir"):
            self._change((self._find(paths[0].parent), paths[0].name, None))
        elif name in ("rename", "replace"):
            source, target = (self._find(path.parent) for path in paths)
            node = self.now[source][paths[0].name]
            self._change((source, paths[0].name, None), (target, paths[1].name, node))
            self._note(paths[1])
        elif name == "exchange":
            folders = [self._find(path.parent) for path in paths]
            nodes = [self.now[f][path.name] for f, path in zip(folders, paths, strict=True)]
            self._change(
                (folders[0], paths[0].name, nodes[1]), (folders[1], paths[1].name, nodes[0])
            )

    def _full(self, name: Any, options: dict[str, Any]) -> Any:
        """Give the place of a name within the folder; None for one elsewhere."""
        if isinstance(name, int):
            return None
        base = options.get("dir_fd")
        start = Path.cwd() if base is None else Path(f"/proc/self/fd/{base}").readlink()
        path = Path(os.path.normpath(start / os.fsdecode(name)))
        return path if path.is_relative_to(self.folder) and path != self.folder else None

    def _new(self, *, is_folder: bool) -> Node:
        node = Node(is_folder)
        self.now[node] = {}
        return node

    def _find(self, path: Path) -> Node:
        node = self.root
        for part in path.relative_to(self.folder).parts:
            node = self.now[node][part]
        return node

    def _change(self, *names: tuple[Node, str, Node | None]) -> None:
        self.log.append(Change(names=names))
        for folder, name, node in names:
            if node is None:
                self.now[folder].pop(name, None)
            else:
                self.now[folder][name] = node

    def _note(self, path: Path) -> None:
        """Write down the bytes that a file has."""
        with contextlib.suppress(KeyError, OSError):
            node = self._find(path)
            if not node.is_folder:
                with self.open(path, "rb") as file:
                    self.log.append(Change(written=(node, file.read())))

    def _flush(self, path: Path) -> None:
        if not path.is_relative_to(self.folder):
            return
        self._note(path)
        with contextlib.suppress(KeyError):
            self.log.append(Change(flushed=self._find(path)))

    def note_all(self) -> None:
        """Write down the bytes of all files, at the end."""
        for path in self.folder.rglob("*"):
            self._note(path)


_N_PATHS = {"rename": 2, "replace": 2, "exchange": 2}


def _scan(path: Path) -> Node:
    if not path.is_dir():
        return Node(False, data=path.read_bytes())
    return Node(True, {inner.name: _scan(inner) for inner in path.iterdir()})


def draw_state(recorder: Recorder, draw: random.Random, *, end: int, folder: Path) -> None:
    """Write into a folder what a disk may hold when the power goes off before operation `end`."""
    log = recorder.log
    flushes = {change.flushed: at for at, change in enumerate(log[:end]) if change.flushed}
    held: dict[Node, dict[str, Node]] = {node: dict(node.entries) for node in recorder.now}
    is_kept = _draw_order(flushes, draw, end=end)
    for at, change in enumerate(log[:end]):
        for place, name, node in change.names if is_kept(at, change) else ():
            if node is None:
                held[place].pop(name, None)
            else:
                held[place][name] = node
    latest: dict[Node, bytes] = {}
    stable: dict[Node, bytes] = {}
    for at, change in enumerate(log):
        if change.written is not None:
            latest[change.written[0]] = change.written[1]
            if at < flushes.get(change.written[0], -1):
                stable[change.written[0]] = change.written[1]
    _write(recorder.root, held, latest, stable, draw, folder)


def _draw_order(
    flushes: dict[Node | None, int], draw: random.Random, *, end: int
) -> Callable[[int, Change], bool]:
    """Draw up to which operation names are on the disk: of all together, or of each folder; give
    what tells whether those of an operation are. Names in two folders come together or not at all.
    """
    sure = max((at for node, at in flushes.items() if node and node.is_folder), default=-1)
    cuts: dict[Node, int] = {}

    def draw_cut(least: int) -> int:
        return draw.choice((least, end, draw.randint(least, end)))

    if draw.random() < 0.5:
        cut = draw_cut(sure)
        return lambda at, change: at <= cut

    def is_kept(at: int, change: Change) -> bool:
        for place, _, _ in change.names:
            if place not in cuts:
                cuts[place] = draw_cut(flushes.get(place, -1))
        return any(at <= cuts[place] for place, _, _ in change.names)

    return is_kept


def _write(
    node: Node,
    held: dict[Node, dict[str, Node]],
    latest: dict[Node, bytes],
    stable: dict[Node, bytes],
    draw: random.Random,
    path: Path,
) -> None:
    if node.is_folder:
        path.mkdir()
        for name, inner in held[node].items():
            _write(inner, held, latest, stable, draw, path / name)
        return
    before, new = stable.get(node, node.data), latest.get(node, node.data)
    if new == before:
        path.write_bytes(before)
        return
    zeros = bytes(len(new))
    path.write_bytes(draw.choice((before, b"", new[: draw.randint(0, len(new))], zeros, new)))


@dataclass
class Figures:
    """What came out: states by what they showed, and what did not hold."""

    n_operations: dict[str, int] = field(default_factory=dict)
    by_outcome: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def record(
    work: Callable[[], object], folder: Path, states: Path, *, seed: str, n_states: int
) -> list[int]:
    """Run work in a forked child, in its folder, and write states of the disk that it may leave;
    give the operation before which each was cut, and at last how many there are.
    """
    states.mkdir()
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - ends with the child
        os.chdir(folder)
        draw, recorder = random.Random(seed), Recorder(folder)
        recorder.install()
        code = run_guarded(work, debug=False)
        recorder.uninstall()
        recorder.note_all()
        n_operations = len(recorder.log)
        for number in range(n_states):
            end = n_operations if not number else draw.randint(0, n_operations)
            draw_state(recorder, draw, end=end, folder=states / str(number))
            os.write(writes, b"%d " % end)
        os.write(writes, b"%d" % n_operations)
        os._exit(code)
    os.close(writes)
    with open(reads, "rb") as told:
        cuts = [int(word) for word in told.read().split()]
    assert wait(child) == 0
    return cuts


def try_state(
    writer: Writer, place: Path, known: list[Contents | None], *, is_over: bool
) -> tuple[str, list[str]]:
    """Look at a state, and do the work once more from there; give what it showed."""
    before, after = known
    left = all_contents(place, writer.outs)

    def differ(name: str) -> bool:
        return (left or {}).get(name) != (after or {}).get(name)

    outcome = "old" if left == before else "new" if left == after else "part"
    wrong: list[str] = []
    if outcome == "part" and not (writer.steps and left is not None):
        wrong.append(f"neither old nor new: {sorted(left or {})}")
    if is_over and outcome != "new":
        names = sorted(name for name in {**(after or {}), **(left or {})} if differ(name))
        wrong.append(f"the work was over, but {outcome} is there: {names}")
    code, said = run_child(writer.again or writer.new, place, System(0, ""))
    if code != 0:
        wrong.append(f"again: exit code {code}: {said.strip()[-200:]}")
    elif all_contents(place, writer.outs) != after:
        wrong.append("again: other bytes")
    return outcome, wrong


def run_campaign(
    *, budget: float, seed: int, only: str = "", most: int | None = None, made: list[Writer]
) -> Figures:
    """Draw states of every writer in turn, until the seconds are over or `most` were tried."""
    figures, ends, tried = Figures(), time.monotonic() + budget, 0
    with scratch_folder() as root:
        ready = []
        for writer in (writer for writer in made if only in writer.name):
            template = root / f"template {writer.name}"
            prepare(template, models=writer.models)
            with contextlib.chdir(template):
                writer.old()
                known = [all_contents(Path(), writer.outs)]
                first = root / "first"
                shutil.copytree(template, first)
            with contextlib.chdir(first):
                writer.new()
                known.append(all_contents(Path(), writer.outs))
            shutil.rmtree(first)
            ready.append((writer, template, known))
        turn = 0
        while time.monotonic() < ends and (most is None or tried < most):
            writer, template, known = ready[turn % len(ready)]
            place, states = root / "run", root / "states"
            shutil.copytree(template, place)
            n_states = STATES if most is None else min(STATES, most - tried)
            told = f"{seed}:{writer.name}:{turn // len(ready)}"
            cuts = record(writer.new, place, states, seed=told, n_states=n_states)
            figures.n_operations[writer.name] = cuts.pop()
            for number, cut in enumerate(cuts):
                is_over = cut == figures.n_operations[writer.name]
                outcome, wrong = try_state(writer, states / str(number), known, is_over=is_over)
                figures.by_outcome[outcome] += 1
                where = f"{writer.name}, draw {told}, state {number}, cut before operation {cut}"
                figures.failures += [f"{where}: {line}" for line in wrong]
                tried += 1
            shutil.rmtree(place)
            shutil.rmtree(states)
            turn += 1
    return figures


def main() -> int:
    """Run the campaign as the environment says, and print its figures."""
    budget, seed = float(os.environ.get("BUDGET", "60")), int(os.environ.get("SEED", "0"))
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    figures = run_campaign(budget=budget, seed=seed, only=only, made=writers())
    for name, number in figures.n_operations.items():
        print(f"{name}: {number} operations")
    for line in figures.failures:
        print(f"FAILED {line}")
    outcomes = say(figures.by_outcome)
    print(f"power: seed {seed}, {figures.by_outcome.total()} states: {outcomes};", end=" ")
    print(f"{len(figures.failures)} failures")
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
