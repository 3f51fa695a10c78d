"""Build the documentation site: `make docs`.

1. Copy README.md, docs/ and what they link to into build/docs/pages, at the paths that they have
   here: their links hold.
2. Write the reference beside them, from the docstrings, the commands and the recipe schema.
3. Write the configuration, whose navigation is the tables of docs/README.md, and run zensical: any
   warning ends it.
4. Check every link and anchor of build/docs/site, and that it fetches nothing from the network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import tomli_w
from api_pages import api_pages
from command_pages import command_pages
from links import check_site
from recipe_page import recipe_page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "docs"
# Beside docs/: what its pages link to.
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    "SECURITY.md",
    "pipelines/README.md",
)


def main() -> None:
    """Build the site and check it; what is wrong is said, with exit code 1."""
    shutil.rmtree(BUILD, ignore_errors=True)
    pages = BUILD / "pages"
    shutil.copytree(ROOT / "docs", pages / "docs")
    shutil.copytree(HERE / "assets", pages / "assets")
    for name in PAGES:
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, pages / name)
    configuration = tomllib.loads((HERE / "zensical.toml").read_text(encoding="utf-8"))
    configuration["project"]["nav"] = [*contents(ROOT / "docs"), write_reference(pages)]
    (BUILD / "zensical.toml").write_text(tomli_w.dumps(configuration), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    done = subprocess.run(  # noqa: S603
        command, cwd=BUILD, env=environment, capture_output=True, text=True
    )
    # It colours every letter, and its traceback says no more; what mkdocstrings warns of does not
    # end it.
    said = (
        re.sub(r"\x1b\[[\d;]*m", "", done.stderr)
        .partition("Traceback")[0]
        .replace("No issues found", "")
        .strip()
    )
    if done.returncode or said:
        sys.exit(said or done.stdout)
    problems, n_links = check_site(BUILD / "site")
    if problems:
        sys.exit("\n".join([*problems, f"{len(problems)} broken of {n_links:,} links"]))
    print(f"build/docs/site: {n_links:,} links lead somewhere; nothing asks the network")


def write_reference(pages: Path) -> dict[str, list[object]]:
    """Write the pages that are made, list them, and give their part of the navigation."""
    api, shell = api_pages(), command_pages()
    recipe = {"reference/recipe.md": ("Recipe keys", recipe_page())}
    for path, (_, text) in {**api, **shell, **recipe}.items():
        (pages / path).parent.mkdir(parents=True, exist_ok=True)
        (pages / path).write_text(text, encoding="utf-8")
    with (pages / "docs" / "README.md").open("a", encoding="utf-8") as file:
        file.write("\n## Reference\n\n| page | of |\n|---|---|\n")
        for kind, part in (("Python", api), ("the shell", shell), ("recipes", recipe)):
            file.writelines(
                f"| [{title}](../{path}) | {kind} |\n" for path, (title, _) in part.items()
            )
    parts = [[{title: path} for path, (title, _) in part.items()] for part in (api, shell, recipe)]
    return {"Reference": [{"Python": parts[0]}, {"Shell": parts[1]}, *parts[2]]}


def contents(folder: Path) -> list[dict[str, list[dict[str, str]]]]:
    """Read the navigation from README.md of the pages.

    A heading is a section, and a first cell that is a link is a page. A page that no table holds
    ends the build.
    """
    sections: list[dict[str, list[dict[str, str]]]] = []
    listed = {folder / "README.md"}
    for line in (folder / "README.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (.+)", line):
            sections.append({heading.group(1): []})
        elif link := re.match(r"\| \[(.+?)\]\((.+?)\) \|", line):
            page = (folder / link.group(2)).resolve()
            listed.add(page)
            (pages,) = sections[-1].values()
            pages.append({link.group(1): page.relative_to(folder.parent.resolve()).as_posix()})
    forgotten = sorted(set(folder.resolve().rglob("*.md")) - {page.resolve() for page in listed})
    if forgotten:
        sys.exit(f"docs/README.md has no line for {', '.join(page.name for page in forgotten)}")
    return [section for section in sections if any(section.values())]


if __name__ == "__main__":
    main()
