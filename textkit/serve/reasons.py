"""`/explain`: which words of a text decided, by the same Explainer as `textkit explain`.

In: a request with texts. Out: an explanation each. One text takes as long as many predictions, so
each model explains one text at a time, in a thread of its own, beside its batches; a client that
hangs up takes those that wait with it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

from textkit.classify.explain import Explainer
from textkit.errors import MissingExtraError, TextkitError, UsageError
from textkit.serve import schema
from textkit.serve.admission import Share
from textkit.serve.answers import invalid
from textkit.serve.host import Host
from textkit.serve.models import ServedModel
from textkit.serve.routes import admit, list_texts

Json = dict[str, Any]
# Each word taken away is a copy of the text for the model to read.
LONGEST = 20_000


async def explain(host: Host, asked: schema.ExplainRequest, share: Share) -> Json:
    """Explain what a model says of texts."""
    hosted = host.find(asked.model, "explain")
    model = hosted.model
    texts = list_texts(asked.texts)
    admit(host, texts, share, param="texts")
    # All are handed over at once: a model that is being replaced finishes what it was given.
    prepared = hosted.aside.submit(_prepare, model, asked)
    waiting = [hosted.aside.submit(_explain, prepared, text) for text in texts]
    try:
        await asyncio.wrap_future(prepared)
        rows = await asyncio.gather(*map(asyncio.wrap_future, waiting))
    finally:
        for future in waiting:
            future.cancel()
    return {"model": model.name, "explanations": rows}


def _prepare(model: ServedModel, asked: schema.ExplainRequest) -> Explainer:
    assert model.fitted is not None
    options: Any = {"label": asked.label, "against": asked.against, "flips": asked.flips}
    try:
        return Explainer(model.fitted, method=asked.method, **options)
    except MissingExtraError:
        if asked.method is not None:
            raise
        return Explainer(model.fitted, method="occlusion", **options)  # the answer names it
    except UsageError as err:
        raise invalid(err.message, param=_field_of(err.message)) from err


def _field_of(message: str) -> str:
    """Name the field that an Explainer's error is about."""
    named = ("against", "method")
    return next((field for field in named if message.startswith(field)), "label")


def _explain(prepared: Future[Explainer], text: str) -> Json:
    """Explain one text; where it cannot be, it fails alone."""
    if len(text) > LONGEST:
        return {"error": f"{len(text):,} characters; at most {LONGEST:,} are explained"}
    try:
        told = prepared.result().explain(text).to_dict()
    except TextkitError as err:
        return {"error": err.message}
    return {name: value for name, value in told.items() if name not in ("text", "truth")}
