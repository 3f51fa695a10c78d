"""Any transformers encoder behind the Encoder contract: BERT, RoBERTa, DistilBERT, ELECTRA, MPNet,
ModernBERT, ...

In: a folder, `hf:NAME`, or the bare `config` of an architecture. Out: an encoder of embedded
states, and apart from it `input_embedding()`, the model's own table, which a network uses in the
place of an Embedding. Weights come from safetensors alone, and no code that a model brings along is
run.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from torch import Tensor, nn

from textkit.errors import ArtifactError, DataError, UsageError, require
from textkit.io import files, hub
from textkit.nn.bounds import Sizes, no_larger_than, read_sizes
from textkit.nn.draws import making
from textkit.nn.layers import needs_mask

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# What a config says of other heads, and of nothing that an encoder is built from.
_NOT_KEPT = {
    "_name_or_path",
    "architectures",
    "id2label",
    "label2id",
    "transformers_version",
    "dtype",
    "torch_dtype",
}


# What transformers computes attention with by itself.
_OWN_ATTENTION = ("eager", "sdpa")


class PretrainedEncoder(nn.Module):
    """Run a transformers encoder from its `inputs_embeds` to its last hidden states.

    path: a model folder or `hf:NAME`. config: the architecture as a dict, without weights, to be
    loaded afterwards; `saved_options` are the options that rebuild this encoder so. train: `all`,
    `none`, or a number: the last n layers alone; with `none` the model also keeps its dropout off.
    The pooler is left out: no output of ours comes from it.

    >>> config = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 9}
    >>> config |= {"num_hidden_layers": 1, "intermediate_size": 16}
    >>> encoder = PretrainedEncoder(config=config)
    >>> encoder.in_dim, encoder.out_dim, encoder.max_length
    (8, 8, 512)
    """

    def __init__(
        self,
        *,
        in_dim: int | None = None,
        path: str | None = None,
        config: dict[str, object] | None = None,
        train: str | int = "all",
    ) -> None:
        super().__init__()
        if (path is None) == (config is None):
            raise UsageError(
                "encoder 'pretrained' needs path (a model folder or hf:NAME) or config, and not"
                " both"
            )
        model = build(config) if config is not None else load(str(path))
        table = _take_table(model)
        self.model = model
        self.in_dim, self.out_dim = table.embedding_dim, int(model.config.hidden_size)
        if in_dim is not None and in_dim != self.in_dim:
            raise UsageError(
                f"the pretrained model takes states {self.in_dim} wide, not {in_dim}; use its"
                f" input_embedding(),"
                " or leave embedding.dim out"
            )
        self.max_length = _longest_row(model)
        self.train_part = train
        self.saved_options: dict[str, object] = {
            "config": _plain_config(model.config),
            "train": train,
        }
        # In a tuple, so that the table is no submodule: it belongs to the network that asks for it.
        self._embedding = (PretrainedEmbedding(table),)
        self._freeze()

    def input_embedding(self) -> PretrainedEmbedding:
        """Give the module that turns (input_ids, mask) into the states which this encoder takes."""
        return self._embedding[0]

    def depths(self) -> dict[nn.Parameter, int]:
        """Give how many layers stand above each weight: 0 for the last layer's, and most for the
        embeddings'.
        """
        layers = _layers(self.model)
        depths = {weight: len(layers) for weight in self._embedding[0].parameters()}
        for name, weight in self.model.named_parameters():
            depths[weight] = len(layers) if "embed" in name else 0
        for i, layer in enumerate(layers):
            depths |= dict.fromkeys(layer.parameters(), len(layers) - 1 - i)
        return depths

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Set training mode; a wholly frozen model stays in eval mode."""
        super().train(mode)
        if self.train_part == "none":
            self.model.eval()
        return self

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch,
        time, out_dim).

        Raises DataError for a batch wider than the model's positions.
        """
        time, padding = states.shape[1], ~mask.unsqueeze(-1)
        if self.max_length is not None and time > self.max_length:
            raise DataError(
                f"a row has {time} tokens, the pretrained model takes {self.max_length}; set"
                f" tokenizer.max_length"
            )
        looked_at = None
        if needs_mask(lengths, time):
            looked_at = mask.long()
            looked_at[:, 0] = 1  # an empty row has to look at something
        output = self.model(
            inputs_embeds=states.masked_fill(padding, 0.0), attention_mask=looked_at
        )
        hidden: Tensor = output.last_hidden_state
        return hidden.masked_fill(padding, 0.0)

    def _freeze(self) -> None:
        """Leave the gradient to the part that is trained."""
        part = self.train_part
        if part == "all":
            return
        for value in [*self.model.parameters(), *self._embedding[0].parameters()]:
            value.requires_grad_(False)
        if part == "none":
            return
        layers = _layers(self.model)
        if isinstance(part, bool) or not isinstance(part, int) or not 1 <= part <= len(layers):
            raise UsageError(
                f"encoder 'pretrained': train = {part!r}, expected all, none or 1 to {len(layers)}"
                f" layers"
            )
        for layer in layers[-part:]:
            layer.requires_grad_(True)


class PretrainedEmbedding(nn.Module):
    """A pretrained model's own table of token vectors: input_ids (batch, time), mask -> (batch,
    time, out_dim).
    """

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table
        self.out_dim = int(table.embedding_dim)

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Look up input_ids (batch, time) int64 under mask (batch, time) bool: zeros at padding."""
        states: Tensor = self.table(input_ids)
        return states.masked_fill(~mask.unsqueeze(-1), 0.0)


