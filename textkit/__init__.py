"""textkit: raw text in; a trained, measured, served model out; every stage can be swapped.

Importing this package imports nothing heavy: `TextClassifier` brings torch in when a network is
trained or loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textkit.version import __version__

if TYPE_CHECKING:
    from textkit.batch import TokenBatch
    from textkit.classify.auto_fitting import choose_model
    from textkit.classify.classifier import TextClassifier
    from textkit.classify.opening import load
    from textkit.classify.summary import summary
    from textkit.embedders.embedder import TextEmbedder
    from textkit.errors import TextkitError
    from textkit.search.index import SearchIndex
    from textkit.serve.client import AsyncClient, Client
    from textkit.vectors.vectors import Vectors

__all__ = [
    "AsyncClient",
    "Client",
    "SearchIndex",
    "TextClassifier",
    "TextEmbedder",
    "TextkitError",
    "TokenBatch",
    "Vectors",
    "__version__",
    "choose_model",
    "load",
    "summary",
]

_HOMES = {
    "AsyncClient": "textkit.serve.client",
    "Client": "textkit.serve.client",
    "SearchIndex": "textkit.search.index",
    "TextClassifier": "textkit.classify.classifier",
    "TextEmbedder": "textkit.embedders.embedder",
    "TextkitError": "textkit.errors",
    "TokenBatch": "textkit.batch",
    "Vectors": "textkit.vectors.vectors",
    "choose_model": "textkit.classify.auto_fitting",
    "load": "textkit.classify.opening",
    "summary": "textkit.classify.summary",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'textkit' has no attribute '{name}'")
    import importlib

    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
