"""Damaged and lying files of vectors: one clear line each, and nothing but TextkitError for any damage at all."""

from __future__ import annotations

import os
import random
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.embeddings import samples
from textkit import Vectors
from textkit.embeddings import formats
from textkit.errors import ArtifactError, TextkitError

# More rounds for a longer campaign: TEXTKIT_FUZZ_ROUNDS=5000.
ROUNDS = int(os.environ.get("TEXTKIT_FUZZ_ROUNDS", "60"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "file is empty"),
        ("3 2\na 1 2\nb 3 4\n", "v.txt:1: the header says 3 words, the file has 2"),
        ("1 2\na 1 2\nb 3 4\n", "v.txt:1: the header says 1 words, the file has 2"),
        ("2 3\na 1 2\nb 3 4\n", "v.txt:2: the header says 3 values a row, 'a' has 2"),
        ("0 3\n", "v.txt:1: the header says 0 words"),
        ("2 3\n", "v.txt:2: file holds no vectors"),
        ("a 1 2\nb 3\nc 4 5\n", "v.txt:2: 'b' has 1 values, expected 2"),
        ("a 1 2\nb 3 4 5\n", "v.txt:2: 'b' has 3 values, expected 2"),
        ("a 1 2\nb 3 x4\n", "v.txt:2: 'b' has 0 values, expected 2 ('x4' is no number)"),
        ("a 1 2\nb 3 1_0\n", "v.txt:2: 'b' has 0 values"),
        ("a 1 2\nb nan 4\n", "v.txt:2: 'b' has the value 'nan', expected finite numbers"),
        ("a 1 2\nb 3 1e999\n", "v.txt:2: 'b' has the value '1e999'"),
        ("a 1 2\nb 3 1e39\n", "v.txt:2: 'b' has the value '1e39'"),
        ("a 1 2\n\nb 3 4\n", "v.txt:2: line is empty"),
        ("\na 1 2\n", "v.txt:1: line is empty"),
        ("a 1 2\n 3 4\n", "v.txt:2: '' has 2 values"),
        ("Call me Ishmael.\n", "v.txt:1: not vectors that textkit knows"),
        ('{"a": 1}\n', "v.txt:1: not vectors that textkit knows"),
    ],
)
def test_a_bad_text_file_is_named_by_line_and_word(data: str, message: str) -> None:
    Path("v.txt").write_text(data, encoding="utf-8")
    with pytest.raises(ArtifactError) as caught:
        Vectors.open("v.txt")
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ArtifactError):
        formats.convert("v.txt", "out")
    assert sorted(path.name for path in Path().iterdir()) == ["v.txt"]


def test_the_line_is_right_in_a_later_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textkit.embeddings.text_format._BLOCK_BYTES", 50)
    Path("v.txt").write_text("".join(f"w{i} 1 2\n" for i in range(40)) + "bad 1\nx 1 2\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"v.txt:41: 'bad' has 1 values, expected 2"):
        Vectors.open("v.txt")


def test_equal_words_are_noted_and_the_first_counts() -> None:
    Path("v.txt").write_text("a 1 2\nb 3 4\na 5 6\n", encoding="utf-8")
    v = Vectors.open("v.txt")
    assert v["a"].tolist() == [1, 2]
    assert v.notes == ["1 words are there twice, first 'a' (row 3): the first counts"]


def test_bytes_that_are_no_utf8_are_noted() -> None:
    Path("v.txt").write_bytes(b"caf\xe9 1 2\nb 3 4\n")
    v = Vectors.open("v.txt")
    assert list(v.words) == ["caf\ufffd", "b"]
    assert v.notes == ["1 words are not UTF-8: their bad bytes became U+FFFD"]


@pytest.mark.parametrize("cut", [12, 30, -1, -3, -30])
def test_a_truncated_binary_is_named_by_word(cut: int) -> None:
    path = samples.write_binary(Path())
    path.write_bytes(path.read_bytes()[: cut if cut > 0 else cut - 1])
    with pytest.raises(ArtifactError, match=r"file ends inside word \d of 8.*cut short|the header says"):
        Vectors.open(path)


def test_more_bytes_than_the_header_says_are_refused() -> None:
    path = samples.write_binary(Path())
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ArtifactError, match="more bytes follow the 8 words"):
        Vectors.open(path)