def load(path: str) -> PreTrainedModel:
    """Load a model from a folder or `hf:NAME`, in float32.

    Raises ArtifactError where there is none, where its weights are no safetensors, or where it is
    no encoder.
    """
    transformers = _transformers()
    local = not hub.is_name(path)
    name, revision = (path, None) if local else hub.split_name(path)
    if local and not (Path(path) / "config.json").is_file():
        raise ArtifactError(
            "no model folder: it has no config.json; a name on the hub is written hf:NAME",
            where=path,
        )
    if local:
        _check_folder(Path(path))
    try:
        bound = no_larger_than(_own_sizes(path), where=path) if local else contextlib.nullcontext()
        with _quiet(transformers), bound:
            model, found = transformers.AutoModel.from_pretrained(
                name,
                revision=revision or "main",
                local_files_only=local,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except ArtifactError:
        raise
    except Exception as err:  # each config of transformers checks its values in its own manner
        reason = " ".join(str(err).split())
        raise ArtifactError(
            f"cannot load it as a transformers model: {reason[:300]}", where=path
        ) from err
    missing = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if missing:  # transformers would draw them at random and go on
        raise ArtifactError(
            f"the weights lack {len(missing)} tensors of the model: {missing[0]}, ...", where=path
        )
    return _check(model.float(), where=path)


def build(config: dict[str, object]) -> PreTrainedModel:
    """Build the architecture that a transformers config describes, with fresh weights."""
    transformers = _transformers()
    _check_attention(config, where="encoder.config")
    values = dict(config)
    model_type = values.pop("model_type", None)
    try:
        made = transformers.AutoConfig.for_model(str(model_type), **values)
        with _quiet(transformers):
            model = transformers.AutoModel.from_config(made, trust_remote_code=False)
    except ArtifactError:
        raise
    except Exception as err:  # each config of transformers checks its values in its own manner
        reason = " ".join(str(err).split())
        raise UsageError(
            f"encoder 'pretrained': config of model_type {model_type!r}: {reason[:200]}"
        ) from err
    return _check(model.float(), where="encoder.config")


def _own_sizes(path: str) -> Sizes:
    return read_sizes(sorted(Path(path).glob("*.safetensors")))


def _check_folder(folder: Path) -> None:
    """Refuse a folder with which transformers would open another model, or run foreign code."""
    if (folder / "adapter_config.json").exists():
        raise ArtifactError(
            "an adapter, which names the model it belongs to; merge the two and save the whole",
            where=str(folder / "adapter_config.json"),
        )
    _check_attention(files.read_json(folder / "config.json"), where=str(folder / "config.json"))


def _check_attention(config: object, *, where: str) -> None:
    """Refuse a config that names its attention: transformers fetches a kernel of that name."""
    left = [config]
    while left:
        values = left.pop()
        if isinstance(values, list):
            left += values
        for key, value in values.items() if isinstance(values, dict) else ():
            if "_implementation" in str(key) and value not in (None, *_OWN_ATTENTION):
                raise ArtifactError(
                    f"{key} is {str(value)[:80]!r}, code of another package; expected"
                    f" {' or '.join(_OWN_ATTENTION)}, or leave it out",
                    where=where,
                )
            left.append(value)


def _transformers() -> ModuleType:
    require("transformers", needed_by="encoder 'pretrained'")
    return importlib.import_module("transformers")


@contextlib.contextmanager
def _quiet(transformers: ModuleType) -> Iterator[None]:
    """Hold back the progress bar and the report on the pooler, which is expected to be left
    over, for one model at a time.
    """
    logging = transformers.utils.logging
    with making:
        verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bar:
                logging.enable_progress_bar()


def _check(model: PreTrainedModel, *, where: str) -> PreTrainedModel:
    """Refuse what is no encoder, and leave the pooler out."""
    if model.config.is_encoder_decoder:
        raise ArtifactError(
            f"'{model.config.model_type}' is an encoder with a decoder; take an encoder",
            where=where,
        )
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def _take_table(model: PreTrainedModel) -> nn.Embedding:
    """Take the table of token vectors out of a model: from here on it takes `inputs_embeds`
    alone.
    """
    table = model.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise ArtifactError(f"'{model.config.model_type}' has no plain table of token vectors")
    model.set_input_embeddings(nn.Identity())
    return table


def _layers(model: nn.Module) -> list[nn.Module]:
    """Find the stack of layers: as many as the config says."""
    n_layers = getattr(model.config, "num_hidden_layers", None)
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return list(module)
    raise UsageError(
        "encoder 'pretrained': this model has no stack of layers; set train to all or none, and"
        " layer_decay to 1"
    )


def _longest_row(model: PreTrainedModel) -> int | None:
    """Give the number of positions of a model, None where it has no table of them."""
    table = next(
        (m for name, m in model.named_modules() if name.endswith("position_embeddings")), None
    )
    if not isinstance(table, nn.Embedding):
        return getattr(model.config, "max_position_embeddings", None)
    # RoBERTa and its like count from padding_idx + 1.
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)


def _plain_config(config: PretrainedConfig) -> dict[str, object]:
    """Give what rebuilds the architecture as plain values, which JSON and TOML can hold."""
    values = {
        key: value
        for key, value in config.to_diff_dict().items()
        if key not in _NOT_KEPT and value is not None
    }
    return {"model_type": config.model_type, **values}
