"""What to try next: optuna's tree of Parzen estimators over the trials so far.

In: a Space, a seed, and outcomes. Out: values for each trial, and the bars at which a hopeless one
is given up. `trials.journal` is an optuna journal of the finished trials, in their order, which
optuna and its dashboard open.

Trials are drawn in generations of four, each from the generations before it alone. So a search
that was killed, and one in several processes, draws the same trials as any other with its seed.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textkit.evaluation.goals import Goal
from textkit.jobs.tune_space import Choices, Dimension, Space, Value
from textkit.jobs.tune_trials import Outcome

GENERATION = 4
JOURNAL = "trials.journal"
_NAME, _RECIPE = "tune", "recipe"
# Trials that are drawn at random before there is something to learn from.
_RANDOM_TRIALS = 8
# Trials of a recipe that have to have come so far before one is measured against them.
_FEWEST_LOSSES = 3


@dataclass(frozen=True)
class Draw:
    """A recipe's name, and a value for each of its keys."""

    recipe: str
    values: Mapping[str, Value]


class Study:
    """The finished trials of a search, and the draws that they lead to."""

    def __init__(self, folder: Path, space: Space, goal: Goal, seed: int) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.goal, self.seed = space, goal, seed
        path = folder / JOURNAL
        _drop_half_a_line(path)
        storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_Alone()))
        self._study = optuna.create_study(
            storage=storage,
            study_name=_NAME,
            direction="minimize" if goal.falls else "maximize",
            load_if_exists=True,
        )

    def __len__(self) -> int:
        return len(self._trials())

    def add(self, draw: Draw, outcome: Outcome) -> None:
        """Take the outcome of the next trial."""
        from optuna.trial import TrialState, create_trial

        distributions = self._distributions(draw.recipe)
        facts = {"recipe": draw.recipe, "losses": list(outcome.losses), "state": outcome.state}
        state = TrialState.FAIL if outcome.state == "failed" else TrialState.PRUNED
        sign = 1.0 if self.goal.falls else -1.0
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if outcome.counts else state,
                value=outcome.score if outcome.counts else None,
                params=self._params(draw),
                distributions=distributions,
                intermediate_values={i + 1: sign * v for i, v in enumerate(outcome.losses)},
                user_attrs=facts,
            )
        )

    def draw(self, generation: int) -> list[Draw]:
        """Draw the trials of a generation from those before it."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction=self._study.direction)
        first = generation * GENERATION
        for trial in self._trials()[:first]:
            study.add_trial(trial)
        return [self._draw(study, number) for number in range(first, first + GENERATION)]

    def bars(self, generation: int, recipe: str) -> dict[int, float]:
        """Give the median validation loss, epoch by epoch, of a recipe's trials before a
        generation.
        """
        losses = [
            trial.user_attrs["losses"]
            for trial in self._trials()[: generation * GENERATION]
            if trial.user_attrs["recipe"] == recipe
        ]
        longest = max(map(len, losses), default=0)
        reached = {e: [each[e] for each in losses if len(each) > e] for e in range(longest)}
        return {
            e + 1: statistics.median(values)
            for e, values in reached.items()
            if len(values) >= _FEWEST_LOSSES
        }

    def _trials(self) -> list[Any]:
        return list(self._study.get_trials(deepcopy=False))

    def _draw(self, study: Any, number: int) -> Draw:
        from optuna.samplers import TPESampler

        names = list(self.space.recipes)
        if number < len(names):  # a recipe as it is comes before its changes
            name = names[number]
            own = self.space.start(name)
            study.enqueue_trial({self._key(name, key): v for key, v in own.items()})
        digest = hashlib.sha256(f"{self.seed}/{number}".encode()).digest()
        study.sampler = TPESampler(
            n_startup_trials=_RANDOM_TRIALS,
            seed=int.from_bytes(digest[:4], "little"),
            constant_liar=True,
        )
        trial = study.ask()
        if number >= len(names):
            name = str(trial.suggest_categorical(_RECIPE, names)) if len(names) > 1 else names[0]
        return Draw(
            name,
            {
                key: _suggest(trial, self._key(name, key), dimension)
                for key, dimension in self.space.keys[name].items()
            },
        )

    def _key(self, recipe: str, key: str) -> str:
        return f"{recipe}: {key}" if len(self.space.recipes) > 1 else key

    def _params(self, draw: Draw) -> dict[str, Value]:
        several = {_RECIPE: draw.recipe} if len(self.space.recipes) > 1 else {}
        return {**several, **{self._key(draw.recipe, k): v for k, v in draw.values.items()}}

    def _distributions(self, recipe: str) -> dict[str, Any]:
        from optuna.distributions import CategoricalDistribution

        names = list(self.space.recipes)
        several = {_RECIPE: CategoricalDistribution(names)} if len(names) > 1 else {}
        own = self.space.keys[recipe].items()
        return {**several, **{self._key(recipe, key): _distribution(dim) for key, dim in own}}


def _suggest(trial: Any, key: str, dimension: Dimension) -> Value:
    if isinstance(dimension, Choices):
        return str(trial.suggest_categorical(key, list(dimension.values)))
    low, high, log = dimension.low, dimension.high, dimension.log
    if dimension.is_whole:
        return int(trial.suggest_int(key, int(low), int(high), log=log))
    return float(trial.suggest_float(key, float(low), float(high), log=log))


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions

    if isinstance(dimension, Choices):
        return distributions.CategoricalDistribution(list(dimension.values))
    low, high, log = dimension.low, dimension.high, dimension.log
    if dimension.is_whole:
        return distributions.IntDistribution(int(low), int(high), log=log)
    return distributions.FloatDistribution(float(low), float(high), log=log)


class _Alone:
    """No lock: the search holds its folder, and one process of it writes the journal."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


def _drop_half_a_line(path: Path) -> None:
    """Cut off a last line that a kill left without its end."""
    if not path.is_file():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with open(path, "r+b") as file:
            file.truncate(whole)


def best_of(goal: Goal, outcomes: Sequence[Outcome]) -> int | None:
    """Give the place of the best outcome that counts, the first of equal ones; None without one."""
    best: int | None = None
    for place, outcome in enumerate(outcomes):
        if not outcome.counts or outcome.score is None:
            continue
        known = None if best is None else outcomes[best].score
        if known is None or goal.is_better(outcome.score, known):
            best = place
    return best
