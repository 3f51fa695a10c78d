"""Look into a tokenizer, extend one, hold two side by side; in Python and in the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shell import run_textkit
from textkit import tokenizers
from textkit.errors import ArtifactError, UsageError
from textkit.jobs.vocabulary import (
    CompareOptions,
    ExtendOptions,
    compare_tokenizers,
    extend_tokenizer,
    inspect_tokenizer,
)

PIECES = ["[PAD]", "[UNK]", "low", "##er", "##est", "new"]
TEXTS = ["low lower", "lowest new", "", "unseen \x1b[31m"]


@pytest.fixture(autouse=True)
def _files() -> None:
    tokenizers.create("wordpiece", vocabulary=PIECES).save("one")
    tokenizers.create("wordpiece", vocabulary=[*PIECES, "lower"]).save("two")
    Path("texts.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8"
    )
    Path("new.txt").write_text("<br>\n\nlow\n<br>\n", encoding="utf-8")


def test_inspect_names_what_is_special() -> None:
    extend_tokenizer(ExtendOptions(tokenizer="one", template="bert", out=Path("bert")))
    found = inspect_tokenizer("bert")
    assert found["special"] == {"[PAD]": 0, "[UNK]": 1, "[CLS]": 6, "[SEP]": 7}
    assert found["pair"] == "[CLS] $A [SEP] $B:1 [SEP]:1"
    assert found["longest"][0] == "##est"
    shown = run_textkit("tokenizer", "inspect", "bert")
    assert "[CLS] 6, [SEP] 7" in shown.stdout.decode()
    assert json.loads(run_textkit("tokenizer", "inspect", "bert", "--json").stdout) == found


def test_extend_adds_each_token_once_and_prune_leaves_out() -> None:
    done = run_textkit("tokenizer", "extend", "one", "new.txt", "-o", "more")
    assert (done.returncode, done.stdout) == (0, b"")
    assert "7 tokens where there were 6" in done.stderr.decode()
    more = tokenizers.load("more")
    assert more.encode(["lower<br>"]).ids.tolist() == [2, 3, 6]
    Path("few.txt").write_text("lower\n", encoding="utf-8")
    options = ExtendOptions(tokenizer="more", prune=["few.txt"], out=Path("small"))
    _, small = extend_tokenizer(options)
    assert sorted(small.vocabulary) == ["##er", "<br>", "[PAD]", "[UNK]", "low"]
    extend_tokenizer(
        ExtendOptions(tokenizer="one", tokens=["new.txt"], special=True, out=Path("special"))
    )
    assert tokenizers.load("special").encode(["<br>"]).ids.tolist() != [6]


def test_what_cannot_be_extended_is_said() -> None:
    with pytest.raises(UsageError, match="nothing to change"):
        extend_tokenizer(ExtendOptions(tokenizer="one", out=Path("x")))
    with pytest.raises(ArtifactError, match="nowhere"):
        extend_tokenizer(ExtendOptions(tokenizer="nowhere", tokens=["new.txt"], out=Path("x")))
    with pytest.raises(UsageError, match="unknown template 'brt'"):
        extend_tokenizer(ExtendOptions(tokenizer="one", template="brt", out=Path("x")))
    assert not Path("x").exists()


def test_compare_counts_the_rows_that_differ() -> None:
    options = CompareOptions(
        first="one", second="two", inputs=["texts.jsonl"], show=Path("page.html")
    )
    found = compare_tokenizers(options)
    assert (found["n_rows"], found["n_other_tokens"], found["n_other_ids"]) == (4, 1, 1)
    assert found["shared"] == 6
    assert found["examples"] == [
        {"row": 0, "text": "low lower", "first": ["low", "low", "##er"], "second": ["low", "lower"]}
    ]
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("<h1>") == 2
    assert page.count("</body></html>") == 1
    shown = run_textkit("tokenizer", "compare", "one", "two", "texts.jsonl")
    assert "of 4 rows 1 (25.0%) have other tokens" in shown.stdout.decode()
    assert "\n  low low ##er\n  low lower\n" in shown.stdout.decode()
    same = run_textkit("tokenizer", "compare", "one", "one", "texts.jsonl", "--json")
    assert json.loads(same.stdout)["n_other_ids"] == 0


def test_compare_takes_no_rows() -> None:
    Path("empty.jsonl").write_text("", encoding="utf-8")
    found = compare_tokenizers(CompareOptions(first="one", second="two", inputs=["empty.jsonl"]))
    assert (found["n_rows"], found["examples"]) == (0, [])
