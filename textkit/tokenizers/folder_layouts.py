"""Hugging Face folders without a tokenizer.json: how the class that they name is built.

In: a Layout, a FolderConfig and the vocabulary files beside it. Out: a PipelineTokenizer that gives
the ids and spans of that class in transformers 5.23 (`models/*/tokenization_*.py`).

A layout is the pipeline (`build`), the special tokens that the class names where the config names
none (`tokens`), which of them take a space before them in (`lstrip`), and what is put around a text
(`around`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import tokenizers as hf
from tokenizers import (
    AddedToken,
    processors,
)

from textkit.errors import TextkitError
from textkit.tokenizers.description import NAMED
from textkit.tokenizers.engines.choice import EngineChoice
from textkit.tokenizers.folder_config import FolderConfig, Token
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.vocabulary_files import VocabularyFiles

Named = dict[str, Token | None]
LOWERCASE = "do_lower_case"
CASED = frozenset((LOWERCASE,))
PLAIN: Mapping[str, bool] = {"lstrip": False, "rstrip": False}
OF_ROBERTA: Named = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}


@dataclass(frozen=True)
class Layout:
    """How a class reads its files.

    build: makes the pipeline of the files, the config and the named tokens. around: puts the
    post-processor in, once every token has its id. wrapped: named tokens that the class makes an
    AddedToken of, with these flags, where the config gives a mere text. own, others: further
    special tokens, where the config names none. options: those of which a caller may ask.
    """

    kind: str
    build: Callable[[VocabularyFiles, FolderConfig, Named], hf.Tokenizer]
    tokens: Named = field(default_factory=dict)
    around: Callable[[hf.Tokenizer, FolderConfig, Named], None] | None = None
    wrapped: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    own: Sequence[str] = ()
    others: Callable[[VocabularyFiles, FolderConfig], Sequence[Token]] | None = None
    options: frozenset[str] = frozenset()


def open_layout(
    layout: Layout,
    vocabulary: VocabularyFiles,
    config: FolderConfig,
    *,
    engine: EngineChoice,
    notes: Sequence[str] = (),
) -> PipelineTokenizer:
    """Build the tokenizer of a layout: its pipeline, its added tokens, its post-processor."""
    named = _named_tokens(layout, config)
    try:
        backend = layout.build(vocabulary, config, named)
    # tokenizers raises bare Exception for a vocabulary that lacks what the class names.
    except Exception as err:
        if isinstance(err, TextkitError):
            raise
        raise config.error(f"no tokenizer can be made of the files here: {err}") from err
    extra = config.extra
    if extra is None and layout.others is not None:
        extra = tuple(layout.others(vocabulary, config))
    others = (*(config.own or layout.own), *(extra or ()))
    _add_tokens(backend, (*named.values(), *others), config, named)
    _put_around(backend, config, named)
    if layout.around is not None:
        layout.around(backend, config, named)
    return PipelineTokenizer(
        backend,
        kind=layout.kind,
        engine=engine,
        named={role: str(token) for role, token in named.items() if token is not None},
        notes=notes,
    )


def _named_tokens(layout: Layout, config: FolderConfig) -> Named:
    """Give the named tokens, the config's before the class's own."""
    named: Named = {}
    for name in NAMED:
        token = config.named[name] if name in config.named else layout.tokens.get(name)
        if isinstance(token, str) and name in layout.wrapped:
            token = AddedToken(token, **layout.wrapped[name])
        named[name] = token
    return named


def _add_tokens(
    backend: hf.Tokenizer, others: Sequence[Token | None], config: FolderConfig, named: Named
) -> None:
    """Add the tokens in transformers' order: those with ids, then the others.

    Of two that are spelt alike the flags of the later one count.
    """
    tokens: list[Token] = list(config.added)
    with_ids = {str(token) for token in config.added}
    for token in others:
        if token is not None and str(token) not in with_ids and token not in tokens:
            tokens.append(token)
    names = {str(token) for token in named.values() if token is not None}
    made = [AddedToken(t, special=True) if isinstance(t, str) else t for t in tokens]
    for token in made:
        token.special = token.special or str(token) in names
    if made:
        backend.add_tokens(made)


def template(
    backend: hf.Tokenizer,
    before: Sequence[str],
    after: Sequence[str],
    *,
    pair: str,
    single: str = "",
    unknown: int | None = None,
) -> None:
    """Put tokens before and after a text.

    pair, single: the templates of two texts and of one, the latter where its types are not 0.
    unknown: the id of a token that the vocabulary lacks.
    """
    ids = {token: backend.token_to_id(token) for token in (*before, *after)}
    known = {token: unknown if i is None else i for token, i in ids.items()}
    if None in known.values():
        return
    plain = " ".join((*(f"{token}:0" for token in before), "$A:0", *(f"{t}:0" for t in after)))
    backend.post_processor = processors.TemplateProcessing(
        single=single or plain, pair=pair, special_tokens=list(known.items())
    )


def _put_around(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    """Put the first and last token around a text where the config asks for them."""
    bos, eos = named["bos_token"], named["eos_token"]
    before = [str(bos)] if bos is not None and config.flag("add_bos_token", default=False) else []
    after = [str(eos)] if eos is not None and config.flag("add_eos_token", default=False) else []
    pair = " ".join(
        (
            *(f"{token}:0" for token in before), "$A:0", *(f"{token}:0" for token in after),
            *(f"{token}:1" for token in before), "$B:1", *(f"{token}:1" for token in after),
        )
    )  # fmt: skip
    template(backend, before, after, pair=pair)


def around_bert(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    """Put [CLS] and [SEP] around a text."""
    cls, sep = str(named["cls_token"]), str(named["sep_token"])
    template(backend, [cls], [sep], pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1")
