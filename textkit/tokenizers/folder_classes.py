"""Classes of transformers that read BERT's vocab.txt, or GPT-2's vocab.json and merges.txt.

In: the vocabulary with the folder's config. Out: the pipelines of WordPiece and of byte-level BPE
as transformers 5.23 builds them, word ends and splits of the class's own included.
"""

from __future__ import annotations

from dataclasses import replace

import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

from textkit.errors import ArtifactError
from textkit.tokenizers.description import NAMED
from textkit.tokenizers.folder_config import FolderConfig
from textkit.tokenizers.folder_layouts import (
    CASED,
    OF_ROBERTA,
    PLAIN,
    Layout,
    Named,
    around_bert,
    template,
)
from textkit.tokenizers.splitters import QWEN
from textkit.tokenizers.vocabulary_files import VocabularyFiles


def _around_funnel(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    cls, sep = str(named["cls_token"]), str(named["sep_token"])
    template(
        backend,
        [cls],
        [sep],
        single=f"{cls}:2 $A:0 {sep}:0",
        pair=f"{cls}:2 $A:0 {sep}:0 $B:1 {sep}:1",
    )


def _around_roberta(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    """Put <s> and </s> around a text; a span then holds no space before its word."""
    _roberta(
        backend,
        str(named["cls_token"]),
        str(named["sep_token"]),
        trims=config.flag("trim_offsets", default=True),
        prefix=config.flag("add_prefix_space", default=False),
    )


def _around_mpnet(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    _roberta(backend, str(named["cls_token"]), str(named["sep_token"]), trims=True, prefix=False)


def _around_clip(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    _roberta(backend, str(named["bos_token"]), str(named["eos_token"]), trims=False, prefix=False)


def _roberta(backend: hf.Tokenizer, cls: str, sep: str, *, trims: bool, prefix: bool) -> None:
    cls_id, sep_id = backend.token_to_id(cls), backend.token_to_id(sep)
    backend.post_processor = processors.RobertaProcessing(
        (sep, 2 if sep_id is None else sep_id), (cls, 0 if cls_id is None else cls_id),
        trims, prefix,
    )  # fmt: skip


def _around_deberta(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    cls, sep = str(named["cls_token"]), str(named["sep_token"])
    template(backend, [cls], [sep], pair=f"{cls}:0 $A:0 {sep}:0 {sep}:0 $B:0 {sep}:0")


def _around_herbert(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    """Put <s> and </s> around a text, by the ids that the class has fixed."""
    del config
    backend.post_processor = processors.BertProcessing(
        (str(named["sep_token"]), 2), (str(named["cls_token"]), 0)
    )


def _around_codegen(backend: hf.Tokenizer, config: FolderConfig, named: Named) -> None:
    del named
    if "add_bos_token" not in config.options and "add_eos_token" not in config.options:
        backend.post_processor = processors.ByteLevel(
            add_prefix_space=config.flag("add_prefix_space", default=False),
            use_regex=True,
            trim_offsets=False,
        )


def _wordpiece(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    """Build BERT's pipeline."""
    table, unknown = files.wordpieces(), str(named["unk_token"])
    if unknown not in table:
        raise ArtifactError(
            f"no {unknown} among the lines, so it is no vocabulary of WordPiece, nor anything else"
            " that textkit knows",
            where=files.where(files.txt),
        )
    backend = hf.Tokenizer(models.WordPiece(table, unk_token=unknown))
    strips = (
        config.flag("strip_accents", default=False)
        if config.options.get("strip_accents") is not None
        else None
    )
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=config.flag("clean_text", default=True),
        handle_chinese_chars=config.flag("tokenize_chinese_chars", default=True),
        strip_accents=strips,
        lowercase=config.flag("do_lower_case", default=True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return backend


def _byte_level(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    """Build GPT-2's pipeline."""
    return _byte_pieces(files, config, prefix=False)


def _blenderbot(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    return _byte_pieces(files, config, prefix=True)


def _byte_pieces(files: VocabularyFiles, config: FolderConfig, *, prefix: bool) -> hf.Tokenizer:
    backend = hf.Tokenizer(models.BPE(*files.merged()))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=config.flag("add_prefix_space", default=prefix)
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _gpt_neox(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    backend = _byte_level(files, config, named)
    backend.normalizer = normalizers.NFC()
    return backend


def _cohere(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    backend = _gpt_neox(files, config, named)
    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
    return backend


def _qwen2(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    """Build Qwen2's pipeline: NFC, and each digit by itself."""
    backend = hf.Tokenizer(models.BPE(*files.merged()))
    backend.normalizer = normalizers.NFC()
    prefix = config.flag("add_prefix_space", default=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


_CLIP = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def _clip(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    """Build CLIP's pipeline: lower-cased bytes, '</w>' at the end of a word."""
    backend = hf.Tokenizer(_word_ends(files, named))
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    # The decoder turns the bytes back, and '</w>', which it leaves, to a space.
    backend.decoder = decoders.Sequence(
        [decoders.ByteLevel(), decoders.Replace("</w>", " "), decoders.Strip(" ", 0, 1)]
    )
    return backend


def _word_ends(files: VocabularyFiles, named: Named) -> models.BPE:
    return models.BPE(*files.merged(), unk_token=str(named["unk_token"]), end_of_word_suffix="</w>")


def _openai_gpt(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    """Build GPT-1's pipeline: BERT's words, lower-cased, '</w>' at the end of one."""
    backend = hf.Tokenizer(_word_ends(files, named))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.BPEDecoder(suffix="</w>")
    return backend


def _herbert(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    backend = _openai_gpt(files, config, named)
    backend.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    return backend


_OF_BERT: Named = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_END = "<|endoftext|>"
_OF_GPT2: Named = {"bos_token": _END, "eos_token": _END, "unk_token": _END}
_BERT = Layout("wordpiece", _wordpiece, _OF_BERT, around_bert, options=CASED)
_GPT2 = Layout("bpe", _byte_level, _OF_GPT2)
_ROBERTA = Layout("bpe", _byte_level, OF_ROBERTA, _around_roberta)

VOCABULARY_CLASSES: dict[str, Layout] = {
    **dict.fromkeys(
        (
            "BertTokenizer",
            "ConvBertTokenizer",
            "DPRContextEncoderTokenizer",
            "DPRQuestionEncoderTokenizer",
            "DistilBertTokenizer",
            "ElectraTokenizer",
            "LayoutLMTokenizer",
            "LayoutLMv2Tokenizer",
            "LxmertTokenizer",
            "MobileBertTokenizer",
            "SqueezeBertTokenizer",
        ),
        _BERT,
    ),
    "FunnelTokenizer": Layout(
        "wordpiece",
        _wordpiece,
        {**OF_ROBERTA, "sep_token": "<sep>", "cls_token": "<cls>"},
        _around_funnel,
        options=CASED,
    ),
    "SplinterTokenizer": replace(_BERT, own=("[QUESTION]",)),
    "MPNetTokenizer": Layout(
        "wordpiece",
        _wordpiece,
        {**OF_ROBERTA, "unk_token": "[UNK]"},
        _around_mpnet,
        wrapped={**dict.fromkeys(NAMED, PLAIN), "mask_token": {"lstrip": True}},
        options=CASED,
    ),
    **dict.fromkeys(
        (
            "BartTokenizer",
            "LEDTokenizer",
            "LongformerTokenizer",
            "MvpTokenizer",
            "RobertaTokenizer",
        ),
        _ROBERTA,
    ),
    "BlenderbotTokenizer": Layout(
        "bpe",
        _blenderbot,
        OF_ROBERTA,
        wrapped={"mask_token": {"lstrip": True, "normalized": False}},
    ),
    "CLIPTokenizer": Layout(
        "bpe",
        _clip,
        {**_OF_GPT2, "bos_token": "<|startoftext|>", "pad_token": _END},
        _around_clip,
    ),
    "CodeGenTokenizer": Layout("bpe", _byte_level, _OF_GPT2, _around_codegen),
    "CohereTokenizer": Layout(
        "bpe",
        _cohere,
        {
            "bos_token": "<BOS_TOKEN>",
            "eos_token": "<|END_OF_TURN_TOKEN|>",
            "unk_token": "<UNK>",
            "sep_token": "<SEP>",
            "pad_token": "<PAD>",
            "cls_token": "<CLS>",
            "mask_token": "<MASK_TOKEN>",
        },
    ),
    "DebertaTokenizer": Layout(
        "bpe",
        _byte_level,
        {**_OF_BERT, "bos_token": "[CLS]", "eos_token": "[SEP]"},
        _around_deberta,
    ),
    "GPT2Tokenizer": _GPT2,
    "GPTNeoXTokenizer": Layout("bpe", _gpt_neox, {**_OF_GPT2, "pad_token": "<|padding|>"}),
    "HerbertTokenizer": Layout(
        "bpe",
        _herbert,
        {name: OF_ROBERTA[name] for name in NAMED if name not in ("bos_token", "eos_token")},
        _around_herbert,
    ),
    "OpenAIGPTTokenizer": Layout("bpe", _openai_gpt, {"unk_token": "<unk>"}),
    "Qwen2Tokenizer": Layout(
        "bpe", _qwen2, {"eos_token": _END, "unk_token": _END, "pad_token": _END}
    ),
}
