"""How well a classifier tells languages that learnt them from one declaration.

    python benchmarks/languages.py DATA

Trains `TextClassifier(encoder="linear")` on the lines of the Universal Declaration of Human Rights
in 20 languages, and asks it for the language of sentences of other kinds: news and encyclopedias in
Arabic, Hindi and Chinese (PUD), English web texts (EWT), a Japanese novel. DATA is a folder with
these files of the corpora. Prints the accuracy of each, and the share that --least .8 keeps.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
import zipfile
from pathlib import Path

from textkit import TextClassifier

TESTS = {
    "arb": "ar_pud_ud_test.jsonl.gz",
    "hin": "hi_pud_ud_test.jsonl.gz",
    "cmn": "zh_pud_ud_test.jsonl.gz",
    "eng": "ud_en_ewt_dev.jsonl.gz",
    "jpn": "wagahai_ja.txt.gz",
}
LEAST_CHARACTERS = 20


def read_declarations(path: Path) -> tuple[list[str], list[str]]:
    """Give lines and the code of the language of each."""
    texts: list[str] = []
    labels: list[str] = []
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            for line in file.read(name).decode("utf-8").splitlines():
                if len(line.strip()) >= LEAST_CHARACTERS:
                    texts.append(line.strip())
                    labels.append(name[:3])
    return texts, labels


def read_texts(path: Path) -> list[str]:
    """Give the sentences or lines of a file that are long enough to tell."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line)["text"] if ".jsonl" in path.name else line for line in file]
    return [line.strip() for line in lines if len(line.strip()) >= LEAST_CHARACTERS]


def main() -> None:
    """Train, ask, print."""
    data = Path(sys.argv[1])
    texts, labels = read_declarations(data / "udhr_22lang.zip")
    started = time.perf_counter()
    model = TextClassifier(encoder="linear", seed=1).fit(texts, labels)
    seconds = time.perf_counter() - started
    print(f"{len(texts):,} lines, {len(set(labels))} languages, trained in {seconds:.1f} s")
    n_right = n_all = 0
    for label, name in TESTS.items():
        asked = read_texts(data / name)
        proba = model.predict_proba(asked)
        at = model.classes_.tolist().index(label)
        right = int((proba.argmax(axis=1) == at).sum())
        kept = float((proba[:, at] >= 0.8).mean())
        n_right, n_all = n_right + right, n_all + len(asked)
        print(f"{label}: {len(asked):,} texts, {right / len(asked):.4f} right, {kept:.4f} at .8")
    print(f"all: {n_all:,} texts, {n_right / n_all:.4f} right")


if __name__ == "__main__":
    main()
