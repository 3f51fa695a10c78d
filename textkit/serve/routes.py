"""What each route does with a request that was read: texts in, an answer of the schema out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import TextkitError
from textkit.serve import schema
from textkit.serve.admission import BusyError, Share
from textkit.serve.answers import invalid, too_large
from textkit.serve.batching import Answer, Row, cost_of
from textkit.serve.host import Host, Hosted
from textkit.serve.models import ServedModel, WorkName
from textkit.serve.works import Item

Json = dict[str, Any]


async def predict(host: Host, asked: schema.PredictRequest, share: Share) -> Json:
    """Label texts."""
    hosted = host.find(asked.model, "predict")
    model = hosted.model
    texts = list_texts(asked.texts)
    answers = await work_on(host, hosted, "predict", texts, share, param="texts")
    return {
        "model": model.name,
        "predictions": [tell_prediction(model, answer, asked) for answer in answers],
    }


async def embed(host: Host, asked: schema.EmbedRequest, share: Share) -> Json:
    """Turn texts into vectors."""
    hosted = host.find(asked.model, "embed")
    model = hosted.model
    check_dimensions(model, asked.dimensions)
    texts = list_texts(asked.texts)
    answers = await work_on(host, hosted, "embed", texts, share, param="texts")
    scaled = asked.normalize or asked.dimensions is not None
    told = [
        {"error": answer.message}
        if isinstance(answer, TextkitError)
        else {
            "vector": shorten(answer.values, asked.dimensions, scaled=scaled).tolist(),
            **tell_read(answer),
        }
        for answer in answers
    ]
    dim = asked.dimensions or model.works["embed"].width
    return {"model": model.name, "dim": dim, "embeddings": told}


async def compare(host: Host, asked: schema.SimilarityRequest, share: Share) -> Json:
    """Give the cosines of texts."""
    hosted = host.find(asked.model, "embed")
    model = hosted.model
    texts = list_texts(asked.texts)
    others = texts if asked.others is None else list_texts(asked.others)
    given = texts if asked.others is None else texts + others
    answers = await work_on(host, hosted, "embed", given, share, param="texts")
    dim = model.works["embed"].width
    nothing = np.full(dim, np.nan, np.float32)
    vectors = np.array(
        [answer.values if isinstance(answer, Row) else nothing for answer in answers]
    ).reshape(len(given), dim)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths == 0, 1, lengths)
    cosines = units[: len(texts)] @ units[len(units) - len(others) :].T
    return {
        "model": model.name,
        "cosines": [[None if np.isnan(c) else c for c in row] for row in cosines.tolist()],
        "truncated": [answer.truncated if isinstance(answer, Row) else 0 for answer in answers],
        "errors": {
            str(i): answer.message
            for i, answer in enumerate(answers)
            if isinstance(answer, TextkitError)
        },
    }


async def tokenize(host: Host, asked: schema.TokenizeRequest, share: Share) -> Json:
    """Cut texts into tokens."""
    hosted = host.find(asked.model, "tokenize")
    model = hosted.model
    texts = list_texts(asked.texts)
    admit(host, texts, share, param="texts")
    return await asyncio.to_thread(cut_texts, model, texts, asked)


def cut_texts(model: ServedModel, texts: list[str], asked: schema.TokenizeRequest) -> Json:
    """Tokenize texts, in a thread; where one cannot be, it fails alone."""
    assert model.tokenizer is not None
    rows: list[Json] = []
    replaced = 0
    for text in texts:
        try:
            batch = model.tokenizer.encode([text], spans=asked.spans, max_length=asked.max_length)
            ids = batch.ids.tolist()
            row = {"ids": ids, "tokens": model.token_names(ids)}
        except TextkitError as err:
            rows.append({"error": err.message})
            continue
        replaced += batch.n_replaced
        if asked.spans:
            row["spans"] = batch.row_spans(0).tolist()
        rows.append(row | {"truncated": int(batch.truncated[0])})
    return {"model": model.name, "texts": rows, "replaced": replaced}


async def decode(host: Host, asked: schema.DecodeRequest, share: Share) -> Json:
    """Turn rows of ids into texts."""
    hosted = host.find(asked.model, "decode")
    model = hosted.model
    tokenizer = model.tokenizer
    assert tokenizer is not None
    check_ids(model, asked.ids, param="ids")
    admit(host, [tuple(row) for row in asked.ids], share, param="ids")
    texts = await asyncio.to_thread(tokenizer.decode_batch, asked.ids)
    return {"model": model.name, "texts": texts}


async def openai_embeddings(host: Host, asked: schema.OpenaiRequest, share: Share) -> Json:
    """Answer as OpenAI's /v1/embeddings does; the first text that fails fails the request."""
    hosted = host.find(asked.model, "embed")
    model = hosted.model
    check_dimensions(model, asked.dimensions)
    items = list_items(model, asked.input)
    answers = await work_on(host, hosted, "embed", items, share, param="input")
    data: list[Json] = []
    n_tokens = 0
    for index, answer in enumerate(answers):
        if isinstance(answer, TextkitError):
            raise invalid(answer.message, param=f"input.{index}")
        n_tokens += answer.n_tokens or 0
        vector = shorten(answer.values, asked.dimensions, scaled=asked.dimensions is not None)
        told: list[float] | str = vector.tolist()
        if asked.encoding_format == "base64":
            told = base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
        entry = {"object": "embedding", "index": index, "embedding": told}
        data.append(entry | {"truncated": answer.truncated})
    usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
    return {"object": "list", "model": model.name, "data": data, "usage": usage}


