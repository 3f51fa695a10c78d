"""Models go to the hub and come back by their name, asked by the hub's own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard, constants

import textkit
from tests.hub_server import Hub, serve
from textkit import TextClassifier, Vectors
from textkit.classify import model_folder
from textkit.embedders.embedder import TextEmbedder, find_kind
from textkit.errors import ArtifactError, MissingExtraError, StorageError, UsageError
from textkit.integrations import hub as hubs
from textkit.io import files
from textkit.io.hub import fetch_sealed
from textkit.jobs import (
    EvaluateOptions,
    ExportOptions,
    PushOptions,
    evaluate_file,
    export_model,
    push_model,
)
from textkit.jobs.runs import find_model
from textkit.serve.models import open_model
from textkit.serve.options import name_models
from textkit.watch import Watch

TEXTS, LABELS = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
FILES = {"config.json", "manifest.json", "model.safetensors"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve(str(tmp_path / "cache"), monkeypatch) as hub:
        yield hub


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save(folder)
    return folder


def test_a_model_goes_and_comes_back(hub: Hub, saved: Path) -> None:
    (saved / "rows.csv").write_text("secret", encoding="utf-8")
    url = hubs.push(saved, "ann/reviews", licence="mit", language="en", message="First")
    assert url == f"{hub.url}/ann/reviews"
    place = hub.places["ann/reviews"]
    pushed = place.commits[place.branches["main"]]
    assert {*pushed} == {*FILES, "README.md", ".gitattributes"}
    assert (place.messages, place.private) == (["", "First"], False)
    assert ModelCard(pushed["README.md"].decode()).data.license == "mit"
    expected = TextClassifier.load(saved).predict_proba(TEXTS).tolist()
    for model in (
        TextClassifier.load("hf:ann/reviews"),
        textkit.load("hf:ann/reviews"),
        hubs.load("hf:ann/reviews@main"),
        hubs.load("ann/reviews", revision=place.branches["main"]),
    ):
        assert isinstance(model, TextClassifier)
        assert model.predict_proba(TEXTS).tolist() == expected


def test_what_is_in_the_cache_is_not_asked_for_again(
    hub: Hub, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubs.push(saved, "ann/reviews", licence="mit")
    folder = find_model("hf:ann/reviews")
    assert not (folder / "README.md").exists()
    hub.asked.clear()
    TextClassifier.load("hf:ann/reviews")
    assert hub.asked == ["HEAD /ann/reviews/resolve/main/manifest.json"]
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    TextClassifier.load("hf:ann/reviews")
    hubs.load("hf:ann/reviews", local_files_only=True)
    assert hub.asked == []
    with pytest.raises(ArtifactError, match=r"^hf:ann/other: cannot be .* HF_HUB_OFFLINE"):
        TextClassifier.load("hf:ann/other")
    with pytest.raises(StorageError, match=r"^hf:ann/other: cannot be pushed: HF_HUB_OFFLINE"):
        hubs.push(saved, "ann/other", licence="mit")


def test_a_branch_and_a_commit_are_revisions(hub: Hub, saved: Path) -> None:
    hubs.push(saved, "ann/reviews", licence="mit")
    first = hub.places["ann/reviews"].branches["main"]
    other = TextClassifier(encoder="linear").fit(TEXTS, ["up", "down"] * 20)
    other.save("other")
    hubs.push("other", "ann/reviews", licence="mit", revision="updown")
    assert TextClassifier.load("hf:ann/reviews").classes_.tolist() == ["neg", "pos"]
    assert TextClassifier.load("hf:ann/reviews@updown").classes_.tolist() == ["down", "up"]
    hubs.push("other", "ann/reviews", licence="mit")
    assert TextClassifier.load("hf:ann/reviews").classes_.tolist() == ["down", "up"]
    assert TextClassifier.load(f"hf:ann/reviews@{first}").classes_.tolist() == ["neg", "pos"]


def test_what_the_hub_does_not_give_is_said_in_a_line(
    hub: Hub, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ann/reviews", "ann/gated", "ann/torn"):
        hubs.push(saved, name, licence="mit")
    hub.places["ann/gated"].gated = True
    torn = hub.places["ann/torn"]
    torn.commit(torn.commits[torn.branches["main"]] | {"config.json": b"{}"})
    foreign = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"no"}
    hubs.push(saved, "ann/bert", licence="mit")
    hub.places["ann/bert"].commit(foreign)
    said = {
        "hf:ann/gone": "there is no such name, or it is private",
        "hf:ann/gated": "it is gated; accept its terms",
        "hf:ann/reviews@v9": "it has no revision 'v9'",
        "hf:ann/bert": "it has no manifest.json, so it is no model of textkit's",
        "hf:one two": "this cannot be a name there; write hf:USER/NAME",
    }
    for name, reason in said.items():
        with pytest.raises(ArtifactError, match=rf"^{name}: cannot be had from the hub: {reason}"):
            model_folder.load(name)
    with pytest.raises(ArtifactError, match=r"config.json: file was changed: it has 2 bytes"):
        TextClassifier.load("hf:ann/torn")
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before the client tries again
    with pytest.raises(ArtifactError, match="the hub cannot be reached, and it is not in"):
        model_folder.load("hf:ann/unknown")
    assert fetch_sealed("ann/torn").is_dir()
    with pytest.raises(StorageError, match=r"^hf:ann/new: cannot be pushed: the hub cannot be"):
        hubs.push(saved, "ann/new", licence="mit")


def test_what_the_hub_does_not_take_is_said_in_a_line(
    hub: Hub, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageError, match="the token may not write there"):
        hubs.push(saved, "ann/reviews", licence="mit", token="hf_other")
    with pytest.raises(StorageError, match="no such license"):
        hubs.push(saved, "ann/reviews", licence="bad")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "none")
    with pytest.raises(StorageError, match=r"does not know who you are; .* HF_TOKEN"):
        hubs.push(saved, "ann/others", licence="mit")
    assert {*hub.places} == {"ann/reviews"}


def test_nothing_of_others_is_written_over(hub: Hub, saved: Path) -> None:
    hubs.push(saved, "ann/open", licence="mit")
    with pytest.raises(UsageError, match="ann/open is public, and --private was asked for"):
        hubs.push(saved, "ann/open", licence="mit", private=True)
    hubs.push(saved, "ann/own", licence="mit", private=True)
    own = hub.places["ann/own"]
    assert own.private
    own.commit({"model.safetensors": b"of bert", "config.json": b"{}"})
    with pytest.raises(UsageError, match=r"ann/own holds config\.json of something that textkit"):
        hubs.push(saved, "ann/own", licence="mit")
    assert own.commits[own.branches["main"]]["model.safetensors"] == b"of bert"


def test_a_model_takes_the_files_of_the_one_before_away(hub: Hub, saved: Path) -> None:
    hubs.push(saved, "ann/reviews", licence="mit")
    place = hub.places["ann/reviews"]
    old = place.commits[place.branches["main"]]
    place.commit({**old, "model.onnx": b"old", "notes.txt": b"mine"})
    hubs.push(saved, "ann/reviews", licence="mit")
    now = place.commits[place.branches["main"]]
    assert {*now} == {*old, "notes.txt"}


def test_a_zip_an_export_and_nested_files_come_back(hub: Hub, saved: Path) -> None:
    export_model(ExportOptions(model=saved, out=Path("out.zip")))
    hubs.push("out.zip", "ann/zip", licence="mit")
    assert TextClassifier.load("hf:ann/zip").predict(["good film"]).tolist() == ["pos"]
    Vectors(["good", "bad", "film"], np.eye(3, dtype=np.float32)).save("v")
    frozen = TextClassifier(encoder={"name": "frozen", "embedder": str(Path("v").absolute())})
    frozen.fit(TEXTS, LABELS).save("frozen")
    notes: list[str] = []
    options = PushOptions(model="frozen", name="ann/frozen", licence="mit")
    report = push_model(options, watch=Watch(note=notes.append))
    assert "embedder/manifest.json" in report.files and str(Path().absolute()) not in report.card
    assert notes == [
        f"config.json says encoder.embedder = {Path('v').absolute()}, which is pushed with it"
    ]
    loaded = textkit.load("hf:ann/frozen")
    assert loaded.predict_proba(TEXTS).tolist() == frozen.predict_proba(TEXTS).tolist()


def test_an_embedder_gets_all_that_the_manifest_names(hub: Hub, saved: Path) -> None:
    hubs.push(saved, "ann/reviews", licence="mit")
    place = hub.places["ann/reviews"]
    old = place.commits[place.branches["main"]]
    manifest = json.loads(old["manifest.json"])
    manifest["files"]["model.onnx"] = {}
    place.commit({**old, "manifest.json": json.dumps(manifest).encode(), "model.onnx": b"graph"})
    kind, folder = find_kind("hf:ann/reviews")
    assert kind == "classifier" and (Path(folder) / "model.onnx").read_bytes() == b"graph"


@pytest.mark.slow
def test_every_job_takes_a_name(hub: Hub, saved: Path) -> None:
    hubs.push(saved, "ann/reviews", licence="mit")
    cells = "text,label\n" + "".join(f"{t},{y}\n" for t, y in zip(TEXTS, LABELS, strict=True))
    Path("test.csv").write_text(cells, encoding="utf-8")
    model = Path("hf:ann/reviews")
    options = EvaluateOptions(model=model, data=Path("test.csv"), compare=[model])
    report = evaluate_file(options)
    assert report.to_dict()["measured"] == {
        "data": "test.csv",
        "manifest": files.sha256(saved / "manifest.json"),
    }
    assert options.rejects == Path("test.csv.rejects.txt")
    assert options.title == "hf:ann/reviews on test.csv"
    assert report.draw() == [Path("confusion.png"), Path("reliability.png")]
    assert name_models(["hf:ann/reviews@main"]) == {"ann/reviews": "hf:ann/reviews@main"}
    assert open_model("reviews", "hf:ann/reviews").labels == ("neg", "pos")
    with pytest.raises(UsageError, match="linear"):
        TextEmbedder.open("hf:ann/reviews")
    export_model(ExportOptions(model=model, out=Path("exported")))
    assert TextClassifier.load("exported").predict(["good film"]).tolist() == ["pos"]
    hub.places["ann/reviews"].commit({"config.json": b'{"model_type": "bert"}'})
    with pytest.raises(ArtifactError, match="no tokenizer in this folder") as raised:
        export_model(ExportOptions(model=model, out=Path("bert")))
    assert "manifest" not in str(raised.value)


def test_without_the_client_the_extra_is_named(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = "importlib.util.find_spec"
    monkeypatch.setattr(find_spec, lambda name: None)
    with pytest.raises(MissingExtraError, match=r"hf:ann/x needs it: .*textkit-nlp\[transformers"):
        TextClassifier.load("hf:ann/x")
    with pytest.raises(MissingExtraError, match="huggingface_hub is not installed, a push needs"):
        hubs.push(saved, "ann/x", licence="mit")
    assert hubs.model_card(saved, licence="mit").startswith("---\n")


@pytest.mark.slow
def test_transformers_opens_a_name(hub: Hub, saved: Path) -> None:
    from transformers import pipeline

    import textkit.integrations.transformers  # noqa: F401

    hubs.push(saved, "ann/reviews", licence="mit")
    said = pipeline("text-classification", "ann/reviews")(["good film"], top_k=None)[0]
    expected = TextClassifier.load(saved).predict_proba(["good film"])[0].tolist()
    assert {one["label"]: one["score"] for one in said} == pytest.approx(
        dict(zip(["neg", "pos"], expected, strict=True)), abs=1e-6
    )


@pytest.mark.slow
def test_the_shell_pushes_and_takes_names(hub: Hub, saved: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(Path(textkit.__file__).parents[1]),
    }

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "textkit", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr

    _, told = run("push", str(saved), "ann/reviews", code=2)
    assert "no licence is given; say under which" in told
    out, told = run(
        "push", str(saved), "ann/reviews", "--licence", "mit", "--dry-run", "-o", "card.md"
    )
    assert out == "" and "would be pushed: 4 files" in told and not hub.places
    run("push", str(saved), "ann/reviews", "--licence", "mit", "-o", "card.md", code=2)
    out, told = run("push", str(saved), "ann/reviews", "--card", "card.md")
    assert out == f"{hub.url}/ann/reviews\n" and "pushed: 4 files" in told
    place = hub.places["ann/reviews"]
    assert place.commits[place.branches["main"]]["README.md"] == Path("card.md").read_bytes()
    Path("rows.txt").write_text("good film\n", encoding="utf-8")
    out, _ = run("predict", "hf:ann/reviews", "rows.txt")
    assert out.startswith("pos")
    out, _ = run("info", "hf:ann/reviews")
    assert out.startswith("hf:ann/reviews: textkit ")
    out, _ = run("push", str(saved), "ann/reviews", "--licence", "mit", "--json")
    assert json.loads(out)["commit"] == place.branches["main"]
