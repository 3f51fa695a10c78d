"""What a corpus costs as it grows, and what that says of 1 TB on one machine and on many.

    python benchmarks/scale.py [--base-mb 2] [--json FILE]     # measure, fit, plan; some minutes
    python benchmarks/scale.py --from FILE                     # plan again from kept measurements

1. Each job runs on 1x, 2x, 4x, 8x and 16x of the text with 1 and 2 processes, by the shell:
   processor seconds, seconds, peak memory of the largest process, bytes written.
2. Costs are fitted as `start + rate * size`; the exponent of growth by the larger three sizes.
3. A scheduler is simulated: parts wait in a queue, machines take one after the other, some machines
   fail and come back, the driver fails and goes on from what is finished. Same seed, same numbers.

The rates are measured. What else the plan takes for granted stands in `Assumptions`, each with its
reason (benchmarks/scale_simulation.py), and is printed beside the result.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scale_simulation import Assumptions, simulate

sys.path.insert(0, str(Path(__file__).parents[1]))
CORPUS = Path(__file__).parents[2] / "shared" / "data" / "corpora" / "imdb_unsup.txt.gz"
FACTORS = (1, 2, 4, 8, 16)
JOBS = {
    "tokenize": "tokenize {text} -t {tokenizer} -o {out} --to parquet --workers {workers}",
    "count": "tokenize {text} -t {tokenizer} --count --json --workers {workers}",
    "predict": "predict {model} {text} -o {out}.parquet --proba all --workers {workers}",
    "dedup": "data dedup {text} --level exact -o {out}.txt --report {out}.csv",
}
ALONE = ("dedup",)  # one process by nature


@dataclass(frozen=True)
class Run:
    """One job on one size. peak_bytes: of the largest process; out_bytes: what it left on disk."""

    job: str
    mb: float
    workers: int
    cpu_seconds: float
    seconds: float
    peak_bytes: int
    out_bytes: int


@dataclass(frozen=True)
class Growth:
    """Processor seconds = start + rate * MB; exponent: of the larger three sizes, less the start.

    peak_bytes_a_mb: what the largest process holds more for each further MB; out: bytes a byte.
    """

    start: float
    rate: float
    exponent: float
    peak_bytes_a_mb: float
    peak_bytes: int
    out: float
    second_worker: float


def fit(runs: list[Run]) -> Growth:
    """Fit one job's runs; those of one process give the rate."""
    one = sorted((run for run in runs if run.workers == 1), key=lambda run: run.mb)
    mb, cpu = (np.array([getattr(run, name) for run in one]) for name in ("mb", "cpu_seconds"))
    # Relative errors count, so that the small sizes say what the start costs.
    rate, start = np.polyfit(mb, cpu, 1, w=1 / cpu)
    beyond = np.maximum(cpu[-3:] - max(start, 0.0), 1e-9)
    exponent = float(np.polyfit(np.log(mb[-3:]), np.log(beyond), 1)[0])
    peaks = np.array([run.peak_bytes for run in one])
    largest = one[-1]
    second = [run for run in runs if run.workers == 2 and run.mb == largest.mb]
    return Growth(
        float(start),
        float(rate),
        exponent,
        float(np.polyfit(mb, peaks, 1)[0]),
        largest.peak_bytes,
        largest.out_bytes / (largest.mb * 1e6),
        largest.cpu_seconds / second[0].cpu_seconds if second else 1.0,
    )


def read_text(mb: float) -> Iterator[str]:
    """Give lines of real text up to a size: film reviews, or the docstrings of Python, repeated."""
    if CORPUS.exists():
        with gzip.open(CORPUS, "rt", encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    else:
        from textkit.data.quickstart import docstring_rows

        lines = [" ".join(text.split()) for text, _ in docstring_rows()]
    size, number = 0, 0
    while size < mb * 1e6:
        line = lines[number % len(lines)]
        line += f" {number // len(lines)}" if number >= len(lines) else ""
        size, number = size + len(line.encode()) + 1, number + 1
        yield line


def prepare(base_mb: float, folder: Path) -> None:
    """Write the texts, a tokenizer and a model. In a process of its own: a child's peak memory is
    at least what its parent held when it was started.
    """
    from textkit import TextClassifier, tokenizers

    small = list(read_text(min(base_mb, 4.0)))
    tokenizers.train("bpe", small, size=8000).save(folder / "tokenizer")
    middle = float(np.median([len(line) for line in small[:2000]]))
    labels = ["long" if len(line) > middle else "short" for line in small[:2000]]
    TextClassifier(encoder="linear").fit(small[: len(labels)], labels).save(folder / "model")
    for factor in FACTORS:
        lines = "\n".join(read_text(base_mb * factor))
        (folder / f"text-{factor}.txt").write_text(lines + "\n", encoding="utf-8")


def measure(base_mb: float, folder: Path) -> list[Run]:
    """Run every job on every size."""
    preparing = multiprocessing.get_context("spawn").Process(target=prepare, args=(base_mb, folder))
    preparing.start()
    preparing.join()
    return [
        run_job(job, command, folder / f"text-{factor}.txt", folder, workers)
        for factor in FACTORS
        for job, command in JOBS.items()
        for workers in ((1,) if job in ALONE else (1, 2))
    ]


def run_job(job: str, command: str, text: Path, folder: Path, workers: int) -> Run:
    """Run a job in a process of its own, and measure it."""
    out = folder / f"{job}-{workers}-{text.stem}"
    words = command.format(
        text=text,
        tokenizer=folder / "tokenizer",
        model=folder / "model",
        out=out,
        workers=workers,
    ).split()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "textkit", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)}: {said.decode()}")
    made = [path for path in folder.glob(f"{out.name}*") for path in (path, *path.rglob("*"))]
    written = sum(path.stat().st_size for path in made if path.is_file())
    cpu = usage.ru_utime + usage.ru_stime
    mb = text.stat().st_size / 1e6
    run = Run(job, mb, workers, cpu, seconds, usage.ru_maxrss * 1024, written)
    print(run, file=sys.stderr, flush=True)
    return run


