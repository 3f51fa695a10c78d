"""A search: the same trials however it is run, what it keeps, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from textkit import TextClassifier
from textkit.errors import DataError, UsageError
from textkit.jobs import TuneOptions, TuneReport, open_space, tune_recipe
from textkit.jobs.tune_study import Study
from textkit.jobs.tune_trials import Outcome, Stop, Trial, run_trial
from textkit.recipe import make_recipe, read_recipe
from textkit.watch import Epoch, Watch

GOOD, BAD = ["good", "fine", "great", "lovely"], ["bad", "awful", "poor", "dull"]


def write_rows(name: str = "t.csv", n: int = 20) -> Path:
    rows = [
        f"{w} {n} film,{c}" for n in range(n) for c, ws in (("p", GOOD), ("n", BAD)) for w in ws
    ]
    Path(name).write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return Path(name)


def options_of(**given: Any) -> TuneOptions:
    usual: dict[str, Any] = {"recipes": ["linear"], "trials": 3, "out": Path("o")}
    data = given.pop("data", None) or write_rows()
    return TuneOptions(data=data, **usual | given)


def search(**given: Any) -> TuneReport:
    report = tune_recipe(options_of(**given))
    assert report is not None
    return report


def timeless(report: TuneReport) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(report.to_dict()))
    del values["seconds"]
    for trial in values["trials"]:
        del trial["seconds"]
    return values


def test_a_search_leaves_the_best_model_its_recipe_and_a_page(capfd: Any) -> None:
    said: list[str] = []
    report = tune_recipe(options_of(), watch=Watch(note=said.append))
    assert report is not None and capfd.readouterr().out == ""
    assert [trial.number for trial in report.trials] == [0, 1, 2]
    assert report.trials[0].values["encoder.cost"] == "auto"  # the recipe's own come first
    assert report.valid == max(trial.score or 0 for trial in report.trials)
    assert sum(report.n_rows) == 160 and report.n_rows[2] == 16
    model = TextClassifier.load("o/model")
    best = report.trials[report.best]
    assert model.recipe_.encoder.options["words"] == best.values["encoder.words"]
    assert read_recipe("o/recipe.toml") == model.recipe_
    assert json.loads(Path("o/tune.json").read_text(encoding="utf-8")) == report.to_dict()
    assert [len(list(Path("o/trials", f"000{i}").glob("model"))) for i in range(3)].count(1) == 1
    page = Path("o/tune.html").read_text(encoding="utf-8")
    assert "All trials" in page and "on rows unseen" in page
    assert sum(line.startswith("trial ") for line in said) == 3 and "best so far" in said[1]


def test_the_rows_kept_apart_are_seen_by_no_trial() -> None:
    search()
    parts = [
        Path("o/data", f"{name}.jsonl").read_text().splitlines()
        for name in ("learn", "valid", "apart")
    ]
    sets = [set(part) for part in parts]
    assert not sets[0] & sets[2] and not sets[1] & sets[2] and not sets[0] & sets[1]
    for line in ("o/trials/0000/data.json",):
        assert "learn.jsonl" in Path(line).read_text(encoding="utf-8")
    again = search(out=Path("p"), seed=1)
    assert set(Path("p/data/apart.jsonl").read_text().splitlines()) != sets[2] and again.best >= 0


@pytest.mark.slow
def test_two_processes_and_a_search_that_was_stopped_give_the_same_trials() -> None:
    alone = timeless(search(trials=6))
    assert timeless(search(trials=6, workers=2, out=Path("p"))) == alone
    left, report, n_runs = options_of(trials=6, out=Path("q")), None, 0
    while report is None:
        asked = iter(range(4 * n_runs + 5))  # a signal comes some moments later, and stays
        watch = Watch(should_stop=lambda asked=asked: next(asked, None) is None)
        report = tune_recipe(replace(left, resume=n_runs > 0), watch=watch)
        n_runs += 1
    assert n_runs > 1 and timeless(report) == alone
    models = [Path(name, "model/model.safetensors").read_bytes() for name in "opq"]
    assert models[0] == models[1] == models[2]


def test_half_a_line_of_the_journal_is_none() -> None:
    first = timeless(search())
    journal = Path("o/trials.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    Path("o/tune.json").unlink()
    assert timeless(search(resume=True)) == first
    assert len(Study(Path("o"), open_space(options_of()), _accuracy(), 0)) == 3


def test_more_trials_go_on_and_a_search_that_is_over_is_read() -> None:
    few = search()
    assert search(resume=True).to_dict() == few.to_dict()
    more = search(trials=5, resume=True)
    assert timeless(more)["trials"][:3] == timeless(few)["trials"] and len(more.trials) == 5


def test_optuna_opens_the_journal() -> None:
    import optuna

    report = search()
    backend = optuna.storages.journal.JournalFileBackend("o/trials.journal")
    study = optuna.load_study(study_name="tune", storage=optuna.storages.JournalStorage(backend))
    assert [trial.value for trial in study.trials] == [trial.score for trial in report.trials]


def test_a_file_says_what_is_searched() -> None:
    Path("s.toml").write_text(
        "[encoder]\ncost = {low = 0.1, high = 10.0, log = true}\nwords = [[1, 1], []]\n"
        "[training]\nlr = {low = 0.1, high = 0.2}\nepochs = {low = 1, high = 3}\n",
        encoding="utf-8",
    )
    space = open_space(options_of(recipes=["linear", "ngram-bag"], space=Path("s.toml")))
    assert list(space.keys["linear"]) == ["encoder.cost", "encoder.words"]
    assert list(space.keys["ngram-bag"]) == ["training.lr", "training.epochs"]
    Path("s.toml").write_text("[encoder]\ncost = {low = 0.1, high = 10.0, log = true}\n")
    report = search(space=Path("s.toml"), trials=6)
    costs = [trial.values["encoder.cost"] for trial in report.trials[1:]]
    assert all(0.1 <= cost <= 10 for cost in costs) and len(set(costs)) == 5
    Path("usual.toml").write_text(open_space(options_of()).to_toml(), encoding="utf-8")
    assert open_space(options_of(space=Path("usual.toml"))) == open_space(options_of())


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[training]\nlrr = [1]\n", "s.toml: unknown recipe key 'training.lrr'; did you mean"),
        ("[encoder]\nwords = [[2, 1]]\n", "s.toml: words = [2, 1]; expected the shortest"),
        ("[encoder]\ncost = 3\n", "s.toml: encoder.cost: 3; expected a list of values, or {low"),
        ("[encoder]\ncost = []\n", "encoder.cost: []; expected a list of values"),
        ("[encoder]\ncost = {low = 3, high = 1}\n", "low = 3 is not below high = 1"),
        ("[encoder]\ncost = {low = 0, high = 1, log = true}\n", "with log it has to be above 0"),
        ("[encoder]\ncost = {low = 'a', high = 1}\n", "low and high; expected numbers"),
        ("[encoder\n", "s.toml: not valid TOML"),
        ("", "s.toml: names no key"),
    ],
)
def test_a_space_that_is_none_is_refused(toml: str, said: str) -> None:
    Path("s.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        search(space=Path("s.toml"))
    assert said in str(caught.value) and not Path("o").exists()


def test_recipes_of_a_search_are_named_once_and_of_one_task() -> None:
    with pytest.raises(UsageError, match="two recipes are named linear"):
        search(recipes=["linear", "linear"])
    with pytest.raises(UsageError, match="'liner' is no file and no recipe of textkit's own"):
        search(recipes=["liner"])
    Path("r.toml").write_text('[encoder]\nname = "linear"\n[head]\ntask = "regression"\n')
    with pytest.raises(UsageError, match="recipes of several tasks: regression, single-label"):
        search(recipes=["linear", "r.toml"])


def test_a_folder_is_only_gone_on_with_as_it_began() -> None:
    search()
    with pytest.raises(UsageError, match="holds finished work"):
        search()
    with pytest.raises(UsageError, match="not as when the search began: --metric, --seed"):
        search(resume=True, metric="macro_f1", seed=1)
    write_rows(n=21)
    with pytest.raises(UsageError, match="not as when the search began: the file"):
        search(resume=True, data=Path("t.csv"))
    assert search(overwrite=True, trials=1).best == 0
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="mine exists and holds no search"):
        search(out=Path("mine"), overwrite=True)
    with pytest.raises(UsageError, match="holds no search to go on with"):
        search(out=Path("new"), resume=True)


def test_a_model_above_the_size_is_not_the_best() -> None:
    sizes = [trial.n_bytes for trial in search(trials=5).trials]
    limit = sorted(set(sizes))[1]
    report = search(trials=5, size=limit, out=Path("p"))
    assert {t.n_bytes <= limit for t in report.trials if t.state == "done"} == {True}
    assert {t.n_bytes > limit for t in report.trials if t.state == "too large"} == {True}
    with pytest.raises(DataError, match="every model is above --size; the smallest has"):
        search(size=100, out=Path("q"))


def test_other_tasks_and_goals_are_searched() -> None:
    rows = [
        {"text": f"{w} {i}", "label": [c] if i % 3 else []}
        for i in range(20)
        for c, ws in (("p", GOOD), ("n", BAD))
        for w in ws
    ]
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = search(data=Path("m.jsonl"), overrides=["head.task=multi-label"], trials=2)
    assert report.metric == "micro_f1" and report.valid > 0.5
    rows = [{"text": f"{w} {i}", "label": i / 7} for i in range(20) for w in GOOD]
    Path("n.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"data": Path("n.jsonl"), "overrides": ["head.task=regression"], "trials": 2}
    report = search(**told, out=Path("p"), metric="mae")
    assert report.valid == min(trial.score or 9 for trial in report.trials)
    assert report.ranked()[0].number == report.best
    assert search(out=Path("q"), metric="precision@recall=.9:p").metric.endswith("=0.9:p")
    with pytest.raises(UsageError, match="unknown label of the metric 'x'"):
        search(out=Path("r"), metric="f1:x")


def test_a_label_of_the_validation_file_has_to_be_known() -> None:
    Path("v.csv").write_text("text,label\nodd,new\n")
    with pytest.raises(DataError, match=r"v\.csv: .*'new' is not among the training labels"):
        search(valid=Path("v.csv"))


def test_time_ends_a_search_with_what_it_has() -> None:
    report = search(trials=500, time_limit=2.0)
    assert report.ended == "time" and 0 < len(report.trials) < 500
    with pytest.raises(DataError, match="no trial ended within the time"):
        search(time_limit=1e-9, out=Path("p"))


def test_a_trial_above_its_bar_is_given_up_and_one_that_fails_is_told() -> None:
    data = write_rows()
    small = make_recipe(encoder="bag", training__epochs=4, embedding__dim=4)
    trial = Trial(7, small, Path("r"), data, data, _accuracy(), bars={2: -1.0})
    outcome = run_trial(trial, lambda: "")
    assert outcome.state == "pruned" and len(outcome.losses) == 2 and outcome.score is None
    assert not Path("r/model").exists() and run_trial(trial, lambda: "") == outcome
    whole = replace(trial, folder=Path("w"), bars={})
    assert run_trial(whole, lambda: "").counts
    assert not Path("w/curves.png").exists()  # a picture costs as much as a trial
    stop = Stop(trial, lambda: "")
    stop.take(Epoch(1, 0.1, 5.0, {}, 0.0, 0.1))
    assert not stop()  # a first epoch says little
    stop.take(Epoch(2, 0.1, float("nan"), {}, 0.0, 0.1))
    assert stop()
    stop = Stop(replace(trial, bars={2: 1.0, 3: 0.9}), lambda: "")
    for number, loss in enumerate([1.5, 0.8, 2.0], start=1):  # the best so far is what counts
        stop.take(Epoch(number, 0.1, loss, {}, 0.0, 0.1))
        assert not stop()
    broken = replace(
        trial, recipe=make_recipe(small, head__pooling=["first", "none"]), folder=Path("s")
    )
    assert run_trial(broken, lambda: "").state == "failed"


def _accuracy() -> Any:
    from textkit.evaluation.goals import Goal

    return Goal("accuracy")


def test_bars_are_medians_of_earlier_generations_of_the_recipe() -> None:
    space = open_space(options_of(recipes=["linear", "ngram-bag"]))
    study = Study(Path(), space, _accuracy(), 0)
    draws = study.draw(0)
    assert [draw.recipe for draw in draws[:2]] == ["linear", "ngram-bag"]
    bag = draws[1]
    losses: Mapping[int, tuple[float, ...]] = {
        0: (1.0, 0.5),
        1: (3.0, 0.7),
        2: (2.0,),
        3: (9.0, 0.6),
    }
    for place in range(4):
        study.add(bag, Outcome("done", 0.5, losses[place]))
    assert study.bars(0, "ngram-bag") == {}
    assert study.bars(1, "ngram-bag") == {1: 2.5, 2: 0.6}
    assert study.bars(1, "linear") == {}
    assert Study(Path(), space, _accuracy(), 0).draw(1) == study.draw(1) != draws
