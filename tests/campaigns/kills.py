"""SIGKILL at random moments in every verb that writes; what goes on ends with the same bytes.

For each verb: one run that nobody disturbs says what its bytes are, and how long it takes. Then, in
a forked child and a fresh folder, the verb is killed after a drawn time, one to three times in a
row, each time taken up as a user does, with `--resume` where there is something to go on with. The
last one runs to its end, and must leave the bytes of the first, and nothing half written.

Not part of `make test`, which runs a few. KILLS and BUDGET (seconds) say when it ends, whichever
comes first; moments are drawn from SEED. Exits 1 where anything does not hold, and prints what.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.campaigns.children import Contents, contents, scratch_folder, wait
from textkit import Vectors
from textkit.cli import app
from textkit.cli.errors import run_guarded

NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
ROWS = [
    (f"{word} {noun}", side) for word, side in (("good", "pos"), ("bad", "neg")) for noun in NOUNS
]
HEAVY = ["torch", "accelerate", "gensim.models", "matplotlib.figure", "pyarrow.parquet"]
HEAVY += [f"textkit.cli.{name}" for name in ("train", "tokenize", "embed", "tokenizer", "evaluate")]
HEAVY += [
    "textkit.jobs.train",
    "textkit.jobs.evaluate",
    "textkit.training.curves",
    "textkit.evaluation.report",
]
SMALL = ["encoder.dim=4", "embedding.dim=4", "training.batch_size=4", "training.device=cpu"]
SMALL += ["training.threads=1", "training.checkpoint_seconds=0", "training.epochs=3"]


@dataclass(frozen=True)
class Verb:
    """A verb that writes `out`; goes_on tells whether `--resume` has something to go on with."""

    name: str
    arguments: list[str]
    goes_on: Callable[[], bool] = lambda: False
    prepare: list[str] | None = None


@dataclass
class Figures:
    """What came out: kills by verb, children that ended before their kill, what did not hold."""

    kills: Counter[str] = field(default_factory=Counter)
    n_ended_before: int = 0
    failures: list[str] = field(default_factory=list)


def exists(name: str) -> Callable[[], bool]:
    return lambda: Path(name).exists()


def verbs() -> list[Verb]:
    """List the verbs, with inputs that they find in their folder."""
    sets = [word for value in SMALL for word in ("-s", value)]
    train = ["train", "train.csv", "--no-baseline", *sets]
    job = exists("out/_job.json")
    return [
        Verb("train", [*train, "-o", "out"], exists("out/data.json")),
        Verb(
            "train --overwrite",
            [*train, "-s", "seed=2", "-o", "out", "--overwrite"],
            exists("out.new/data.json"),
            prepare=[*train, "-o", "out"],
        ),
        Verb("tokenize", ["tokenize", "in.txt", "-o", "out", "--part-rows", "500"], job),
        Verb("embed", ["embed", "in.txt", "-m", "v", "-o", "out", "--part-rows", "500"], job),
        Verb(
            "search build",
            ["search", "build", "in.txt", "-m", "v", "-o", "out", "--part-rows", "200"],
            exists("out.parts/_job.json"),
        ),
        Verb(
            "vectors train",
            ["vectors", "train", "in.txt", "-o", "out", "--dim", "8", "--epochs", "2"],
            exists("out.training/_job.json"),
        ),
        Verb("tokenizer train", ["tokenizer", "train", "in.txt", "-o", "out", "--size", "400"]),
        Verb(
            "evaluate",
            ["evaluate", "run/model", "train.csv", "--html", "out/a.html", "--png", "out/a.png"],
            prepare=[*train, "-o", "run"],
        ),
    ]


def write_inputs(folder: Path) -> None:
    """Write what the verbs read."""
    folder.mkdir()
    rows = "".join(f"{text},{side}\n" for text, side in ROWS)
    (folder / "train.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    draw = random.Random(0)
    lines = (" ".join(draw.choices(NOUNS, k=8)) for _ in range(4000))
    (folder / "in.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    Vectors(NOUNS, np.eye(10, 4, dtype=np.float32)).save(folder / "v")


def begin(arguments: list[str], folder: Path) -> int:
    """Run a verb in a fork, in its folder, and give the child; messages go to a file there."""
    child = os.fork()
    if child:
        return child
    os.chdir(folder)
    sys.stdout = sys.stderr = open(".said", "w", encoding="utf-8")  # noqa: SIM115 - ends with it
    code = run_guarded(lambda: app(args=arguments, prog_name="textkit"), debug=False)
    sys.stderr.flush()
    os._exit(code)


def run_whole(verb: Verb, folder: Path) -> tuple[Contents, float]:
    """Run a verb undisturbed; give the bytes that it leaves and how long it takes."""
    started = time.monotonic()
    code = wait(begin(verb.arguments, folder))
    assert code == 0, (verb.name, (folder / ".said").read_text(encoding="utf-8"))
    return contents(folder / "out") or {}, time.monotonic() - started


def kill_and_go_on(
    verb: Verb, place: Path, whole: Contents, moments: list[float], figures: Figures
) -> list[str]:
    """Kill a verb at each moment, take it up after each, and say what did not hold at the end."""

    def arguments() -> list[str]:
        with contextlib.chdir(place):
            if not verb.goes_on():
                return verb.arguments
        return [*(word for word in verb.arguments if word != "--overwrite"), "--resume"]

    for moment in moments:
        child = begin(arguments(), place)
        time.sleep(moment)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        if wait(child) == -signal.SIGKILL:
            figures.kills[verb.name] += 1
        else:
            figures.n_ended_before += 1
            break
        with contextlib.chdir(place):
            begins_anew = not verb.goes_on()
        if begins_anew and (contents(place / "out") or {}) == whole:
            break  # killed between its last write and its end: it would be refused, as finished
    else:
        code = wait(begin(arguments(), place))
        if code != 0:
            said = (place / ".said").read_text(encoding="utf-8").strip()
            return [f"exit code {code}: {said[-200:]}"]
    wrong: list[str] = []
    found = contents(place / "out") or {}
    if found != whole:
        names = sorted(name for name in {*found, *whole} if found.get(name) != whole.get(name))
        wrong.append(f"other bytes: {names}")
    (place / ".said").unlink()
    left = [path.name for path in place.rglob("*") if path.name.startswith((".", "out."))]
    return wrong + ([f"left behind: {left}"] if left else [])


def run_campaign(*, n_kills: int, budget: float, seed: int, only: str = "") -> Figures:
    """Kill verbs in turn until there are so many kills, or the seconds are over."""
    figures, draw = Figures(), random.Random(seed)
    for name in HEAVY:
        importlib.import_module(name)  # here, so that no child does
    ends = time.monotonic() + budget
    with scratch_folder() as root:
        ready: list[tuple[Verb, Path, Contents, float]] = []
        for number, verb in enumerate(verbs()):
            if only not in verb.name:
                continue
            template, first = root / f"template {number}", root / f"first {number}"
            write_inputs(template)
            if verb.prepare is not None:
                assert wait(begin(verb.prepare, template)) == 0, verb.name
                (template / ".said").unlink()
            shutil.copytree(template, first)
            ready.append((verb, template, *run_whole(verb, first)))
            shutil.rmtree(first)
        turn = 0
        while sum(figures.kills.values()) < n_kills and time.monotonic() < ends:
            verb, template, whole, seconds = ready[turn % len(ready)]
            turn += 1
            place = root / "try"
            shutil.copytree(template, place)
            moments = [draw.uniform(0, seconds) for _ in range(draw.randint(1, 3))]
            wrong = kill_and_go_on(verb, place, whole, moments, figures)
            told = ", ".join(f"{moment:.3f}" for moment in moments)
            figures.failures += [f"{verb.name}, killed after {told} s: {line}" for line in wrong]
            shutil.rmtree(place)
    return figures


def main() -> int:
    """Run the campaign as the environment says, and print its figures."""
    n_kills, seed = int(os.environ.get("KILLS", "40")), int(os.environ.get("SEED", "0"))
    budget = float(os.environ.get("BUDGET", "inf"))
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    figures = run_campaign(n_kills=n_kills, budget=budget, seed=seed, only=only)
    for line in figures.failures:
        print(f"FAILED {line}")
    by_verb = ", ".join(f"{number} {name}" for name, number in sorted(figures.kills.items()))
    print(
        f"kills: seed {seed}, {sum(figures.kills.values())} kills ({by_verb}),"
        f" {figures.n_ended_before} ended before theirs; {len(figures.failures)} failures"
    )
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
