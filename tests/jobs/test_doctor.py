"""The doctor of trainings: each finding is seen where it is there, and none where all is well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from textkit import TextClassifier
from textkit.data.labels import LabelledRows
from textkit.evaluation.diagnosis import Symptoms, diagnose, diagnose_rows
from textkit.jobs import TrainOptions, train_run
from textkit.jobs.doctor import overfit_batch, read_health
from textkit.recipe import complete_recipe, make_recipe
from textkit.watch import Epoch, Health, History, Watch

WORDS = ["good", "fine", "bad", "poor"]
TEXTS = [f"{word} {n}" for word in WORDS for n in ("film", "plot", "cast", "song", "book", "meal")]
LABELS = ["pos"] * 12 + ["neg"] * 12
SMALL: dict[str, Any] = {
    "encoder": {"name": "cnn", "dim": 4},
    "embedding": {"dim": 8},
    "training": {"epochs": 2, "device": "cpu", "threads": 1},
}
WELL = [(0.6, 0.65), (0.4, 0.5), (0.3, 0.45), (0.28, 0.46)]


def symptoms(losses: list[tuple[float, float]], best: int = 3, **known: Any) -> Symptoms:
    epochs = [Epoch(i, a, b, {"accuracy": 0.5}, 0.0, 0.01) for i, (a, b) in enumerate(losses, 1)]
    history = History(
        epochs=epochs, best=(epochs or [None])[best - 1], ended=known.pop("ended", "early")
    )
    facts = {"clip": 1.0, "epochs": 9, "n_rows": 100, "n_cut": 0, "entropy": 0.69, **known}
    return Symptoms(history, **facts)


def inside(**measured: Any) -> list[Health]:
    norms = measured.pop("gradient_norm", 0.5), measured.pop("clipped_share", 0.0)
    return [Health(1, *norms, **{"update_ratio": {"encoder": 1e-3}, **measured})]


@pytest.mark.parametrize(
    ("known", "kinds"),
    [
        (symptoms(WELL), []),
        (symptoms(WELL, health=inside()), []),
        (symptoms([(0.6, 0.6), (0.3, 0.5), (0.1, 0.6), (0.05, 0.8)], best=2), ["overfitting"]),
        (symptoms([(0.7, 0.7)] * 4), ["not learnt"]),
        (symptoms([(0.7, 0.7)] * 4, entropy=None), []),
        (symptoms([(0.5, 0.5), (0.9, 0.9), (0.7, 0.9), (1.9, 2.0)]), ["learning rate too high"]),
        (symptoms(WELL, health=inside(update_ratio={"a": 0.5})), ["learning rate too high"]),
        (symptoms(WELL, health=inside(update_ratio={"a": 1e-7})), ["learning rate too low"]),
        (symptoms(WELL, health=inside(dead_share={"encoder.activation": 0.9})), ["dead units"]),
        (symptoms(WELL, health=inside(dead_share={"encoder.norm": 0.9})), []),
        (symptoms(WELL, health=inside(gradient_norm=9, clipped_share=1)), ["always clipped"]),
        (symptoms(WELL, n_cut=40), ["cut rows"]),
        # What follows from the rate is not said beside it.
        (
            symptoms([(0.7, 0.7)] * 4, health=inside(update_ratio={"a": 1e-7})),
            ["learning rate too low"],
        ),
        (symptoms([], best=0), []),
    ],
)
def test_curves_and_the_inside_are_read(known: Symptoms, kinds: list[str]) -> None:
    assert [finding.kind for finding in diagnose(known)] == kinds


def test_a_training_that_ended_while_it_got_better_is_told_so() -> None:
    known = symptoms(WELL[:3], ended="epochs")
    known.history.epochs[-1].scores["accuracy"] = 0.9
    assert [finding.kind for finding in diagnose(known)] == ["ended early"]


@pytest.mark.parametrize(
    ("train", "labels", "valid", "kind"),
    [
        (["a sport a", "b sport", "c", "d"], ["sport", "sport", "x", "x"], [], "labels in the"),
        (["a", "a", "b"], ["x", "y", "x"], [], "contradictory"),
        (["a", "b", "c"], ["x", "y", "x"], ["a"] * 200, "shared"),
        (["a", "b", "c"], ["x", "y", "z"], ["d"] * 200, "never"),
        (["a", "b", "c"], ["x", "y", "x"], ["d"], "few"),
    ],
)
def test_rows_are_looked_at(
    train: list[str], labels: list[str], valid: list[str], kind: str
) -> None:
    truths = ["z" if kind == "never" else "x"] * len(valid)
    found = [each.kind for each in diagnose_rows(train, labels, valid, truths, ["x"] * len(valid))]
    assert any(each.startswith(kind) for each in found)
    assert len(found) == 1 + (kind != "few" and len(valid) < 100)


def test_a_network_that_can_learn_learns_a_batch_and_one_that_cannot_does_not() -> None:
    rows = LabelledRows(TEXTS, [*LABELS])
    recipe = complete_recipe(make_recipe(SMALL, training__lr=0.01))
    assert overfit_batch(recipe, rows) is None
    lame = complete_recipe(make_recipe(SMALL, training__lr=1e-9))
    finding = overfit_batch(lame, rows)
    assert finding is not None and "by heart" in finding.what
    assert overfit_batch(recipe, LabelledRows(["a", "a"], ["x", "y"])) is None


@pytest.mark.parametrize("name", ["bag", "lstm", "transformer"])
def test_measuring_changes_no_weight(name: str) -> None:
    options = {**SMALL, "encoder": {"name": name}, "seed": 1}
    plain = TextClassifier(**options).fit(TEXTS, LABELS)
    seen: list[Health] = []
    watched = TextClassifier(**options).fit(TEXTS, LABELS, watch=Watch(health=seen.append))
    pairs = zip(
        plain.network_.state_dict().values(), watched.network_.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)
    assert [health.epoch for health in seen] == [1, 2]
    for health in seen:
        assert health.gradient_norm > 0 and all(r > 0 for r in health.update_ratio.values())
        assert {"embedding.table", "head.layers.1"} <= health.update_ratio.keys()
        assert health.activation.keys() == health.dead_share.keys() != set()


def test_units_that_are_cut_off_are_seen() -> None:
    from textkit.training.health import Probe

    model = TextClassifier(**SMALL).fit(TEXTS, LABELS)
    with torch.no_grad():
        model.network_.members[0].encoder.filters[0].bias[:2] = -1e6
    tokens = model.encode(TEXTS)
    dead = Probe(model.network_, clip=1.0).end_epoch(1, tokens).dead_share
    n_units = 4 * len(model.network_.members[0].encoder.filters)
    assert dead["encoder.activation"] >= 2 / n_units > dead["encoder.filters.1"]


def test_a_run_keeps_what_the_doctor_says_and_what_was_measured() -> None:
    lines = [f"{text},{label}" for text, label in zip(TEXTS, LABELS, strict=True)]
    Path("t.csv").write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    options = TrainOptions(
        data=Path("t.csv"),
        out=Path("run"),
        recipe=make_recipe(SMALL),
        doctor=True,
        baseline=False,
    )
    notes: list[str] = []
    report = train_run(options, watch=Watch(note=notes.append))
    assert report.findings is not None
    assert "few validation rows" in [finding.kind for finding in report.findings]
    assert any(note.startswith("doctor: ") for note in notes)
    kept = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["doctor"]
    assert kept == [finding.to_dict() for finding in report.findings]
    health = read_health(Path("run"))
    assert [each.epoch for each in health] == [1, 2] and health[0].update_ratio
    again = train_run(
        TrainOptions(data=Path("t.csv"), out=Path("run"), resume=True, baseline=False)
    )
    assert again.findings == report.findings
