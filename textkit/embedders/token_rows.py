"""A folder of a model of transformers with another tokenizer: the rows of its tokens follow.

In: the folder, its tokenizer and the one that was made of it. Out: the files of a folder with the
same weights but for the rows of tokens, which `carry_rows` gives: those of the input table, of an
output layer that is not tied to it, and of the biases of that. A file of weights without such rows
is copied as it is. Ids that config.json names move with their tokens.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textkit.errors import ArtifactError, UsageError, require
from textkit.io import files
from textkit.tokenizers import Tokenizer, carry_rows
from textkit.tokenizers.description import CONFIG_JSON
from textkit.tokenizers.protocol import TOKENIZER_FILES

if TYPE_CHECKING:
    import torch

CONFIGS = ("config.json", "generation_config.json")
INDEX = "model.safetensors.index.json"
# What the names of tables and biases of tokens hold, and those of tables that are of none.
_OF_TOKENS = ("embed", "wte", "shared", "lm_head", "decoder", "predictions", "tok_")
_OF_OTHERS = ("position", "token_type", "wpe")
# Weights in other forms, which would be left behind as they were.
_OTHER_WEIGHTS = {".bin", ".h5", ".msgpack", ".onnx", ".ot", ".gguf", ".pt", ".pth", ".ckpt"}
# What an old tokenizer_config.json says of how texts are encoded, whatever the vocabulary.
_KEPT = ("model_max_length", "padding_side", "truncation_side", "model_input_names")


def write_with_tokenizer(folder: Path, out: Path, *, old: Tokenizer, new: Tokenizer) -> list[str]:
    """Write the files of a model that reads `new` into a folder; say what was left out.

    Raises ArtifactError where no safetensors hold the rows of `old`, and UsageError where a tensor
    might be of tokens or not.
    """
    require("torch", needed_by="the weights of a model")
    config = files.read_object(folder / "config.json")
    n_rows = config.get("vocab_size", max(old.vocabulary.values(), default=-1) + 1)
    if not isinstance(n_rows, int) or n_rows <= max(old.vocabulary.values(), default=-1):
        raise ArtifactError(
            f"vocab_size is {n_rows}, fewer than the ids of the tokenizer", where=str(folder)
        )
    notes: list[str] = []
    n_changed = n_more = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = out / path.relative_to(folder)
        if path.suffix in _OTHER_WEIGHTS:
            notes.append(f"{path.relative_to(folder)} was left out: its rows are the old ones")
        elif path.suffix == ".safetensors":
            place.parent.mkdir(parents=True, exist_ok=True)
            changed, more = _write_weights(path, place, n_rows, old=old, new=new)
            n_changed, n_more = n_changed + changed, n_more + more
        elif path.name == INDEX or path.name in CONFIGS or _is_of_tokenizer(path, folder):
            continue
        elif path.name != files.MANIFEST:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    if not n_changed:
        raise ArtifactError(
            f"no safetensors hold a table of {n_rows:,} tokens; save the model as safetensors",
            where=str(folder),
        )
    _write_configs(folder, out, n_more=n_more, old=old, new=new)
    new.write(out)
    said = files.read_object(folder / CONFIG_JSON) if (folder / CONFIG_JSON).is_file() else {}
    kept = {name: said[name] for name in _KEPT if name in said}
    files.write_json(out / CONFIG_JSON, {**kept, **files.read_object(out / CONFIG_JSON)})
    return notes


def _is_of_tokenizer(path: Path, folder: Path) -> bool:
    return path.parent == folder and any(path.match(name) for name in TOKENIZER_FILES)


def _write_weights(
    path: Path, place: Path, n_rows: int, *, old: Tokenizer, new: Tokenizer
) -> tuple[int, int]:
    """Write a file of weights; say how many of its tensors changed, and by how many bytes."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, framework="pt") as opened:
        shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
        of_tokens = [name for name, shape in shapes.items() if _holds_tokens(name, shape, n_rows)]
        if not of_tokens:
            shutil.copyfile(path, place)
            return 0, 0
        weights = {name: opened.get_tensor(name) for name in shapes}
        metadata = opened.metadata()
    n_more = 0
    for name in of_tokens:
        before = weights[name]
        weights[name] = _carried(name, before, old=old, new=new)
        n_more += weights[name].nbytes - before.nbytes
    save_file(weights, place, metadata=metadata)
    return len(of_tokens), n_more


def _holds_tokens(name: str, shape: list[int], n_rows: int) -> bool:
    if not shape or shape[0] != n_rows or any(word in name for word in _OF_OTHERS):
        return False
    if len(shape) > 2 or not any(word in name for word in _OF_TOKENS):
        raise UsageError(
            f"{name} has as many rows as there are tokens, {n_rows:,}, and does not say whether"
            " they are of tokens"
        )
    return True


def _carried(name: str, table: torch.Tensor, *, old: Tokenizer, new: Tokenizer) -> torch.Tensor:
    """Give the rows, or the biases, of the new tokens."""
    import torch

    if not table.is_floating_point():
        raise UsageError(f"{name} holds no floating point numbers: its rows have no mean")
    flat = table.reshape(len(table), -1).to(torch.float32).numpy()
    rows = torch.from_numpy(carry_rows(flat, old=old, new=new)).to(table.dtype)
    return rows.reshape(len(rows), *table.shape[1:]).contiguous()


def _write_configs(folder: Path, out: Path, *, n_more: int, old: Tokenizer, new: Tokenizer) -> None:
    """Write what names ids, or the size of the vocabulary or of the weights."""
    names = {i: name for name, i in old.vocabulary.items()}
    for name in CONFIGS:
        if not (folder / name).is_file():
            continue
        said = {
            key: _moved(value, names, new.vocabulary) if key.endswith("_token_id") else value
            for key, value in files.read_object(folder / name).items()
        }
        if "vocab_size" in said:
            said["vocab_size"] = max(new.vocabulary.values()) + 1
        files.write_json(out / name, said)
    if (folder / INDEX).is_file():
        index = files.read_object(folder / INDEX)
        facts = index.get("metadata")
        if isinstance(facts, dict) and isinstance(facts.get("total_size"), int):
            index["metadata"] = {**facts, "total_size": facts["total_size"] + n_more}
        files.write_json(out / INDEX, index)


def _moved(value: Any, names: Mapping[int, str], ids: Mapping[str, int]) -> Any:
    """Give the new id of an old one, or of each in a list; what is no token's stays."""
    if isinstance(value, list):
        return [_moved(one, names, ids) for one in value]
    return ids.get(names.get(value, ""), value) if type(value) is int else value
