"""Files that others read, and folders of others that we read: transformers' Auto classes, and
the hub's cache.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textkit import tokenizers
from textkit.errors import ArtifactError

TEXTS = ["Vanity and pride", "don't 3.14 🙂", "", "हिन्दी"]


@pytest.mark.parametrize(
    "kind", ["word", "char", "grapheme", "byte", "bpe", "wordpiece", "unigram", "bpe-char"]
)
def test_transformers_loads_a_saved_folder_with_the_same_ids(kind: str) -> None:
    from transformers import AutoTokenizer

    made = tokenizers.train(
        kind, TEXTS * 5, **({} if kind == "byte" else {"size": 300 if kind == "bpe" else 60})
    )
    made.save("tok")
    loaded = AutoTokenizer.from_pretrained("tok")
    assert loaded(TEXTS, add_special_tokens=False)["input_ids"] == [
        row.tolist() for row in made.encode(TEXTS)
    ]
    assert loaded.pad_token_id == made.pad_id


def test_a_transformers_folder_is_read() -> None:
    from transformers import PreTrainedTokenizerFast

    made = tokenizers.train("wordpiece", TEXTS * 5, size=60)
    PreTrainedTokenizerFast(tokenizer_object=made._backend, unk_token="[UNK]").save_pretrained(
        "theirs"
    )  # type: ignore[attr-defined]
    assert tokenizers.load("theirs").encode(TEXTS).ids.tolist() == made.encode(TEXTS).ids.tolist()


def test_a_hub_name_is_asked_for_only_when_written_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own cache, laid out by hand: what `hf:NAME` finds without a network."""
    import huggingface_hub
    from huggingface_hub import constants

    made = tokenizers.train("bpe", TEXTS * 5, size=300)
    commit = "0" * 40
    folder = Path("cache/models--someone--tok").resolve()
    made.save("tok")
    (folder / "snapshots").mkdir(parents=True)
    Path("tok").rename(folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit, encoding="utf-8")
    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def cached(name: str, *, allow_patterns: list[str], ignore_patterns: None) -> str:
        assert "tokenizer.json" in allow_patterns
        return str(real(name, cache_dir=str(folder.parent), local_files_only=True))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert (
        tokenizers.load("hf:someone/tok").encode(TEXTS).ids.tolist()
        == made.encode(TEXTS).ids.tolist()
    )
    with pytest.raises(ArtifactError, match=r"^hf:someone/other: cannot be had from the hub"):
        tokenizers.load("hf:someone/other")
    with pytest.raises(ArtifactError, match=r"^someone/tok: no such tokenizer file or folder"):
        tokenizers.load("someone/tok")


def test_the_config_beside_names_the_special_tokens() -> None:
    tokenizers.train("word", TEXTS).save("tok")
    config = json.loads(Path("tok/tokenizer_config.json").read_text(encoding="utf-8"))
    assert (config["pad_token"], config["unk_token"], config["textkit_kind"]) == (
        "[PAD]",
        "[UNK]",
        "word",
    )
