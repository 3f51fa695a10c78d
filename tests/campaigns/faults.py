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
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from tests.campaigns.children import Contents, contents, scratch_folder, wait
from tests.campaigns.faulty_system import ERRORS, KINDS, System
from textkit import Vectors, tokenizers
from textkit.cli.errors import run_guarded
from textkit.io import files
from textkit.io.row_files import copy_rows
from textkit.jobs import EmbedOptions, TokenizeOptions, embed_corpus, tokenize_corpus
from textkit.jobs.train_vectors import TrainVectorsOptions, train_word_vectors
from textkit.vectors.gensim_model import VectorTraining

Work = Callable[[], object]
OUT = "out"  # what every writer writes


@dataclass(frozen=True)
class Writer:
    """old: makes what is there before, if anything. new: what is spoilt. again: what is run after a
    fault, where it is not the same. steps: a fault may leave what `again` goes on from.
    """

    name: str
    old: Work
    new: Work
    again: Work | None = None
    steps: bool = False


@dataclass
class Figures:
    """What came out: executions by kind of fault and by outcome, and what did not hold."""

    n_operations: dict[str, int] = field(default_factory=dict)
    n_planned: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_outcome: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def nothing() -> None:
    """Have nothing there before."""


def tokenize(output: str, **more: bool) -> None:
    """Tokenize the corpus into parts of 4 rows."""
    options = TokenizeOptions(
        inputs=["in.txt"], out=Path("out"), output=output, part_rows=4, **more
    )
    tokenize_corpus(options)


def embed(output: str, **more: bool) -> None:
    """Embed the corpus into parts of 4 rows."""
    options = EmbedOptions(
        inputs=["in.txt"], model="v", out=Path("out"), output=output, part_rows=4, **more
    )
    embed_corpus(options)


def go_on(work: Callable[..., None], output: str) -> None:
    """Resume a job where there is one, else begin it: what a user does."""
    begun = Path("out.new").is_dir() or Path("out/_job.json").exists()
    work(output, **({"resume": True} if begun else {}))


def replace_job() -> None:
    """Replace a finished job by one on other rows, or go on with that."""
    Path("in.txt").write_bytes(b"another row of words\n" * 9)
    is_finished = Path("out/_manifest.json").exists() and not Path("out.new").is_dir()
    tokenize("jsonl", **{"overwrite" if is_finished else "resume": True})


def train_words() -> None:
    """Train word vectors in the place of others, or go on with that."""
    goes_on = Path("out.training/_job.json").exists()
    if not goes_on:
        shutil.rmtree("out.training", ignore_errors=True)
    options = TrainVectorsOptions(
        inputs=["in.txt"],
        out=Path("out"),
        training=VectorTraining(dim=4, epochs=1, min_count=1),
        overwrite=not goes_on,
        resume=goes_on,
    )
    train_word_vectors(options)


def writers() -> list[Writer]:
    """List the writers, with inputs that they find in their folder."""
    words = [tokenizers.train("word", [text] * 3) for text in ("alpha beta", "gamma delta epsilon")]
    rows = [np.full((2, 3), value, np.float32) for value in (1.0, 2.0)]
    tables = [Vectors(["king", "tree"], table) for table in rows]

    def write(text: str) -> Work:
        return lambda: files.write_text("out", text * 9000)

    def save(thing: tokenizers.Tokenizer | Vectors) -> Work:
        return lambda: thing.save("out", overwrite=True)

    def split(n_rows: int) -> Work:
        lines = np.arange(1, n_rows + 1)
        return lambda: copy_rows("in.txt", lines, [(Path("out"), np.arange(n_rows))])

    def job(work: Callable[[str], None], output: str) -> Writer:
        begin, again = partial(work, output), partial(go_on, work, output)
        return Writer(f"{work.__name__} {output}", nothing, begin, again, steps=True)

    return [
        Writer("file", write("old"), write("new!")),
        Writer("new file", nothing, write("new!")),
        Writer("rows", split(2), split(3)),
        Writer("tokenizer", save(words[0]), save(words[1])),
        Writer("new tokenizer", nothing, save(words[1])),
        Writer("vectors", save(tables[0]), save(tables[1])),
        job(tokenize, "parquet"),
        job(tokenize, "jsonl"),
        job(embed, "npy"),
        Writer("replaced job", partial(tokenize, "jsonl"), replace_job, steps=True),
        Writer("trained vectors", save(tables[0]), train_words),
    ]


def prepare(folder: Path) -> None:
    """Write the inputs of all writers."""
    folder.mkdir()
    (folder / "in.txt").write_bytes(b"the king and the tree\nof a row\n" * 5)
    Vectors(["king", "tree"], np.eye(2, dtype=np.float32)).save(folder / "v")


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
    prepare(folder)
    with contextlib.chdir(folder):  # here, so that no child imports anything
        writer.old()
        writer.new()
    shutil.rmtree(folder)
    prepare(folder)
    run_child(writer.old, folder, System(0, ""))
    before = contents(folder / OUT)
    code, said = run_child(writer.new, folder, System(0, ""))
    assert code == 0, (writer.name, said)
    after = contents(folder / OUT)
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
    left = contents(place / OUT)
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
    elif contents(place / OUT) != after:
        wrong.append("again: other bytes")
    hidden = [path.name for path in place.rglob(".*")]
    beside = [path.name for path in place.iterdir() if path.name.startswith(OUT + ".")]
    if hidden or beside:
        wrong.append(f"left behind: {hidden + beside}")
    shutil.rmtree(place)
    return outcome, wrong


def run_campaign(*, budget: float, seed: int, only: str = "", most: int | None = None) -> Figures:
    """Spoil as many operations as the budget of seconds allows, or `most`, in a drawn order."""
    figures = Figures()
    ends = time.monotonic() + budget
    with scratch_folder() as root:
        plan: list[tuple[Writer, int, str]] = []
        known: dict[str, list[Contents | None]] = {}
        for writer in writers():
            if only not in writer.name:
                continue
            n_operations, before, after = count_operations(writer, root)
            figures.n_operations[writer.name] = n_operations
            known[writer.name] = [before, after]
            template = root / f"template {writer.name}"
            prepare(template)
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


def main() -> int:
    """Run the campaign as the environment says, and print its figures."""
    budget, seed = float(os.environ.get("BUDGET", "60")), int(os.environ.get("SEED", "0"))
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    figures = run_campaign(budget=budget, seed=seed, only=only)
    for name, number in figures.n_operations.items():
        print(f"{name}: {number} operations")
    for line in figures.failures:
        print(f"FAILED {line}")
    kinds, outcomes = (
        ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))
        for counted in (figures.by_kind, figures.by_outcome)
    )
    n_executed = sum(figures.by_kind.values())
    print(f"faults: seed {seed}, {n_executed} of {figures.n_planned} executed: {kinds}")
    print(f"left afterwards: {outcomes}; {len(figures.failures)} failures")
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
