"""The page of a search: the score of every trial, the best so far, and each key's values beside the
scores that they brought.

In: a TuneReport. Out: one HTML page that needs no network and no script, in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from textkit.evaluation.confusion import shorten
from textkit.evaluation.page import name_cell, table, write_page
from textkit.evaluation.tuning import Tried, TuneReport, spell_value
from textkit.version import __version__

# The chart of a key that more values of text than this had would be unreadable.
_MOST_WORDS = 12
_FACTOR = 20  # numbers that differ by more stand on a logarithmic scale


def write_tune_page(report: TuneReport, path: str | Path, *, title: str) -> None:
    """Write the page: the verdict, the trials as they came, the keys, and the table of all."""
    learn, valid, apart = report.n_rows
    subtitle = (
        f"{len(report.trials)} trials on {learn:,} rows, chosen on {valid:,}, {apart:,} kept apart,"
        f" {report.seconds:,.0f} s, textkit {__version__}"
    )
    sections = [_verdict(report), _course(report), _keys(report), _losses(report), _trials(report)]
    write_page(path, title, subtitle, sections)


def _verdict(report: TuneReport) -> str:
    best = report.trials[report.best]
    boxes = [
        ("chosen on", report.valid, report.valid_interval),
        ("on rows unseen", report.apart, report.apart_interval),
    ]
    shown = "".join(
        f"<div><small>{escape(report.metric)} {name}</small><b>{score:.3f}</b>"
        f"<small>{interval:.3f}</small></div>"
        for name, score, interval in boxes
    )
    optimism = f"<div><small>optimism</small><b>{report.optimism:+.3f}</b></div>"
    words = (
        f"Trial {best.number} ({escape(best.recipe)}) is the best. The best of many trials is"
        " chosen by a score that is too good for it; the rows that no trial saw say by how much."
        " Under each score its 95 % interval."
    )
    return (
        f'<div class="numbers">{shown}{optimism}</div><p class="soft">{words}</p>'
        f"<p><code>{escape(best.spell_values()) or 'the recipe as it is'}</code></p>"
    )


@dataclass(frozen=True)
class _Scale:
    """Where values stand between two ends."""

    low: float
    high: float
    start: float
    length: float
    log: bool = False

    @classmethod
    def of(cls, values: Sequence[float], start: float, length: float) -> _Scale:
        low, high = min(values), max(values)
        log = low > 0 and high / low > _FACTOR
        if low == high:
            low, high = low - 0.5, high + 0.5
        return cls(low, high, start, length, log)

    def at(self, value: float) -> float:
        low, high, here = (
            map(math.log, (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return self.start + self.length * (here - low) / (high - low)

    def ticks(self, n: int = 4) -> list[float]:
        shares = [i / n for i in range(n + 1)]
        if self.log:
            return [self.low * (self.high / self.low) ** share for share in shares]
        return [self.low + (self.high - self.low) * share for share in shares]


_LEFT, _TOP, _WIDTH, _HEIGHT = 64.0, 12.0, 400.0, 200.0


def _frame(y: _Scale, x_label: str, y_label: str, inside: Sequence[str]) -> str:
    """Draw the grid, the words of both axes and what stands inside."""
    right, bottom = _LEFT + _WIDTH, _TOP + _HEIGHT
    grid = [
        f'<line x1="{_LEFT}" x2="{right}" y1="{y.at(v):.1f}" y2="{y.at(v):.1f}" class="grid"/>'
        f'<text x="{_LEFT - 8}" y="{y.at(v):.1f}" text-anchor="end" dominant-baseline="central">'
        f"{v:.3g}</text>"
        for v in y.ticks()
    ]
    words = (
        f'<text x="{_LEFT + _WIDTH / 2}" y="{bottom + 40}" text-anchor="middle">{escape(x_label)}'
        f'</text><text transform="translate(12 {_TOP + _HEIGHT / 2}) rotate(-90)"'
        f' text-anchor="middle">{escape(y_label)}</text>'
    )
    return (
        f'<svg viewBox="0 0 {right + 28:.0f} {bottom + 48:.0f}" width="{right + 28:.0f}"'
        f' font-size="12" role="img" aria-label="{escape(y_label)} by {escape(x_label)}">'
        f"{''.join(grid)}{''.join(inside)}{words}</svg>"
    )


def _mark(place: float, words: str) -> str:
    return (
        f'<text x="{place:.1f}" y="{_TOP + _HEIGHT + 18}" text-anchor="middle">{escape(words)}'
        "</text>"
    )


def _dot(x: float, y: float, trial: Tried, *, is_best: bool) -> str:
    kind, radius = ("wrong", 6) if is_best else ("right", 4)
    score = "no score" if trial.score is None else f"{trial.score:.4f}"
    words = f"trial {trial.number}, {trial.recipe}: {score}\n{trial.spell_values()}"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kind}" fill-opacity=".75">'
        f"<title>{escape(words)}</title></circle>"
    )


def _course(report: TuneReport) -> str:
    """Show the score of each trial as they came, and the best so far as a line."""
    counting = [trial for trial in report.trials if trial.counts]
    scores = [trial.score or 0.0 for trial in counting]
    y = _scores_scale(scores)
    x = _Scale.of([0.0, float(max(len(report.trials) - 1, 1))], _LEFT, _WIDTH)
    best, line = counting[0].score or 0.0, []
    for trial in counting:
        score = trial.score or 0.0
        here = x.at(trial.number)
        line.append(f"{here:.1f},{y.at(best):.1f}")
        best = score if report.goal.is_better(score, best) else best
        line.append(f"{here:.1f},{y.at(best):.1f}")
    inside = [f'<polyline points="{" ".join(line)}" class="curve"/>']
    inside += [
        _dot(x.at(t.number), y.at(t.score or 0.0), t, is_best=t.number == report.best)
        for t in counting
    ]
    step = max(1, len(report.trials) // 8)
    inside += [_mark(x.at(i), str(i)) for i in range(0, len(report.trials), step)]
    words = (
        "Each dot is a trial, the line the best so far; the best trial stands out. Where the line"
        " is flat for long, more trials bring little."
    )
    return f"<h2>Trials</h2><p>{words}</p>{_frame(y, 'trial', report.metric, inside)}"


def _scores_scale(scores: Sequence[float]) -> _Scale:
    """Put scores upside up: the y of a picture grows downwards."""
    scale = _Scale.of(scores, _TOP + _HEIGHT, -_HEIGHT)
    return _Scale(scale.low, scale.high, scale.start, scale.length)


def _keys(report: TuneReport) -> str:
    counting = [trial for trial in report.trials if trial.counts]
    recipes = list(dict.fromkeys(trial.recipe for trial in counting))
    charts = []
    for recipe in recipes:
        own = [trial for trial in counting if trial.recipe == recipe]
        before = f"{recipe}: " if len(recipes) > 1 else ""
        charts += [
            _key(report, own, key, before + key)
            for key in own[0].values
            if len({spell_value(trial.values[key]) for trial in own}) > 1
        ]
    if not charts:
        return ""
    words = "The score that each value brought, whatever the other keys were in that trial."
    return f'<h2>Keys</h2><p>{words}</p><div class="pair">{"".join(charts)}</div>'


def _key(report: TuneReport, trials: Sequence[Tried], key: str, label: str) -> str:
    y = _scores_scale([trial.score or 0.0 for trial in trials])
    values = [trial.values[key] for trial in trials]
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        scale = _Scale.of(numbers, _LEFT + 10, _WIDTH - 20)
        places: Mapping[str, float] = {spell_value(v): scale.at(float(v)) for v in values}
        marks = [_mark(scale.at(v), f"{v:.3g}") for v in scale.ticks(3)]
    else:
        words = sorted({spell_value(value) for value in values})
        step = _WIDTH / len(words)
        places = {word: _LEFT + step * (i + 0.5) for i, word in enumerate(words)}
        shown = len(words) <= _MOST_WORDS
        most = max(4, int(60 / len(words)))
        marks = [_mark(places[word], shorten(word, most)) for word in words] if shown else []
    dots = [
        _dot(
            places[spell_value(trial.values[key])],
            y.at(trial.score or 0.0),
            trial,
            is_best=trial.number == report.best,
        )
        for trial in sorted(trials, key=lambda trial: trial.number == report.best)
    ]
    return _frame(y, label, report.metric, [*marks, *dots])


def _losses(report: TuneReport) -> str:
    """Show the validation losses of trials of several epochs, those given up too."""
    curves = [trial for trial in report.trials if len(trial.losses) > 1]
    if not curves:
        return ""
    known = [loss for trial in curves for loss in trial.losses]
    y = _scores_scale(known)
    longest = max(len(trial.losses) for trial in curves)
    x = _Scale.of([1.0, float(longest)], _LEFT, _WIDTH)
    inside = []
    for trial in sorted(curves, key=lambda trial: trial.number == report.best):
        points = " ".join(
            f"{x.at(i + 1):.1f},{y.at(loss):.1f}" for i, loss in enumerate(trial.losses)
        )
        kind = "random" if trial.state == "pruned" else "curve"
        width = ' style="stroke:var(--wrong);stroke-width:3"' if trial.number == report.best else ""
        inside.append(
            f'<polyline points="{points}" fill="none" class="{kind}"{width}>'
            f"<title>trial {trial.number}, {escape(trial.recipe)}</title></polyline>"
        )
    step = max(1, longest // 8)
    inside += [_mark(x.at(i), str(i)) for i in range(1, longest + 1, step)]
    words = (
        "The loss on the validation rows, epoch by epoch. Dashed: given up, for its best was"
        " above the median of the trials before."
    )
    return f"<h2>Losses</h2><p>{words}</p>{_frame(y, 'epoch', 'validation loss', inside)}"


def _trials(report: TuneReport) -> str:
    rows = [
        [
            str(trial.number),
            "–" if trial.score is None else f"{trial.score:.4f}",
            escape(trial.state),
            f"{trial.seconds:,.1f}",
            f"{trial.n_bytes:,}" if trial.n_bytes else "–",
            name_cell(trial.recipe),
            f'<td class="name text">{escape(trial.spell_values() or trial.reason)}</td>',
        ]
        for trial in report.ranked()
    ]
    heads = ["trial", report.metric, "state", "seconds", "bytes", "recipe", "values"]
    return f"<h2>All trials</h2>{table(heads, rows)}"