def test_a_binary_that_is_not_finite_is_named() -> None:
    Path("v.bin").write_bytes(b"1 2\nking " + np.array([1, np.nan], np.float32).tobytes())
    with pytest.raises(ArtifactError, match="'king' has a value that is not finite"):
        Vectors.open("v.bin")


def test_damaged_fasttext_files_are_refused() -> None:
    data = samples.write_fasttext(Path()).read_bytes()
    for changed, message in [
        (data[:70], "file ends inside its dictionary"),
        (data[:100], "file ends inside entry 1 of 8"),
        (data[:-400], "file ends inside its matrix"),
        (data[:4] + struct.pack("<i", 99) + data[8:], "not a fastText .bin of version 11 or 12"),
        (data[:8] + struct.pack("<i", -5) + data[12:], "its header says dim -5"),
    ]:
        Path("bad.bin").write_bytes(changed)
        with pytest.raises(ArtifactError, match=message):
            Vectors.open("bad.bin")


def test_what_is_no_file_of_vectors_says_so() -> None:
    Path("z.zip").write_bytes(b"PK\x03\x04abc")
    Path("folder").mkdir()
    for spec, message in [
        ("z.zip", "a zip archive; unpack it"),
        ("folder", "a folder, but not of textkit, spaCy or model2vec"),
        ("glvoe", "no such file or folder; or name: glove, spacy:NAME"),
        ("spacy:no_such_pipeline", "python -m spacy download no_such_pipeline"),
        ("spacy:../x", "no such folder, and no name of a package"),
    ]:
        with pytest.raises(ArtifactError, match=message):
            Vectors.open(spec)


def test_a_file_that_grows_while_it_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = samples.write_glove(Path())

    def rows_then_grow(*args: object) -> formats.Rows:
        with open(path, "ab") as file:
            file.write(b"late 1 2 3 4 5\n")
        return real_rows(*args)  # type: ignore[arg-type]

    real_rows = formats._rows
    monkeypatch.setattr(formats, "_rows", rows_then_grow)
    with pytest.raises(TextkitError, match="was changed while it was read"):
        formats.convert(path, "out")
    assert not Path("out").exists()


@pytest.mark.parametrize("name", samples.EVERY)
def test_no_damage_gets_past_textkit_error(name: str, tmp_path: Path) -> None:
    """Flip, cut, repeat and insert bytes in every file of every format; open, look up and search whatever opens."""
    whole = samples.EVERY[name](tmp_path)
    files = [whole] if whole.is_file() else sorted(path for path in whole.rglob("*") if path.is_file())
    if name == "gensim":
        files.append(whole.with_name("v.kv.vectors.npy"))
    if name == "spacy":
        files = [whole / "vocab" / "vectors", whole / "vocab" / "key2row", whole / "vocab" / "strings.json"]
    rng = random.Random(name)
    n_opened = 0
    for number in range(ROUNDS if name != "spacy" else ROUNDS // 3):
        path = files[number % len(files)]
        good = path.read_bytes()
        path.write_bytes(damage(good, rng))
        try:
            v = Vectors.open(whole)
            v.lookup(["king", "unknown"], "zero" if v.ngrams is None else "ngram")
            list(v.words)
            v.nearest(np.ones((1, v.dim), np.float32), k=3)
            n_opened += 1
        except TextkitError as err:
            assert "\n" not in str(err)
        finally:
            path.write_bytes(good)
    shutil.rmtree(tmp_path, ignore_errors=True)
    assert n_opened < ROUNDS


def damage(data: bytes, rng: random.Random) -> bytes:
    """Change a few places of a file, the beginning more often than the rest."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(max(1, min(len(changed), rng.choice([16, 200, len(changed) or 1]))))
        match rng.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + rng.randint(1, 9)]
            case 3:
                changed[at:at] = rng.choice([b"\n", b" ", b"\xff", b"9", b"-", b"nan ", b"\0" * 8, b'"', b"1e999 "])
            case 4:
                changed[at : at + 8] = rng.choice([b"\xff" * 8, b"\x7f" * 8, b"\0" * 8, struct.pack("<q", -1)])
            case _:
                changed += changed[at : at + 50]
    return bytes(changed)
