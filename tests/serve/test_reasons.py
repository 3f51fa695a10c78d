"""Explanations over HTTP: those of textkit explain, one text alone where it cannot be explained."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.serve.calls import LABELS, TEXTS, client_of, open_host, post, run
from textkit import AsyncClient, TextClassifier, Vectors
from textkit.serve import reasons
from textkit.serve.app import make_app
from textkit.serve.host import Host


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return TextClassifier(encoder="linear").fit(TEXTS, LABELS)


@pytest.fixture
def host(classifier: TextClassifier, tmp_path: Path) -> Iterator[Host]:
    classifier.save(tmp_path / "films")
    Vectors(["king"], np.ones((1, 1), np.float32)).save(tmp_path / "vectors")
    host = open_host([str(tmp_path / "films"), str(tmp_path / "vectors")])
    yield host
    host.close()


def test_a_text_is_explained_as_in_python(host: Host, classifier: TextClassifier) -> None:
    texts = ["a good 🎬 film", "", "سيء bad"]
    told = post(host, "/explain", {"texts": texts, "flips": True}).json()
    assert told["model"] == "films"
    for text, row, wanted in zip(
        texts, told["explanations"], classifier.explain(texts), strict=True
    ):
        plain = wanted.to_dict()
        assert row == {name: plain[name] for name in row}
        assert [text[word["start"] : word["end"]] for word in row["words"]] == [
            word["word"] for word in row["words"]
        ]
    assert max(told["explanations"][0]["words"], key=lambda word: word["score"])["word"] == "good"


def test_what_cannot_be_explained_is_said(host: Host) -> None:
    label = post(host, "/explain", {"texts": "good", "label": "poss"})
    assert label.status_code == 422 and label.json()["error"]["param"] == "label"
    assert "did you mean 'pos'" in label.json()["error"]["message"]
    method = post(host, "/explain", {"texts": "good", "method": "gradients"})
    assert method.status_code == 422 and method.json()["error"]["param"] == "method"
    assert post(host, "/explain", {"texts": "a", "model": "vectors"}).status_code == 404
    long = "good " * reasons.LONGEST
    rows = post(host, "/explain", {"texts": [long, "good"]}).json()["explanations"]
    assert "at most 20,000" in rows[0]["error"] and rows[1]["label"] == "pos"


@pytest.mark.parametrize("held", ["_prepare", "_explain"])
def test_texts_that_nobody_waits_for_are_not_explained(
    host: Host, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    entered, free = threading.Event(), threading.Event()

    def hold(step: str) -> dict[str, str]:
        begun.append(step)
        if step == held:
            entered.set()
            free.wait(60)
        return {"error": "none"}

    async def go() -> None:
        monkeypatch.setattr(reasons, "_prepare", lambda model, asked: hold("_prepare"))
        monkeypatch.setattr(reasons, "_explain", lambda prepared, text: hold("_explain"))
        async with client_of(host) as client:
            asking = asyncio.ensure_future(client.post("/explain", json={"texts": ["a", "b"]}))
            await asyncio.to_thread(entered.wait, 60)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            free.set()
            await asyncio.to_thread(host.find("films", "explain").aside.submit(int).result)

    run(go())
    assert begun == ["_prepare", "_explain"][: 1 if held == "_prepare" else 2]
    assert host.admission.held.items == 0


def test_the_client_explains(host: Host) -> None:
    async def ask() -> None:
        transport = httpx.ASGITransport(make_app(host))
        async with AsyncClient("http://test", transport=transport) as client:
            (row,) = await client.explain("a bad film", label="neg")
            assert row["label"] == "neg" and row["words"][1]["score"] > 0

    run(ask())
