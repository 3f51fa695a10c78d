"""Another model out of a trained one: other rows of its table, fewer members of its ensemble.

In: a Fitted whose model is a network, and which rows stay, or another tokenizer. Out: a Fitted
whose text input gives the ids of its rows, so that vocabulary and table stay in step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from textkit.classify.fitted import Fitted
from textkit.classify.network_model import NetworkModel, make_network
from textkit.errors import UsageError
from textkit.features.text_input import TextInput
from textkit.nn.network import TextNetwork
from textkit.recipe import check_recipe
from textkit.tokenizers import Tokenizer, carry_rows
from textkit.tokenizers.pipeline import PipelineTokenizer

_TABLE = "embedding.table.weight"


def table_of(fitted: Fitted) -> NDArray[np.float32] | None:
    """Give the table of a network, (n_ids, dim); None where rows of it cannot be dropped."""
    model = fitted.model
    if not isinstance(model, NetworkModel) or model.network.table is None:
        return None
    tokenizer = model.text_input.tokenizer
    if model.text_input.n_fixed or not isinstance(tokenizer, PipelineTokenizer):
        return None
    table: NDArray[np.float32] = model.network.table.table.weight.detach().numpy()
    return table


def required_rows(fitted: Fitted) -> NDArray[np.int64]:
    """Give the ids that stay whatever they are worth: special tokens, and all pieces of what is no
    list of words.
    """
    text_input = fitted.text_input
    tokenizer = text_input.tokenizer
    assert isinstance(tokenizer, PipelineTokenizer)
    special = [*tokenizer.special_ids, *(i for i in (tokenizer.unknown_id,) if i is not None)]
    if tokenizer.holds_words:
        return np.unique(np.array(special, np.int64))
    return np.arange(tokenizer.n_ids)


def keep_rows(fitted: Fitted, kept: NDArray[np.bool_]) -> Fitted:
    """Keep some rows of a network's table, (n_ids,) bool, and what gives their ids; those that
    `required_rows` names are kept too.
    """
    kept = kept.copy()
    kept[required_rows(fitted)] = True
    old = fitted.text_input
    n_words = old.tokenizer.n_ids
    tokenizer = old.tokenizer
    if isinstance(tokenizer, PipelineTokenizer) and tokenizer.holds_words:
        tokenizer = tokenizer.keep_words(np.flatnonzero(kept[:n_words]).tolist())
    buckets = None
    rows = [np.array(_old_ids(old, tokenizer), np.int64)]
    if old.ngrams is not None:
        numbers = old.ngrams.kept
        every = np.arange(old.ngrams.buckets) if numbers is None else numbers
        buckets = every[kept[n_words:]].astype(np.int32)
        rows.append(n_words + np.flatnonzero(kept[n_words:]))
    text_input = TextInput.make(fitted.recipe, tokenizer, kept=buckets)
    return _with_rows(fitted, text_input, np.concatenate(rows))


def prune_pieces(fitted: Fitted, texts: Sequence[str]) -> Fitted:
    """Drop the pieces of a subword tokenizer that no text uses; other texts are read as pieces that
    are left. A tokenizer that cannot be pruned gives the model back as it is.
    """
    tokenizer = fitted.text_input.tokenizer
    if table_of(fitted) is None or not isinstance(tokenizer, PipelineTokenizer):
        return fitted
    if tokenizer.holds_words or fitted.text_input.ngrams is not None:
        return fitted
    try:
        small = tokenizer.prune(texts)
    except UsageError:
        return fitted
    text_input = TextInput.make(fitted.recipe, small)
    return _with_rows(fitted, text_input, np.array(_old_ids(fitted.text_input, small), np.int64))


def change_tokenizer(fitted: Fitted, tokenizer: Tokenizer) -> Fitted:
    """Give a network another tokenizer made of its own, with the rows that `carry_rows` gives;
    those of n-grams stay.

    Raises UsageError where the model has no such rows: of a linear model, for instance.
    """
    table = table_of(fitted)
    if table is None:
        raise UsageError(
            f"the encoder '{fitted.recipe.encoder.name}' of this model has no table of tokens that"
            " could get other rows"
        )
    old, model = fitted.text_input, fitted.model
    assert isinstance(model, NetworkModel)
    n_words = old.tokenizer.n_ids
    buckets = None if old.ngrams is None else old.ngrams.kept
    text_input = TextInput.make(fitted.recipe, tokenizer, kept=buckets)
    rows = carry_rows(table[:n_words], old=old.tokenizer, new=tokenizer)
    weights = dict(model.network.state_dict())
    weights[_TABLE] = torch.from_numpy(np.concatenate([rows, table[n_words:]]))
    if len(weights[_TABLE]) != text_input.n_ids:
        raise UsageError("the tokenizer's ids have gaps, so rows cannot follow them")
    return _remake(fitted, text_input, weights, model.network)


def keep_members(fitted: Fitted, n_members: int) -> Fitted:
    """Keep the first members of an ensemble; their mean predicts."""
    model = fitted.model
    assert isinstance(model, NetworkModel)
    values = fitted.recipe.model_dump()
    values["encoder"]["members"] = n_members
    small = replace(fitted, recipe=check_recipe(values, where=None))
    weights = {
        name: value
        for name, value in model.network.state_dict().items()
        if not name.startswith("members.") or int(name.split(".")[1]) < n_members
    }
    return _remake(small, model.text_input, weights, model.network)


def _old_ids(old: TextInput, tokenizer: object) -> list[int]:
    """Give the old id of each id of a smaller tokenizer, in the order of its ids."""
    assert isinstance(tokenizer, PipelineTokenizer)
    names = sorted(tokenizer.vocabulary, key=tokenizer.vocabulary.__getitem__)
    return [old.tokenizer.vocabulary[name] for name in names]


def _with_rows(fitted: Fitted, text_input: TextInput, rows: NDArray[np.int64]) -> Fitted:
    model = fitted.model
    assert isinstance(model, NetworkModel)
    if len(rows) != text_input.n_ids:
        raise UsageError("the tokenizer's ids have gaps, so its rows cannot be dropped")
    weights = dict(model.network.state_dict())
    weights[_TABLE] = weights[_TABLE][torch.from_numpy(rows)]
    return _remake(fitted, text_input, weights, model.network)


def _remake(
    fitted: Fitted, text_input: TextInput, weights: dict[str, torch.Tensor], old: TextNetwork
) -> Fitted:
    network = make_network(
        fitted.recipe,
        text_input,
        n_outputs=old.n_outputs,
        encoder_options=old.encoder_options,
    )
    network.load_state_dict(weights)
    return replace(fitted, model=NetworkModel(text_input, network.eval()), facts=None)
