"""Nothing that is read can run: no reader has what runs code, and none runs what is planted."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Packages that run what they read, and calls that do.
PACKAGES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
PACKAGES |= {"yaml", "pickletools", "code", "runpy", "imp"}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    "torch.load",
    "torch.jit.load",
    "np.fromfile",
    "os.system",
    "os.popen",
    "pandas.read_pickle",
}
# What may stand where, each with its reason.
ALLOWED = {
    # It lists the opcodes of a pickle and runs none of them.
    ("vectors/gensim_files.py", "pickletools"),
}
# Who imports by a name: built-in tables of names, and the registry, behind check_trusted.
IMPORTERS = {"__init__.py", "cli/__init__.py", "jobs/__init__.py", "registry.py"}
# Fixed names: transformers, and scikit-learn's exceptions.
IMPORTERS |= {"nn/encoders/pretrained.py", "errors.py"}


def find_code(source: str) -> Iterator[str]:
    """Give each thing in a module that runs code it was handed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from {alias.name.split(".")[0] for alias in node.names} & PACKAGES
        elif isinstance(node, ast.ImportFrom):
            yield from {str(node.module).split(".")[0]} & PACKAGES
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield from {name} & (CALLS | METHODS)
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                if keyword.arg in ("allow_pickle", "trust_remote_code") and value is not False:
                    yield keyword.arg
                if keyword.arg == "weights_only" and value is not True:
                    yield keyword.arg


def test_the_package_holds_nothing_that_runs_what_it_reads() -> None:
    found = set()
    for path in sorted((ROOT / "textkit").rglob("*.py")):
        name = path.relative_to(ROOT / "textkit").as_posix()
        source = path.read_text(encoding="utf-8")
        found |= {(name, thing) for thing in find_code(source)}
        assert "import_module(" not in source or name in IMPORTERS, name
    assert found == ALLOWED


@pytest.mark.parametrize(
    ("source", "thing"),
    [
        ("import pickle", "pickle"),
        ("from pickle import loads", "pickle"),
        ("def f():\n    import yaml.loader", "yaml"),
        ("eval('1')", "eval"),
        ("exec(text)", "exec"),
        ("torch.load(path)", "torch.load"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("np.load(path, allow_pickle=asked)", "allow_pickle"),
        ("load(path, trust_remote_code=True)", "trust_remote_code"),
    ],
)
def test_what_runs_code_is_found(source: str, thing: str) -> None:
    assert list(find_code(source)) == [thing]
    assert not list(find_code("network.eval()\nnp.load(p, allow_pickle=False)\nre.compile('a')"))


# Run in a process of its own: a hook cannot be taken away again.
SCRIPT = """
import io, json, pickle, shutil, sys, warnings, zipfile
from pathlib import Path

import numpy as np

from tests.campaigns import targets
from textkit.errors import TextkitError

warnings.simplefilter("ignore")
Path("planted_code.py").write_text("open('ran', 'w').close()\\ndef run(*a): pass\\n")
sys.path.insert(0, ".")


class Planted:
    def __reduce__(self):
        return exec, ("open('ran', 'w').close()",)


class Named:
    def __reduce__(self):
        return __import__, ("planted_code",)


def npy():
    data = io.BytesIO()
    np.save(data, np.array([Planted(), Planted()], object), allow_pickle=True)
    return data.getvalue()


def packed(name, inside):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as to:
        to.writestr(name, inside)
    return data.getvalue()


FILES = {
    **{f"pickle {n}": pickle.dumps(Planted(), protocol=n) for n in (0, 2, 4, 5)},
    "named pickle": pickle.dumps(Named(), protocol=4),
    "npy of objects": npy(),
    "npz": packed("a.npy", npy()),
    "torch zip": packed("archive/data.pkl", pickle.dumps(Planted(), protocol=2)),
    "yaml": b"!!python/object/apply:planted_code.run []\\n",
    "python": b"import planted_code\\n",
    "toml": b'[encoder]\\nname = "planted_code:Encoder"\\n',
    "json": b'{"auto_map": {"AutoModel": "planted_code.run"}, "model_type": "planted_code"}',
}
events = []


def hook(event, arguments):
    text = str(arguments)[:300]
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pickle.find_class"):
        events.append((event, text))
    if event == "import" and "planted" in str(arguments[0]):
        events.append((event, text))
    if event == "exec" and "open('ran'" in str(getattr(arguments[0], "co_consts", "")) + text:
        events.append((event, text))


tried = refused = 0
names = sys.argv[1:]
for name in names:
    target = targets.TARGETS[name]
    made = Path("made")
    made.mkdir()
    path = target.make(made)
    target.read(path)  # what is imported late is imported now
    valid = Path("valid")
    shutil.copytree(made, valid)
    if "hooked" not in globals():
        sys.addaudithook(hook)
        hooked = True
    inside = [p.relative_to(valid) for p in sorted(valid.rglob("*")) if p.is_file()]
    for place in inside:
        for kind, data in FILES.items():
            shutil.rmtree(made)
            shutil.copytree(valid, made)
            (made / place).write_bytes(data)
            for manifest in made.rglob("manifest.json"):
                if manifest != made / place:
                    from textkit.io import files

                    old = json.loads(manifest.read_text())
                    files.write_manifest(manifest.parent, kind=old["kind"], format=old["format"])
            tried += 1
            try:
                target.read(path)
            except TextkitError as err:
                refused += 1
            assert not Path("ran").exists() and not events, (name, str(place), kind, events)
    shutil.rmtree(made)
    shutil.rmtree(valid)
print("tried", tried, "refused", refused)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        ["rows-csv", "rows-jsonl", "predictions", "word-pairs", "tokenizer-spacy"],
        ["model-2-lstm", "embedder-sentences", "checkpoint", "run-report", "model-info"],
    ],
)
def test_no_reader_runs_what_is_planted(names: list[str]) -> None:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *names],
        env={**environment, "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tried, refused = (int(word) for word in done.stdout.split()[-3::2])
    assert tried >= 50 and refused > tried // 3
