"""Use an installed core-only textkit as its users do: check_wheel.sh runs this outside the
checkout, by a fresh python.

In: the wheel and the checkout that it was built from. Out: exit code 0, or a list of what failed
and 1. Three parts:
1. The wheel holds every file of textkit/ and nothing else.
2. What the core promises works: tokenizers in Python, and every verb that needs no extra.
3. Whatever needs an extra exits with 2 and one line that gives its pip command, and leaves
   nothing on the disk.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

failures: list[str] = []

# What needs no extra, in the order in which one makes what the next reads.
WORKS = """
--version
data docstrings -o data
data check data/train.csv data/test.csv
data split data/train.csv -o split
tokenizer train data/train.csv -o bpe -k bpe --size 500
tokenizer count data/train.csv -o counts -k wordpiece
tokenizer train counts --counts -o wordpiece -k wordpiece --size 500
tokenizer convert bpe/tokenizer.json -o converted
tokenizer report bpe data/test.csv
tokenizer inspect bpe
tokenizer extend bpe --template bert -o bpe-bert
tokenizer compare bpe converted data/test.csv
tokenize data/test.csv -t bpe --count
tokenize data/test.csv -t bpe --check
tokenize data/test.csv -t bpe -o tokens
pack tokens -o blocks --length 64
vectors convert words.vec -o words
vectors info words
vectors nearest words king
vectors analogy words king man woman
vectors evaluate words pairs.txt
embed data/test.csv -m words -o embedded
search build data/test.csv -m words --keep label -o found
search query found king --json
info found
info model
push model ann/model --licence mit --dry-run -o card.md
recipe schema
"""

# The extra that is missing, then what needs it; -o names what must not be there afterwards.
NEEDS = """
train          train data/train.csv -o run
train          train data/train.csv -o run --find-lr
train          train data/train.csv -o run --stream
train          train data/train.csv -o run --encoder cnn --no-baseline
train          evaluate model data/test.csv
train          evaluate model data/test.csv --json
train          compare data/test.csv -m model -m model
train          compare data/test.csv --train data/train.csv -e bag,cnn -o run
train          predict model data/test.csv
train          draw model -o run.svg
train          explain model data/test.csv --rows 1 -o run.html
tune           tune data/train.csv -o run
train          suggest model data/test.csv -n 3
train          profile model data/test.csv
train          export model -o run.zip
train          compress model -o run.zip
serve          serve model
train          embed data/test.csv -m model -o run
train          embed data/test.csv -m bert -o run
train          recipe show
glove          embed data/test.csv -m glove -o run
glove          vectors nearest glove king
spacy          embed data/test.csv -m spacy:en_core_web_md -o run
spacy          tokenize data/test.csv -t spacy
spacy          tokenizer train data/train.csv -k spacy -o run
sentencepiece  tokenizer train data/train.csv -k unigram -o run
regex          tokenizer train data/train.csv -k regex --pattern [a-z]+@ -o run
vectors        vectors train data/train.csv -o run
vectors        vectors plot words king queen -o run
index          vectors index words -o run
index          search build data/test.csv -m words --approximate -o run
umap           vectors plot words king queen man woman --method umap -o run
"""

# What Python says of the same, by the extra that is missing.
NEEDS_IN_PYTHON = {
    "from textkit import TextClassifier as T; T().fit(['a', 'b'], ['x', 'y'])": "train",
    "import textkit; textkit.TextEmbedder.open('model')": "train",
    "from textkit import tokenizers; tokenizers.create('spacy')": "spacy",
}


def main(wheel: Path, checkout: Path) -> int:
    """Run every check, say what failed, and give the exit code."""
    check_contents(wheel, checkout)
    check_is_core()
    write_inputs(checkout)
    for line in WORKS.strip().splitlines():
        textkit(line)
    check_tokens()
    check_python()
    needs = [line.split(maxsplit=1) for line in NEEDS.strip().splitlines()]
    for extra, arguments in needs:
        check_missing(arguments, run("textkit", *arguments.split()), extra, code=2)
    for program, extra in NEEDS_IN_PYTHON.items():
        check_missing(program, run("python", "-I", "-c", program), extra, code=1)
    check_verbs(
        {line.split()[0] for line in WORKS.strip().splitlines()}
        | {line.split()[0] for _, line in needs}
    )
    for failure in failures:
        print(f"check_wheel: {failure}", file=sys.stderr)
    print(f"check_wheel: {wheel.name}: {len(failures)} failures")
    return 1 if failures else 0


def check(holds: bool, failure: str) -> None:
    """Remember what failed, and go on."""
    if not holds:
        failures.append(failure)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(command, encoding="utf-8", **streams)  # noqa: S603


def textkit(line: str) -> str:
    """Run what must work; give its standard output."""
    done = run("textkit", *line.split())
    check(
        done.returncode == 0,
        f"textkit {line}: exit code {done.returncode}: {done.stderr.strip()[-300:]}",
    )
    return done.stdout


def check_contents(wheel: Path, checkout: Path) -> None:
    """Compare the wheel with the package in the checkout, file by file: reports, pages and
    py.typed are in it too.
    """
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {
        path.relative_to(checkout).as_posix()
        for path in (checkout / "textkit").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    check(package <= inside, f"the wheel lacks {', '.join(sorted(package - inside))}")
    check(inside <= package, f"the wheel should not hold {', '.join(sorted(inside - package))}")
    pages = [name for name in package if name.endswith(".html")]
    check(
        bool(pages) and "textkit/py.typed" in package, "the package holds no page, or no py.typed"
    )


def check_is_core() -> None:
    """See that textkit comes from this environment, and that no extra is in it: else the rest
    would prove nothing.
    """
    import textkit
    from textkit.errors import OPTIONAL

    check(
        str(textkit.__file__).startswith(sys.prefix),
        f"textkit was imported from {textkit.__file__}",
    )
    # tokenizers brings the hub's client, and that one fsspec.
    absent = [package for package in OPTIONAL if package != "fsspec"]
    present = [package for package in absent if importlib.util.find_spec(package) is not None]
    check(not present, f"not a core-only environment: {', '.join(present)} can be imported")


def write_inputs(checkout: Path) -> None:
    """Write word vectors, pairs of words with a score, a trained model and a foreign one."""
    words = {"king": "1 0", "queen": "0 1", "man": ".5 .5", "woman": ".1 .9"}
    lines = [f"{len(words)} 2", *(f"{word} {numbers}" for word, numbers in words.items())]
    Path("words.vec").write_text("\n".join(lines) + "\n", encoding="utf-8")
    Path("pairs.txt").write_text("king queen 7\nman woman 8\nking man 5\n", encoding="utf-8")
    shutil.copytree(checkout / "tests" / "data" / "golden" / "model-2-lstm", "model")
    Path("bert").mkdir()
    Path("bert", "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")


def check_tokens() -> None:
    """See that JSON lines and Parquet hold the same ids, a row for each row."""
    from pyarrow import parquet

    rows = [
        json.loads(line)
        for line in textkit("tokenize data/test.csv -t bpe --to jsonl").splitlines()
    ]
    textkit("tokenize data/test.csv -t bpe -o parts")
    table = parquet.read_table(sorted(Path("parts").glob("*.parquet")))
    check(len(rows) > 500, f"textkit tokenize gave {len(rows)} rows")
    check(
        table.column("ids").to_pylist() == [row["ids"] for row in rows],
        "Parquet and JSON lines hold other ids",
    )


def check_python() -> None:
    """Train, encode, decode, save and load a tokenizer."""
    from textkit import tokenizers

    texts = ["low lower lowest", "new newer newest", "", "naïve 🙂"]
    trained = tokenizers.train("bpe", texts * 5, size=300)
    batch = trained.encode(texts, spans=True)
    trained.save("saved")
    loaded = tokenizers.load("saved")
    check(
        loaded.fingerprint == trained.fingerprint,
        "a tokenizer has another fingerprint after save and load",
    )
    check(
        loaded.encode(texts).ids.tolist() == batch.ids.tolist(),
        "a tokenizer gives other ids after save and load",
    )
    check(
        [loaded.decode(batch[row]) for row in range(len(texts))] == texts,
        "decode does not give the texts back",
    )
    check("torch" not in sys.modules, "the tokenizers import torch")


def check_missing(
    what: str, done: subprocess.CompletedProcess[str], extra: str, *, code: int
) -> None:
    """See that a missing extra is the exit code, one last line with the pip command, and nothing
    else.
    """
    told = [line for line in done.stderr.splitlines() if "is not installed" in line]
    said = f"exit code {done.returncode}, stderr {done.stderr.strip()[-300:]!r}"
    check(done.returncode == code, f"{what}: expected exit code {code}: {said}")
    check(
        len(told) == 1 and told[0].endswith(f"needs it: pip install 'textkit-nlp[{extra}]'"),
        f"{what}: expected one line that ends with the pip command of [{extra}]: {said}",
    )
    check(code == 1 or "Traceback" not in done.stderr, f"{what}: a traceback: {said}")
    check(not done.stdout, f"{what}: wrote {done.stdout[:100]!r} to standard output")
    left = [path.name for path in Path().glob("run*")]
    check(not left, f"{what}: left {', '.join(left)} behind")


def check_verbs(tried: set[str]) -> None:
    """See that every verb was tried, and that the help of each needs no extra."""
    from textkit.cli import VERBS

    untried = set(VERBS) - tried
    check(not untried, f"verbs without a check: {', '.join(sorted(untried))}")
    for verb in VERBS:
        textkit(f"{verb} --help")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
