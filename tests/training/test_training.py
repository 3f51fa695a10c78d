"""Training: every task, schedule and option.

Stopped, killed and damaged runs end as if nothing had happened.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textkit import TextClassifier
from textkit.data.imbalance import row_weights
from textkit.errors import DataError, LimitError, UsageError
from textkit.recipe import make_recipe
from textkit.recipe.sections import TrainingSection
from textkit.training import checkpoints
from textkit.training.losses import disagreements, row_losses
from textkit.training.optimization import plateau_factor, rate_factor
from textkit.watch import Epoch, Watch

NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
TEXTS = [f"{word} {noun}" for word in ("good", "fine", "bad", "poor") for noun in NOUNS]
LABELS = ["pos"] * 20 + ["neg"] * 20
SMALL: dict[str, Any] = {
    "encoder__dim": 8,
    "embedding__dim": 12,
    "training": {
        "epochs": 4,
        "batch_size": 4,
        "lr": 0.02,
        "patience": 4,
        "device": "cpu",
        "threads": 1,
    },
    "seed": 1,
}


def fit(
    *, labels: Any = None, watch: Watch | None = None, folder: str | None = None, **options: Any
) -> TextClassifier:
    model = TextClassifier(**{**SMALL, **options})
    return model.fit(TEXTS, LABELS if labels is None else labels, watch=watch, checkpoints=folder)


def same_weights(a: TextClassifier, b: TextClassifier) -> bool:
    ours, theirs = a.network_.state_dict(), b.network_.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


# Everything that has a state: an average, a plateau, accumulated batches, mixup, dropout,
# augmentation.
FULL: dict[str, Any] = {
    "training__average": 0.9,
    "training__schedule": "plateau",
    "training__accumulate": 2,
    "augment__mixup": 0.2,
    "augment__word_dropout": 0.1,
    "training__checkpoint_seconds": 0.0,
    "encoder__members": 2,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, FULL, {"training__optimizer": "sgd", "training__batch_tokens": 12}]
)
@pytest.mark.parametrize("stop_after", [1, 9, 10, 17])
def test_a_stopped_training_goes_on_to_the_same_bytes(
    options: dict[str, Any], stop_after: int
) -> None:
    whole = fit(**options)
    calls = iter(range(10_000))
    stopped = fit(folder="c", watch=Watch(should_stop=lambda: next(calls) >= stop_after), **options)
    assert stopped.history_.ended == "stopped"
    resumed = fit(folder="c", **options)
    assert same_weights(resumed, whole)
    assert resumed.history_.epochs == whole.history_.epochs
    assert resumed.history_.best == whole.history_.best


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "plateau"])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_training_that_goes_on_from_the_end_of_an_epoch_knows_its_rate(
    schedule: str, accumulate: int
) -> None:
    """The newest checkpoint lies between an epoch's last step and its validation."""
    options = {"training__schedule": schedule, "training__accumulate": accumulate}
    whole = fit(**options)

    def die(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fit(folder="c", watch=Watch(epoch=die), training__checkpoint_seconds=0.0, **options)
    seen: list[int] = []
    options["training__checkpoint_seconds"] = 0.0
    watch = Watch(step=lambda step: seen.append(step.epoch))
    assert fit(folder="c", watch=watch, **options).history_.epochs == whole.history_.epochs
    assert set(seen) == {3, 4}


@pytest.mark.slow
def test_a_training_that_is_over_ends_again_with_the_same_bytes() -> None:
    whole = fit(folder="c", training__checkpoint_seconds=0.0)
    seen: list[Any] = []
    again = fit(folder="c", watch=Watch(step=seen.append), training__checkpoint_seconds=0.0)
    assert same_weights(again, whole)
    assert not seen


@pytest.mark.slow
def test_resuming_repeats_no_step() -> None:
    """Checkpoints at every step: of 36 steps the second run does those that the first did not."""
    steps: list[int] = []

    def crash(step: Any) -> None:
        steps.append(step.done)
        if len(steps) == 13:
            raise RuntimeError("killed")

    options = {"training__checkpoint_seconds": 0.0}
    with pytest.raises(RuntimeError, match="killed"):
        fit(folder="c", watch=Watch(step=crash), **options)
    fit(folder="c", watch=Watch(step=lambda step: steps.append(step.done)), **options)
    # The step in which the crash came had no checkpoint yet: one batch of repeated work.
    assert steps == [*range(1, 14), *range(13, 37)]


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_falls_back_and_says_so() -> None:
    whole = fit()
    calls = iter(range(10_000))
    stop = Watch(should_stop=lambda: next(calls) >= 14)
    fit(folder="c", watch=stop, training__checkpoint_seconds=0.0)
    newest = checkpoints.newest(Path("c"))
    assert newest is not None and len(list(Path("c").iterdir())) == 2
    data = bytearray((newest / "tensors.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (newest / "tensors.safetensors").write_bytes(data)
    said: list[str] = []
    resumed = fit(folder="c", watch=Watch(note=said.append))
    assert same_weights(resumed, whole)
    assert said[0].startswith(
        f"checkpoint passed over: {newest}/tensors.safetensors: file was changed"
    )
    assert resumed.history_.notes == said[:1]


@pytest.mark.slow
def test_another_recipe_or_other_rows_are_refused_by_name() -> None:
    calls = iter(range(10_000))
    fit(folder="c", watch=Watch(should_stop=lambda: next(calls) >= 3))
    with pytest.raises(UsageError, match=r"training\.lr was 0\.02 and is 0\.03"):
        fit(folder="c", training__lr=0.03)
    with pytest.raises(UsageError, match="the training rows have changed"):
        TextClassifier(**SMALL).fit([*TEXTS[1:], "bad book"], LABELS, checkpoints="c")
    fit(folder="c", training__time_limit=1000.0)  # what changes no step may change


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "textkit", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}


CLI = [
    "--no-baseline",
    "--epochs",
    "6",
    "--device",
    "cpu",
    "-s",
    "training.threads=1",
    "-s",
    "training.patience=6",
]
CLI += ["-s", "encoder.dim=16", "-s", "training.checkpoint_seconds=0"]


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_files() -> None:
    """SIGKILL at random times until the run is through.

    Weights and metrics end as those of a run left in peace.
    """
    rows = "".join(
        f'"{text} {i % 7}",{label}\n'
        for i in range(8)
        for text, label in zip(TEXTS, LABELS, strict=True)
    )
    Path("train.csv").write_text("text,label\n" + rows, encoding="utf-8")
    subprocess.run(
        command("train", "train.csv", "-o", "whole", *CLI),
        check=True,
        env=environment(),
        timeout=300,
    )
    luck = random.Random(7)
    kills = 0
    process = subprocess.Popen(
        command("train", "train.csv", "-o", "killed", *CLI), env=environment()
    )
    while True:
        deadline = time.monotonic() + 60
        while (
            not Path("killed/checkpoints").exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        try:
            process.wait(
                timeout=luck.uniform(0.0, 0.02 if not kills else 0.8) if kills < 3 else 300
            )
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            break
        process = subprocess.Popen(
            command("train", "train.csv", "-o", "killed", "--resume", *CLI), env=environment()
        )
    assert process.returncode == 0 and kills
    for name in ("model/model.safetensors", "model/config.json", "metrics.jsonl", "recipe.toml"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes(), name
    assert not Path("killed/checkpoints").exists()


@pytest.mark.slow
def test_a_run_is_only_resumed_on_its_own_file() -> None:
    rows = "".join(f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))
    Path("train.csv").write_text("text,label\n" + rows, encoding="utf-8")
    done = subprocess.run(
        command("train", "train.csv", "-o", "run", *CLI),
        env=environment(),
        timeout=120,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()

    def fails(*arguments: str) -> str:
        done = subprocess.run(
            command("train", *arguments), env=environment(), timeout=120, capture_output=True
        )
        assert done.returncode in (2, 3)
        return done.stderr.decode()

    Path("train.csv").write_text("text,label\n" + rows + "good end,pos\n", encoding="utf-8")
    assert "train.csv: file has changed since the run began" in fails(
        "train.csv", "-o", "run", "--resume"
    )
    assert "encoder.dim was 16, not 9" in fails(
        "train.csv", "-o", "run", "--resume", *CLI, "-s", "encoder.dim=9"
    )
    assert "holds no run to go on with" in fails("train.csv", "-o", "nowhere", "--resume")


PARALLEL = """
import json, sys
from textkit import TextClassifier
from textkit.nn.devices import is_several
texts, labels, options = json.load(open("rows.json"))
model = TextClassifier(**options).fit(texts, labels)
from accelerate import PartialState
if PartialState().is_main_process:
    assert is_several() == (len(sys.argv) > 1)
    model.save(sys.argv[1] if len(sys.argv) > 1 else "one")
"""


@pytest.mark.slow
def test_two_processes_end_where_one_does() -> None:
    """Without dropout the gradients are equal but for the order of sums."""
    import json

    options = {**SMALL, "embedding__dropout": 0.0, "head__dropout": 0.0, "training__batch_size": 5}
    options |= {"training__r_drop": 1.0, "encoder__members": 2}
    Path("rows.json").write_text(json.dumps([TEXTS, LABELS, options]), encoding="utf-8")
    Path("fit.py").write_text(PARALLEL, encoding="utf-8")
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "0",
    ]
    subprocess.run(
        [*launcher, "--standalone", "fit.py", "two"], check=True, env=environment(), timeout=300
    )
    subprocess.run([sys.executable, "fit.py"], check=True, env=environment(), timeout=300)
    one, two = TextClassifier.load("one"), TextClassifier.load("two")
    np.testing.assert_allclose(two.predict_logits(TEXTS), one.predict_logits(TEXTS), atol=2e-3)
    assert two.predict(TEXTS).tolist() == one.predict(TEXTS).tolist()


@pytest.mark.slow
def test_several_labels_a_text() -> None:
    labels = [
        [side, noun] if noun in ("film", "plot") else [side]
        for side in ("pos", "neg")
        for noun in NOUNS * 2
    ]
    labels[-1] = []
    options = {"head__task": "multi-label", "training__epochs": 40, "training__patience": 40}
    model = fit(labels=labels, head__thresholds=0.5, **options)
    assert model.classes_.tolist() == ["film", "neg", "plot", "pos"]
    assert model.predict(["good film"]) == [("film", "pos")]
    assert model.score(TEXTS, labels) > 0.9
    model = fit(labels=labels, **options)
    assert (model.thresholds_ != 0.5).any()
    model.save("m")
    loaded = TextClassifier.load("m")
    assert loaded.thresholds_.tolist() == model.thresholds_.tolist()
    assert loaded.predict(TEXTS) == model.predict(TEXTS)
    with pytest.raises(
        DataError, match="the label of row 0 is 'pos'; multi-label wants a list of labels"
    ):
        fit(head__task="multi-label")
    with pytest.raises(DataError, match=r"row 0 is \['pos', 'film'\], not one label; set head"):
        fit(labels=labels)


@pytest.mark.slow
def test_numbers_as_labels() -> None:
    values = [100.0 + (5.0 if label == "pos" else -5.0) for label in LABELS]
    model = fit(labels=values, head__task="regression", training__epochs=12, training__patience=12)
    predicted = model.predict(["good film", "poor walk"])
    assert predicted.shape == (2,) and abs(predicted[0] - 105) < 2 and abs(predicted[1] - 95) < 2
    assert model.score(TEXTS, values) > 0.8
    model.save("m")
    assert TextClassifier.load("m").predict(TEXTS).tolist() == model.predict(TEXTS).tolist()
    with pytest.raises(UsageError, match="a regression predicts numbers"):
        model.predict_proba(["x"])
    with pytest.raises(DataError, match=r"the label of row 1 is missing \(nan\)"):
        fit(labels=[1.0, float("nan"), *values[2:]], head__task="regression")


@pytest.mark.slow
def test_training_starts_from_a_model_with_more_labels() -> None:
    first = fit(training__epochs=8)
    texts, labels = (
        [*TEXTS, *["odd film", "odd walk", "odd game", "odd talk"] * 5],
        [*LABELS, *["odd"] * 20],
    )
    second = TextClassifier(**{**SMALL, "training__epochs": 1, "training__lr": 1e-6}).fit(
        texts, labels, init_from=first
    )
    assert second.classes_.tolist() == ["neg", "odd", "pos"]
    old, new = (model.network_.members[0].head.layers[-1].weight for model in (first, second))
    torch.testing.assert_close(new[[0, 2]], old, atol=1e-4, rtol=0)
    with pytest.raises(UsageError, match="init_from does not fit the recipe"):
        TextClassifier(**{**SMALL, "encoder__dim": 9}).fit(TEXTS, LABELS, init_from=first)


def test_a_time_limit_ends_with_a_model() -> None:
    model = fit(training__time_limit=1e-6)
    assert model.history_.ended == "time"
    assert model.predict_proba(["good"]).shape == (1, 2)


def test_a_diverging_loss_names_its_last_good_checkpoint() -> None:
    with pytest.raises(
        LimitError,
        match=r"loss is (nan|inf) at epoch \d+, step \d+; .*last good checkpoint is c/step-",
    ):
        fit(folder="c", training__lr=1e30, training__epochs=9, training__checkpoint_seconds=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["macro_f1", "loss"])
def test_the_best_epoch_is_by_the_chosen_metric(metric: str) -> None:
    history = fit(training__metric=metric, training__epochs=5, training__patience=5).history_
    assert history.best is not None
    scores = [
        epoch.valid_loss if metric == "loss" else -epoch.scores["macro_f1"]
        for epoch in history.epochs
    ]
    assert scores[history.best.epoch - 1] == min(scores)
    with pytest.raises(
        UsageError,
        match=r"unknown training\.metric for single-label 'f1'; known: accuracy, loss, macro_f1",
    ):
        fit(training__metric="f1")


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "one-cycle"])
def test_rates_stay_between_nothing_and_the_recipes(schedule: str) -> None:
    section = TrainingSection(schedule=schedule, warmup=0.2)  # type: ignore[arg-type]
    factors = [rate_factor(section, i / 100) for i in range(100)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1, abs=0.02)
    assert factors[:20] == sorted(factors[:20])
    if schedule != "constant":
        assert factors[21:] == sorted(factors[21:], reverse=True) and factors[-1] < 0.05


def test_a_plateau_halves_the_rate_each_time() -> None:
    assert plateau_factor([0.1, 0.2, 0.3]) == 1
    assert plateau_factor([0.3, 0.2, 0.2, 0.2, 0.2]) == 0.25


def test_losses_are_torchs_own() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(6, 3, generator=generator), torch.tensor([0, 1, 2, 0, 0, 1])
    plain = torch.nn.CrossEntropyLoss(reduction="none")(logits, targets)
    torch.testing.assert_close(
        row_losses("single-label", logits, targets, TrainingSection()), plain
    )
    focal = row_losses(
        "single-label", logits, targets, TrainingSection(loss="focal", focal_gamma=2.0)
    )
    torch.testing.assert_close(focal, plain * (1 - torch.exp(-plain)) ** 2)
    weights = row_weights(
        "single-label", targets.numpy(), TrainingSection(class_weights="balanced")
    )
    assert weights.tolist() == pytest.approx([6 / 9, 1, 2, 6 / 9, 6 / 9, 1])
    several = torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    found = row_losses("multi-label", logits[:2], several, TrainingSection())
    expected = torch.nn.BCEWithLogitsLoss(reduction="none")(logits[:2], several).mean(1)
    torch.testing.assert_close(found, expected)


def test_disagreements_are_torchs_divergences() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, 3, generator=generator)
    p, q = first.log_softmax(1), second.log_softmax(1)
    both = [
        torch.nn.functional.kl_div(*pair, reduction="none", log_target=True).sum(1)
        for pair in ((p, q), (q, p))
    ]
    torch.testing.assert_close(disagreements("single-label", first, second), sum(both) / 2)
    coins = [
        torch.stack([torch.zeros(5), x[:, 0]], dim=1) for x in (first, second)
    ]  # a coin is two classes
    found = disagreements("multi-label", first[:, :1], second[:, :1])
    torch.testing.assert_close(found, disagreements("single-label", *coins))
    assert disagreements("regression", first, first + 2).tolist() == pytest.approx([4] * 5)


