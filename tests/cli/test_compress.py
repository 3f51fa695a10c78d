"""`textkit compress`, and the verbs that take what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_train import SIDES, run, write_csv
from textkit import TextClassifier

TEXTS = ["good film", "bad film"] * 20


def test_every_verb_takes_a_compressed_model() -> None:
    TextClassifier(encoder="linear").fit(TEXTS, ["pos", "neg"] * 20).save("run/model")
    write_csv("check.csv", SIDES)
    out, said = run("compress", "run/model", "-o", "small", "--check", "check.csv")
    assert out == "" and "times smaller" in said and "agreement" in said
    out, _ = run("compress", "run/model", "-o", "small.zip", "--json")
    assert json.loads(out)["numbers"] == "int8"
    expected, _ = run("predict", "run/model", input="good film\n\n")
    scores, _ = run("evaluate", "run/model", "check.csv", "--json")
    for place in ("small", "small.zip"):
        assert run("predict", place, input="good film\n\n")[0].split()[::2] == expected.split()[::2]
        told, _ = run("info", place)
        assert "compressed int8" in told and "all files verified" in told
        again, _ = run("evaluate", place, "check.csv", "--json")
        assert json.loads(again)["accuracy"] == json.loads(scores)["accuracy"]


def test_a_limit_that_nothing_meets_ends_with_6_and_writes_nothing() -> None:
    TextClassifier(encoder="linear").fit(TEXTS, ["pos", "neg"] * 20).save("model")
    _, said = run("compress", "model", "-o", "small", "--size", "100", code=6)
    assert "the smallest that was tried has" in said
    assert not Path("small").exists()
    _, said = run("compress", "model", "-o", "small", "--size", "two", code=2)
    assert "expected bytes such as 2MB" in said