def plan(growth: dict[str, Growth], given: Assumptions, total_mb: float = 1e6) -> list[str]:
    """Say what so much text takes on 1, 10 and 100 machines, and what ends first."""
    lines = []
    for job, each in growth.items():
        is_alone = job in ALONE
        of_cores = 1 / each.rate if is_alone else given.cores * given.core_share / each.rate
        rate = min(of_cores, given.disk_mb / (1 + each.out))
        bound = "disk" if rate < of_cores else "one process" if is_alone else "processors"
        for n in (1,) if is_alone else (1, 10, 100):
            got = simulate(total_mb, rate, n, given)
            lines.append(
                f"{job:9} {n:>4} machines {got.hours:>8.2f} h  {rate:>6.1f} MB/s each ({bound}),"
                f" {got.n_failures} failures, {got.lost_share:.2%} made again, driver busy"
                f" {got.driver_share:.1%}"
            )
        # A task is a part, whose memory the corpus does not change; what reads all holds all.
        most = given.memory_gb * 1e9
        if is_alone:
            needs = each.peak_bytes + each.peak_bytes_a_mb * total_mb
            limit = (most - each.peak_bytes) / each.peak_bytes_a_mb / 1e3
        else:
            needs, limit = float(each.peak_bytes) * given.cores, np.inf
        ends = "fits" if needs < most else f"stops at {limit:,.0f} GB of text"
        held = (1 + each.out) * total_mb / 1e6
        disk = (
            "fits" if held < given.disk_tb else f"needs {np.ceil(held / given.disk_tb):.0f} disks"
        )
        lines.append(
            f"{job:9} memory of a machine {needs / 1e9:,.1f} of {given.memory_gb:g} GB: {ends};"
            f" text and result {held:.2f} TB of disk: {disk}"
        )
        if not is_alone:
            full = given.part_mb / (rate * given.driver_seconds)
            lines.append(f"{job:9} the driver is full at {full:,.0f} machines")
    return lines


def main() -> None:
    """Measure or read, fit, plan."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base-mb", type=float, default=2.0, help="megabytes of 1x")
    parser.add_argument("--json", type=Path, help="where the measurements go")
    parser.add_argument("--from", dest="kept", type=Path, help="measurements that were kept")
    parser.add_argument("--tb", type=float, default=1.0, help="terabytes to plan for")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    if options.kept is not None:
        runs = [Run(**run) for run in json.loads(options.kept.read_text(encoding="utf-8"))]
    else:
        with tempfile.TemporaryDirectory() as place:
            runs = measure(options.base_mb, Path(place))
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(run) for run in runs], indent=1))
    given = Assumptions()
    for word in options.set:
        name, _, value = word.partition("=")
        given = replace(given, **{name: type(getattr(given, name))(float(value))})
    growth = {job: fit([run for run in runs if run.job == job]) for job in JOBS}
    print(f"{'job':9} {'MB':>6} {'workers':>7} {'cpu s':>7} {'s':>7} {'peak MB':>8} {'out':>5}")
    for run in runs:
        print(
            f"{run.job:9} {run.mb:>6.1f} {run.workers:>7} {run.cpu_seconds:>7.2f}"
            f" {run.seconds:>7.2f} {run.peak_bytes / 1e6:>8.0f}"
            f" {run.out_bytes / run.mb / 1e6:>5.2f}"
        )
    print()
    for job, each in growth.items():
        print(
            f"{job:9} {each.start:.2f} s + {each.rate:.4f} s a MB ({1 / each.rate:.1f} MB/s of a"
            f" core), grows to the {each.exponent:.2f}, {each.peak_bytes_a_mb / 1e6:.2f} MB of"
            f" memory a MB; two processes: {1 / each.second_worker:.2f} x the processor time of one"
        )
    print(f"\n{options.tb:g} TB:\n" + "\n".join(plan(growth, given, options.tb * 1e6)))
    print("\nassumed: " + ", ".join(f"{name} {value:g}" for name, value in asdict(given).items()))


if __name__ == "__main__":
    main()
