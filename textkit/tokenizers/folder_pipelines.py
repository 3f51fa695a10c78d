"""The pipelines of classes of transformers that read a sentencepiece .model otherwise than
sentencepiece does.

In: the model's pieces with the folder's config. Out: the normaliser, the splitter and the pieces of
ALBERT, XLM-R, T5, Llama and their like as transformers 5.23 builds them: ids shifted by fairseq's
tokens, sentinels and language codes behind the pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from textkit.tokenizers.folder_config import FolderConfig
from textkit.tokenizers.folder_layouts import LOWERCASE, Named
from textkit.tokenizers.sentencepiece_model import UNKNOWN, SentencePieceModel
from textkit.tokenizers.vocabulary_files import VocabularyFiles

Scored = list[tuple[str, float]]
_MBART_CODES = (
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT"
    " lv_LV my_MM ne_NP nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN"
)
_MBART50_CODES = (
    f"{_MBART_CODES} af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN"
    " pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"
)
MBART_LANGUAGES, MBART50_LANGUAGES = _MBART_CODES.split(), _MBART50_CODES.split()


def _pieces(model: SentencePieceModel) -> Scored:
    return [(piece.name, piece.score) for piece in model.pieces]


def _unknown(model: SentencePieceModel) -> int:
    return next(i for i, piece in enumerate(model.pieces) if piece.type == UNKNOWN)


def _fairseq(pieces: Scored, named: Named, *, first: str = "bos_token") -> Scored:
    """Put fairseq's four tokens before the pieces, of which the first three go."""
    heads = [str(named[name]) for name in (first, "pad_token", "eos_token", "unk_token")]
    return [*((head, 0.0) for head in heads), *pieces[3:]]


def _backend(
    pieces: Scored,
    *,
    unknown: int,
    steps: Sequence[normalizers.Normalizer] = (),
    prefix: str = "always",
    cuts_white: bool = False,
) -> hf.Tokenizer:
    """Build Unigram behind a splitter that writes a space as '▁'.

    cuts_white: all white space is cut away first. prefix: when a '▁' is put before a text.
    """
    backend = hf.Tokenizer(models.Unigram(pieces, unk_id=unknown, byte_fallback=False))
    _put_spaces(backend, steps=steps, prefix=prefix, cuts_white=cuts_white)
    return backend


def _put_spaces(
    backend: hf.Tokenizer,
    *,
    steps: Sequence[normalizers.Normalizer],
    prefix: str = "always",
    cuts_white: bool = False,
) -> None:
    if steps:
        backend.normalizer = normalizers.Sequence(list(steps))
    split: pre_tokenizers.PreTokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix)
    if cuts_white:
        split = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), split])
    backend.pre_tokenizer = split
    backend.decoder = decoders.Metaspace(prepend_scheme=prefix)


def _prefix(config: FolderConfig) -> str:
    return "always" if config.flag("add_prefix_space", default=True) else "never"


def _table(files: VocabularyFiles) -> list[normalizers.Normalizer]:
    """Give the model's own table of characters, if it has one."""
    charsmap = files.sentencepiece.charsmap
    return [normalizers.Precompiled(charsmap)] if charsmap else []


def _one_space(content: str = " ") -> normalizers.Normalizer:
    return normalizers.Replace(Regex(" {2,}"), content)


def _quotes() -> list[normalizers.Normalizer]:
    return [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]


def _without_accents() -> list[normalizers.Normalizer]:
    return [normalizers.NFKD(), normalizers.StripAccents()]


def _lowered(config: FolderConfig, *, default: bool) -> list[normalizers.Normalizer]:
    return [normalizers.Lowercase()] if config.flag(LOWERCASE, default=default) else []


