"""The figures of benchmarks/gpu.py, and its tables."""

from __future__ import annotations

from dataclasses import dataclass, field

LOGITS_LIMIT, WAITS_LIMIT = 1e-4, 0.05


@dataclass(frozen=True)
class Row:
    """One contender's figures; shares of 1. peak_bytes: of the card's memory, the weights of an
    embedder not among them.
    """

    job: str
    model: str
    precision: str
    contender: str
    tokens_per_second: float
    share: float
    peak_bytes: int | None = None
    waits: float | None = None
    host: float | None = None


@dataclass
class Figures:
    """All figures of one machine. is_real: of a GPU, with the whole sizes.

    rates: operations a second by precision. logits: by encoder, the largest differences.
    """

    device: str
    torch: str
    is_real: bool
    rates: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    logits: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    seconds: float = 0.0


def tell(figures: Figures) -> list[str]:
    """Give the lines of the tables, and of what was missed."""
    lines = []
    for name, rate in figures.rates.items():
        lines.append(f"rate {name}: {rate / 1e12:.3g} TFLOP/s")
    head = f"{'':34} {'tokens/s':>12} {'beside':>7} {'share':>6} {'GB':>6} {'waits':>6} {'host':>6}"
    group: tuple[str, ...] = ()
    for row in figures.rows:
        if group != (row.job, row.model, row.precision):
            group, base = (row.job, row.model, row.precision), row.tokens_per_second
            lines += ["", " ".join(group), head]
        peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.2f}"
        waits, host = ("" if x is None else f"{x:.1%}" for x in (row.waits, row.host))
        speed = row.tokens_per_second
        lines.append(
            f"  {row.contender:32} {speed:>12,.0f} {base / speed:>6.2f}x"
            f" {row.share:>6.1%} {peak:>6} {waits:>6} {host:>6}"
        )
    lines += ["", f"{'logits, largest difference':34} {'from CPU':>12} {'from float64':>13}"]
    for name, values in figures.logits.items():
        lines.append(f"  {name:32} {values['from_cpu']:>12.1e} {values['from_float64']:>13.1e}")
    lines += ["", *figures.notes, *misses(figures)]
    if not figures.is_real:
        lines.append("a look at the script on a CPU or in the small: no figure of a GPU")
    return lines


def misses(figures: Figures) -> list[str]:
    """Say which limits were not kept."""
    said = [
        f"MISSED {row.job} {row.model} {row.precision}: waits {row.waits:.1%} of the time for data,"
        f" expected under {WAITS_LIMIT:.0%}"
        for row in figures.rows
        if row.contender == "textkit" and figures.is_real and (row.waits or 0) >= WAITS_LIMIT
    ]
    return said + [
        f"MISSED logits of {name}: {values['from_cpu']:.1e} from the CPU's, expected under"
        f" {LOGITS_LIMIT:g}"
        for name, values in figures.logits.items()
        if not values["from_cpu"] < LOGITS_LIMIT
    ]
