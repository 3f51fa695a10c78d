"""Drawing: every recipe and kind of model as a picture, and the walk of one text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from textkit import TextClassifier
from textkit.classify.stages import stages_of
from textkit.errors import UsageError
from textkit.evaluation.walk_drawing import Panel
from textkit.jobs import Drawing, DrawOptions, draw_model
from textkit.recipe import read_recipe

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"
RECIPES = sorted((ROOT / "pipelines").glob("*.toml"))


def drawn(source: str, text: str | None = None) -> Drawing:
    return draw_model(DrawOptions(source=GOLDEN / source, text=text))


def panels(drawing: Drawing) -> dict[str, Panel]:
    assert drawing.walk is not None
    return {panel.title: panel for panel in drawing.walk.panels}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_drawn_without_data(recipe: Path) -> None:
    stages = stages_of(read_recipe(recipe))
    kinds = [stage.kind for stage in stages]
    assert kinds == ["text", "input", "embedding", "encoder", "pooling", "head", "answer"]
    lines = [line for stage in stages for box in stage.boxes for line in box.lines]
    assert all("None" not in line for line in lines)


@pytest.mark.slow
def test_pictures_and_diagrams_are_whole_and_the_same_on_every_run() -> None:
    drawing = drawn("model-2-lstm")
    for name in ("net.svg", "net.png", "net.mmd"):
        drawing.write(Path(name))
        first = Path(name).read_bytes()
        drawing.write(Path(name))
        assert Path(name).read_bytes() == first
    assert Path("net.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in Path("net.svg").read_bytes()
    assert Path("net.mmd").read_text(encoding="utf-8").startswith("flowchart TD\n")
    walk = drawn("model-2-lstm", "$a <b> 😀 فيلم " + "film " * 60)
    walk.write(Path("walk.png"))
    assert Path("walk.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"ends in \.svg, \.png, \.mmd"):
        drawing.write(Path("net.pdf"))


def test_shapes_and_weights_of_a_model_are_its_own() -> None:
    model = TextClassifier.load(GOLDEN / "model-2-members")
    stages = {stage.kind: stage for stage in stages_of(model.fitted_)}
    network = model.network_
    assert stages["embedding"].weights == f"{network.embedding.table.weight.numel():,}"
    heads = [member.head for member in network.members]
    total = sum(p.numel() for head in heads for p in head.parameters())
    assert stages["head"].weights == f"{total:,}"
    assert f"{len(heads)} of them" in stages["encoder"].boxes[0].lines[-1]


def test_a_walk_ends_in_the_models_own_logits_and_padding_stays_zeros() -> None:
    model = TextClassifier.load(GOLDEN / "model-2-lstm")
    found = drawn("model-2-lstm", "a good film")
    walk = found.walk
    assert walk is not None and walk.mask[-2:] == (False, False)
    assert list(walk.ids[:-2]) == model.encode(["a good film"])[0].tolist()
    seen = panels(found)
    assert np.allclose(seen["head"].values, model.predict_logits(["a good film"])[0], atol=1e-5)
    assert not seen["encoder lstm"].values[-2:].any()
    weights = seen["attention pooling looks at"].values
    assert weights.sum() == pytest.approx(1) and not weights[-2:].any()
    json.dumps(found.to_dict(), allow_nan=False)
    assert "(1, 5, " in found.to_text()


def test_an_empty_text_and_hashed_ngrams_walk_too() -> None:
    walk = drawn("model-2-lstm", "").walk
    assert walk is not None and len(walk.ids) == 2 and not any(walk.mask)
    grams = drawn("model-2-bag-ngrams", "a good film").walk
    assert grams is not None and any(token.startswith("n-gram") for token in grams.tokens)


def test_attention_looks_as_the_block_computes_it() -> None:
    texts = ["good film", "bad film"] * 10
    options = {"encoder__dim": 8, "encoder__heads": 2, "encoder__layers": 1, "embedding__dim": 8}
    model = TextClassifier(encoder="transformer", training__epochs=1, seed=1, **options)
    model.fit(texts, ["a", "b"] * 10).save("model")
    look = panels(draw_model(DrawOptions(source=Path("model"), text="good film")))
    shares = look["attention of block 1"].values
    assert shares.shape == (2, 4, 4) and np.allclose(shares.sum(axis=-1), 1)
    assert not shares[..., 2:].any()  # no position looks at padding
    block, inputs = model.network_.members[0].encoder.blocks[0], []
    handle = block.register_forward_pre_hook(lambda _, args: inputs.append(args))
    model.predict(["good film"])
    handle.remove()
    states, looked_at, angles = inputs[0]
    states = states.clone()  # a tensor of inference mode is no tensor to compute with
    angles = tuple(angle.clone() for angle in angles)
    normed = block.attention_norm(states)
    _, _, value = block._heads(normed, angles)
    mixed = (block.look(states, looked_at, angles) @ value).transpose(1, 2).reshape(states.shape)
    expected = block.attend(normed, looked_at, angles)
    assert np.allclose(block.out_project(mixed).detach(), expected.detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": RECIPES[0], "text": "a"}, "a recipe has no tokens yet"),
        ({"source": GOLDEN / "model-2-lstm", "overrides": ["seed=1"]}, "--set is for a recipe"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        draw_model(DrawOptions(**options))  # type: ignore[arg-type]


def test_a_linear_model_has_stages_and_no_walk() -> None:
    model = TextClassifier(encoder="linear").fit(["good film", "bad film"] * 9, ["a", "b"] * 9)
    model.save("model")
    found = draw_model(DrawOptions(source=Path("model")))
    assert [stage.kind for stage in found.stages] == ["text", "input", "head", "answer"]
    with pytest.raises(UsageError, match="no network"):
        draw_model(DrawOptions(source=Path("model"), text="a"))
