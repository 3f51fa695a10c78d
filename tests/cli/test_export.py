"""`textkit export`, and the verbs that take what it wrote."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_train import SIDES, run, write_csv
from textkit import TextClassifier

TEXTS = ["good film", "bad film"] * 20


@pytest.mark.slow
def test_every_verb_takes_an_exported_model() -> None:
    options = {"encoder": "bag", "head__pooling": ("mean",), "embedding__dim": 8}
    model = TextClassifier(**options, training__epochs=2, seed=1)
    model.fit(TEXTS, ["pos", "neg"] * 20).save("run/model")
    write_csv("test.csv", SIDES)
    out, _ = run("export", "run/model", "-o", "exported", "--check", "test.csv")
    assert "computed by numpy" in out and "differs by at most" in out
    out, _ = run("export", "run/model", "-o", "model.zip", "--json")
    assert json.loads(out)["difference"] <= 1e-5
    expected, _ = run("predict", "run/model", input="good film\n\n")
    scores, _ = run("evaluate", "run/model", "test.csv", "--json")
    for place in ("exported", "model.zip"):
        assert run("predict", place, input="good film\n\n")[0] == expected
        told, _ = run("info", place)
        assert "engine     numpy" in told and "all files verified" in told
        again, _ = run("evaluate", place, "test.csv", "--json")
        assert json.loads(again)["accuracy"] == json.loads(scores)["accuracy"]
        run("embed", "test.csv", "-m", place, "-o", f"vectors-{place}")