# One step of plain gradient descent over all rows, nothing dropped and nothing clipped.
ONE_STEP: dict[str, Any] = {
    "embedding__dropout": 0.0,
    "head__dropout": 0.0,
    "augment__word_dropout": 0.0,
    "training": {
        **SMALL["training"],
        "epochs": 1,
        "batch_size": 40,
        "optimizer": "sgd",
        "schedule": "constant",
        "clip": 1e9,
        "average": 0.0,
        "l1": 0.01,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single-label", "multi-label", "regression"])
def test_each_member_of_an_ensemble_learns_as_if_alone(task: str) -> None:
    labels = {
        "multi-label": [[label] for label in LABELS],
        "regression": [float(i % 3) for i in range(40)],
    }
    options = {**ONE_STEP, "labels": labels.get(task), "head__task": task}
    alone, both = fit(**options), fit(**options, encoder__members=2)
    own, ours = alone.network_.state_dict(), both.network_.state_dict()
    for name, value in own.items():
        if not name.startswith("embedding"):  # which sums the gradients of both
            torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=1e-5)
            other = name.replace("members.0", "members.1")
            assert value.ndim < 2 or not torch.equal(ours[other], ours[name])
    assert both.history_.epochs[0].train_loss == pytest.approx(
        alone.history_.epochs[0].train_loss, rel=0.1
    )


@pytest.mark.slow
def test_an_ensemble_is_saved_and_gone_on_with() -> None:
    model = fit(encoder__members=3, training__r_drop=1.0)
    assert model.score(TEXTS, LABELS) == 1.0
    model.save("m")
    loaded = TextClassifier.load("m")
    assert loaded.predict_logits(TEXTS).tobytes() == model.predict_logits(TEXTS).tobytes()
    again = TextClassifier(**SMALL, encoder__members=3).fit(TEXTS, LABELS, init_from=loaded)
    assert len(again.network_.members) == 3
    with pytest.raises(
        UsageError, match=r"init_from does not fit the recipe: weight 'members\.3\."
    ):
        TextClassifier(**SMALL, encoder__members=4).fit(TEXTS, LABELS, init_from=loaded)


def test_init_from_a_head_with_other_layers_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"init_from does not fit the recipe: weight 'members\.0\.head\.layers"
    ):
        TextClassifier(**SMALL, head__hidden=[4]).fit(
            TEXTS, LABELS, init_from=fit(training__epochs=1)
        )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single-label", "multi-label", "regression"])
