"""Opening a model: nothing that it names is imported, and no value in it is taken on trust."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.shell import run_textkit
from textkit import TextClassifier, TextEmbedder
from textkit import tokenizers as tk
from textkit.errors import ArtifactError, UsageError
from textkit.io import files

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PLANTED = """
from textkit.nn.encoders.bag import BagEncoder
open("imported", "w").close()
class Encoder(BagEncoder): pass
"""


def copy_golden(name: str) -> Path:
    """Copy a golden model folder into the present folder, as `model`."""
    target = Path("model")
    target.mkdir()
    for file in (GOLDEN / name).iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a model's config and seal the folder anew, as its author could."""
    path = folder / "config.json"
    config = files.read_json(path)
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")
    files.write_manifest(folder, kind="model", format=2)


def name_code(folder: Path, section: str) -> None:
    """Make a model's config name a module that leaves a mark where it is imported."""
    Path("planted_code.py").write_text(PLANTED, encoding="utf-8")
    sections: dict[str, Callable[[dict[str, Any]], object]] = {
        "encoder": lambda recipe: recipe["encoder"].update(name="planted_code:Encoder"),
        "pooling": lambda recipe: recipe["head"].update(pooling=["planted_code:Pooling"]),
        "tokenizer": lambda recipe: recipe["tokenizer"].update(name="planted_code:KIND"),
    }
    change_config(folder, lambda config: sections[section](config["recipe"]))


@pytest.mark.parametrize("section", ["encoder", "pooling", "tokenizer"])
@pytest.mark.parametrize("open_model", [TextClassifier.load, TextEmbedder.open])
def test_what_a_model_names_is_not_imported(
    section: str, open_model: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(".")
    folder = copy_golden("model-2-lstm")
    name_code(folder, section)
    with pytest.raises(
        ArtifactError, match=rf"^model/config.json: {section} 'planted_code:\w+' is code of package"
    ):
        open_model(folder)
    assert not Path("imported").exists()
    assert "planted_code" not in sys.modules


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb",
    [
        ["predict", "model"],
        ["evaluate", "model", "rows.csv"],
        ["embed", "rows.csv", "-m", "model", "-o", "embedded"],
    ],
)
def test_the_shell_imports_what_is_allowed_alone(verb: list[str]) -> None:
    folder = copy_golden("model-2-lstm")
    name_code(folder, "encoder")
    Path("rows.csv").write_text("text,label\na,b\n", encoding="utf-8")

    def run(*options: str) -> subprocess.CompletedProcess[bytes]:
        return run_textkit(*verb, *options, input=b"a\n")

    refused = run()
    assert (refused.returncode, refused.stderr.count(b"\n")) == (4, 1), refused.stderr
    assert b"--allow planted_code:Encoder" in refused.stderr
    assert run("--allow", "planted_code:Other").returncode == 4
    assert not Path("imported").exists()
    run("--allow", "planted_code:Encoder")
    assert Path("imported").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"name": "pretrained", "path": "hf:somebody/model"},
        {"name": "pretrained", "path": "/elsewhere"},
        {"name": "pretrained"},
    ],
)
@pytest.mark.parametrize("rebuilt", [None, {}, {"path": "hf:somebody/model"}, {"config": "x"}, [1]])
def test_a_model_opens_no_other_model(options: dict[str, object], rebuilt: object) -> None:
    folder = copy_golden("model-2-lstm")

    def change(config: dict[str, Any]) -> None:
        config["recipe"]["encoder"] = options
        config["recipe"]["embedding"].pop("dim", None)
        if rebuilt is not None:
            config["encoder_options"] = rebuilt

    change_config(folder, change)
    with pytest.raises(ArtifactError, match=r"^model/config.json: encoder_options "):
        TextClassifier.load(folder)


def test_a_model_of_ones_own_encoder_opens_where_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(".")
    Path("own_code.py").write_text(PLANTED, encoding="utf-8")
    texts, labels = ["good film", "bad film"] * 10, ["pos", "neg"] * 10
    made = TextClassifier(
        encoder="own_code:Encoder", embedding__dim=4, training__epochs=1, training__device="cpu"
    ).fit(texts, labels)
    made.save("own")
    with pytest.raises(ArtifactError, match=r"encoder 'own_code:Encoder' is code of package"):
        TextClassifier.load("own")
    with pytest.raises(UsageError, match="expected a list of names"):
        TextClassifier.load("own", allow="own_code:Encoder")
    opened = TextClassifier.load("own", allow=["own_code:Encoder"])
    assert (opened.predict_logits(texts) == made.predict_logits(texts)).all()
    with pytest.raises(ArtifactError, match=r"encoder 'own_code:Encoder' is code of package"):
        TextEmbedder.open("own", allow=["own_code:Other"])
    assert TextEmbedder.open("own", allow=["own_code:Encoder"]).encode(texts).any()


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "1", None, 10**400])
def test_a_temperature_that_means_nothing_is_refused(value: object) -> None:
    folder = copy_golden("model-2-lstm")
    change_config(folder, lambda config: config.update(temperature=value))
    with pytest.raises(ArtifactError, match=r"^model/config.json: temperature is "):
        TextClassifier.load(folder)


