"""A TextEmbedder as mteb's benchmarks run models: `mteb.evaluate(embedder.as_mteb(), tasks)`.

In: the backend of a TextEmbedder, and perhaps another one for queries. Out: an object of mteb's
EncoderProtocol (mteb 2). mteb itself is imported only for what it alone knows: the description of a
model, and its similarities.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.embedders.backend import Backend
from textkit.errors import UsageError, require

Floats = NDArray[np.float32]


class MtebModel:
    """What mteb asks of a model.

    embedder: of texts and documents; queries: of the queries of a retrieval, by default the same.
    name: as results are filed, OWNER/MODEL.
    """

    def __init__(self, embedder: Backend, *, queries: Backend | None, name: str | None) -> None:
        require("mteb", needed_by="an embedder for mteb")
        self.embedder, self.queries = embedder, queries or embedder
        if self.queries.dim != embedder.dim:
            raise UsageError(
                f"the vectors of queries are {self.queries.dim} wide, those of texts {embedder.dim}"
            )
        told = json.dumps([embedder.describe(), self.queries.describe()], default=str)
        # Results are kept by name and revision: another model is another revision.
        revision = hashlib.sha256(told.encode()).hexdigest()[:12]
        self.mteb_model_meta = _describe(name or "textkit/embedder", revision, embedder.dim)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[str]]],
        *,
        task_metadata: object,
        hf_split: str,
        hf_subset: str,
        prompt_type: object = None,
        **more: object,  # batch_size and what else mteb hands to every model
    ) -> Floats:
        """Give the vectors of batches of texts: (n, dim) float32, in order."""
        is_query = str(getattr(prompt_type, "value", prompt_type)) == "query"
        embedder = self.queries if is_query else self.embedder
        vectors = [embedder.embed(list(batch["text"])).vectors for batch in inputs]
        return np.concatenate(vectors) if vectors else np.zeros((0, embedder.dim), np.float32)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Give the cosines of all pairs, as mteb computes them."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Give the cosines of rows side by side, as mteb computes them."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(embeddings1, embeddings2)


def _describe(name: str, revision: str, dim: int) -> Any:
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    told = {
        "name": name,
        "revision": revision,
        "embed_dim": dim,
        "similarity_fn_name": ScoringFunction.COSINE,
    }
    return ModelMeta.create_empty(overwrites=told)
