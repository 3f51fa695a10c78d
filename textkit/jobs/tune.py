"""Search for the recipe that is best for some rows.

In: a file of texts and labels, recipes, and which of their keys may change. Out: a TuneReport, and
in the folder `out`:

- begun.json: what decides the trials; says whose folder it is.
- data/: the rows to learn from, those that choose, and those kept apart, as lines of JSON.
- trials/NNNN/: the run of each trial; the best one's model is kept.
- trials.journal: the finished trials, as optuna keeps them.
- recipe.toml, model/: the best trial's. tune.html: the page.
- tune.json: all numbers; written last, it seals the folder.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from textkit.errors import DataError, UsageError, require
from textkit.evaluation.goals import Goal
from textkit.evaluation.tune_page import write_tune_page
from textkit.evaluation.tuning import Tried, TuneReport
from textkit.io import files, locks
from textkit.io.exchange import settle
from textkit.io.inputs import refuse_streams
from textkit.jobs import runs
from textkit.jobs.tune_options import (
    APART,
    BEGUN,
    DATA,
    LEARN,
    MODEL,
    PAGE,
    RECIPE,
    SEAL,
    SPENT,
    TRIALS,
    VALID,
    TuneOptions,
    check_options,
    describe,
    name_recipes,
    open_folder,
    split_rows,
)
from textkit.jobs.tune_space import Space
from textkit.jobs.tune_study import GENERATION, Draw, Study, best_of
from textkit.jobs.tune_trials import Outcome, Trial, Trials, answer, drop_model
from textkit.watch import Progress, Step, Watch


def open_space(options: TuneOptions) -> Space:
    """Give the keys that a search may change, without searching."""
    return Space.of(name_recipes(options), options.space)


def tune_recipe(options: TuneOptions, *, watch: Watch = Watch()) -> TuneReport | None:
    """Search; None where the watch stopped it, and the folder waits to be resumed.

    The same rows, options and seed give the same trials and the same model, for any number of
    workers and after any stop, unless a time limit ends them. Raises UsageError for options that do
    not go together, DataError for rows that cannot be learnt from, or where no trial counts.

    >>> rows = "text,label\\n" + "good film,pos\\nbad film,neg\\nfine,pos\\nawful,neg\\n" * 20
    >>> _ = Path("t.csv").write_text(rows, encoding="utf-8")
    >>> options = TuneOptions(data=Path("t.csv"), out=Path("o"), recipes=["linear"], trials=2)
    >>> report = tune_recipe(options)
    >>> len(report.trials), report.valid, Path("o/model").is_dir()
    (2, 1.0, True)
    """
    require("optuna", "torch", "sklearn", needed_by="a search")
    check_options(options)
    refuse_streams([options.data, *([options.valid] if options.valid else [])])
    space = open_space(options)
    task = space.task
    goal = Goal.parse(options.metric, task)
    out = settle(options.out)
    with locks.held(out):
        begun = describe(options, space, goal)
        if open_folder(options, out, begun):
            return TuneReport.from_dict(files.read_object(out / SEAL))
        n_rows = split_rows(options, space, goal, out, watch)
        files.write_json(out / BEGUN, begun)
        search = _Search(options, space, goal, out, watch)
        if not search.run():
            return None
        return search.finish(n_rows)


class _Search:
    """A search under way in its folder."""

    def __init__(
        self, options: TuneOptions, space: Space, goal: Goal, out: Path, watch: Watch
    ) -> None:
        self.options, self.space, self.goal, self.out, self.watch = options, space, goal, out, watch
        self.study = Study(out, space, goal, options.seed)
        self.draws: list[Draw] = []
        self.outcomes: list[Outcome] = []
        spent = out / SPENT
        self._before = float(files.read_object(spent)["seconds"]) if spent.is_file() else 0.0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time of the search so far, with that before a stop."""
        return self._before + time.monotonic() - self._began

    def asked(self) -> str:
        """Say why to stop: "user", "clock" or nothing."""
        limit = self.options.time_limit
        if self.watch.should_stop():
            return "user"
        return "clock" if limit is not None and self.seconds > limit else ""

    def run(self) -> bool:
        """Run the trials, generation by generation; False where the user stopped them."""
        n_trials = self.options.trials
        trials = Trials(self.options.workers, self.asked, self._steps())
        for generation in range(-(-n_trials // GENERATION)):
            first = generation * GENERATION
            draws = self.study.draw(generation)[: n_trials - first]
            for trial, outcome in trials.run(self._plan(generation, draws)):
                files.write_json(self.out / SPENT, {"seconds": self.seconds})
                if outcome.state == "stopped":
                    break
                self._take(draws[trial.number - first], outcome)
            reason = self.asked()
            if reason:
                return reason == "clock"
        return True

    def finish(self, n_rows: tuple[int, int, int]) -> TuneReport:
        """Measure the best trial on the rows kept apart, and write everything down."""
        best = best_of(self.goal, self.outcomes)
        if best is None:
            raise DataError(self._say_none())
        run, out = self._folder(best), self.out
        allow = self.options.allow or ()
        model = run / runs.MODEL
        valid = answer(model, out / DATA / VALID, allow=allow)
        apart = answer(model, out / DATA / APART, allow=allow)
        report = TuneReport(
            self.goal.shown,
            valid.task,
            [self._tried(number) for number in range(len(self.outcomes))],
            best,
            self.goal.score(valid),
            self.goal.spread(valid),
            self.goal.score(apart),
            self.goal.spread(apart),
            n_rows,
            self.seconds,
            "trials" if len(self.outcomes) >= self.options.trials else "time",
        )
        files.write_text(out / RECIPE, (run / runs.RECIPE).read_text(encoding="utf-8"))
        with files.atomic_folder(out / MODEL, overwrite=True) as place:
            shutil.copytree(model, place, dirs_exist_ok=True)
        write_tune_page(report, out / PAGE, title=f"search on {self.options.data.name}")
        files.write_json(out / SEAL, report.to_dict())
        return report

    def _plan(self, generation: int, draws: Sequence[Draw]) -> list[Trial]:
        names = {draw.recipe for draw in draws}
        bars = {name: self.study.bars(generation, name) for name in names}
        first = generation * GENERATION
        return [self._make(first + place, draw, bars) for place, draw in enumerate(draws)]

    def _make(self, number: int, draw: Draw, bars: Mapping[str, Mapping[int, float]]) -> Trial:
        recipe, refused = self.space.recipes[draw.recipe], ""
        try:
            recipe = self.space.make(draw.recipe, draw.values)
        except UsageError as err:  # values that are good each, and not together
            refused = str(err)
        return Trial(
            number,
            recipe,
            self._folder(number),
            self.out / DATA / LEARN,
            self.out / DATA / VALID,
            self.goal,
            bars[draw.recipe],
            self.options.size,
            tuple(self.options.allow or ()),
            refused,
        )

    def _take(self, draw: Draw, outcome: Outcome) -> None:
        """Take the next outcome; the model that it beats goes, or its own."""
        number, before = len(self.outcomes), best_of(self.goal, self.outcomes)
        self.draws.append(draw)
        self.outcomes.append(outcome)
        if number >= len(self.study):
            self.study.add(draw, outcome)
        best = best_of(self.goal, self.outcomes)
        if before is not None and best != before:
            drop_model(self._folder(before))
        if best != number:
            drop_model(self._folder(number))
        self._say(number, best)

    def _say(self, number: int, best: int | None) -> None:
        tried = self._tried(number)
        score = tried.state if tried.score is None else f"{self.goal.shown} {tried.score:.4f}"
        is_odd = tried.state not in ("done", "pruned", "failed")
        state = f" ({tried.state})" if is_odd and tried.score is not None else ""
        star = "  best so far" if best == number else ""
        self.watch.note(
            f"trial {number}: {score}{state}  {tried.seconds:.1f} s  {tried.recipe}"
            f" {tried.spell_values()}{star}{': ' + tried.reason if tried.reason else ''}"
        )
        self.watch.progress(Progress("trials", number + 1, self.options.trials, "trials"))

    def _steps(self) -> Watch:
        def step(step: Step) -> None:
            details = f"epoch {step.epoch}, loss {step.loss:.3f}"
            done = len(self.outcomes)
            self.watch.progress(Progress("trials", done, self.options.trials, "trials", details))

        return Watch(step=step)

    def _tried(self, number: int) -> Tried:
        draw, outcome = self.draws[number], self.outcomes[number]
        dimensions = self.space.keys[draw.recipe]
        return Tried(
            number,
            draw.recipe,
            {key: dimensions[key].read(value) for key, value in draw.values.items()},
            outcome.state,
            outcome.score,
            round(outcome.seconds, 3),
            outcome.n_bytes,
            list(outcome.losses),
            outcome.reason,
        )

    def _say_none(self) -> str:
        failed = next((each.reason for each in self.outcomes if each.reason), "")
        if failed:
            return f"no trial gave a model; the first failed: {failed}"
        sizes = [each.n_bytes for each in self.outcomes if each.state == "too large"]
        if sizes:
            return (
                f"every model is above --size; the smallest has {min(sizes):,} bytes; search"
                " without it, then make the model smaller: textkit compress"
            )
        return "no trial ended within the time; give it more, or smaller recipes"

    def _folder(self, number: int) -> Path:
        return self.out / TRIALS / f"{number:04d}"
