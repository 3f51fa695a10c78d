"""Damaged and lying files of vectors: one clear line each, and nothing but TextkitError for any
damage at all.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.vectors import samples
from textkit import TextEmbedder, Vectors
from textkit.embedders.static import open_static
from textkit.errors import ArtifactError, TextkitError
from textkit.vectors import formats
from textkit.vectors.fasttext import Ngrams


def write_odd(bad: float, *, dtype: str = "float32") -> Vectors:
    """Map vectors whose fourth row, of six, is not finite, as no writer of ours leaves it."""
    table = np.ones((6, 3), dtype)
    scales = np.ones(6, np.float32) if dtype == "int8" else None
    Vectors([*"abcdef"], table, scales=scales).save("odd")
    path = Path("odd/vectors.safetensors")
    data = bytearray(path.read_bytes())
    number = np.array([bad], dtype if scales is None else np.float32).tobytes()
    rest = 3 * table.itemsize * 2 if scales is None else 2 * 4  # behind the fourth row, or scale
    data[len(data) - rest - len(number) : len(data) - rest] = number
    path.write_bytes(data)
    return Vectors.open("odd")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize(
    "use",
    [
        lambda v: v["d"],
        lambda v: v.lookup(["a", "d"]),
        lambda v: v.nearest("a", k=1),
        lambda v: v.lookup(["unknown"], "mean"),
        lambda v: v.save("again"),
        lambda v: v.normalize(),
        lambda v: TextEmbedder(open_static(v, pooling="max")).encode(["a d"]),
    ],
)
def test_a_row_that_is_not_finite_is_refused_when_it_is_used(
    use: Callable[[Vectors], object], dtype: str, bad: float
) -> None:
    """Opening maps the table and reads none of it."""
    vectors = write_odd(bad, dtype=dtype)
    assert vectors["a"].tolist() == [1, 1, 1]
    for _ in range(2):
        with pytest.raises(ArtifactError, match=r"memory: row 3, of 'd', holds NaN or infinity;"):
            use(vectors)
    assert not Path("again").exists()


def test_an_n_gram_that_is_not_finite_is_refused_when_it_is_used() -> None:
    ngrams = Ngrams(np.full((5, 2), np.nan, np.float32), 2, 3)
    vectors = Vectors(["king"], np.ones((1, 2), np.float32), ngrams=ngrams)
    assert vectors["king"].tolist() == [1, 1]
    with pytest.raises(ArtifactError, match="an n-gram of 'tree' holds NaN or infinity"):
        vectors["tree"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "the file is empty"),
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
        ("a 1 2\n 3 4\n", "v.txt:2: a space where the word should be"),
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
    monkeypatch.setattr("textkit.vectors.text_format._BLOCK_BYTES", 50)
    Path("v.txt").write_text(
        "".join(f"w{i} 1 2\n" for i in range(40)) + "bad 1\nx 1 2\n", encoding="utf-8"
    )
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
    with pytest.raises(
        ArtifactError, match=r"file ends inside word \d of 8.*cut short|the header says"
    ):
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
        ("z.zip", "the file is a zip archive: unpack it"),
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


# An edit: what is done, where (as a share of the file, or a place near its beginning), and with
# what.
PIECES = [
    b"\n",
    b" ",
    b"\t",
    b"\xff",
    b"9",
    b"-",
    b"nan ",
    b"\0" * 8,
    b'"',
    b"1e999 ",
    b"\xff" * 8,
    struct.pack("<q", -1),
]
EDITS = st.tuples(
    st.sampled_from(["set", "cut", "remove", "insert", "overwrite", "repeat"]),
    st.one_of(st.integers(0, 200), st.floats(0, 1)),
    st.one_of(st.sampled_from(PIECES), st.binary(min_size=1, max_size=9)),
)


def damage(data: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    changed = bytearray(data)
    for what, place, piece in edits:
        at = min(place if isinstance(place, int) else int(place * len(changed)), len(changed))
        match what:
            case "set":
                changed[at : at + 1] = piece[:1]
            case "cut":
                del changed[at:]
            case "remove":
                del changed[at : at + len(piece)]
            case "insert":
                changed[at:at] = piece
            case "overwrite":
                changed[at : at + len(piece)] = piece
            case _:
                changed += changed[at : at + 50]
    return bytes(changed)


def write_packed(folder: Path) -> Path:
    path = folder / "v.txt.gz"
    path.write_bytes(gzip.compress(samples.write_text(folder).read_bytes(), mtime=0))
    return path


@pytest.fixture(scope="module", params=[*samples.EVERY, "packed"])
def sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Path]]:
    """What is opened, and the files of it that are damaged."""
    whole = {**samples.EVERY, "packed": write_packed}[request.param](
        tmp_path_factory.mktemp("sample")
    )
    if request.param == "gensim":
        return whole, [whole, whole.with_name("v.kv.vectors.npy")]
    if request.param == "spacy":
        return whole, [whole / "vocab" / name for name in ("vectors", "key2row", "strings.json")]
    return whole, [whole] if whole.is_file() else sorted(
        path for path in whole.rglob("*") if path.is_file()
    )


@given(
    number=st.integers(0, 9), edits=st.lists(EDITS, min_size=1, max_size=3), sealed=st.booleans()
)
def test_no_damage_gets_past_textkit_error(
    sample: tuple[Path, list[Path]],
    number: int,
    edits: list[tuple[str, float, bytes]],
    sealed: bool,
) -> None:
    """Damage one file of valid vectors; open, look up and search whatever opens.

    sealed: the manifest of our own folder is made to agree, so that what lies behind it meets the
    damage.
    """
    whole, files = sample
    path, manifest = files[number % len(files)], whole / "manifest.json"
    good, seal = path.read_bytes(), manifest.read_bytes() if manifest.exists() else b""
    path.write_bytes(damage(good, edits))
    if sealed and seal and path != manifest:
        entries = json.loads(seal)
        entries["files"][path.name]["bytes"] = path.stat().st_size
        manifest.write_text(json.dumps(entries), encoding="utf-8")
    try:
        v = Vectors.open(whole)
        v.lookup(["king", "unknown"], "zero" if v.ngrams is None else "ngram")
        list(v.words)
        v.nearest(np.ones((1, v.dim), np.float32), k=3)
    except TextkitError as err:
        assert "\n" not in str(err)
        event("refused")
    finally:
        path.write_bytes(good)
        if seal:
            manifest.write_bytes(seal)