def list_texts(texts: schema.Texts) -> list[str]:
    """Take one text as a list of one."""
    return [texts] if isinstance(texts, str) else texts


def list_items(
    model: ServedModel, given: str | list[str] | list[int] | list[list[int]]
) -> list[Item]:
    """Tell texts from ids of the model's own tokenizer; refuse ids that it does not have."""
    if isinstance(given, str):
        return [given]
    if not given:
        raise invalid("nothing to embed; give a text", param="input")
    texts = [item for item in given if isinstance(item, str)]
    if len(texts) == len(given):
        return [*texts]
    if not model.works["embed"].reads_ids:
        raise invalid(f"model '{model.name}' reads texts, not token ids", param="input")
    single = [item for item in given if isinstance(item, int)]
    if single:
        check_ids(model, [single], param="input")
        return [tuple(single)]
    rows = [item for item in given if isinstance(item, list)]
    check_ids(model, rows, param="input")
    return [tuple(row) for row in rows]


def check_ids(model: ServedModel, rows: Sequence[Sequence[int]], *, param: str) -> None:
    """Refuse the first id that the model's tokenizer does not have."""
    known = model.known_ids
    for i, row in enumerate(rows):
        for j, token in enumerate(row):
            if token not in known:
                raise invalid(
                    f"id {token} is none of model '{model.name}', whose ids go up to"
                    f" {max(known, default=-1)}",
                    param=f"{param}.{i}.{j}",
                )


def check_dimensions(model: ServedModel, dimensions: int | None) -> None:
    """Refuse more columns than the vectors have."""
    dim = model.works["embed"].width
    if dimensions is not None and dimensions > dim:
        raise invalid(
            f"dimensions is {dimensions}, and model '{model.name}' has {dim}", param="dimensions"
        )


def admit(host: Host, items: Sequence[Item], share: Share, *, param: str) -> None:
    """Let a request in, with its items and a guess of their tokens; 413 or 429 where it is too
    large, or the server too full.
    """
    bound = host.limits.texts
    if len(items) > bound:
        raise too_large(f"{len(items):,} texts, and {bound:,} are taken at a time", param=param)
    host.admission.take(share, items=len(items), tokens=sum(map(cost_of, items)))


async def work_on(
    host: Host,
    hosted: Hosted,
    work: WorkName,
    items: Sequence[Item],
    share: Share,
    *,
    param: str,
) -> list[Answer]:
    """Let a request in, and give what a work says of each item."""
    admit(host, items, share, param=param)
    answers = await hosted.answer(work, items)
    for answer in answers:
        if isinstance(answer, BusyError):
            raise answer
    return answers


def tell_prediction(model: ServedModel, answer: Answer, asked: schema.PredictRequest) -> Json:
    """Say what a model says of one text."""
    if isinstance(answer, TextkitError):
        return {"error": answer.message}
    if model.task == "regression":
        return {"values": answer.values.tolist(), **tell_read(answer)}
    values = answer.values
    order = np.argsort(-values, kind="stable")
    if asked.threshold is not None:
        order = order[values[order] > asked.threshold]
    elif asked.top is None and model.task == "multi-label":
        order = order[(values > np.array(model.thresholds))[order]]
    elif asked.top is None:
        order = order[:1]
    if asked.top is not None:
        order = order[: asked.top]
    labels = [{"label": model.labels[i], "probability": round(float(values[i]), 6)} for i in order]
    return {"labels": labels, **tell_read(answer)}


def tell_read(row: Row) -> Json:
    """Say what the model read of a text."""
    return {"tokens": row.n_tokens, "truncated": row.truncated}


def shorten(vector: NDArray[Any], dimensions: int | None, *, scaled: bool) -> NDArray[Any]:
    """Keep the first columns, and scale to length 1."""
    kept = vector[:dimensions]
    length = float(np.linalg.norm(kept)) if scaled else 0.0
    return kept / length if length else kept
