"""Training: gensim's own result, the same after a kill, from any format and tokenizer."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from textkit import Vectors, tokenizers
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.vectors.gensim_model import VectorTraining
from textkit.vectors.train import train_vectors
from textkit.watch import Progress, Watch

SMALL = VectorTraining(dim=12, epochs=3, min_count=2, buckets=500)


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    """3,000 sentences in which words go in pairs.

    A blank line, a long row, rare words, spaces at both ends.
    """
    rng = random.Random(5)
    pairs = [("king", "queen"), ("cat", "dog"), ("red", "blue"), ("one", "two"), ("naïve", "café")]
    lines = [" ".join(word for pair in rng.sample(pairs, 3) for word in pair) for _ in range(3000)]
    lines[10] = ""
    lines[20] = "  rare words only once  "
    lines[30] = " ".join(["cat dog"] * 6000)
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def train(path: Path, out: str, options: VectorTraining = SMALL, **more: object) -> Vectors | None:
    return train_vectors(
        [path], out, tokenizer=tokenizers.create("whitespace"), options=options, **more
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
@pytest.mark.parametrize("model", ["word2vec", "fasttext"])
def test_one_worker_gives_gensims_own_vectors(
    corpus_file: Path, model: str, algorithm: str
) -> None:
    from gensim.models import FastText, Word2Vec
    from gensim.models.word2vec import LineSentence

    sg = {"sg": int(algorithm == "skipgram")}
    options = {"vector_size": 12, "epochs": 3, "min_count": 2, "workers": 1, "seed": 1, **sg}
    sentences = LineSentence(str(corpus_file))
    theirs = (
        Word2Vec(sentences, **options)
        if model == "word2vec"
        else FastText(sentences, bucket=500, **options)
    )
    ours = train(
        corpus_file,
        "v",
        VectorTraining(**{**SMALL.__dict__, "model": model, "algorithm": algorithm}),
    )
    assert ours is not None
    assert list(ours.words) == theirs.wv.index_to_key
    if model == "word2vec":
        assert np.array_equal(ours.table, theirs.wv.vectors)
    else:
        assert np.abs(ours.table - theirs.wv.vectors).max() < 1e-6
        assert np.abs(ours.lookup(["kingqueen"], "ngram")[0] - theirs.wv["kingqueen"]).max() < 1e-6


@pytest.mark.parametrize("model", ["word2vec", "fasttext"])
def test_stopped_and_resumed_gives_the_same_bytes(corpus_file: Path, model: str) -> None:
    options = VectorTraining(**{**SMALL.__dict__, "model": model})
    train(corpus_file, "whole", options)
    for number in range(100):
        countdown = iter(range(4))
        stop = Watch(should_stop=lambda left=countdown: next(left, None) is None)
        done = train(corpus_file, "parts", options, watch=stop, resume=number > 0)
        if done is not None:
            break
        assert not Path("parts").exists()
    assert number > 2
    for name in ("vectors.safetensors", "words.safetensors"):
        assert Path("whole", name).read_bytes() == Path("parts", name).read_bytes()
    assert not Path("parts.training").exists()


@pytest.mark.slow
def test_a_killed_run_is_taken_up_again(corpus_file: Path) -> None:
    """SIGKILL after the first checkpoint.

    The resumed run ends with the bytes of one that was never killed.
    """
    script = f"""
