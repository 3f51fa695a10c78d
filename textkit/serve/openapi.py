"""Describe the routes in OpenAPI 3.1, made of the pydantic schemas with their examples."""

from __future__ import annotations

import functools
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from textkit.serve import schema, search_schema
from textkit.version import __version__

# Path -> (what it does, what it asks, what it answers).
POSTS: dict[str, tuple[str, type[BaseModel], type[BaseModel]]] = {
    "/predict": ("Label texts.", schema.PredictRequest, schema.PredictAnswer),
    "/explain": (
        "Say which words of texts decided.",
        schema.ExplainRequest,
        schema.ExplainAnswer,
    ),
    "/embed": ("Turn texts into vectors.", schema.EmbedRequest, schema.EmbedAnswer),
    "/similarity": ("Compare texts.", schema.SimilarityRequest, schema.SimilarityAnswer),
    "/search": ("Find texts of an index.", search_schema.SearchRequest, search_schema.SearchAnswer),
    "/tokenize": ("Cut texts into tokens.", schema.TokenizeRequest, schema.TokenizeAnswer),
    "/decode": ("Turn ids into texts.", schema.DecodeRequest, schema.DecodeAnswer),
    "/v1/embeddings": (
        "Turn texts or token ids into vectors, as OpenAI's clients ask.",
        schema.OpenaiRequest,
        schema.OpenaiAnswer,
    ),
}
GETS = {
    "/": "A page to try the models.",
    "/page.css": "How the page looks.",
    "/icon.svg": "The page's icon.",
    "/page.js": "What the page does.",
    "/health": "Whether the server lives: 200, or 503 when a thread of it died.",
    "/ready": "Whether it takes requests: 200, or 503.",
    "/info": "The models, the limits and the versions.",
    "/metrics": "Numbers for Prometheus.",
    "/v1/models": "The models, as OpenAI's clients ask.",
    "/openapi.json": "This description.",
}
ERRORS = {
    "401": "No key, or a wrong one.",
    "404": "No such model, or none that can do this.",
    "408": "The body came too slowly.",
    "413": "More bytes or texts than are taken at a time.",
    "422": "A field that cannot be used; `param` names it.",
    "429": "The server is full; Retry-After says when to come again.",
    "503": "Not ready, or about to stop.",
}
_REFERENCE = "#/components/schemas/{model}"


@functools.cache
def describe() -> dict[str, Any]:
    """Give the whole description.

    >>> sorted(describe()["paths"])[:3]
    ['/', '/decode', '/embed']
    """
    asked = [kind for _, question, answer in POSTS.values() for kind in (question, answer)]
    kinds = [(kind, "validation") for kind in (*asked, schema.ErrorAnswer)]
    references, found = models_json_schema(kinds, ref_template=_REFERENCE)  # type: ignore[arg-type]
    names = {kind: reference for (kind, _), reference in references.items()}
    paths: dict[str, Any] = {
        path: {"get": {"summary": line, "responses": {"200": {"description": "The answer."}}}}
        for path, line in GETS.items()
    }
    errors = {
        code: {"description": line, "content": _content(names[schema.ErrorAnswer])}
        for code, line in ERRORS.items()
    }
    for path, (line, question, answer) in POSTS.items():
        example = question.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index]
        body = {"required": True, "content": _content(names[question], example=example)}
        good = {"description": "The answer.", "content": _content(names[answer])}
        operation = {"summary": line, "requestBody": body, "responses": {"200": good} | errors}
        paths[path] = {"post": operation}
    paths["/v1/models/{name}"] = {
        "get": {
            "summary": "One model, as OpenAI's clients ask.",
            "parameters": [
                {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "responses": {"200": {"description": "The answer."}, "404": errors["404"]},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "textkit", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": found["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _content(reference: Any, **more: Any) -> dict[str, Any]:
    return {"application/json": {"schema": reference, **more}}
