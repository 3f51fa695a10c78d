"""A model folder as a PreTrainedModel: ids in, logits of the calibrated probabilities out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from textkit.batch import TokenBatch, offsets_of
from textkit.classify import model_folder
from textkit.classify.fitted import Fitted
from textkit.classify.model_config import KEPT
from textkit.classify.model_folder import TOKENIZER_CLASS
from textkit.classify.network_model import NetworkModel
from textkit.errors import ArtifactError, UsageError
from textkit.integrations.transformers.config import TextkitConfig, open_fitted
from textkit.integrations.transformers.inputs import inputs_of
from textkit.io import files
from textkit.io.exchange import sync_folder
from textkit.nn.network import TextNetwork
from textkit.recipe.sections import TrainingSection
from textkit.tokenizers.description import CONFIG_JSON
from textkit.training.losses import row_losses


class TextkitForSequenceClassification(PreTrainedModel):  # type: ignore[misc]
    """A model that textkit trained, with the methods of transformers.

    `softmax(logits)`, of a multi-label task `sigmoid(logits)`, are the probabilities of
    `predict_proba`: the temperature is in the logits. Of a regression the logits are the numbers.
    A network is trained by `Trainer` as any other; a model without one (linear, frozen, exported)
    only predicts.
    """

    config_class = TextkitConfig
    main_input_name = "input_ids"
    _supports_sdpa = True

    def __init__(self, config: TextkitConfig, fitted: Fitted | None = None) -> None:
        if fitted is None:
            raise UsageError(
                "a textkit model is not made from a config; train one with textkit, then"
                " TextkitForSequenceClassification.from_pretrained(FOLDER)"
            )
        super().__init__(config)
        self.fitted = fitted
        self.inputs = inputs_of(fitted)
        self.network: TextNetwork | None = None
        if isinstance(fitted.model, NetworkModel):
            self.network = fitted.network
        self.post_init()

    @classmethod
    def from_pretrained(cls, name: str | Path, *_: Any, **options: Any) -> Any:
        """Open a model folder, or one on the hub, checked against its manifest.

        allow: names of code of others that the model may import, as in TextClassifier.load. Raises
        ArtifactError for a folder that is damaged or no model of textkit's, and UsageError for
        labels other than the model's.
        """
        fitted, folder = open_fitted(name, options)
        _check_marked(folder)
        config = options.get("config")
        if not isinstance(config, TextkitConfig):
            config = TextkitConfig.from_pretrained(folder)
        n_asked = options.get("num_labels", len(options.get("id2label") or config.id2label))
        if n_asked != len(fitted.classes):
            raise UsageError(
                f"{n_asked} labels are asked for, the model has {len(fitted.classes)}; train one"
                " for other labels with textkit (textkit train --init-from FOLDER)"
            )
        config.name_or_path = str(folder)
        model = cls(config, fitted)
        dtype = options.get("dtype", options.get("torch_dtype"))
        if model.network is not None and dtype not in (None, "auto"):
            model = model.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        device = options.get("device_map")
        if isinstance(device, str | int | torch.device) and device != "auto":
            model = model.to(device)
        model.eval()
        return (model, {}) if options.get("output_loading_info") else model

    def save_pretrained(
        self,
        save_directory: str | Path,
        *_: Any,
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        **options: Any,
    ) -> None:
        """Write the model folder that TextClassifier.load, `textkit predict` and
        `from_pretrained` open.

        Other files of the folder stay. state_dict: weights to write in the place of the present.
        """
        if not is_main_process:
            return
        if options.get("push_to_hub"):
            raise UsageError("push_to_hub is not offered; save the folder, then upload it")
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        fitted = self.fitted
        present = None
        if self.network is not None:
            present = {name: value.clone() for name, value in self.network.state_dict().items()}
        try:
            if state_dict is not None:
                self.load_state_dict(state_dict)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as made:
                temporary = Path(made) / "model"
                model_folder.save(fitted, temporary)
                _move_files(temporary, folder)
        finally:
            if state_dict is not None and present is not None and self.network is not None:
                self.network.load_state_dict(present)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take weights by the names of this module, or by those of a model folder's file."""
        if self.network is None:
            raise UsageError(f"{self._what} has no weights to load; open the folder instead")
        named = {
            name if name.startswith("network.") else f"network.{name}": value
            for name, value in state_dict.items()
            if name != KEPT
        }
        return super().load_state_dict(named, strict=strict, assign=assign)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """Compute logits (batch, n_labels), and the loss where labels are given.

        input_ids: (batch, time) of the tokenizer's. attention_mask: (batch, time), 0 where there is
        padding, on either side; without it every id counts. labels: (batch,) int64; of a
        multi-label task (batch, n_labels) of 0 and 1; of a regression numbers. The loss is the mean
        cross-entropy, binary cross-entropy or squared error of these logits.
        """
        rows = _rows(input_ids, attention_mask)
        if self.network is None:
            if labels is not None or self.training:
                raise UsageError(f"{self._what} only predicts here; train it with textkit")
            texts = [self.inputs.decode(row.tolist()) for row in rows]
            members = [torch.from_numpy(self.fitted.logits(texts)).to(self.device)]
        else:
            members = self._run(self.network, rows)
        members = [outputs / self.fitted.temperature for outputs in members]
        logits = torch.stack(members).mean(dim=0)
        loss = None
        if labels is not None:
            loss = torch.stack([self._loss(outputs, labels) for outputs in members]).mean()
        if return_dict is False:
            return (logits,) if loss is None else (loss, logits)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _run(self, network: TextNetwork, rows: list[np.ndarray]) -> list[Tensor]:
        """Compute the outputs of the network, in training each member's: (batch, n_labels)."""
        ids = np.concatenate([np.zeros(0, np.int32), *rows]).astype(np.int32)
        offsets = offsets_of(np.array([len(row) for row in rows], np.int64))
        tokens = TokenBatch(ids, offsets, None, np.zeros(len(rows), np.int32))
        longest = network.longest_row
        if longest is not None and len(rows) and tokens.lengths.max() > longest:
            raise UsageError(f"a row has {tokens.lengths.max():,} ids, the model takes {longest:,}")
        outputs = network(network.make_batch(tokens).to(self.device))
        members = list(outputs) if outputs.ndim == 3 else [outputs]
        return [network.restore(outputs) for outputs in members]

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.fitted.task == "single-label":
            labels = labels.view(-1)
        else:
            labels = labels.to(logits.dtype).view(logits.shape)
        return row_losses(self.fitted.task, logits, labels, TrainingSection()).mean()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Leave the weights as they were learnt."""

    @property
    def device(self) -> torch.device:
        """Where it computes; a model without a network on the CPU."""
        return next((weight.device for weight in self.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return next((weight.dtype for weight in self.parameters()), torch.float32)

    @property
    def _what(self) -> str:
        return f"a model '{self.fitted.recipe.encoder.name}' without a network of torch"


def _check_marked(folder: Path) -> None:
    """Refuse a folder for whose ids the Auto classes would take a class of their own, in
    silence.
    """
    path = folder / CONFIG_JSON
    if path.is_file() and files.read_object(path).get("tokenizer_class") != TOKENIZER_CLASS:
        raise ArtifactError(
            f"tokenizer_class is not {TOKENIZER_CLASS}, since an older textkit wrote it; write it"
            " anew: TextClassifier.load(FOLDER).save(OTHER)",
            where=str(path),
        )


def _rows(input_ids: Tensor, mask: Tensor | None) -> list[np.ndarray]:
    """Cut a rectangle of ids into its rows, without padding."""
    ids = input_ids.detach().cpu().numpy().astype(np.int64)
    if mask is None:
        return list(ids)
    real = mask.detach().cpu().numpy().astype(bool)
    return [row[kept] for row, kept in zip(ids, real, strict=True)]


def _move_files(made: Path, folder: Path) -> None:
    """Move the files of a sealed folder into another, the manifest last; what the old manifest
    listed and the new one does not is deleted.
    """
    old = files.read_json(folder / files.MANIFEST) if (folder / files.MANIFEST).exists() else {}
    listed = old.get("files") if isinstance(old, dict) else None
    (folder / files.MANIFEST).unlink(missing_ok=True)
    names = sorted(file.relative_to(made) for file in made.rglob("*") if file.is_file())
    for name in set(map(Path, listed or ())) - set(names):
        if name.is_absolute() or ".." in name.parts:
            raise ArtifactError(f"bad entry for '{name}'", where=str(folder / files.MANIFEST))
        (folder / name).unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: name.name == files.MANIFEST):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).replace(folder / name)
    sync_folder(folder)