def test_r_drop_without_dropout_is_the_plain_loss_and_with_it_a_penalty(task: str) -> None:
    labels = {
        "multi-label": [[label] for label in LABELS],
        "regression": [float(i % 3) for i in range(40)],
    }
    seen: list[Epoch] = []
    for dropout, weight in ((0.0, 0.0), (0.0, 50.0), (0.5, 1e-9), (0.5, 50.0)):
        fit(
            labels=labels.get(task),
            watch=Watch(epoch=seen.append),
            head__task=task,
            embedding__dropout=0.0,
            head__dropout=dropout,
            training__epochs=1,
            training__r_drop=weight,
        )
    assert seen[1].train_loss == pytest.approx(seen[0].train_loss, abs=1e-5)
    assert seen[1].valid_loss == pytest.approx(seen[0].valid_loss, abs=1e-5)
    assert seen[3].train_loss > seen[2].train_loss + 0.005
    with pytest.raises(UsageError, match=r"r_drop and augment\.mixup exclude each other"):
        fit(training__r_drop=1.0, augment__mixup=0.2)


@pytest.mark.slow
def test_imbalance_options_change_what_is_learnt() -> None:
    """One class in eight rows: balanced weights and a balanced sampler find it more often."""
    labels = ["rare" if i % 8 == 0 else "common" for i in range(40)]
    options = {"training__epochs": 2, "training__lr": 0.01, "training__calibrate": False}
    plain = fit(labels=labels, **options).predict_proba(TEXTS)[:, 1].mean()
    for choice in ({"training__class_weights": "balanced"}, {"training__sampler": "balanced"}):
        assert (
            fit(labels=labels, **options, **choice).predict_proba(TEXTS)[:, 1].mean() > plain + 0.05
        )


