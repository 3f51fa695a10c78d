"""Time is linear: doubling a run of any repeated character costs at most 2.5 times, for every kind.

Not part of `make test`: timings belong to campaigns. Run by `make fuzz`; exits 1 where a kind is
slower than that.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from tests.tokenizers.small import OPTIONS, TRAINING
from textkit import registry, tokenizers

UNITS = [
    "a",
    " ",
    "1",
    "'",
    "_",
    ".",
    "\u0308",
    "🙂",
    "\u200d",
    "🇩",
    "א",
    "カ",
    "漢",
    "\n",
    "\0",
    "ﬁ",
    "ab ",
    "a'",
]
SIZES = (10_000, 20_000, 40_000)


def best_seconds(tokenizer: Any, text: str, *, spans: bool) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        tokenizer.encode([text], spans=spans)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> int:
    failed = 0
    for kind in registry.names("tokenizer"):
        made = tokenizers.train(kind, TRAINING, **OPTIONS.get(kind, {}))
        worst = (0.0, "")
        for unit in UNITS:
            for spans in (False, True):
                seconds = [
                    best_seconds(made, unit * (size // len(unit)), spans=spans) for size in SIZES
                ]
                ratio = seconds[2] / seconds[1]
                # Below 20 ms the clock is noise; a ratio counts only when both doublings show it.
                if seconds[2] > 0.02 and seconds[1] / seconds[0] > 2.5:
                    worst = max(
                        worst,
                        (
                            ratio,
                            f"{unit!r}, spans={spans}: {seconds[1]:.3f} s -> {seconds[2]:.3f} s",
                        ),
                    )
        print(f"{kind:12} worst doubling {worst[0]:.2f} x  {worst[1]}", flush=True)
        failed += worst[0] > 2.5
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
