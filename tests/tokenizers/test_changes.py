"""Added tokens, templates and smaller vocabularies: as transformers has them, saved and read back,
with a model's rows in step.
"""

from __future__ import annotations

import numpy as np
import pytest
import tokenizers as hf
from tokenizers import AddedToken

from tests.tokenizers.test_contract import make
from textkit import tokenizers
from textkit.errors import UsageError

KINDS = ["bpe", "wordpiece", "unigram", "bpe-char", "word"]
TEXTS = [
    "Vanity <br> and pride",
    "a<br>b <BR> xyz xyzzy",
    "  <br>  ",
    "",
    "E-MAIL e-mail",
    "(😀) and",
    "different things [CLS] are",
]
TOKENS = {
    "plain": ["<br>", "xyz", "😀"],
    "known": ["and", "<br>", "<br>"],
    "flags": [
        AddedToken("<br>", lstrip=True, rstrip=True),
        AddedToken("xyz", single_word=True),
        AddedToken("E-mail", normalized=True),
        AddedToken("e-mail", normalized=False),
    ],
}


def theirs(tokenizer: tokenizers.PipelineTokenizer) -> hf.Tokenizer:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=hf.Tokenizer.from_str(tokenizer.json), split_special_tokens=True
    )


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("kind", KINDS)
def test_added_tokens_are_found_as_transformers_finds_them(kind: str, name: str) -> None:
    plain = make(kind)
    tokenizer = plain.add_tokens(TOKENS[name])
    peer = theirs(plain)
    peer.add_tokens(TOKENS[name])
    assert [row.tolist() for row in tokenizer.encode(TEXTS)] == peer(
        TEXTS, add_special_tokens=False
    )["input_ids"]
    assert tokenizer.vocabulary == peer.get_vocab()
    assert plain.vocabulary.items() <= tokenizer.vocabulary.items()
    with pytest.raises(UsageError):
        plain.add_tokens("abc")


@pytest.mark.parametrize("preset", ["bert", "roberta", "t5", "llama"])
@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram"])
def test_a_saved_template_is_that_of_auto_tokenizer(kind: str, preset: str) -> None:
    from transformers import AutoTokenizer

    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<cls>", "sep_token": "[SEP]"}
    tokenizer = make(kind).add_special_tokens(**names).with_template(preset)
    tokenizer.save("tok")
    again, peer = tokenizers.load("tok"), AutoTokenizer.from_pretrained("tok")
    for ours in (tokenizer, again):
        assert [row.tolist() for row in ours.encode(TEXTS, add_special_tokens=True)] == [
            peer.encode(text, split_special_tokens=True) for text in TEXTS
        ]
        pairs = ours.encode(TEXTS, pairs=TEXTS[::-1], add_special_tokens=True)
        expected = peer(TEXTS, TEXTS[::-1], split_special_tokens=True, return_token_type_ids=True)
        assert [row.tolist() for row in pairs] == expected["input_ids"]
        if preset == "bert":
            assert (
                pairs.pad(tensors="np")["token_type_ids"][0, : pairs.lengths[0]].tolist()
                == (expected["token_type_ids"][0])
            )
    used = [
        role for role in names if str(names[role]) in tokenizer.template.to_step()["special_tokens"]
    ]
    assert used
    assert all(getattr(peer, role) == names[role] for role in names)


def test_roles_that_are_none_are_refused() -> None:
    with pytest.raises(
        UsageError, match="unknown special token 'cls_tokn'; did you mean 'cls_token'"
    ):
        make("bpe").add_special_tokens(cls_tokn="x")
    with pytest.raises(UsageError, match=r"template 't5' needs a eos_token.*add_special_tokens"):
        make("bpe").with_template("t5")
    with pytest.raises(UsageError, match="unknown template 'brt'; did you mean 'bert'"):
        make("bpe").with_template("brt")


@pytest.mark.parametrize("kind", KINDS)
def test_a_pruned_vocabulary_reads_its_texts_as_before(kind: str) -> None:
    tokenizer = make(kind)
    if kind != "word":
        tokenizer = (
            tokenizer.add_tokens(["<br>"])
            .add_special_tokens(cls_token="<cls>", sep_token="[SEP]")
            .with_template("bert")
        )
    small = tokenizer.prune(TEXTS)
    assert len(small) < len(tokenizer)
    assert sorted(small.vocabulary.values()) == list(range(len(small)))
    for options in ({}, {"add_special_tokens": True}):
        before, after = tokenizer.encode(TEXTS, **options), small.encode(TEXTS, **options)
        for row in range(len(TEXTS)):
            assert tokenizer.tokens(before[row]) == small.tokens(after[row])
    table = np.random.default_rng(0).normal(size=(max(tokenizer.vocabulary.values()) + 9, 3))
    rows = tokenizers.carry_rows(table, old=tokenizer, new=small)
    assert (rows[small.encode(TEXTS).ids] == table[tokenizer.encode(TEXTS).ids]).all()


def test_a_word_of_unknown_pieces_stays_unknown_when_pruned() -> None:
    # 'abc' is unknown because 'ab' is taken first; without 'ab' it would be 'a', '##bc'.
    pieces = ["[UNK]", "a", "ab", "##bc", "##d", "##bcd", "zz"]
    tokenizer = tokenizers.create("wordpiece", vocabulary=pieces)
    texts = ["abc", "a", "zz", "abcd"]
    small = tokenizer.prune([*texts, "abd"])
    for text in texts:
        assert small.tokens(small.encode([text])[0]) == tokenizer.tokens(
            tokenizer.encode([text])[0]
        )


def test_new_tokens_have_the_mean_of_their_pieces() -> None:
    old = make("bpe")
    new = old.add_tokens(["Vanity fair", "<br>"])
    table = np.random.default_rng(0).normal(size=(len(old), 4)).astype(np.float32)
    rows = tokenizers.carry_rows(table, old=old, new=new)
    assert rows.dtype == np.float32
    assert rows.shape == (len(old) + 2, 4)
    assert (rows[: len(old)] == table).all()
    pieces = old.encode(["Vanity fair"])[0]
    assert np.allclose(rows[new.vocabulary["Vanity fair"]], table[pieces].mean(axis=0))
    with pytest.raises(UsageError, match="has no row for the id"):
        tokenizers.carry_rows(table[:-1], old=old, new=new)
