"""Profiling: what is counted is right, and what is written is whole. No time is tested."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textkit import TextClassifier
from textkit.classify.profiling import STAGES, Growth, count_flops, stage_batch
from textkit.errors import DataError
from textkit.jobs import ProfileOptions, profile_models

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.mark.slow
def test_models_side_by_side_give_a_table_json_a_chart_and_a_trace() -> None:
    Path("t.txt").write_text("a good film\n\nbad plot\n" * 9, encoding="utf-8")
    models = [GOLDEN / "model-2-lstm", GOLDEN / "model-2-bag-ngrams"]
    options = ProfileOptions(models=models, data="t.txt", batch_size=4, repeats=1)
    report = profile_models(options)
    first, second = json.loads(json.dumps(report.to_dict(), allow_nan=False))["models"]
    assert first["n_texts"] == 27  # a blank line of .txt is a row
    assert list(first["stages_seconds"]) == list(STAGES)
    assert list(second["stages_seconds"]) == ["read", "tokenize", "collate", "pool", "head"]
    assert set(first["latency_ms"]["1"]) == {"p50", "p95", "p99"}
    assert str(models[1]) in report.to_text().splitlines()[0]
    report.draw(Path("p.png"))
    report.write_trace(Path("trace.json"))
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    events = json.loads(Path("trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert {event["tid"] for event in events} == {1, 2} and all(e["ph"] == "X" for e in events)


@pytest.mark.parametrize("name", ["model-2-lstm", "model-2-members", "model-2-regression"])
def test_stages_are_a_whole_prediction_of_any_texts(name: str) -> None:
    fitted = TextClassifier.load(GOLDEN / name).fitted_
    for texts in (["a good film", "", "x " * 50], [""]):
        assert {mark[0] for mark in stage_batch(fitted, texts)} == set(STAGES) - {"read"}


def test_flops_of_a_network_grow_with_its_tokens_and_those_of_cells_are_counted() -> None:
    fitted = TextClassifier.load(GOLDEN / "model-2-lstm").fitted_
    one, two = (count_flops(fitted, ["a good film"] * n) for n in (1, 2))
    encoder = fitted.network.members[0].encoder
    cells = [*encoder.ahead, *encoder.back]
    least = sum(2 * 4 * c.hidden_size * (c.input_size + c.hidden_size) * 3 for c in cells)
    assert two == 2 * one and one > least


def test_flops_of_attention_are_counted() -> None:
    model = TextClassifier(
        encoder="transformer",
        encoder__dim=8,
        encoder__layers=1,
        encoder__heads=2,
        embedding__dim=8,
        head__pooling=["mean"],
        training__epochs=1,
        training__device="cpu",
    )
    model.fit(["a good film", "a bad film"] * 20, ["pos", "neg"] * 20)
    n, dim = 3, 8
    layer = n * 24 * dim**2 + 4 * dim * n**2
    assert count_flops(model.fitted_, ["a good film"]) == n * 2 * dim**2 + layer + 2 * dim * 2


def test_the_exponent_is_that_of_the_power() -> None:
    words = (16, 32, 64, 128)
    assert Growth(words, tuple(1e-6 * n**2 for n in words)).exponent == pytest.approx(2)


def test_a_file_without_rows_is_refused() -> None:
    Path("t.txt").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.txt"):
        profile_models(ProfileOptions(models=[GOLDEN / "model-2-lstm"], data="t.txt"))
