"""The error family: exit codes, places, the nearest name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from textkit import errors, registry

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.DataError, 3),
        (errors.ArtifactError, 4),
        (errors.StorageError, 5),
        (errors.LimitError, 6),
    ],
)
def test_exit_codes_are_the_documented_ones(kind: type[errors.TextkitError], code: int) -> None:
    error = kind("what", where="here")
    assert (error.exit_code, str(error), error.message, error.where) == (
        code,
        "here: what",
        "what",
        "here",
    )
    assert isinstance(error, errors.TextkitError)


def test_missing_extra_says_what_to_install() -> None:
    error = errors.MissingExtraError("spaCy", needed_by="tokenizer 'spacy'", extra="spacy")
    assert (
        str(error)
        == "spaCy is not installed, tokenizer 'spacy' needs it: pip install 'textkit-nlp[spacy]'"
    )
    assert error.exit_code == 2


def test_a_far_name_gets_no_guess() -> None:
    assert errors.unknown_name("encoder", "zzzz", ["lstm"]) == "unknown encoder 'zzzz'; known: lstm"


@pytest.mark.parametrize("package", ["torch", "accelerate"])
def test_a_classifier_without_its_extra_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    line = (
        f"{package} is not installed, a text classifier needs it: pip install 'textkit-nlp[train]'"
    )
    from textkit import TextClassifier

    with pytest.raises(errors.MissingExtraError, match=re.escape(line)):
        TextClassifier().fit(["a", "b"] * 9, ["x", "y"] * 9)


def test_an_encoder_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        errors.MissingExtraError,
        match="torch is not installed, encoder 'lstm' needs it: pip install",
    ):
        registry.resolve("encoder", "lstm")


def test_what_is_installed_is_not_imported_by_asking_for_it() -> None:
    program = (
        "import sys, textkit.errors as e; e.require('torch', needed_by='x');"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def imported_in_functions(path: Path) -> set[str]:
    """Name the packages that the functions of a module import, not those for types alone."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    nodes = [node for function in functions for node in ast.walk(function)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


# torch is imported at the head of modules, behind the doors above.
OPTIONAL_IMPORTS = [
    (path, package)
    for path in sorted((ROOT / "textkit").rglob("*.py"))
    for package in sorted(imported_in_functions(path) & errors.OPTIONAL.keys() - {"torch"})
]


@pytest.mark.parametrize(
    ("path", "package"), OPTIONAL_IMPORTS, ids=lambda value: getattr(value, "stem", value)
)
def test_a_room_requires_the_optional_packages_that_its_functions_import(
    path: Path, package: str
) -> None:
    if "def __sklearn_tags__" in path.read_text(encoding="utf-8"):
        return  # scikit-learn alone calls it
    room = [other.read_text(encoding="utf-8") for other in path.parent.glob("*.py")]
    assert any(f'require("{package}"' in text for text in room), f"{path} imports {package}"


def test_every_extra_that_an_error_names_brings_its_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for name, extra in errors.OPTIONAL.values():
        assert any(re.match(rf"{name}\b", wanted, re.IGNORECASE) for wanted in extras[extra]), (
            name,
            extra,
        )