@pytest.mark.slow
def test_accumulated_batches_are_one_large_batch() -> None:
    """Two batches of rows of equal length, accumulated, give the step of their union."""
    quiet = {
        "embedding__dropout": 0.0,
        "head__dropout": 0.0,
        "training__epochs": 1,
        "training__optimizer": "sgd",
    }
    seen: list[Epoch] = []
    for size, accumulate in ((18, 2), (36, 1)):
        fit(
            watch=Watch(epoch=seen.append),
            training__batch_size=size,
            training__accumulate=accumulate,
            **quiet,
        )
    assert seen[0].train_loss == pytest.approx(seen[1].train_loss, abs=1e-6)
    assert seen[0].valid_loss == pytest.approx(seen[1].valid_loss, abs=1e-6)


@pytest.mark.slow
def test_l1_makes_weights_small() -> None:
    def size(model: TextClassifier) -> float:
        return float(sum(w.detach().abs().sum() for w in model.network_.parameters() if w.ndim > 1))

    assert size(fit(training__l1=1e-2)) < 0.8 * size(fit())


@pytest.mark.slow
def test_scikit_learns_searches_work() -> None:
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import GridSearchCV, cross_val_score

    model = TextClassifier(**SMALL)
    assert is_classifier(model) and clone(model).get_params() == model.get_params()
    scores = cross_val_score(model, np.array(TEXTS), np.array(LABELS), cv=2)
    assert scores.shape == (2,)
    search = GridSearchCV(model, {"training__epochs": [1, 2]}, cv=2).fit(
        np.array(TEXTS), np.array(LABELS)
    )
    assert search.best_params_["training__epochs"] in (1, 2)