def albert(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    keeps = config.flag("keep_accents", default=False)
    steps = [
        *_quotes(),
        *([] if keeps else _without_accents()),
        *_lowered(config, default=True),
        *_table(files),
    ]
    pieces = _pieces(files.sentencepiece)
    return _backend(pieces, unknown=1, steps=steps, prefix=_prefix(config), cuts_white=True)


def rembert(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    keeps = config.flag("keep_accents", default=True)
    steps = [
        *_quotes(),
        _one_space(),
        *([] if keeps else _without_accents()),
        *_lowered(config, default=False),
        *_table(files),
    ]
    pieces = _pieces(files.sentencepiece)
    return _backend(pieces, unknown=2, steps=steps, prefix=_prefix(config))


def xlnet(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    steps = [
        *_quotes(),
        *_without_accents(),
        *_lowered(config, default=False),
        *_table(files),
    ]
    return _backend(
        _pieces(files.sentencepiece),
        unknown=_unknown(files.sentencepiece),
        steps=steps,
        cuts_white=True,
    )


def xlm_roberta(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    pieces = _fairseq(_pieces(files.sentencepiece), named)
    pieces.append((str(named["mask_token"]), 0.0))
    steps = _table(files)
    return _backend(pieces, unknown=3, steps=steps, prefix=_prefix(config), cuts_white=True)


def camembert(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    unknown = str(named["unk_token"])
    pieces = [
        ("<s>NOTUSED", 0.0),
        (str(named["pad_token"]), 0.0),
        ("</s>NOTUSED", 0.0),
        (unknown, 0.0),
        ("<unk>NOTUSED", -100.0),
        *_pieces(files.sentencepiece)[1:],
        (str(named["mask_token"]), 0.0),
    ]
    first = next((i for i, (name, _) in enumerate(pieces) if name == unknown), 0)
    steps = _table(files)
    return _backend(pieces, unknown=first, steps=steps, prefix=_prefix(config), cuts_white=True)


def mbart(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    pieces = _fairseq(_pieces(files.sentencepiece), named)
    pieces += [(name, 0.0) for name in (*MBART_LANGUAGES, str(named["mask_token"]))]
    return _backend(pieces, unknown=3, cuts_white=True)


def mbart50(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    pieces = _fairseq(_pieces(files.sentencepiece), named, first="cls_token")
    pieces += [(name, 0.0) for name in (*MBART50_LANGUAGES, str(named["mask_token"]))]
    return _backend(pieces, unknown=3, steps=[*_table(files), _one_space()])


def t5(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    n_extra = config.number("extra_ids", default=100)
    pieces = _pieces(files.sentencepiece)
    pieces += [(f"<extra_id_{i}>", 0.0) for i in reversed(range(n_extra))]
    return _backend(pieces, unknown=2, steps=_table(files), cuts_white=True)


def pegasus(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    """Build Pegasus's pipeline: 105 tokens of the class stand before the pieces."""
    masks = (str(config.named.get("mask_token", "<mask_1>")), sentence_mask(config, "<mask_2>"))
    heads = [(str(named[name]), 0.0) for name in ("pad_token", "eos_token")]
    heads += [(mask, 0.0) for mask in dict.fromkeys(masks) if mask != "None"]
    pieces = [
        *heads,
        *((name, -100.0) for name in unused(config)),
        *_pieces(files.sentencepiece)[2:],
    ]
    known = _table(files) or [normalizers.Replace(Regex(r"\n"), " ")]
    unknown = next((i for i, (name, _) in enumerate(pieces) if i and name == named["unk_token"]), 0)
    if not unknown:
        raise config.error(f"unk_token is {named['unk_token']}, which is none of the pieces")
    return _backend(pieces, unknown=unknown, steps=[*known, _one_space()])


def sentence_mask(config: FolderConfig, default: str) -> str:
    return str(config.options.get("mask_token_sent", default))


def unused(config: FolderConfig) -> list[str]:
    return [f"<unk_{i}>" for i in range(2, config.number("offset", default=103))]


def _tidied() -> list[normalizers.Normalizer]:
    return [
        normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "),
        normalizers.NFC(),
        normalizers.Strip(left=False, right=True),
    ]


def deberta_v2(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    pieces = _pieces(files.sentencepiece)
    unknown = (str(named["unk_token"]), 0.0)
    backend = _backend(
        pieces,
        unknown=pieces.index(unknown) if unknown in pieces else _unknown(files.sentencepiece),
        steps=[*_lowered(config, default=False), *_tidied()],
        prefix="always" if config.flag("add_prefix_space", default=True) else "first",
    )
    steps = [backend.pre_tokenizer]
    if config.flag("split_by_punct", default=False):
        steps.insert(0, pre_tokenizers.Punctuation(behavior="isolated"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return backend


def barthez(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    pieces = _pieces(files.sentencepiece)
    return _backend(pieces, unknown=3, steps=_tidied(), prefix=_prefix(config))


def big_bird(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    pieces = _pieces(files.sentencepiece)
    unknown = (str(named["unk_token"]), 0.0)
    return _backend(
        pieces,
        unknown=pieces.index(unknown) if unknown in pieces else 100,
        steps=[normalizers.Strip(left=False, right=False), _one_space("▁")],
        prefix=_prefix(config),
    )


def _merges(table: dict[str, int]) -> list[tuple[str, str]]:
    """Give all pairs of pieces that make a piece, by the id of the result and then by the length
    of the first.
    """
    return [
        (name[:cut], name[cut:])
        for name in table
        for cut in range(1, len(name))
        if name[:cut] in table and name[cut:] in table
    ]


def nllb(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    names = [name for name, _ in _pieces(files.sentencepiece)]
    heads = [str(named[name]) for name in ("bos_token", "pad_token", "eos_token", "unk_token")]
    table = {name: i for i, name in enumerate(dict.fromkeys([*heads, *names]))}
    merges = _merges({name: i for i, name in enumerate(names)})
    unknown = str(named["unk_token"])
    backend = hf.Tokenizer(models.BPE(table, merges, unk_token=unknown, fuse_unk=True))
    charsmap = _table(files)
    _put_spaces(backend, steps=[*charsmap, _one_space()] if charsmap else [])
    return backend


def reformer(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    table = {name: i for i, (name, _) in enumerate(_pieces(files.sentencepiece))}
    unknown = str(named["unk_token"])
    backend = hf.Tokenizer(models.BPE(table, _merges(table), unk_token=unknown, fuse_unk=True))
    charsmap = _table(files)
    _put_spaces(backend, steps=[*charsmap, _one_space()] if charsmap else [])
    return backend


def llama(files: VocabularyFiles, config: FolderConfig, named: Named) -> hf.Tokenizer:
    """Build Llama's pipeline: the merges run over the whole text, and bytes stand for the rest."""
    table = {name: i for i, (name, _) in enumerate(_pieces(files.sentencepiece))}
    backend = hf.Tokenizer(models.BPE(table, _merges(table), fuse_unk=True, byte_fallback=True))
    has_prefix = config.flag("add_prefix_space", default=True)
    scheme = "always" if config.flag("legacy", default=False) else "first"
    backend.pre_tokenizer = pre_tokenizers.Metaspace(
        prepend_scheme=scheme if has_prefix else "never", split=False
    )
    steps: list[decoders.Decoder] = [
        decoders.Replace("▁", " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
    ]
    backend.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] * has_prefix)])
    return backend
