"""Classes of transformers that read a sentencepiece .model otherwise than sentencepiece does.

In: the files of a folder with its config. Out: the table of these classes: which pipeline each has,
its special and its other tokens, and what it puts round a text, as transformers 5.23 does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import tokenizers as hf
from tokenizers import AddedToken

from textkit.tokenizers.description import NAMED
from textkit.tokenizers.folder_config import FolderConfig, Token
from textkit.tokenizers.folder_layouts import (
    CASED,
    OF_ROBERTA,
    PLAIN,
    Layout,
    Named,
    around_bert,
    template,
)
from textkit.tokenizers.folder_pipelines import (
    MBART50_LANGUAGES,
    MBART_LANGUAGES,
    albert,
    barthez,
    big_bird,
    camembert,
    deberta_v2,
    llama,
    mbart,
    mbart50,
    nllb,
    pegasus,
    reformer,
    rembert,
    sentence_mask,
    t5,
    unused,
    xlm_roberta,
    xlnet,
)
from textkit.tokenizers.sentencepiece_model import CONTROL, USER_DEFINED
from textkit.tokenizers.vocabulary_files import VocabularyFiles


def _of_model(files: VocabularyFiles, config: FolderConfig) -> Sequence[Token]:
    """Give the control and user-defined pieces: tokens of their own, the first kind special."""
    del config
    return [
        AddedToken(piece.name, normalized=False, special=piece.type == CONTROL)
        for piece in files.sentencepiece.pieces
        if piece.type in (CONTROL, USER_DEFINED)
    ]


def _sentinels(files: VocabularyFiles, config: FolderConfig) -> Sequence[Token]:
    n_extra = config.number("extra_ids", default=100)
    return [*_of_model(files, config), *(f"<extra_id_{i}>" for i in range(n_extra))]


def _of_pegasus(files: VocabularyFiles, config: FolderConfig) -> Sequence[Token]:
    sentence = sentence_mask(config, "<mask_1>")
    own = [str(token) for token in _of_model(files, config)]
    return [*([] if sentence in own or sentence == "None" else [sentence]), *unused(config)]


def _language(config: FolderConfig, default: str) -> str:
    language = config.options.get("src_lang")
    return default if language is None else str(language)


def _around_fairseq(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    """Put <s> and </s> around a text, and two </s> between two texts."""
    bos, eos = str(named["bos_token"]), str(named["eos_token"])
    template(backend, [bos], [eos], pair=f"{bos}:0 $A:0 {eos}:0 {eos}:0 $B:0 {eos}:0")


def _around_end(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    eos = str(named["eos_token"])
    template(backend, [], [eos], pair=f"$A:0 {eos}:0 $B:0 {eos}:0")


def _around_pegasus(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    eos = str(named["eos_token"])
    template(backend, [], [eos], pair=f"$A:0 $B:0 {eos}:0")


def _around_xlnet(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    sep, cls = str(named["sep_token"]), str(named["cls_token"])
    template(
        backend,
        [],
        [sep, cls],
        single=f"$A:0 {sep}:0 {cls}:2",
        pair=f"$A:0 {sep}:0 $B:1 {sep}:1 {cls}:2",
    )


def _around_language(
    backend: hf.Tokenizer, config: FolderConfig, named: Named, *, default: str, leads: bool
) -> None:
    """Put the language before a text and </s> behind it, or both behind it."""
    language, eos = _language(config, default), str(named["eos_token"])
    before, after = ([language], [eos]) if leads else ([], [eos, language])
    unknown = backend.token_to_id(str(named["unk_token"]))
    pair = " ".join(f"{part}:0" for part in (*before, "$A", "$B", *after))
    template(backend, before, after, pair=pair, unknown=unknown)


def _around_nllb(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    leads = not config.flag("legacy_behaviour", default=False)
    _around_language(backend, config, named, default="eng_Latn", leads=leads)


def _mbart_codes(files: VocabularyFiles, config: FolderConfig) -> Sequence[Token]:
    return [*MBART_LANGUAGES, *_of_model(files, config)]


def _mbart50_codes(files: VocabularyFiles, config: FolderConfig) -> Sequence[Token]:
    return [*_of_model(files, config), *MBART50_LANGUAGES]


_OF_ALBERT: Named = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "sep_token": "[SEP]",
    "pad_token": "<pad>",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_TAKES_SPACE = {"mask_token": {"lstrip": True}}
_OF_END: Named = {"eos_token": "</s>", "unk_token": "<unk>"}

SENTENCEPIECE_CLASSES: dict[str, Layout] = {
    "AlbertTokenizer": Layout(
        "unigram", albert, _OF_ALBERT, around_bert, others=_of_model, options=CASED
    ),
    "BarthezTokenizer": Layout(
        "unigram", barthez, OF_ROBERTA, wrapped=_TAKES_SPACE, others=_of_model
    ),
    "BigBirdTokenizer": Layout(
        "unigram",
        big_bird,
        {**OF_ROBERTA, "sep_token": "[SEP]", "mask_token": "[MASK]", "cls_token": "[CLS]"},
        around_bert,
        wrapped={**dict.fromkeys(NAMED, PLAIN), **_TAKES_SPACE},
        others=_of_model,
    ),
    "CamembertTokenizer": Layout(
        "unigram",
        camembert,
        OF_ROBERTA,
        _around_fairseq,
        wrapped={"mask_token": {"lstrip": True, "special": True}},
        others=_of_model,
    ),
    "DebertaV2Tokenizer": Layout(
        "unigram",
        deberta_v2,
        {**_OF_ALBERT, "unk_token": "[UNK]", "pad_token": "[PAD]"},
        around_bert,
        others=_of_model,
        options=CASED,
    ),
    "LlamaTokenizer": Layout("bpe", llama, {"bos_token": "<s>", **_OF_END}, others=_of_model),
    "MBart50Tokenizer": Layout(
        "unigram",
        mbart50,
        {name: token for name, token in OF_ROBERTA.items() if name != "bos_token"},
        partial(_around_language, default="en_XX", leads=True),
        wrapped=_TAKES_SPACE,
        others=_mbart50_codes,
    ),
    "MBartTokenizer": Layout(
        "unigram",
        mbart,
        OF_ROBERTA,
        partial(_around_language, default="en_XX", leads=False),
        wrapped=_TAKES_SPACE,
        others=_mbart_codes,
    ),
    "NllbTokenizer": Layout(
        "bpe",
        nllb,
        OF_ROBERTA,
        _around_nllb,
        wrapped={"mask_token": {"lstrip": True, "normalized": True, "special": True}},
        others=_of_model,
    ),
    "PegasusTokenizer": Layout(
        "unigram",
        pegasus,
        {**_OF_END, "pad_token": "<pad>", "mask_token": "<mask_2>"},
        _around_pegasus,
        others=_of_pegasus,
    ),
    "ReformerTokenizer": Layout("bpe", reformer, _OF_END, others=_of_model),
    "RemBertTokenizer": Layout("unigram", rembert, _OF_ALBERT, others=_of_model, options=CASED),
    "T5Tokenizer": Layout(
        "unigram", t5, {**_OF_END, "pad_token": "<pad>"}, _around_end, others=_sentinels
    ),
    "XLMRobertaTokenizer": Layout(
        "unigram", xlm_roberta, OF_ROBERTA, _around_fairseq, others=_of_model
    ),
    "XLNetTokenizer": Layout(
        "unigram",
        xlnet,
        {**OF_ROBERTA, "sep_token": "<sep>", "cls_token": "<cls>"},
        _around_xlnet,
        wrapped=_TAKES_SPACE,
        others=_of_model,
        options=CASED,
    ),
}
