"""Learning a vocabulary: textkit beside tokenizers and sentencepiece, on the same text in one run.

Text: IMDb reviews from ../shared/data, 65 MB (--rows cuts it). Each contender runs in a process of
its own, imports and reading included; two threads. tokenizers trains WordPiece twice, to show
whether its own runs agree.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
REFERENCE = """
import sys
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
kind, source, size, target = sys.argv[1:]
lines = (line.rstrip("\\n") for line in open(source, encoding="utf-8"))
if kind == "bpe":
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=int(size), min_frequency=2, special_tokens=["[PAD]"],
                                  show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
else:
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=int(size), min_frequency=2, show_progress=False,
                                        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                                        "[MASK]"])
tok.train_from_iterator(lines, trainer)
tok.save(target)
"""
SENTENCEPIECE = """
import sys, sentencepiece
source, size, target = sys.argv[1:]
sentencepiece.SentencePieceTrainer.train(input=source, model_prefix=target, vocab_size=int(size),
                                         model_type="bpe",
                                         num_threads=2, minloglevel=2, max_sentence_length=1 << 20)
"""


def seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def vocabulary(path: Path) -> dict[str, int]:
    import json

    found: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=49_358)
    n_rows = parser.parse_args().rows
    if not SHARED.is_dir():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "a.txt"
        with gzip.open(SHARED / "corpora/imdb_unsup.txt.gz", "rb") as file:
            source.write_bytes(b"".join(itertools.islice(file, n_rows)))
        print(f"{source.stat().st_size / 1e6:.1f} MB")
        for kind, size in (("bpe", "32000"), ("wordpiece", "30000")):
            times: dict[str, list[float]] = {"textkit": [], "tokenizers": []}
            for number in ("1", "2"):
                train = [
                    "-m",
                    "textkit",
                    "tokenizer",
                    "train",
                    str(source),
                    "-k",
                    kind,
                    "--size",
                    size,
                ]
                times["textkit"].append(seconds([*train, "-o", str(folder / f"{kind}{number}")]))
                target = folder / f"{kind}{number}.json"
                times["tokenizers"].append(
                    seconds(["-c", REFERENCE, kind, str(source), size, str(target)])
                )
            ours = [digest(folder / f"{kind}{number}" / "tokenizer.json") for number in "12"]
            theirs = [digest(folder / f"{kind}{number}.json") for number in "12"]
            mine, peer = (
                vocabulary(folder / f"{kind}1" / "tokenizer.json"),
                vocabulary(folder / f"{kind}1.json"),
            )
            print(
                f"{kind} {size}: textkit {min(times['textkit']):.1f} s, tokenizers"
                f" {min(times['tokenizers']):.1f} s"
            )
            print(
                f"  two runs agree: textkit {ours[0] == ours[1]}, tokenizers"
                f" {theirs[0] == theirs[1]}"
            )
            print(
                f"  same ids: {mine == peer}; tokens in common:"
                f" {len(mine.keys() & peer.keys()) / len(peer):.2%}"
            )
        print(
            "bpe 32000: sentencepiece"
            f" {seconds(['-c', SENTENCEPIECE, str(source), '32000', str(folder / 'sp')]):.1f} s"
        )


if __name__ == "__main__":
    main()
