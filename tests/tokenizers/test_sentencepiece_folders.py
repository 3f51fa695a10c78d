"""Folders with a sentencepiece model and no tokenizer.json give the ids of the class they name.

The oracle is that class in transformers, on models that are trained here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.tokenizers.test_folders import SENTENCES, TEXTS, check_equal, write_json
from textkit import tokenizers
from textkit.errors import ArtifactError

sentencepiece = pytest.importorskip("sentencepiece")
pytest.importorskip("google.protobuf")

CORPUS = [
    *SENTENCES,
    "▁ 中文字符 カタカナ 한국어 ½ € 🙂",
    "hello world snake case 3.14",
    "``a'' (b) c, d!",
]
FAIRSEQ = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
OF_T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "pad_piece": "<pad>"}
OF_ALBERT = {
    "pad_id": 0,
    "unk_id": 1,
    "bos_id": -1,
    "eos_id": -1,
    "pad_piece": "<pad>",
    "control_symbols": "[CLS],[SEP]",
    "user_defined_symbols": "[MASK]",
}
OF_DEBERTA = {
    "pad_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "unk_id": 3,
    "pad_piece": "[PAD]",
    "bos_piece": "[CLS]",
    "eos_piece": "[SEP]",
    "unk_piece": "[UNK]",
}
BPE = {"model_type": "bpe"}
CLASSES: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "AlbertTokenizer": (
        "spiece.model",
        OF_ALBERT,
        [{}, {"do_lower_case": False}, {"keep_accents": True}, {"add_prefix_space": False}],
    ),
    "BarthezTokenizer": ("sentencepiece.bpe.model", FAIRSEQ, [{}, {"add_prefix_space": False}]),
    "BigBirdTokenizer": (
        "spiece.model",
        {**OF_T5, "control_symbols": "<s>,[SEP],[CLS]", "user_defined_symbols": "[MASK]"},
        [{}],
    ),
    "CamembertTokenizer": ("sentencepiece.bpe.model", FAIRSEQ, [{}, {"pad_token": "<p>"}]),
    "DebertaV2Tokenizer": (
        "spm.model",
        OF_DEBERTA,
        [{}, {"do_lower_case": True}, {"split_by_punct": True}, {"add_prefix_space": False}],
    ),
    "LlamaTokenizer": (
        "tokenizer.model",
        {**FAIRSEQ, **BPE, "byte_fallback": True, "normalization_rule_name": "identity"},
        [
            {"add_bos_token": True},
            {"legacy": True},
            {"add_prefix_space": False, "pad_token": "<unk>"},
            {"add_bos_token": True, "add_eos_token": True},
        ],
    ),
    "MBart50Tokenizer": ("sentencepiece.bpe.model", FAIRSEQ, [{}, {"src_lang": "de_DE"}]),
    "MBartTokenizer": ("sentencepiece.bpe.model", FAIRSEQ, [{}, {"src_lang": "de_DE"}]),
    "NllbTokenizer": (
        "sentencepiece.bpe.model",
        {**FAIRSEQ, **BPE},
        [
            {"additional_special_tokens": ["eng_Latn", "deu_Latn"]},
            {"additional_special_tokens": ["eng_Latn"], "legacy_behaviour": True},
            {"additional_special_tokens": ["eng_Latn", "deu_Latn"], "src_lang": "deu_Latn"},
        ],
    ),
    "PegasusTokenizer": ("spiece.model", OF_T5, [{}, {"offset": 5}]),
    "ReformerTokenizer": ("spiece.model", {**OF_T5, **BPE}, [{}]),
    "RemBertTokenizer": (
        "sentencepiece.model",
        OF_ALBERT,
        [{}, {"do_lower_case": True, "keep_accents": False}],
    ),
    "T5Tokenizer": (
        "spiece.model",
        OF_T5,
        [
            {},
            {"extra_ids": 3},
            {"extra_ids": 2, "additional_special_tokens": ["<extra_id_0>", "<extra_id_1>"]},
        ],
    ),
    "XLMRobertaTokenizer": (
        "sentencepiece.bpe.model",
        FAIRSEQ,
        [
            {},
            {"add_prefix_space": False},
            {"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True}},
        ],
    ),
    "XLNetTokenizer": (
        "spiece.model",
        {**FAIRSEQ, "control_symbols": "<cls>,<sep>", "user_defined_symbols": "<eop>,<eod>"},
        [{}, {"do_lower_case": True}],
    ),
}
CASES = [
    pytest.param(name, options, id=f"{name}-{options}")
    for name, (_, _, choices) in CLASSES.items()
    for options in choices
]


def write_model(name: str, **options: Any) -> None:
    """Train a small sentencepiece model and write it under a name."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3),
        model_writer=model,
        vocab_size=260 + 256 * bool(options.get("byte_fallback")),
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    Path(name).write_bytes(model.getvalue())


@pytest.mark.parametrize("rule", ["nmt_nfkc", "identity"])
@pytest.mark.parametrize(("class_name", "options"), CASES)
def test_a_class_reads_its_model_in_its_own_way(
    class_name: str, options: dict[str, Any], rule: str
) -> None:
    name, training, _ = CLASSES[class_name]
    write_model(name, **{"normalization_rule_name": rule, **training})
    write_json("tokenizer_config.json", {"tokenizer_class": class_name, **options})
    check_equal(class_name, [*TEXTS, "``a'' b", "the <mask> cat <extra_id_1> x</s>"])


@pytest.mark.parametrize("class_name", ["InternLM2Tokenizer", "M2M100Tokenizer"])
def test_an_unknown_class_is_refused_by_name(class_name: str) -> None:
    write_model("tokenizer.model", **FAIRSEQ)
    write_json("tokenizer_config.json", {"tokenizer_class": class_name})
    with pytest.raises(ArtifactError, match=f"class '{class_name}' is not known"):
        tokenizers.load(".")
    assert tokenizers.load("tokenizer.model").encode(["the cat"]).lengths.tolist() != [0]


def test_a_model_of_no_class_gives_sentencepieces_own_ids() -> None:
    write_model("spiece.model", **FAIRSEQ)
    own = sentencepiece.SentencePieceProcessor(model_file="spiece.model")
    for text in TEXTS:
        assert tokenizers.load(".").encode([text]).ids.tolist() == own.encode(text)
