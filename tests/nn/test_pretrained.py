"""The adapter against transformers' own forward pass, frozen and saved, over tiny models made
here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from textkit.errors import ArtifactError, DataError, UsageError
from textkit.nn import encoders
from textkit.nn.encoders.pretrained import PretrainedEncoder
from textkit.nn.network import TextNetwork
from textkit.recipe import make_recipe
from textkit.recipe.sections import TrainingSection
from textkit.training.optimization import make_optimizer

transformers = pytest.importorskip("transformers")

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 40,
    "max_position_embeddings": 20,
    "pad_token_id": 1,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": TINY,
    "roberta": TINY,
    "electra": TINY | {"embedding_size": 8},
    "mpnet": TINY,
    "distilbert": {
        "dim": 16,
        "n_layers": 3,
        "n_heads": 2,
        "hidden_dim": 24,
        "vocab_size": 40,
        "max_position_embeddings": 20,
        "pad_token_id": 1,
    },
}
LENGTHS = [6, 1, 4]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(request.param, **CONFIGS[request.param])
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def ids_of(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randint(2, 40, mask.shape).masked_fill(~mask, 1), mask, torch.tensor(lengths)


@pytest.mark.parametrize("folder", CONFIGS, indirect=True)
def test_hidden_states_equal_transformers_own(folder: Path) -> None:
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    encoder = encoders.create("pretrained", path=str(folder), in_dim=None).eval()
    embedding = encoder.input_embedding()
    for lengths in (LENGTHS, [5, 5]):
        ids, mask, lengths_ = ids_of(lengths)
        with torch.no_grad():
            expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            found = encoder(embedding(ids, mask), mask, lengths_)
        torch.testing.assert_close(found[mask], expected[mask], atol=1e-6, rtol=1e-6)
    assert encoder.max_length == (18 if theirs.config.model_type in ("roberta", "mpnet") else 20)


@pytest.mark.parametrize("folder", CONFIGS, indirect=True)
def test_saved_options_and_weights_rebuild_it_without_the_folder(folder: Path) -> None:
    encoder = PretrainedEncoder(path=str(folder)).eval()
    options = json.loads(json.dumps(encoder.saved_options))
    rebuilt = encoders.create("pretrained", in_dim=encoder.in_dim, **options).eval()
    rebuilt.load_state_dict(encoder.state_dict())
    rebuilt.input_embedding().load_state_dict(encoder.input_embedding().state_dict())
    assert rebuilt.saved_options == encoder.saved_options
    ids, mask, lengths = ids_of(LENGTHS)
    states = encoder.input_embedding()(ids, mask)
    assert torch.equal(rebuilt.input_embedding()(ids, mask), states)
    assert torch.equal(rebuilt(states, mask, lengths), encoder(states, mask, lengths))


@pytest.mark.parametrize("folder", ["bert", "roberta"], indirect=True)
def test_neither_pooler_nor_table_is_among_the_weights(folder: Path) -> None:
    encoder = PretrainedEncoder(path=str(folder))
    assert not [
        name for name in encoder.state_dict() if "pooler" in name or "word_embeddings" in name
    ]
    both = torch.nn.ModuleDict({"embedding": encoder.input_embedding(), "encoder": encoder})
    assert save(both.state_dict())  # no two names of one tensor, which safetensors refuses


@pytest.mark.parametrize("folder", ["bert", "distilbert"], indirect=True)
@pytest.mark.parametrize(("part", "n_trained"), [("all", 3), ("none", 0), (1, 1), (2, 2)])
def test_the_part_that_is_trained_gets_gradients_and_no_other(
    folder: Path, part: Any, n_trained: int
) -> None:
    encoder = PretrainedEncoder(path=str(folder), train=part).train()
    embedding = encoder.input_embedding()
    head = torch.nn.Linear(16, 1)
    ids, mask, lengths = ids_of(LENGTHS)
    head(encoder(embedding(ids, mask), mask, lengths)).sum().backward()
    trained = [name for name, value in encoder.named_parameters() if value.grad is not None]
    layers = {int(name.split("layer.")[1].split(".")[0]) for name in trained if "layer." in name}
    assert layers == set(range(3 - n_trained, 3))
    assert (embedding.table.weight.grad is not None) == (part == "all")
    assert any("layer." not in name for name in trained) == (part == "all")
    assert encoder.model.training == (part != "none")


@pytest.mark.parametrize("folder", ["bert"], indirect=True)
def test_wrong_options_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"needs path .* or config, and not both"):
        PretrainedEncoder()
    with pytest.raises(UsageError, match="train = 4, expected all, none or 1 to 3 layers"):
        PretrainedEncoder(path=str(folder), train=4)
    with pytest.raises(UsageError, match="takes states 16 wide, not 100"):
        PretrainedEncoder(path=str(folder), in_dim=100)
    with pytest.raises(
        ArtifactError,
        match=r"no model folder: it has no config\.json; a name on the hub is written hf:",
    ):
        PretrainedEncoder(path="bert-base-uncased")
    with pytest.raises(UsageError, match="config of model_type 'brt'"):
        PretrainedEncoder(config={"model_type": "brt"})
    with pytest.raises(ArtifactError, match="'t5' is an encoder with a decoder"):
        PretrainedEncoder(
            config={"model_type": "t5", "d_model": 8, "num_layers": 1, "vocab_size": 9, "d_ff": 8}
        )
    encoder = PretrainedEncoder(path=str(folder))
    mask = torch.ones(1, 21, dtype=torch.bool)
    with pytest.raises(DataError, match="a row has 21 tokens, the pretrained model takes 20"):
        encoder(torch.zeros(1, 21, 16), mask, torch.tensor([21]))


@pytest.mark.parametrize("folder", ["bert"], indirect=True)
def test_damaged_incomplete_or_pickled_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    tensors = load(whole)
    weights.write_bytes(
        save(
            {key: value for key, value in tensors.items() if "layer.1." not in key},
            {"format": "pt"},
        )
    )
    with pytest.raises(
        ArtifactError, match=r"the weights lack 16 tensors of the model: encoder\.layer\.1\."
    ):
        PretrainedEncoder(path=str(folder))
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="not readable as safetensors"):
        PretrainedEncoder(path=str(folder))
    weights.unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match="cannot load it as a transformers model"):
        PretrainedEncoder(path=str(folder))


@pytest.mark.parametrize("folder", CONFIGS, indirect=True)
def test_layer_decay_slows_the_layers_below(folder: Path) -> None:
    network = TextNetwork(
        make_recipe(encoder={"name": "pretrained", "path": str(folder)}), n_tokens=40, n_outputs=2
    )
    (member,) = network.members
    section = TrainingSection(lr=1.0, encoder_lr=0.1, layer_decay=0.5)
    groups = make_optimizer(network, section).param_groups
    shares = {weight: group["share"] for group in groups for weight in group["params"]}
    assert len(shares) == len(list(network.parameters()))
    assert {shares[weight] for weight in member.head.parameters()} == {1.0}
    assert {shares[weight] for weight in network.embedding.parameters()} == {0.1 * 0.5**3}
    for name, weight in member.encoder.model.named_parameters():
        number = re.search(r"layer\.(\d)\.", name)
        expected = 3 if "embeddings" in name else 2 - int(number[1]) if number else 0
        assert shares[weight] == pytest.approx(0.1 * 0.5**expected), name


def test_pretrained_encoders_form_no_ensemble() -> None:
    with pytest.raises(
        UsageError, match=r"encoder\.members: a pretrained encoder has an embedding of its own"
    ):
        TextNetwork(
            make_recipe(encoder={"name": "pretrained", "members": 2}), n_tokens=5, n_outputs=2
        )


def test_layer_decay_needs_layers_that_know_something() -> None:
    with pytest.raises(UsageError, match="layer_decay is for the encoder 'pretrained'"):
        make_optimizer(
            TextNetwork(make_recipe(), n_tokens=5, n_outputs=2), TrainingSection(layer_decay=0.9)
        )


@pytest.mark.parametrize("folder", ["bert"], indirect=True)
@pytest.mark.parametrize("named", ["somebody/kernel", "flash_attention_2", {"": "somebody/kernel"}])
@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_attention_of_another_package_is_refused(folder: Path, key: str, named: object) -> None:
    with pytest.raises(ArtifactError, match=rf"^encoder.config: {key} is "):
        encoders.create("pretrained", config={"model_type": "bert", **TINY, key: named})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["inner"] = [{key: named}]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtifactError, match=rf"config.json: {key} is .*code of another package"):
        encoders.create("pretrained", path=str(folder))


@pytest.mark.parametrize("folder", ["bert"], indirect=True)
def test_an_adapter_is_refused(folder: Path) -> None:
    named = {"base_model_name_or_path": "elsewhere"}
    (folder / "adapter_config.json").write_text(json.dumps(named), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"adapter_config.json: an adapter, which names"):
        encoders.create("pretrained", path=str(folder))