import sys
from textkit import tokenizers
from textkit.vectors.gensim_model import VectorTraining
from textkit.vectors.train import train_vectors
options = VectorTraining(dim=12, epochs=40, min_count=2, buckets=500)
words = tokenizers.create("whitespace")
train_vectors([{str(corpus_file)!r}], "v", tokenizer=words, options=options, checkpoint_seconds=0)
"""
    child = subprocess.Popen([sys.executable, "-c", script])
    checkpoint = Path("v.training/checkpoint.safetensors")
    while not checkpoint.exists() and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    options = VectorTraining(**{**SMALL.__dict__, "epochs": 40})
    with pytest.raises(UsageError, match="go on with --resume"):
        train(corpus_file, "v", options)
    resumed, whole = (
        train(corpus_file, "v", options, resume=True),
        train(corpus_file, "whole", options),
    )
    assert resumed is not None
    assert whole is not None
    assert np.array_equal(resumed.table, whole.table)


def test_a_resumed_run_must_be_the_same(corpus_file: Path) -> None:
    assert train(corpus_file, "v", watch=Watch(should_stop=lambda: True)) is None
    with pytest.raises(ArtifactError, match="options was"):
        train(corpus_file, "v", VectorTraining(**{**SMALL.__dict__, "seed": 2}), resume=True)
    with open(corpus_file, "a", encoding="utf-8") as file:
        file.write("more\n")
    with pytest.raises(ArtifactError, match="is not as it was when the job began"):
        train(corpus_file, "v", resume=True)


def test_the_seed_decides(corpus_file: Path) -> None:
    first, again = train(corpus_file, "a"), train(corpus_file, "b")
    other = train(corpus_file, "c", VectorTraining(**{**SMALL.__dict__, "seed": 2}))
    assert first is not None
    assert again is not None
    assert other is not None
    assert np.array_equal(first.table, again.table)
    assert not np.array_equal(first.table, other.table)


def test_several_workers_learn_the_pairs(corpus_file: Path) -> None:
    options = VectorTraining(
        **{**SMALL.__dict__, "workers": 2, "epochs": 20, "sample": 0.0, "window": 1}
    )
    v = train(corpus_file, "v", options)
    assert v is not None
    assert np.isfinite(v.table).all()
    assert len(v) == 10


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
@pytest.mark.parametrize("model", ["word2vec", "fasttext"])
def test_progress_counts_words_and_the_loss_falls(
    corpus_file: Path, monkeypatch: pytest.MonkeyPatch, model: str, algorithm: str
) -> None:
    monkeypatch.setattr("textkit.vectors.train._REPORT_SECONDS", 0.0)
    monkeypatch.setattr("textkit.vectors.train._LOSS_EVERY", 1)
    seen: list[Progress] = []
    options = {
        **SMALL.__dict__,
        "model": model,
        "algorithm": algorithm,
        "epochs": 10,
        "sample": 0.0,
        "alpha": 0.1,
    }
    train(corpus_file, "v", VectorTraining(**options), watch=Watch(progress=seen.append))
    training = [p for p in seen if p.total is not None]
    assert {p.details for p in seen if p.total is None} == {"words read"}
    words = [p.done for p in training]
    assert words == sorted(words)
    assert words[-1] == training[-1].total == 10 * seen[-len(training) - 1].done
    assert training[-1].details.startswith("epoch 10  loss ")
    first, last = (float(p.details.split()[3]) for p in (training[0], training[-1]))
    assert last < first < 6.1 * np.log(2)


@pytest.mark.parametrize("kind", ["word", "whitespace", "char", "grapheme"])
def test_every_kind_without_a_vocabulary_gives_its_own_pieces(kind: str) -> None:
    texts = [
        "Pride and vanity, don't you see?",
        "  naïve 日本  e\u0301 \u00a0x",
        "",
        "vanity vanity",
    ] * 3
    Path("c.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8"
    )
    tok = tokenizers.create(kind, lowercase=True)
    spans = tok.encode(texts, spans=True)
    pieces = {
        text[a:b].lower()
        for row, text in enumerate(texts)
        for a, b in spans.row_spans(row).tolist()
    }
    v = Vectors.train(["c.jsonl"], "v", tokenizer=tok, dim=4, epochs=1, min_count=1)
    assert set(v.words) == pieces


def test_a_vocabulary_names_the_words() -> None:
    texts = ["pride and vanity", "vanity and pride and envy"] * 20
    Path("c.txt").write_text("\n".join(texts), encoding="utf-8")
    tok = tokenizers.train("bpe", texts, size=290)
    tok.save("tok")
    v = Vectors.train(["c.txt"], "v", tokenizer="tok", dim=4, epochs=1, min_count=1)
    names = {i: name for name, i in tok.vocabulary.items()}
    assert set(v.words) == {names[i] for i in tok.encode(texts).ids.tolist()}


def test_what_cannot_be_trained_is_said() -> None:
    Path("c.txt").write_text("a b c\n", encoding="utf-8")
    Path("blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(
        DataError, match="none of the 3 different words occurs 5 times; lower --min-count"
    ):
        Vectors.train(["c.txt"], "v")
    with pytest.raises(DataError, match="no words to train on"):
        Vectors.train(["blank.txt"], "w")
    with pytest.raises(UsageError, match="did you mean 'epochs'"):
        Vectors.train(["c.txt"], "x", epoch=3)
    with pytest.raises(UsageError, match="unknown model 'glove'"):
        Vectors.train(["c.txt"], "y", model="glove")
    with pytest.raises(UsageError, match="dim is 0"):
        Vectors.train(["c.txt"], "z", dim=0)
    assert sorted(path.name for path in Path().iterdir()) == ["blank.txt", "c.txt"]
