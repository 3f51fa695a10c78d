"""Files that only stand for another are named for what they are, by every reader of artifacts."""

from __future__ import annotations

import io
import lzma
import zipfile
from pathlib import Path

import pytest

from textkit import tokenizers
from textkit.errors import ArtifactError
from textkit.io import files
from textkit.vectors import formats
from textkit.vectors.folder import map_safetensors

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n"
ANNEX = b"/annex/objects/SHA256E-s123--0123456789abcdef.bin\n"
PAGE = b"\n<!DOCTYPE html>\n<html lang='en'><head></head></html>\n"
POINTERS = [(LFS, "a Git LFS pointer"), (ANNEX, "a git-annex pointer"), (PAGE, "a web page")]
TOKENIZER_NAMES = ["spiece.model", "vocab.txt", "tokenizer.json", "a.tiktoken", "vocab.json"]


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("vocab.txt", "[UNK]\na\n")
    return archive.getvalue()


@pytest.mark.parametrize("name", TOKENIZER_NAMES)
@pytest.mark.parametrize(
    ("data", "what"),
    [
        *POINTERS,
        (b"", "empty"),
        (zipped(), "a zip archive"),
        (lzma.compress(b"[UNK]\na\n"), "packed by xz"),
    ],
)
def test_a_tokenizer_file_that_is_none_is_named(name: str, data: bytes, what: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(ArtifactError, match=rf"^{name}: the file is {what}") as caught:
        tokenizers.load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.txt"])
@pytest.mark.parametrize(("data", "what"), POINTERS)
def test_a_vectors_file_that_is_none_is_named(name: str, data: bytes, what: str) -> None:
    Path(name).write_bytes(data)
    with pytest.raises(ArtifactError, match=rf"^{name}: the file is {what}"):
        formats.sniff(Path(name))


@pytest.mark.parametrize(("data", "what"), POINTERS)
def test_weights_and_settings_that_are_none_are_named(data: bytes, what: str) -> None:
    Path("model.safetensors").write_bytes(data)
    Path("config.json").write_bytes(data)
    with pytest.raises(ArtifactError, match=f"^model.safetensors: the file is {what}"):
        map_safetensors("model.safetensors")
    with pytest.raises(ArtifactError, match=f"^config.json: the file is {what}"):
        files.read_json("config.json")
