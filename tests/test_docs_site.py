"""What builds the site: its link check finds what is broken, its pages leave nothing out."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from textkit import registry
from textkit.recipe import Recipe, flatten

ROOT = Path(__file__).parents[1]


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts" / "docs")
    return importlib.import_module(name)


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("<a href='two.html#there'>", None),
        ("<a href='folder/'>", None),
        ("<a href='#here'>", None),
        ("<a href='https://example.org/nowhere'>", None),
        ("<img src='two.html'>", None),
        ("<a href='three.html'>", "one.html: three.html: no such file"),
        ("<img src='three.png'>", "one.html: three.png: no such file"),
        ("<a href='two.html#nowhere'>", "one.html: two.html#nowhere: no such anchor"),
        ("<a href='#nowhere'>", "one.html: #nowhere: no such anchor"),
        (
            "<script src='https://example.org/a.js'>",
            "one.html: fetches https://example.org/a.js from the network",
        ),
        (
            "<link href='//example.org/a.css'>",
            "one.html: fetches //example.org/a.css from the network",
        ),
    ],
)
def test_link_check_finds_what_is_broken(
    link: str, problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("<p>", encoding="utf-8")
    (tmp_path / "one.html").write_text(f"<h1 id='here'>{link}", encoding="utf-8")
    (tmp_path / "two.html").write_text("<h1 id='there'>", encoding="utf-8")
    problems, _ = load("links", monkeypatch).check_site(tmp_path)
    assert problems == ([] if problem is None else [problem])


def test_link_check_reads_style_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.css").write_text(
        "@font-face { src: url('https://example.org/a.woff2') }", encoding="utf-8"
    )
    problems, _ = load("links", monkeypatch).check_site(tmp_path)
    assert problems == ["a.css: fetches https://example.org/a.woff2 from the network"]


def test_sentences_of_docstrings_become_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, tried = doctest.testmod(load("sentences", monkeypatch))
    assert tried and not failed


def test_every_option_that_help_shows_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = load("command_pages", monkeypatch).command_pages()
    verbs = [Path(path).stem for path in pages if not path.endswith("README.md")]
    assert {"train", "tokenize", "vectors"} < set(verbs)
    for verb in ("train", "tokenize"):
        command = [sys.executable, "-m", "textkit", verb, "--help"]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        options = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", shown, flags=re.MULTILINE))
        _, text = pages[f"reference/cli/{verb}.md"]
        assert len(options) > 10
        everywhere = {
            "--help",
            "--install-completion",
            "--show-completion",
        }  # the index shows these
        assert {option for option in options if option not in text} <= everywhere


def test_every_key_of_a_recipe_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    page = load("recipe_page", monkeypatch).recipe_page()
    keys = [key.rpartition(".")[2] for key in flatten(Recipe().model_dump())]
    assert [key for key in keys if f"| `{key}` |" not in page and f"## {key}\n" not in page] == []
    headings = re.findall(r"^### encoder.name = (.+)$", page, flags=re.MULTILINE)
    assert sorted(", ".join(headings).split(", ")) == registry.names("encoder")


def test_every_public_name_has_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    import textkit
    from textkit import errors, tokenizers

    text = "".join(text for _, text in load("api_pages", monkeypatch).api_pages().values())
    assert [name for name in textkit.__all__ if f" textkit.{name}\n" not in text] == [
        "TextkitError",
        "__version__",
    ]
    assert [name for name in tokenizers.__all__ if f"textkit.tokenizers.{name}" not in text] == []
    known = [
        name for name, thing in vars(errors).items() if isinstance(thing, type) and "Error" in name
    ]
    assert [name for name in known if f"::: textkit.errors.{name}\n" not in text] == []


def test_every_page_is_in_the_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = load("build_site", monkeypatch).contents
    sections = [name for section in contents(ROOT / "docs") for name in section]
    assert sections[:2] == ["Start", "How to"]
    (tmp_path / "README.md").write_text("## Start\n| [One](one.md) | first |\n", encoding="utf-8")
    for name in ("one.md", "two.md"):
        (tmp_path / name).write_text("# Page\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"has no line for two.md"):
        contents(tmp_path)


def test_picture_of_the_house_has_the_rooms_of_the_import_contract() -> None:
    picture = (ROOT / "docs" / "images" / "house.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'font-weight="600"[^>]*fill="#1c2230">([^<]+)<', picture)
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (layers,) = [c["layers"] for c in linter["importlinter"]["contracts"] if c["type"] == "layers"]
    names = [layer.replace("textkit.", "").replace(" | ", " · ") for layer in layers]
    assert drawn == names
