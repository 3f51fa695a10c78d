"""How long the command line takes to say --help, beside spaCy's and transformers', in one run.

Each command runs in turn, five times; the best time of each is printed. Peers that are not
installed are named and left out. Source of the target: textkit under 0.25 s where spaCy takes 2.0
s.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time

COMMANDS = {
    "textkit --help": ["textkit", "--help"],
    "textkit tokenize --help": ["textkit", "tokenize", "--help"],
    "spacy --help": ["spacy", "--help"],
    "transformers --help": ["transformers.cli.transformers", "--help"],
}
ROUNDS = 5


def seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def main() -> None:
    chosen = {
        name: args
        for name, args in COMMANDS.items()
        if importlib.util.find_spec(args[0].split(".")[0])
    }
    for name in COMMANDS.keys() - chosen.keys():
        print(f"{name}: not installed, left out")
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(ROUNDS):
        for name, arguments in chosen.items():
            times[name].append(seconds(arguments))
    for name, found in times.items():
        print(
            f"{name:26} {min(found):6.3f} s  {min(found) / min(times['textkit --help']):5.1f} x"
            f" textkit --help"
        )


if __name__ == "__main__":
    main()