@pytest.mark.slow
def test_a_rate_sweep_draws_a_curve() -> None:
    from textkit.classify.lr_finder import find_rate

    found = find_rate(TEXTS, LABELS, make_recipe(**SMALL))
    assert (np.diff(found.rates) >= 0).all() and 1e-6 < found.suggested < 1
    found.save_png("lr.png")
    assert Path("lr.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_training_learns() -> None:
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs g++ on a CPU")
    from torch._inductor import config

    with config.patch(compile_threads=1):  # no pool of processes that import torch each
        model = fit(
            training__compile=True, training__epochs=1, encoder="bag", head__pooling=["max"]
        )
    assert model.predict_proba(["good"]).shape == (1, 2)


@pytest.mark.slow
def test_a_file_larger_than_memory_trains_as_one_in_memory() -> None:
    """Tokens from mapped files give the weights of tokens in memory, when the tokenizer is the
    same.
    """
    from textkit import tokenizers

    tokenizers.train("word", TEXTS, lowercase=True).save("tok")
    rows = "".join(f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))
    Path("train.csv").write_text("text,label\n" + rows, encoding="utf-8")
    options = {**SMALL, "tokenizer__path": "tok", "augment__word_dropout": 0.1}
    whole = TextClassifier(**options).fit(TEXTS, LABELS)
    streamed = TextClassifier(**options).fit_file("train.csv", cache="cache")
    assert same_weights(whole, streamed)
    assert streamed.classes_.tolist() == whole.classes_.tolist()
    Path("train.csv").write_text(
        "text,label\n" + rows + "good thing,new\nbad thing,new\n", encoding="utf-8"
    )
    assert TextClassifier(**options).fit_file("train.csv", cache="cache").classes_.tolist() == [
        "neg",
        "new",
        "pos",
    ]
    Path("train.csv").write_text("text,label\na,x\nb,x\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"^train.csv: all 2 rows have the same label"):
        TextClassifier(**options).fit_file("train.csv", cache="cache")


@pytest.mark.slow
def test_a_streamed_bag_keeps_the_buckets_that_its_training_rows_fill() -> None:
    from textkit import tokenizers

    tokenizers.train("word", TEXTS, lowercase=True).save("tok")
    rows = "".join(f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))
    Path("train.csv").write_text("text,label\n" + rows, encoding="utf-8")
    options = {
        **SMALL,
        "tokenizer__path": "tok",
        "encoder": "bag",
        "head__pooling": ["mean"],
        "ngrams__maxn": 4,
    }
    options |= {"ngrams__minn": 3, "ngrams__buckets": 50_000}
    options.pop("encoder__dim")
    for least in (1, 3):
        options["ngrams__min_frequency"] = least
        whole = TextClassifier(**options).fit(TEXTS, LABELS)
        streamed = TextClassifier(**options).fit_file("train.csv")
        assert len(streamed.network_.embedding.table.weight) == whole.input_.n_ids < 500
        assert same_weights(whole, streamed)
        texts = [*TEXTS, "a word never seen"]
        assert np.array_equal(whole.predict_logits(texts), streamed.predict_logits(texts))


