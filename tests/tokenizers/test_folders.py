"""Hugging Face folders without a tokenizer.json give the ids and spans of the class they name.

The oracle is that class in transformers, on small folders made here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from textkit import tokenizers
from textkit.errors import ArtifactError, UsageError
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.description import NAMED
from textkit.tokenizers.splitters import byte_names

TEXTS = [
    "",
    " ",
    "the cat sat on the mat",
    "The Cat SAT, on the Mat!  ",
    "  Über das Öl\tund\n\nschöner Straße",
    "im Jahr 2024 kosten 12345 Stück 3,14 €",
    "don't we'll they're I'M O'Neill's",
    "中文字符 und カタカナ 한국어",
    "e\u0301tude \u212b \ufb01n \u00bd İstanbul \u1e9e",
    "🙂 👩\u200d👩\u200d👧 naïve\u00a0café\u3000x",
    "a\x00b\x1fc\ufffdd\u200be",
    "hello</w> world </w>",
    "snake_case x==y; foo(bar)[0] http://a.b/c?d=e",
    "▁under lower ▁ bar",
]
SENTENCES = (
    "the cat sat on mat und das öl ol über uber schöner schoner im jahr 12 123 2024 The Cat Jahr",
    "Öl Straße strasse don they re naïve naive café cafe étude etude fin istanbul",
)
WORDS = [word for sentence in SENTENCES for word in sentence.split()]
INNER = ["t", "s", "e", "er", "ol", "1", "2", "3", "4", "a", "n", "h"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write_json(name: str, value: object) -> None:
    Path(name).write_text(json.dumps(value), encoding="utf-8")


def write_wordpieces(specials: Sequence[str] = BERT) -> None:
    """Write a small vocab.txt: special tokens, words, letters and inner pieces."""
    letters = [chr(c) for c in range(0x21, 0x7F)] + list("öüßé中文字符カ한½€")
    pieces = [*specials, *WORDS, *letters, *(f"##{piece}" for piece in INNER)]
    Path("vocab.txt").write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8")


def write_merges(specials: Sequence[str] = (), *, suffix: str = "", names: bool = True) -> None:
    """Write a small vocab.json and merges.txt over bytes, or over characters."""
    alphabet = byte_names() if names else [chr(c) for c in range(0x21, 0x17F)] + list("中文字")
    pieces = [*alphabet, *(f"{name}{suffix}" for name in alphabet if suffix)]
    merges: list[tuple[str, str]] = []
    for word in [
        *WORDS,
        *(f" {word}" for word in WORDS if not suffix),
        "12",
        "34",
        *(["  "] if names else []),
    ]:
        spelt = "".join(byte_names()[byte] for byte in word.encode()) if names else word
        parts = [*spelt[:-1], spelt[-1] + suffix]
        left = parts[0]
        for part in parts[1:]:
            merges.append((left, part))
            left += part
            pieces.append(left)
    table = {piece: i for i, piece in enumerate(dict.fromkeys([*specials, *pieces]))}
    write_json("vocab.json", table)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in dict.fromkeys(merges))]
    Path("merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def open_both(class_name: str, folder: str = ".") -> tuple[PipelineTokenizer, Any]:
    transformers = pytest.importorskip("transformers")
    ours = tokenizers.load(folder)
    assert isinstance(ours, PipelineTokenizer)
    return ours, getattr(transformers, class_name).from_pretrained(folder)


def check_equal(class_name: str, texts: Sequence[str] = TEXTS) -> PipelineTokenizer:
    """Compare ids and spans of texts, of texts with special tokens in them, and what is around."""
    ours, theirs = open_both(class_name)
    special = [str(token) for token in theirs.all_special_tokens]
    special += [str(token) for token in theirs.get_added_vocab()]
    marked = [f"the {token} cat a{token.lower()}{token}b" for token in special]
    for text in (*texts, *marked):
        want = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        batch = ours.encode([text], spans=True, allow_special=True)
        assert batch.ids.tolist() == want["input_ids"], text
        assert batch.row_spans(0).tolist() == [list(s) for s in want["offset_mapping"]], text
        assert ours.encode([text], allow_special=True).ids.tolist() == want["input_ids"], text
    plain = [text for text in texts if not any(token in text for token in special)]
    for text, row in zip(plain, ours.encode(plain), strict=True):
        assert row.tolist() == theirs(text, add_special_tokens=False)["input_ids"], text
    before, after = ours.around
    assert [*before, *ours.encode(["cat"])[0], *after] == theirs("cat")["input_ids"]
    if theirs.pad_token_id is not None:
        assert ours.pad_id == theirs.pad_token_id
    ours.save("saved")
    assert tokenizers.load("saved").pad_id == ours.pad_id
    check_saved(theirs)
    return ours


def check_saved(theirs: Any) -> None:
    """Compare the saved folder, as AutoTokenizer opens it, with the class that it was read by."""
    transformers = pytest.importorskip("transformers")
    auto = transformers.AutoTokenizer.from_pretrained("saved")
    for text in TEXTS:
        assert auto(text)["input_ids"] == theirs(text)["input_ids"], text
    for role in NAMED:
        if getattr(theirs, role) is not None:
            assert getattr(auto, role) == getattr(theirs, role), role


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_lower_case": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"tokenize_chinese_chars": False},
        {"strip_accents": None, "tokenize_chinese_chars": True, "model_max_length": 512},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "class_name", ["BertTokenizer", "DistilBertTokenizerFast", "ElectraTokenizer"]
)
def test_a_wordpiece_folder_follows_its_options(
    class_name: str, options: dict[str, object]
) -> None:
    write_wordpieces()
    write_json("tokenizer_config.json", {"tokenizer_class": class_name, **options})
    ours = check_equal(class_name)
    assert ours.unknown_id == 1


OF_WORDPIECE = {
    "ConvBertTokenizer": BERT,
    "FunnelTokenizer": ["<unk>", "<sep>", "<pad>", "<cls>", "<mask>", "<s>", "</s>"],
    "LayoutLMTokenizer": BERT,
    "LxmertTokenizer": BERT,
    "MPNetTokenizer": ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"],
    "MobileBertTokenizer": BERT,
    "SplinterTokenizer": [*BERT, "[QUESTION]"],
    "SqueezeBertTokenizer": BERT,
}
OF_BYTES: dict[str, tuple[Sequence[str], dict[str, object]]] = {
    "BartTokenizer": (ROBERTA, {}),
    "BlenderbotTokenizer": (ROBERTA, {}),
    "CodeGenTokenizer": (["<|endoftext|>"], {}),
    "CohereTokenizer": (["<PAD>", "<UNK>", "<CLS>", "<SEP>", "<MASK_TOKEN>", "<BOS_TOKEN>"], {}),
    "DebertaTokenizer": (BERT, {}),
    "GPT2Tokenizer": (["<|endoftext|>"], {}),
    "GPTNeoXTokenizer": (["<|endoftext|>", "<|padding|>"], {}),
    "LEDTokenizer": (ROBERTA, {}),
    "LongformerTokenizer": (ROBERTA, {}),
    "Qwen2Tokenizer": (["<|endoftext|>", "<|im_start|>"], {}),
    "RobertaTokenizer": (ROBERTA, {}),
}


@pytest.mark.parametrize("class_name", OF_WORDPIECE)
@pytest.mark.parametrize("lowers", [True, False])
def test_each_class_of_wordpieces_has_its_own_tokens(class_name: str, lowers: bool) -> None:
    write_wordpieces(OF_WORDPIECE[class_name])
    write_json("tokenizer_config.json", {"tokenizer_class": class_name, "do_lower_case": lowers})
    check_equal(class_name)


@pytest.mark.parametrize("class_name", OF_BYTES)
@pytest.mark.parametrize("prefix", [None, False, True])
def test_each_class_of_byte_pieces_has_its_own_pipeline(
    class_name: str, prefix: bool | None
) -> None:
    specials, options = OF_BYTES[class_name]
    write_merges(specials)
    if prefix is not None:
        options = {**options, "add_prefix_space": prefix}
    write_json("tokenizer_config.json", {"tokenizer_class": class_name, **options})
    check_equal(class_name)


@pytest.mark.parametrize("add", [(True, False), (False, True), (True, True)])
def test_a_first_and_a_last_token_stand_around_where_the_config_asks(
    add: tuple[bool, bool],
) -> None:
    write_merges(["<|endoftext|>", "<s>"])
    asks = {"add_bos_token": add[0], "add_eos_token": add[1], "bos_token": "<s>"}
    write_json("tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", **asks})
    ours = check_equal("GPT2Tokenizer")
    assert [len(part) for part in ours.around] == [int(asked) for asked in add]


@pytest.mark.parametrize(
    ("class_name", "names", "specials"),
    [
        ("CLIPTokenizer", True, ["<|startoftext|>", "<|endoftext|>"]),
        ("OpenAIGPTTokenizer", False, ["<unk>"]),
        ("HerbertTokenizer", False, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]),
    ],
)
def test_pieces_with_word_ends(class_name: str, names: bool, specials: list[str]) -> None:
    write_merges(specials, suffix="</w>", names=names)
    write_json("tokenizer_config.json", {"tokenizer_class": class_name})
    ours = check_equal(class_name)
    assert ours.decode(ours.encode(["the cat sat"])[0]) == "the cat sat"


def add_no_flags() -> None:
    write_json("added_tokens.json", {"<new>": 400, "[Ent]": 401})


def add_special_tokens_map() -> None:
    mask = {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False}
    write_json("special_tokens_map.json", {"mask_token": mask, "unk_token": "[UNK]"})


def add_unnamed() -> None:
    write_json("special_tokens_map.json", {"additional_special_tokens": ["<a>", "<B>"]})
    write_json("added_tokens.json", {"<a>": 400, "<B>": 401, "<Plain>": 402})


def add_decoder() -> None:
    flags = {"lstrip": False, "rstrip": True, "normalized": True, "single_word": True}
    tokens = {
        "4": {"content": "[MASK]", **flags, "special": True},
        "500": {"content": "Word", **flags, "special": False},
        "501": {"content": "<x>", **flags, "single_word": False, "special": False},
    }
    config = json.loads(Path("tokenizer_config.json").read_text(encoding="utf-8"))
    write_json("tokenizer_config.json", {**config, "added_tokens_decoder": tokens})
    # Where the config has its tokens, these files count no more.
    write_json("special_tokens_map.json", {"mask_token": "<x>"})
    write_json("added_tokens.json", {"cat": 600})


@pytest.mark.parametrize("lowers", [True, False])
@pytest.mark.parametrize("add", [add_no_flags, add_special_tokens_map, add_unnamed, add_decoder])
def test_added_tokens_keep_their_flags(add: Callable[[], None], lowers: bool) -> None:
    write_wordpieces()
    write_json(
        "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": lowers}
    )
    add()
    texts = [
        "a <new>b [ent] [Ent]x",
        "the [MASK]  cat  [MASK]",
        "<a><b><B> <Plain> <plain>",
        "Word words Wordy a Word  b <x>  y <X>z",
    ]
    check_equal("BertTokenizer", [*TEXTS, *texts])


def test_named_tokens_of_the_config_are_taken() -> None:
    write_wordpieces(["<none>", "<what>", "<begin>", "<end>", "[PAD]", "[UNK]"])
    named = {"pad_token": "<none>", "unk_token": "<what>", "cls_token": "<begin>"}
    config = {"tokenizer_class": "BertTokenizer", "sep_token": "<end>", **named}
    write_json("tokenizer_config.json", config)
    ours = check_equal("BertTokenizer")
    assert (ours.pad_id, ours.unknown_id, ours.around) == (0, 1, ((2,), (3,)))


def test_the_class_follows_from_the_model_where_the_config_has_none() -> None:
    write_merges(ROBERTA)
    write_json("config.json", {"model_type": "roberta"})
    ours = tokenizers.load(".")
    assert ours.vocabulary["<mask>"] in ours.encode(["<mask>"], allow_special=True).ids.tolist()


@pytest.mark.parametrize("class_name", ["TapasTokenizer", "MyTokenizer", "PreTrainedTokenizerFast"])
def test_an_unknown_class_is_refused_by_name(class_name: str) -> None:
    write_wordpieces()
    write_json("tokenizer_config.json", {"tokenizer_class": class_name})
    with pytest.raises(ArtifactError, match=rf"class '{class_name}' is not known.*save_pretrained"):
        tokenizers.load(".")


def test_word_ends_of_no_class_are_refused() -> None:
    write_merges(["<unk>"], suffix="</w>")
    with pytest.raises(ArtifactError, match=r"end in '</w>'.*tokenizer_class"):
        tokenizers.load(".")


def test_byte_pieces_of_no_class_are_read_as_gpt2s_and_it_is_said() -> None:
    write_merges(["<|endoftext|>"])
    ours = tokenizers.load(".")
    assert any("read as GPT-2's" in note for note in ours.engine_notes)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"do_lower_case": "yes"}, "do_lower_case is 'yes', expected true or false"),
        ({"mask_token": 7}, "mask_token is 7, expected a token"),
        ({"added_tokens_decoder": {"x": {"content": "a"}}}, "added_tokens_decoder has 'x'"),
        ({"additional_special_tokens": "<a>"}, "additional_special_tokens is no list"),
        ({"unk_token": "<lost>"}, "no <lost> among the lines"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_read_is_named(option: dict[str, object], message: str) -> None:
    write_wordpieces()
    write_json("tokenizer_config.json", {"tokenizer_class": "BertTokenizer", **option})
    with pytest.raises(ArtifactError) as caught:
        tokenizers.load(".")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "lowers"),
    [
        ([f"word{i}" for i in range(40)] + ["A", "NATO"], True),
        (["the", "cat"], True),
        (["öl", "中文", "2024"], True),
        (["Das", "Haus", "ist", "groß", "und", "alt"], False),
        (["[Spanish]", "<Tag>", "##Er", "wort", "zwei"], True),
    ],
    ids=str,
)
def test_a_vocabulary_alone_is_cased_by_its_whole_words(words: list[str], lowers: bool) -> None:
    Path("vocab.txt").write_text("\n".join([*BERT, *words]) + "\n", encoding="utf-8")
    ours = tokenizers.load("vocab.txt")
    assert ours.normalize("Das") == ("das" if lowers else "Das")
    assert sum("whole words have a capital letter" in note for note in ours.engine_notes) == 1
    for asked in (True, False):
        decided = tokenizers.load("vocab.txt", lowercase=asked)
        assert decided.normalize("Das") == ("das" if asked else "Das")
        assert not any("whole words" in note for note in decided.engine_notes)


def test_lowercase_overrides_a_folder() -> None:
    write_wordpieces()
    write_json("tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    assert tokenizers.load(".", lowercase=False).normalize("Das") == "Das"


def test_lowercase_is_refused_where_the_file_decides() -> None:
    write_merges(["<|endoftext|>"])
    write_json("tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"})
    with pytest.raises(UsageError, match="lowercase= has no meaning for a GPT2Tokenizer"):
        tokenizers.load(".", lowercase=True)
    tokenizers.load(".").save("saved")
    with pytest.raises(UsageError, match=r"lowercase= is for a vocab.txt"):
        tokenizers.load("saved", lowercase=True)
