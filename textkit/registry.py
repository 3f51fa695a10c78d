"""Names -> classes: the built-in table first, then entry points, then `package.module:Name`.

Nothing is imported until a name is asked for. A plug-in package registers under the entry-point
group `textkit.encoders` (or `textkit.tokenizers`, ...) and then passes the same contract tests as
the built-in names.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from textkit.errors import ArtifactError, UsageError, require, unknown_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

BUILT_IN: dict[str, dict[str, str]] = {
    "tokenizer": {
        "bpe": "textkit.tokenizers.subword:BPE",
        "bpe-char": "textkit.tokenizers.subword:BPE_CHAR",
        "byte": "textkit.tokenizers.lookup:BYTE",
        "char": "textkit.tokenizers.lookup:CHAR",
        "grapheme": "textkit.tokenizers.lookup:GRAPHEME",
        "regex": "textkit.tokenizers.regex_words:REGEX",
        "spacy": "textkit.tokenizers.spacy_words:SPACY",
        "unicode": "textkit.tokenizers.lookup:WORD",
        "unigram": "textkit.tokenizers.subword:UNIGRAM",
        "whitespace": "textkit.tokenizers.lookup:WHITESPACE",
        "word": "textkit.tokenizers.lookup:WORD",
        "wordpiece": "textkit.tokenizers.subword:WORDPIECE",
    },
    "embedder": {
        "classifier": "textkit.classify.texts:open_texts",
        "exported": "textkit.embedders.exported:open_texts",
        "exported-classifier": "textkit.classify.exported_texts:open_texts",
        "transformer": "textkit.embedders.contextual:open_texts",
        "vectors": "textkit.embedders.static:open_texts",
    },
    "encoder": {
        "bag": "textkit.nn.encoders.bag:BagEncoder",
        "cnn": "textkit.nn.encoders.cnn:CnnEncoder",
        "gru": "textkit.nn.encoders.recurrent:GRU",
        "lstm": "textkit.nn.encoders.recurrent:LSTM",
        "mixer": "textkit.nn.encoders.mixer:MixerEncoder",
        "pretrained": "textkit.nn.encoders.pretrained:PretrainedEncoder",
        "rnn": "textkit.nn.encoders.recurrent:RNN",
        "transformer": "textkit.nn.encoders.transformer:TransformerEncoder",
    },
    # Whole models in the place of an encoder, which need no network: the classes of their options.
    "classifier": {
        "auto": "textkit.classify.candidates:AutoOptions",
        "ensemble": "textkit.classify.ensemble:EnsembleOptions",
        "frozen": "textkit.classify.frozen:FrozenOptions",
        "linear": "textkit.classify.linear:LinearOptions",
    },
    "pooling": {
        "attention": "textkit.nn.pooling:AttentionPooling",
        "first": "textkit.nn.pooling:FIRST",
        "last": "textkit.nn.pooling:LAST",
        "max": "textkit.nn.pooling:MAX",
        "mean": "textkit.nn.pooling:MEAN",
    },
}


def names(kind: str) -> list[str]:
    """List every registered name of a kind, plug-ins included.

    >>> "lstm" in names("encoder")
    True
    """
    found = set(BUILT_IN[kind]) | {point.name for point in _plug_ins(kind)}
    return sorted(found)


def is_whole(name: str) -> bool:
    """Tell whether a recipe's encoder is a whole model, which has no network.

    >>> is_whole("linear"), is_whole("lstm")
    (True, False)
    """
    return name in BUILT_IN["classifier"]


def encoder_names() -> list[str]:
    """List what may stand as a recipe's encoder: the encoders, and the whole models.

    >>> {"linear", "lstm"} <= set(encoder_names())
    True
    """
    return sorted([*names("encoder"), *BUILT_IN["classifier"]])


def _plug_ins(kind: str) -> EntryPoints:
    from importlib.metadata import entry_points  # 15 ms, and most names are built in

    return entry_points(group=f"textkit.{kind}s")


def check_options(
    function: Callable[..., object], options: Mapping[str, object], *, what: str
) -> None:
    """Refuse an option that a function does not take by keyword, and a missing one that it needs.

    >>> check_options(sorted, {"revers": True}, what="sorted")
    Traceback (most recent call last):
    textkit.errors.UsageError: unknown option of sorted 'revers'; did you mean 'reverse'? ...
    """
    parameters = keyword_parameters(function)
    known = [p.name for p in parameters]
    for name in options:
        if name not in known:
            raise UsageError(unknown_name(f"option of {what}", name, known))
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if missing:
        raise UsageError(f"{what} needs {' and '.join(missing)}")


def check_values(
    function: Callable[..., object], options: Mapping[str, object], *, what: str
) -> None:
    """Refuse the value of an option that is not of its declared type, or is no size.

    An `int` is a width, a number of layers or another size: 1 or more, and 0 where that is its
    default. A `float` is finite, and a dropout at least 0 and below 1. What is declared otherwise
    is the function's own to check.

    >>> def cnn(*, dim: int = 8, widths: Sequence[int] = (2, 3)) -> None: ...
    >>> check_values(cnn, {"widths": (3, 0)}, what="encoder 'cnn'")
    Traceback (most recent call last):
    textkit.errors.UsageError: encoder 'cnn': widths = (3, 0); expected whole numbers of 1 or more
    """
    for p in keyword_parameters(function):
        if p.name not in options:
            continue
        value, declared = options[p.name], p.annotation
        kind = declared if isinstance(declared, str) else inspect.formatannotation(declared)
        expected = None
        if kind == "int":
            least = 0 if p.default == 0 else 1
            fits = _is_whole(value) and value >= least
            expected = None if fits else f"a whole number of {least} or more"
        elif kind.endswith("Sequence[int]"):
            fits = isinstance(value, Sequence) and all(_is_whole(v) and v >= 1 for v in value)
            expected = None if fits else "whole numbers of 1 or more"
        elif kind == "float":
            expected = _expected_number(p.name, value)
        elif kind in ("bool", "str") and type(value).__name__ != kind:
            expected = {"bool": "true or false", "str": "text"}[kind]
        if expected is not None:
            raise UsageError(f"{what}: {p.name} = {value!r}; expected {expected}")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell a finite number from what is none; True and False are none.

    >>> [is_number(value) for value in (1, 0.5, True, "1", math.nan, 10**400)]
    [True, True, False, False, False, False]
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int with more digits than a float holds
        return False


def _expected_number(name: str, value: object) -> str | None:
    """Say what was expected in the place of a value that is no number, or no share; else None."""
    if name == "dropout":
        fits = is_number(value) and 0 <= value < 1
        return None if fits else "a number of 0 or more and below 1"
    return None if is_number(value) else "a number"


def default_options(function: Callable[..., object]) -> dict[str, object]:
    """Give the keyword options of a function that have a default other than None, with that
    default.

    >>> default_options(sorted)
    {'reverse': False}
    """
    parameters = keyword_parameters(function)
    return {p.name: p.default for p in parameters if p.default not in (p.empty, None)}


def keyword_parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    """List the keyword options of a function; one whose default is a dataclass is spelt out by the
    fields of that.

    >>> [p.name for p in keyword_parameters(sorted)]
    ['key', 'reverse']
    """
    parameters: list[inspect.Parameter] = []
    for p in inspect.signature(function).parameters.values():
        if dataclasses.is_dataclass(p.default):
            parameters += [
                p.replace(name=f.name, default=getattr(p.default, f.name), annotation=f.type)
                for f in dataclasses.fields(p.default)
            ]
        elif p.kind is p.KEYWORD_ONLY:
            parameters.append(p)
    return parameters


def gather_options(
    function: Callable[..., object], options: Mapping[str, object]
) -> dict[str, object]:
    """Put the options together that `keyword_parameters` spells out: what a function is called
    with.
    """
    rest = dict(options)
    for p in inspect.signature(function).parameters.values():
        if dataclasses.is_dataclass(p.default) and not isinstance(p.default, type):
            names = {f.name for f in dataclasses.fields(p.default)} & rest.keys()
            rest[p.name] = dataclasses.replace(p.default, **{n: rest.pop(n) for n in names})
    return rest


def check_trusted(kind: str, name: str, *, allow: Sequence[str], where: str) -> None:
    """Refuse a `package.module:Name` that a file names, unless the person who opens it allows it.

    Built-in names and those of installed plug-ins are trusted. Nothing is imported.

    >>> check_trusted("encoder", "mine.net:Net", allow=["mine.net:Net"], where="m/config.json")
    >>> check_trusted("encoder", "mine.net:Net", allow=[], where="m/config.json")
    Traceback (most recent call last):
    textkit.errors.ArtifactError: m/config.json: encoder 'mine.net:Net' is code of package 'mine'...
    """
    if isinstance(allow, str):
        raise UsageError(f"allow is the text '{allow}', expected a list of names: ['{allow}']")
    if ":" in name and name not in allow:
        raise ArtifactError(
            f"{kind} '{name}' is code of package '{name.split(':')[0].split('.')[0]}', which a"
            f" model does not import by itself; where you trust it: --allow {name}, in Python"
            f" allow=['{name}']",
            where=where,
        )


def resolve(kind: str, name: str) -> Any:
    """Import what a name stands for: a built-in, a plug-in, or `package.module:Name`.

    Raises UsageError for an unknown name, with the nearest known one; MissingExtraError for parts
    of a network where torch is not installed.

    >>> resolve("pooling", "attention").__name__
    'AttentionPooling'
    """
    if kind in ("encoder", "pooling"):
        require("torch", needed_by=f"{kind} '{name}'")
    target = BUILT_IN[kind].get(name)
    if target is None:
        for point in _plug_ins(kind):
            if point.name == name:
                return point.load()
        if ":" not in name:
            known = encoder_names() if kind == "encoder" else names(kind)
            raise UsageError(unknown_name(kind, name, known))
        target = name
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as err:
        raise UsageError(f"cannot import {kind} '{name}': {err}") from err
