"""`auto`: candidates measured on held-out rows, a board, and the fit of the one that was chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textkit import TextClassifier, Vectors, choose_model
from textkit.classify import choosing
from textkit.classify.board import Bounds, Choice, Judge, Standing
from textkit.classify.candidates import CANDIDATES, list_candidates
from textkit.data.splits import fold_stratified
from textkit.errors import ArtifactError, DataError, LimitError, UsageError
from textkit.evaluation.intervals import Interval
from textkit.io import files
from textkit.jobs import TrainOptions, train_run
from textkit.jobs.train_options import _ask_recipe
from textkit.recipe import complete_recipe, make_recipe
from textkit.watch import Watch

THINGS = ["film", "plot", "song", "book", "meal", "trip", "game", "show", "talk", "walk"]
KINDS = ["good", "bad", "long"]
TEXTS = [f"a {kind} {thing}, {thing}s are {kind}" for kind in KINDS for thing in THINGS] * 2
LABELS = [kind for kind in KINDS for _ in THINGS] * 2
TASKS = {
    "single-label": LABELS,
    "multi-label": [[kind, "any"] for kind in LABELS],
    "regression": [float(len(kind)) for kind in LABELS],
}
FEW = ["linear", "linear-words"]


def auto(**options: object) -> TextClassifier:
    return TextClassifier(encoder="auto", **options)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_board_and_a_plain_model(tmp_path, task):
    said: list[str] = []
    model = auto(head__task=task, encoder__candidates=FEW, seed=3)
    model.fit(TEXTS, TASKS[task], watch=Watch(note=said.append))
    assert model.score(TEXTS, TASKS[task]) > 0.8
    assert [line.name for line in model.choice_.board] == FEW
    assert model.choice_.n_rows == len(TEXTS)
    assert all(
        line.interval.low <= line.score <= line.interval.high for line in model.choice_.board
    )
    assert sum(line.reason.startswith("chosen: ") for line in model.choice_.board) == 1
    assert set(model.choice_.lines()) <= set(said)
    assert model.recipe_.encoder.name == "linear"
    assert model.recipe_.seed == 3
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_logits(TEXTS), model.predict_logits(TEXTS))


def test_the_winner_is_fitted_as_if_it_had_been_named():
    chosen = auto(encoder__candidates=["linear-words"], seed=5).fit(TEXTS, LABELS)
    named = TextClassifier(encoder="linear", encoder__characters=[], seed=5).fit(TEXTS, LABELS)
    assert chosen.recipe_ == named.recipe_
    assert np.array_equal(chosen.predict_logits(TEXTS), named.predict_logits(TEXTS))


def test_a_candidate_that_tells_more_wins_and_one_that_ties_does_not():
    # What tells the classes apart is an ending, which no word of another row has.
    texts = [f"w{i}x{ending}" for i in range(40) for ending in ("ful", "less")]
    labels = ["up", "down"] * 40
    model = auto(encoder__candidates=["linear", "linear-words"]).fit(texts, labels)
    assert model.choice_.winner == "linear"
    assert model.choice_.board[0].score == 1.0
    assert model.choice_.board[1].score < 0.7
    # Words alone tell these apart, and a vector of each text does not.
    Vectors(["a"], np.ones((1, 2), np.float32)).save("flat")
    model = auto(encoder__candidates=["linear", "frozen"], encoder__embedder="flat")
    assert model.fit(TEXTS, LABELS).choice_.winner == "linear"


def test_a_later_candidate_that_is_better_is_taken():
    known = ["up", "down", *(f"u{i}" for i in range(60)), *(f"d{i}" for i in range(60))]
    side = np.array([1, -1] + [1] * 60 + [-1] * 60, np.float32)
    Vectors(known, np.stack([side, -side], axis=1)).save("sides")
    texts, labels = known[2:], ["up"] * 60 + ["down"] * 60
    options = {"encoder__candidates": ["linear-words", "frozen"], "encoder__embedder": "sides"}
    model = auto(**options).fit(texts, labels)
    assert model.choice_.winner == "frozen"
    assert model.recipe_.encoder.options["embedder"] == "sides"
    assert "is better" in model.choice_.board[0].reason


def test_the_same_seed_gives_the_same_board_and_the_same_bytes(tmp_path):
    boards = []
    for name in ("one", "two"):
        model = auto(encoder__candidates=FEW, seed=2).fit(TEXTS, LABELS)
        model.save(tmp_path / name)
        boards.append([(line.score, line.interval, line.reason) for line in model.choice_.board])
    assert boards[0] == boards[1]
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_what_was_measured_is_kept_and_a_choice_goes_on(tmp_path, monkeypatch):
    stops = iter([False, *[True] * 9])
    watch = Watch(should_stop=lambda: next(stops))
    model = auto(encoder__candidates=[*FEW, "linear-logistic"])
    board = model.fit(TEXTS, LABELS, checkpoints=tmp_path, watch=watch).choice_.board
    assert [line.reason for line in board if line.score is None] == ["stopped before it"]
    n_kept = len(list(tmp_path.glob("auto-*")))
    assert n_kept == 2
    measured: list[str] = []
    measure = choosing._fit_folds
    monkeypatch.setattr(
        choosing, "_fit_folds", lambda *given: (measured.append(1), measure(*given))[1]
    )
    model.fit(TEXTS, LABELS, checkpoints=tmp_path)
    assert len(measured) == 1
    whole = auto(encoder__candidates=[*FEW, "linear-logistic"]).fit(TEXTS, LABELS)
    assert [line.score for line in model.choice_.board] == [
        line.score for line in whole.choice_.board
    ]
    # A file that is not whole, and other rows, are measured anew.
    next(tmp_path.glob("auto-*")).write_bytes(b"{}")
    measured.clear()
    model.fit(TEXTS, LABELS, checkpoints=tmp_path)
    assert len(measured) == 1
    model.fit(TEXTS[2:], LABELS[2:], checkpoints=tmp_path)
    assert len(measured) == 4


def test_a_time_limit_leaves_candidates_out_and_says_so():
    said: list[str] = []
    model = auto(encoder__candidates=FEW, training__time_limit=1e-9)
    model.fit(TEXTS, LABELS, watch=Watch(note=said.append))
    assert any("with more time may choose another" in line for line in said)
    assert model.choice_.winner == "linear"
    assert model.choice_.board[1].reason == "the time limit was over"


def test_validation_rows_that_are_given_are_those_that_choose():
    valid = (["a good film", "a bad film", "a long film"] * 4, KINDS * 4)
    model = auto(encoder__candidates=FEW).fit(TEXTS, LABELS, validation=valid)
    assert model.choice_.n_rows == 12
    assert model.n_rows_ == len(TEXTS) + 12
    with pytest.raises(DataError, match="not among the training labels"):
        auto().fit(TEXTS, LABELS, validation=(["x"], ["new"]))


def test_few_rows_take_the_first_and_say_why():
    model = auto().fit(TEXTS[::8], LABELS[::8])
    assert model.choice_.winner == "linear"
    assert model.choice_.board[0].reason == "chosen: too few rows to compare"
    texts, labels = [*TEXTS, "one strange thing"], [*LABELS, "odd"]
    assert "odd" in auto(encoder__candidates=FEW).fit(texts, labels).classes_.tolist()


def test_rows_without_a_label_and_of_weight_0_are_not_measured():
    labels = [None, *LABELS[1:]]
    weights = [1.0] * len(TEXTS)
    weights[5] = 0.0
    model = auto(encoder__candidates=FEW)
    model.fit(TEXTS, labels, missing="skip", sample_weight=weights)
    assert model.choice_.n_rows == len(TEXTS) - 2


def test_the_metric_of_the_recipe_chooses():
    texts, labels = [*TEXTS, *["a common thing"] * 60], [*LABELS, *["common"] * 60]
    model = auto(training__metric="macro_f1", encoder__candidates=["linear", "linear-balanced"])
    model.fit(texts, labels)
    assert model.choice_.metric == "macro_f1"
    assert [line.name for line in model.choice_.board] == ["linear", "linear-balanced"]
    model = auto(training__metric="loss", encoder__candidates=FEW).fit(TEXTS, LABELS)
    assert 0 < model.choice_.board[0].score < 1


def test_differences_of_candidates_have_the_error_of_paired_rows():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 4000)
    right = np.eye(2, dtype=np.float32)[targets]
    outputs, others = right.copy(), right.copy()
    for rows, made in ((slice(0, 400), outputs), (slice(0, 480), others)):
        made[rows] = made[rows, ::-1]
    gain, error = Judge("single-label", "accuracy", targets).compare(outputs, others)
    assert gain == pytest.approx(0.02)
    assert error == pytest.approx(np.sqrt(0.02 * 0.98 / 4000), rel=0.3)
    value, interval = Judge("single-label", "accuracy", targets).score(outputs)
    assert value == pytest.approx(0.9)
    assert interval.high - interval.low == pytest.approx(3.92 * np.sqrt(0.09 / 4000), rel=0.3)


def test_long_data_are_measured_on_a_fifth(monkeypatch):
    monkeypatch.setattr(choosing, "_CHARACTERS_OF_FOLDS", 100)
    rows = choosing.make_rows("single-label", np.array(sorted(KINDS)), TEXTS, LABELS)
    assert len(rows.splits) == 1
    assert len(rows.held) == len(TEXTS) // 5
    wanted = fold_stratified(rows.targets, n_folds=5, seed=0)[0]
    assert np.array_equal(rows.held, wanted[1])


def test_networks_are_tried_where_there_are_rows_enough_and_time():
    recipe = complete_recipe(make_recipe(encoder={"name": "auto", "candidates": [*CANDIDATES]}))
    sizes = {"metric": "accuracy", "n_rows": 5000, "n_characters": 10_000}
    assert "lstm" in list_candidates(recipe, **sizes).recipes
    few = list_candidates(recipe, **{**sizes, "n_rows": 60})
    assert few.reasons["lstm"] == "60 rows are too few for a network"
    long = list_candidates(recipe, **{**sizes, "n_characters": 10**8})
    assert "minutes" in long.reasons["ngram-bag"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder__candidates": ["liner"]}, "unknown candidate 'liner'; did you mean 'linear'"),
        ({"encoder__candidates": []}, r"candidates = \[\]; expected a list of names"),
        ({"encoder__candidates": ["frozen"]}, "candidate 'frozen' needs encoder.embedder"),
        ({"training__epochs": 3}, "training.epochs = 3 means nothing to an auto model"),
        ({"training__time_limit": -1}, "training.time_limit"),
    ],
)
def test_what_cannot_be_chosen_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        auto(**options).fit(TEXTS, LABELS)


def test_what_auto_cannot_do_is_refused(tmp_path, monkeypatch):
    model = TextClassifier(encoder="linear").fit(TEXTS, LABELS)
    with pytest.raises(UsageError, match="starts from nothing"):
        auto().fit(TEXTS, LABELS, init_from=model)
    with pytest.raises(UsageError, match="name an encoder, such as lstm"):
        auto().fit_file(tmp_path / "train.csv")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="under torchrun name an encoder"):
        auto().fit(TEXTS, LABELS)


def test_a_model_folder_that_says_auto_is_refused(tmp_path):
    folder = tmp_path / "model"
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save(folder)
    config = files.read_json(folder / "config.json")
    config["recipe"]["encoder"] = {"name": "auto"}
    files.write_json(folder / "config.json", config)
    manifest = files.read_json(folder / files.MANIFEST)
    (folder / files.MANIFEST).unlink()
    files.write_manifest(folder, kind=manifest["kind"], format=manifest["format"])
    with pytest.raises(ArtifactError, match="a choice and no model"):
        TextClassifier.load(folder)


def test_a_run_keeps_its_board_and_goes_on(tmp_path):
    lines = [f'"{text}",{label}' for text, label in zip(TEXTS, LABELS, strict=True)]
    data = Path(tmp_path / "train.csv")
    data.write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    options = TrainOptions(
        data=data,
        out=tmp_path / "run",
        overrides=["encoder.name=auto", f"encoder.candidates={FEW}"],
    )
    stops = iter([False, True, True, True, True, True])
    stopped = train_run(options, watch=Watch(should_stop=lambda: next(stops, True)))
    assert stopped.stopped and (tmp_path / "run" / "checkpoints").is_dir()
    with pytest.raises(UsageError, match="not over; go on with --resume"):
        train_run(options)
    report = train_run(TrainOptions(**{**vars(options), "resume": True}))
    assert report.choice["winner"] == "linear"
    assert [line["name"] for line in report.choice["board"]] == FEW
    assert all(line["score"] is not None for line in report.choice["board"])
    assert not (tmp_path / "run" / "checkpoints").exists()
    again = train_run(TrainOptions(**{**vars(options), "resume": True}))
    assert again.was_over and again.choice == report.choice


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, "auto"),
        ({"overrides": ["seed=3", "head.task=regression", "training.time_limit=9"]}, "auto"),
        ({"overrides": ["training.epochs=3"]}, "lstm"),
        ({"overrides": ["encoder.dim=8"]}, "lstm"),
        ({"recipe": make_recipe(seed=3)}, "lstm"),
        ({"stream": True}, "lstm"),
        ({"doctor": True}, "lstm"),
        ({"init_from": Path("model")}, "lstm"),
    ],
)
def test_a_training_that_says_nothing_of_a_model_leaves_it_to_auto(more, name):
    options = TrainOptions(data=Path("train.csv"), **more)
    assert _ask_recipe(options, Path("run"), sweeps=False).encoder.name == name


def test_one_that_cannot_choose_has_the_default_of_a_network(monkeypatch):
    options = TrainOptions(data=Path("train.csv"))
    assert _ask_recipe(options, Path("run"), sweeps=True).encoder.name == "lstm"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _ask_recipe(options, Path("run"), sweeps=False).encoder.name == "lstm"


def test_a_run_from_before_there_was_a_choice_goes_on_as_it_began():
    Path("run").mkdir()
    files.write_text("run/recipe.toml", complete_recipe(make_recipe(seed=3)).to_toml())
    options = TrainOptions(data=Path("train.csv"), overrides=["seed=3"], resume=True)
    assert _ask_recipe(options, Path("run"), sweeps=False).encoder.name == "lstm"


@pytest.mark.parametrize("encoder", ["bag", "linear"])
def test_a_model_that_tells_nothing_apart_says_so(encoder):
    said: list[str] = []
    idle = {"encoder__cost": 1e-9} if encoder == "linear" else {"training__lr": 1e-9}
    idle |= {"training__epochs": 1, "embedding__dim": 4} if encoder == "bag" else {}
    texts, labels = ["good film"] * 30 + ["bad film"] * 10, ["pos"] * 30 + ["neg"] * 10
    model = TextClassifier(encoder=encoder, **idle)
    model.fit(texts, labels, watch=Watch(note=said.append))
    assert any("validation rows are predicted as" in line for line in said)
    said.clear()
    TextClassifier(encoder="linear").fit(TEXTS, LABELS, watch=Watch(note=said.append))
    assert not any("validation rows are predicted as" in line for line in said)


def test_bounds_leave_dear_candidates_out_and_the_board_says_what_is_cheaper():
    free = choose_model("single-label", TEXTS, LABELS, encoder__candidates=FEW)
    sizes = {line.name: line.n_bytes for line in free.board}
    assert free.winner == "linear" and sizes["linear-words"] < sizes["linear"]
    bound = choose_model(
        "single-label", TEXTS, LABELS, encoder__candidates=FEW, encoder__size=sizes["linear"] - 1
    )
    board = {line.name: line for line in bound.board}
    assert bound.winner == "linear-words" and board["linear"].score is not None
    assert board["linear"].reason.endswith("allowed") and "ensemble" not in board
    assert all(line.latency_ms > 0 for line in bound.board)
    with pytest.raises(LimitError, match="no candidate is cheap enough: linear-words: "):
        choose_model("single-label", TEXTS, LABELS, encoder__candidates=FEW, encoder__size=10)
    with pytest.raises(LimitError, match="ms a text are above the 1e-06 ms allowed"):
        choose_model("single-label", TEXTS, LABELS, encoder__candidates=FEW, encoder__latency=1e-6)
    lines = [
        Standing("small", 0.7, Interval(0.6, 0.8), 1.0, 90, "", 5.0),
        Standing("smaller", 0.6, Interval(0.5, 0.7), 1.0, 50, "", 0.1),
        Standing("large", 0.8, Interval(0.7, 0.9), 1.0, 1000, "chosen", 6.0),
    ]
    said = Choice("large", free.recipe, "accuracy", 9, tuple(lines)).lines()[-2:]
    assert said[0].startswith("at a tenth of the size (--size): small, 0.700")
    assert said[1].startswith("at a tenth of the time (--latency): smaller, 0.600")


def test_an_ensemble_keeps_within_bounds():
    both = {"a": _measured(1, 600), "b": _measured(2, 600), "c": _measured(3, 300)}
    judge = Judge("single-label", "accuracy", np.arange(60) % 2)
    for size, n_bytes in ((2000, 1500), (1000, 900)):
        lines, _ = choosing._join(both, judge, "a", [], Bounds(size=size))
        assert [line.n_bytes for line in lines] == [n_bytes]


def _measured(seed: int, n_bytes: int) -> choosing.Measured:
    side = np.where(np.arange(60) % 2, 1.0, -1.0) + np.random.default_rng(seed).normal(0, 1.2, 60)
    outputs = np.stack([-side, side], axis=1).astype(np.float32)
    return choosing.Measured(outputs, 1.0, n_bytes, 0.5)


def test_of_too_few_rows_to_compare_vectors_are_taken_where_there_are_some():
    Vectors(["good", "bad"], np.eye(2, dtype=np.float32)).save("words")
    few = ["good film", "bad film", "good plot", "bad plot"], ["up", "down"] * 2
    options = {"encoder__candidates": ["linear", "frozen"]}
    choice = choose_model("single-label", *few, **options, encoder__embedder="words")
    assert choice.winner == "frozen" and "too few rows" in choice.board[0].reason
    assert choose_model("single-label", *few, **options).winner == "linear"