@pytest.mark.parametrize("value", [float("nan"), -0.5, 1.5, True, "0.5", None])
def test_thresholds_that_mean_nothing_are_refused(value: object) -> None:
    folder = copy_golden("model-2-multi-label")

    def change(config: dict[str, Any]) -> None:
        config["thresholds"][0] = value

    change_config(folder, change)
    with pytest.raises(ArtifactError, match=r"^model/config.json: thresholds are "):
        TextClassifier.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused(value: float) -> None:
    folder = copy_golden("model-2-lstm")
    weights = load_file(folder / "model.safetensors")
    name = max(weights)
    weights[name].view(-1)[0] = torch.tensor(value)
    save_file(weights, folder / "model.safetensors")
    files.write_manifest(folder, kind="model", format=2)
    with pytest.raises(
        ArtifactError, match=rf"^model/model.safetensors: weight {name} holds NaN or infinity"
    ):
        TextClassifier.load(folder)


def test_another_tokenizer_in_a_sealed_model_is_refused() -> None:
    folder = copy_golden("model-2-lstm")
    tk.train("word", ["other words than those"]).write(folder)
    files.write_manifest(folder, kind="model", format=2)
    with pytest.raises(ArtifactError, match=r"^model: the tokenizer's fingerprint is "):
        TextClassifier.load(folder)


@pytest.mark.parametrize("config", ["{}", '{"model_type": "bert"}', "[", ""])
def test_a_config_beside_a_tokenizer_does_not_lift_its_seal(config: str) -> None:
    tk.train("word", ["alpha beta"] * 3).save("tok")
    Path("tok/config.json").write_text(config, encoding="utf-8")
    assert len(tk.load("tok")) > 0
    path = Path("tok/tokenizer.json")
    path.write_text(path.read_text(encoding="utf-8").replace("alpha", "alphb"), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^tok/tokenizer.json: file was changed"):
        tk.load("tok")


@pytest.mark.parametrize("name", ["spacy_words.json", "vocab.txt", "x.tiktoken"])
def test_a_tokenizer_file_that_the_manifest_does_not_list_is_refused(name: str) -> None:
    tk.train("word", ["alpha beta"] * 3).save("tok")
    Path("tok", name).write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match=f"^tok/{name}: file is not listed"):
        tk.load("tok")


def test_a_models_tokenizer_is_opened_under_the_models_seal() -> None:
    folder = copy_golden("model-2-lstm")
    assert len(tk.load(folder)) > 0
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"tokenizer_config.json: file was changed"):
        tk.load(folder)


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("embedding", {"dim": 10**9}),
        ("encoder", {"dim": 10**9}),
        ("encoder", {"layers": 10**9}),
        ("encoder", {"members": 10**9}),
        ("head", {"hidden": [10**9]}),
        ("head", {"hidden": [8] * 100_000}),
        ("ngrams", {"buckets": 10**9}),
    ],
)
def test_a_recipe_of_more_weights_than_the_file_is_refused_before_they_are_made(
    section: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_golden("model-2-lstm")

    def change(config: dict[str, Any]) -> None:
        recipe = config["recipe"]
        if section == "ngrams":
            recipe["encoder"] = {"name": "bag"}
            recipe["head"]["pooling"] = ["mean"]
        recipe[section] = {**(recipe.get(section) or {}), **options}

    change_config(folder, change)
    devices = set()
    empty = torch.empty
    with torch.device("meta"):
        empty(1)  # torch notes which functions make tensors at the first of them

    def watched(*shape: Any, **values: Any) -> torch.Tensor:
        made = empty(*shape, **values)
        devices.add(made.device.type)
        return made

    monkeypatch.setattr(torch, "empty", watched)
    with pytest.raises(ArtifactError, match=r"^model/config.json: the config asks for more|do not"):
        TextClassifier.load(folder)
    assert devices <= {"meta"}


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop(max(weights)),
        lambda weights: weights.update(added=torch.zeros(1)),
        lambda weights: weights.update({max(weights): torch.zeros(3, 5)}),
        lambda weights: weights.update({max(weights): weights[max(weights)].to(torch.int32)}),
    ],
)
def test_a_weight_of_another_shape_or_kind_is_named(change: Callable[[Any], object]) -> None:
    folder = copy_golden("model-2-lstm")
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    files.write_manifest(folder, kind="model", format=2)
    with pytest.raises(
        ArtifactError, match=r"^model/model.safetensors: weights do not fit the con"
    ):
        TextClassifier.load(folder)


ODD_CONFIGS: list[dict[str, object]] = [
    {"labels": [["neg"], ["pos"]]},
    {"labels": ["neg", 1]},
    {"labels": ["neg", "neg"]},
    {"labels": ["neg", None]},
    {"labels": [0, 10**30]},
    {"labels": {"neg": 0}},
    {"textkit_version": None},
    {"vocab_size": "16"},
    {"vocab_size": True},
    {"tokenizer_fingerprint": ["a"]},
    {"recipe": {"encoder": 3}},
    {"recipe": {"tokenizer": {"name": None}}},
    {"recipe": {"head": {"pooling": []}}},
    {"recipe": []},
]


@pytest.mark.parametrize("values", ODD_CONFIGS)
def test_a_config_with_odd_values_is_one_line_everywhere(values: dict[str, object]) -> None:
    from textkit.cli.info import info

    folder = copy_golden("model-2-lstm")
    change_config(folder, lambda config: config.update(values))
    for read in (TextClassifier.load, info, TextEmbedder.open):
        with pytest.raises(ArtifactError, match=r"^model/config.json: ") as caught:
            read(folder)
        assert "\n" not in str(caught.value)
