"""Fitting by contrast, for few labels: tune the encoder, then learn a logistic head on its vectors.

In: a network whose encoder knows something, and encoded rows. Out: the network with its head, and a
history of one epoch. The head is learnt twice: from the training rows, for what the rows held out
say of it and for the temperature; and at last from all of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from textkit.classify.held_out import calibrate
from textkit.classify.learner import Examples as LinearExamples
from textkit.classify.learner import Learner, alone
from textkit.classify.machines import DenseFeatures, Machines
from textkit.data.batching import plan_sorted
from textkit.data.imbalance import named_weights, row_weights, weigh_rows
from textkit.data.rows import Rows
from textkit.data.targets import Classes
from textkit.errors import UsageError, require
from textkit.evaluation.task_scores import chosen_metric, row_losses, score
from textkit.nn.encoders import OwnEmbedding, kind_of
from textkit.nn.network import BATCH_TOKENS, TextNetwork
from textkit.recipe import Recipe
from textkit.training.contrast import tune_vectors
from textkit.training.examples import Examples
from textkit.watch import Epoch, History, Watch

# Of vectors whose mean length is 1; what `frozen` takes where there is nothing to choose by. The
# encoder has seen the training rows, so that these cannot choose.
COST = 3.0
# A head learns no more from more rows, but takes their memory.
_MOST_ROWS = 50_000


def check_contrast(recipe: Recipe) -> None:
    """Refuse a recipe with a section `contrast` that cannot be fitted so."""
    if recipe.contrast is None:
        return
    name, section = recipe.encoder.name, recipe.training
    if recipe.head.task != "single-label":
        raise UsageError(f"contrast needs one label a text, not {recipe.head.task}")
    if not issubclass(kind_of(name), OwnEmbedding):
        raise UsageError(
            f"contrast tunes an encoder that knows something, such as pretrained, not '{name}'"
        )
    if recipe.head.hidden:
        raise UsageError("contrast learns a linear head; leave head.hidden out")
    if recipe.prune is not None or recipe.distil is not None:
        raise UsageError("contrast goes with neither prune nor a teacher; leave one out")
    if section.r_drop or recipe.augment.mixup or section.l1:
        raise UsageError("contrast has a loss of its own; leave r_drop, mixup and l1 out")


def fit_by_contrast(
    network: TextNetwork,
    train: Examples,
    valid: Examples,
    recipe: Recipe,
    classes: Classes,
    *,
    watch: Watch,
    folder: Path | None = None,
) -> tuple[History, NDArray[np.float32]]:
    """Tune, and learn the head; gives also the outputs for the validation rows, from a head that
    did not learn from them. folder: of checkpoints.
    """
    require("sklearn", needed_by="learning a linear head")
    history = tune_vectors(network, train, recipe, watch=watch, folder=folder)
    with watch.stage("fit"):
        some = _some(len(train.targets), recipe.seed)
        codes = train.targets[some].astype(np.int64)
        vectors = pool(network, train.tokens, some)
        held = pool(network, valid.tokens, np.arange(len(valid.targets)))
        weights = None if train.weights is None else train.weights[some]
        machines = _learn(vectors, codes, weights, recipe, classes, watch)
    outputs = machines.score(DenseFeatures(held))
    temperature, _ = calibrate(recipe, outputs, valid.targets)
    own = machines.score(DenseFeatures(vectors))
    epoch = Epoch(
        1,
        float(row_losses("single-label", own, codes, temperature=temperature).mean()),
        float(row_losses("single-label", outputs, valid.targets, temperature=temperature).mean()),
        score("single-label", outputs, valid.targets),
        padding_share=0.0,
        lr=0.0,
    )
    watch.epoch(epoch)
    with watch.stage("fit"):
        if weights is not None:
            weights = np.concatenate([weights, _weigh_held(recipe, classes, valid)])
        every = np.concatenate([vectors, held])
        both = np.concatenate([codes, valid.targets.astype(np.int64)])
        set_head(network, _learn(every, both, weights, recipe, classes, watch))
    note = f"contrastive steps: {recipe.contrast.steps if recipe.contrast else 0}"
    watch.note(f"the head is learnt at last from all {len(both):,} rows, those held out included")
    metric = chosen_metric("single-label", recipe.training.metric)
    return replace(history, epochs=[epoch], best=epoch, metric=metric, notes=[note]), outputs


def _weigh_held(recipe: Recipe, classes: Classes, valid: Examples) -> NDArray[np.float32]:
    """Give the weights of rows held out: 1, or that of their class where these are named."""
    named = recipe.training.class_weights
    if not isinstance(named, dict):
        return np.ones(len(valid.targets), np.float32)
    return weigh_rows(valid.targets, named_weights(named, classes))


def _some(n_rows: int, seed: int) -> NDArray[np.int64]:
    """Give the rows that the head learns from: all, or some drawn at random."""
    if n_rows <= _MOST_ROWS:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, _MOST_ROWS, replace=False))


def pool(network: TextNetwork, tokens: Rows, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute the vectors that the head sees of some rows: (n, width) float32, in eval mode."""
    network.eval()
    lengths = np.asarray(tokens.lengths)[rows]
    pooled = np.zeros((len(rows), network.members[0].head.in_dim), np.float32)
    with torch.inference_mode():
        for part in plan_sorted(lengths, batch_tokens=BATCH_TOKENS):
            pooled[part] = network.pooled(network.make_batch(tokens.take(rows[part]))).numpy()
    return pooled


def _learn(
    vectors: NDArray[np.float32],
    codes: NDArray[np.int64],
    weights: NDArray[np.float32] | None,
    recipe: Recipe,
    classes: Classes,
    watch: Watch,
) -> Machines:
    """Learn machines on vectors, centred and of mean length 1; what scales goes into them."""
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    scaled = vectors - mean
    length = np.float32(np.sqrt((scaled.astype(np.float64) ** 2).sum(axis=1).mean()) or 1.0)
    weights = row_weights("single-label", codes, recipe.training, given=weights)
    examples = LinearExamples(DenseFeatures(scaled / length), codes, weights)
    learner = Learner(recipe, "logistic", (COST,), len(classes), watch)
    with alone():
        learnt = learner.learn(examples, cost=COST)
    own = learnt.weights / length
    bias = (learnt.bias - mean @ own).astype(np.float32)
    return Machines(np.ascontiguousarray(own), bias, learnt.n_outputs)


def set_head(network: TextNetwork, machines: Machines) -> None:
    """Put machines into the linear head of a network; of two classes each has half of the one."""
    last: nn.Linear = network.members[0].head.linear_layers[-1]
    weights, bias = torch.from_numpy(machines.weights.T.copy()), torch.from_numpy(machines.bias)
    if machines.n_outputs == 2 and len(weights) == 1:
        weights, bias = (torch.cat([-part, part]) / 2 for part in (weights, bias))
    with torch.no_grad():
        last.weight.copy_(weights)
        last.bias.copy_(bias)