@pytest.mark.slow
def test_training_and_opening_import_no_compiler() -> None:
    """torch's compiler and distributed tensors cost 2 s of start-up, and neither needs them."""
    program = (
        "import sys\nfrom textkit import TextClassifier\n"
        "texts, labels = ['a b', 'c d'] * 9, ['x', 'y'] * 9\n"
        "for encoder in ('bag', 'cnn', 'lstm', 'mixer', 'transformer'):\n"
        "    model = TextClassifier(encoder=encoder, training__epochs=1, training__device='cpu')\n"
        "    model.fit(texts, labels).save(encoder)\n"
        "    TextClassifier.load(encoder).predict(texts)\n"
        "sys.exit(' '.join({'torch._dynamo', 'torch.distributed.tensor'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), timeout=120, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="the system does not tell a process its memory"
)
def test_memory_stays_flat_over_epochs() -> None:
    """Steps with checkpoints, mixup and averages: what an epoch takes is given back by the next."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(NOUNS, size)) for size in rng.integers(20, 200, 200)]
    labels = ["pos" if "film" in text[: len(text) // 2] else "neg" for text in texts]
    sizes: list[int] = []
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's

    def measure(epoch: Epoch) -> None:
        if trim is not None:  # what was freed but not given back comes and goes by tens of MB
            trim(0)
        sizes.append(
            int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            * os.sysconf("SC_PAGE_SIZE")
        )

    options = {
        **SMALL,
        **FULL,
        "encoder__dim": 64,
        "training__epochs": 12,
        "training__patience": 12,
    }
    options |= {"training__batch_size": 32, "augment__char_noise": 0.1}
    TextClassifier(**options).fit(
        texts, labels, watch=Watch(epoch=measure), checkpoints="checkpoints"
    )
    # One batch's states alone are 32 x 200 x 128 floats, 3 MB: a leak of one a step would be
    # hundreds.
    assert len(sizes) == 12 and max(sizes[6:]) - max(sizes[3:6]) < 16 << 20, [
        size >> 20 for size in sizes
    ]


def test_an_epoch_that_is_no_number_names_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps may have been finite: the last one broke the weights."""
    from textkit.training import engine

    monkeypatch.setattr(engine, "score", lambda *_: {"accuracy": 0.5, "macro_f1": float("nan")})
    with pytest.raises(LimitError, match=r"valid macro f1 is nan after epoch 1, step 9; lower"):
        fit()


