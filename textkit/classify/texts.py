"""A model that textkit trained, as an embedder: the vectors that its classifier sees.

In: a model folder. Out: the backend of a TextEmbedder, registered as the embedder "classifier".
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from textkit.batch import TokenBatch
from textkit.classify import model_folder
from textkit.classify.fitted import Fitted
from textkit.embedders.backend import EmbedderOptions
from textkit.embedders.contextual import BATCH_TOKENS, WEIGHTS, ContextualTexts, measure_width
from textkit.io import files
from textkit.nn.devices import choose_device


def open_texts(place: str, options: EmbedderOptions) -> ContextualTexts:
    """Open a model folder that textkit trained: its vectors, pooled as it pools."""
    options.refuse(
        *("tokenizer", "lowercase", "pooling", "prompt_name", "max_length", "precision"),
        spec=place,
        what="a model that textkit trained, which has its own",
    )
    return pool_texts(model_folder.load(place, allow=options.allow), place, options)


def pool_texts(fitted: Fitted, place: str, options: EmbedderOptions) -> ContextualTexts:
    """Make vectors by the network of a fit; place: the folder that it was opened from."""
    where = choose_device(options.device)
    network = fitted.network.to(where).eval()

    def pool(tokens: TokenBatch) -> Tensor:
        pooled = network.pooled(network.make_batch(tokens).to(where)).float()
        return nn.functional.normalize(pooled, dim=-1) if options.normalize else pooled

    facts = {
        "weights": [files.sha256(Path(place) / WEIGHTS)],
        "tokenizer": fitted.text_input.tokenizer.fingerprint,
        "normalize": bool(options.normalize),
        "device": where.type,
    }
    made = ContextualTexts(
        0,
        fitted.encode,
        pool,
        where,
        options.batch_tokens or BATCH_TOKENS[where.type],
        facts,
        prompt=options.prompt or "",
    )
    return measure_width(made)
