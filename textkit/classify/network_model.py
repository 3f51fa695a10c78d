"""A network with what turns texts into the ids that it reads: the model of most fits.

In: texts. Out: logits. Its part of a model folder is `model.safetensors` and the tokenizer's files.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from textkit.batch import TokenBatch, cut_rows
from textkit.classify.model_config import CONFIG, FORMAT, KEPT, KIND, WEIGHTS
from textkit.errors import ArtifactError, UsageError
from textkit.features.text_input import TextInput
from textkit.io import files
from textkit.nn.bounds import no_larger_than, read_sizes
from textkit.nn.draws import first_draws
from textkit.nn.network import TextNetwork, predict_outputs
from textkit.recipe import Recipe
from textkit.registry import BUILT_IN
from textkit.tokenizers import formats

# Texts that are held as tensors at a time.
_CHUNK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """Texts -> text_input -> network -> logits."""

    seal: ClassVar = (KIND, FORMAT)
    engine: ClassVar[str] = "torch"

    text_input: TextInput
    network: TextNetwork

    @property
    def n_weights(self) -> int:
        """Number of weights that a training may change."""
        return sum(weight.numel() for weight in self.network.parameters())

    @property
    def longest_row(self) -> int | None:
        """Tokens of the longest row that it takes, None for any."""
        return self.network.longest_row

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_outputs) float32 logits; of a regression the predicted numbers."""
        none = np.zeros((0, self.network.n_outputs), dtype=np.float32)
        chunks = cut_rows(texts, n_rows=_CHUNK_ROWS)
        return np.concatenate([none, *(self.score(self.text_input.encode(c)) for c in chunks)])

    def score(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Compute the same from encoded rows."""
        scores: NDArray[np.float32] = self.network.restore(
            predict_outputs(self.network, tokens)
        ).numpy()
        return scores

    def score_exactly(self, tokens: TokenBatch) -> NDArray[np.float64]:
        """Compute the same in float64, row by row: what float32 comes close to."""
        network = copy.deepcopy(self.network).double().eval()
        scores = np.zeros((len(tokens), network.n_outputs))
        with torch.inference_mode():
            for i in range(len(tokens)):
                batch = network.make_batch(tokens.slice(i, i + 1))
                scores[i] = network.restore(network(batch)).numpy()[0]
        return scores

    def describe(self) -> dict[str, object]:
        """Give what the config of a model folder says of it."""
        tokenizer = self.text_input.tokenizer
        facts: dict[str, object] = {
            "vocab_size": tokenizer.n_ids,
            "tokenizer_fingerprint": tokenizer.fingerprint,
        }
        if self.network.encoder_options is not None:  # a pretrained encoder is rebuilt from them
            facts["encoder_options"] = self.network.encoder_options
        return facts

    def write(self, folder: Path) -> None:
        """Write the weights and the tokenizer's files."""
        weights = {
            name: value.contiguous() for name, value in sorted(self.network.state_dict().items())
        }
        ngrams = self.text_input.ngrams
        if ngrams is not None and ngrams.kept is not None:
            weights[KEPT] = torch.from_numpy(ngrams.kept)
        files.write_bytes(folder / WEIGHTS, save_tensors(weights))
        self.text_input.tokenizer.write(folder)

    @staticmethod
    def open(folder: Path, config: dict[str, Any], recipe: Recipe) -> NetworkModel:
        """Open what `write` wrote; ArtifactError names what does not fit the config."""
        encoder_options = _encoder_options(config, recipe, folder)
        tokenizer = formats.read_files(folder)
        if tokenizer.fingerprint != config.get("tokenizer_fingerprint", tokenizer.fingerprint):
            raise ArtifactError(
                f"the tokenizer's fingerprint is {tokenizer.fingerprint[:12]}, {CONFIG} says"
                f" {str(config['tokenizer_fingerprint'])[:12]}; it is not the one that the model"
                " learnt with",
                where=str(folder),
            )
        sizes = read_sizes([folder / WEIGHTS])
        try:
            weights = {
                _present_name(name): value for name, value in load_file(folder / WEIGHTS).items()
            }
            kept = weights.pop(KEPT, None)
            text_input = TextInput.make(
                recipe,
                tokenizer,
                kept=None if kept is None else kept.numpy(),
                n_fixed=len(weights.get("embedding.fixed", ())),
            )
            make = functools.partial(
                make_network,
                recipe,
                text_input,
                n_outputs=len(config["labels"]),
                encoder_options=encoder_options,
            )
            # Once without memory, which ends where the recipe asks for more than the file has. What
            # somebody else wrote and the user allows may need its numbers as soon as it is made.
            if _is_built_in(recipe):
                with no_larger_than(sizes, where=str(folder / CONFIG)), torch.device("meta"):
                    _check_shapes(make(), weights)
            network = make()
            network.load_state_dict(weights)
        except ArtifactError:
            raise
        # A recipe may say what its encoder, torch or transformers refuse in manners of their own.
        except Exception as err:
            reason = " ".join(str(err).split())
            raise ArtifactError(
                f"weights do not fit the config: {reason}", where=str(folder / WEIGHTS)
            ) from err
        for name, value in weights.items():
            if value.is_floating_point() and not value.isfinite().all():
                raise ArtifactError(
                    f"weight {name} holds NaN or infinity; train the model anew",
                    where=str(folder / WEIGHTS),
                )
        return NetworkModel(text_input, network.eval())


def make_network(
    recipe: Recipe,
    text_input: TextInput,
    *,
    n_outputs: int,
    encoder_options: dict[str, object] | None = None,
) -> TextNetwork:
    """Make the network that reads what `text_input` gives, with first weights drawn by the
    recipe's seed.
    """
    with first_draws(recipe.seed):
        return TextNetwork(
            recipe,
            n_tokens=text_input.n_ids,
            n_fixed=text_input.n_fixed,
            n_outputs=n_outputs,
            pad_id=text_input.tokenizer.pad_id or 0,
            vocabulary=text_input.tokenizer.vocabulary,
            encoder_options=encoder_options,
        )


def _encoder_options(
    config: dict[str, Any], recipe: Recipe, folder: Path
) -> dict[str, object] | None:
    """Give what rebuilds the encoder in the place of the recipe's options.

    A pretrained encoder is rebuilt from its architecture alone: no other folder and no hub is asked
    because a model names it.
    """
    options = config.get("encoder_options")
    if options is not None and not isinstance(options, dict):
        raise ArtifactError("encoder_options is no table", where=str(folder / CONFIG))
    rebuilt = recipe.encoder.options if options is None else options
    if recipe.encoder.name == "pretrained" and not isinstance(rebuilt.get("config"), dict):
        raise ArtifactError(
            "encoder_options has no config of the pretrained encoder; a model opens no other by"
            " its path, so save it anew",
            where=str(folder / CONFIG),
        )
    return options


def _is_built_in(recipe: Recipe) -> bool:
    encoder, poolings = recipe.encoder.name, recipe.head.pooling
    return encoder in BUILT_IN["encoder"] and all(name in BUILT_IN["pooling"] for name in poolings)


def _check_shapes(network: TextNetwork, weights: dict[str, torch.Tensor]) -> None:
    """Refuse, as a UsageError, the first weight that is not as the network's own."""
    wanted = network.state_dict()
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights or name not in wanted:
            raise UsageError(f"{name} is {'missing' if name in wanted else 'of no part of it'}")
        mine, theirs = wanted[name], weights[name]
        if mine.shape != theirs.shape or mine.is_floating_point() != theirs.is_floating_point():
            raise UsageError(
                f"{name} is {theirs.dtype} {tuple(theirs.shape)}, expected {mine.dtype}"
                f" {tuple(mine.shape)}"
            )


def _present_name(name: str) -> str:
    """Give the name of a weight in the present format; in format 1 a network had one member.

    >>> _present_name("head.layers.1.bias")
    'members.0.head.layers.1.bias'
    """
    return f"members.0.{name}" if name.split(".")[0] in ("encoder", "poolings", "head") else name