def test_weights_that_left_all_bounds_end_as_a_limit() -> None:
    with pytest.raises(LimitError, match=r" is (nan|inf) (at|after) epoch \d+, step \d+; lower"):
        fit(training__lr=1e9, training__clip=1e30, training__epochs=8)


def test_a_time_limit_before_the_first_epoch_is_said() -> None:
    notes: list[str] = []
    model = fit(watch=Watch(note=notes.append), training__time_limit=1e-9)
    assert (model.history_.ended, model.history_.best) == ("time", None)
    assert notes == model.history_.notes
    assert "was over after 0 of 9 batches, before the first epoch ended" in notes[0]


@pytest.mark.parametrize("options", [{}, {"ngrams": {"minn": 2, "maxn": 3}, "encoder": "bag"}])
def test_texts_without_any_token_are_refused(options: dict[str, Any]) -> None:
    model = TextClassifier(**{"seed": 1, **options})
    with pytest.raises(DataError, match="all 36 training texts are empty: the tokenizer finds no"):
        model.fit(["", " \n"] * 20, LABELS)


def test_empty_texts_among_others_are_counted() -> None:
    notes: list[str] = []
    texts = ["", *TEXTS[1:]]
    rows = (texts, LABELS)
    TextClassifier(**SMALL).fit(*rows, validation=rows, watch=Watch(note=notes.append))
    assert notes == ["1 of 40 training texts are empty: they have no token"]


def test_numbers_that_are_all_the_same_train_with_an_r2_of_zero() -> None:
    model = fit(labels=[2.0] * 40, head__task="regression")
    assert model.history_.epochs[-1].scores["r2"] in (0.0, 1.0)
    assert model.score(TEXTS, [2.0] * 40) in (0.0, 1.0)
