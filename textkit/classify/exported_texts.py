"""An exported model as an embedder: the vectors that its classifier sees, without torch.

In: an exported model. Out: the backend of a TextEmbedder, registered as the embedder
"exported-classifier".
"""

from __future__ import annotations

from textkit.classify import model_folder
from textkit.classify.exported import BagModel, GraphModel
from textkit.classify.fitted import Fitted
from textkit.embedders.backend import EmbedderOptions
from textkit.embedders.exported import BATCH_TOKENS, GraphTexts
from textkit.errors import UsageError


def open_texts(place: str, options: EmbedderOptions) -> GraphTexts:
    """Open an exported model: its vectors, pooled as it pools."""
    options.refuse(
        *("tokenizer", "lowercase", "pooling", "prompt_name", "max_length", "precision", "device"),
        spec=place,
        what="an exported model, which has its own",
    )
    return pool_exported(model_folder.load(place, allow=options.allow), options)


def pool_exported(fitted: Fitted, options: EmbedderOptions) -> GraphTexts:
    """Make vectors by what a network was exported to."""
    model = fitted.model
    if not isinstance(model, GraphModel | BagModel):
        raise UsageError(f"a {fitted.recipe.encoder.name} model makes no vectors")
    width = len(model.pool(fitted.encode(["a"]))[0])
    return GraphTexts(
        width,
        fitted.encode,
        model.pool,
        {"tokenizer": model.text_input.tokenizer.fingerprint, "weights": model.hash()},
        prompt=options.prompt or "",
        normalize=bool(options.normalize),
        batch_tokens=options.batch_tokens or BATCH_TOKENS,
    )
