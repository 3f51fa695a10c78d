"""Draw a model or a recipe: its stages, or one text walked through it; or a small expression.

In: a model folder, a run folder or a recipe file. Out: a Drawing, which writes a picture, a mermaid
diagram or JSON. Of an expression and its numbers: a Computation, which writes the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from textkit.errors import UsageError, require
from textkit.evaluation.computation import Computation, compute
from textkit.evaluation.network_drawing import Stage, draw_stages, mermaid
from textkit.evaluation.walk_drawing import Walk, draw_walk, render_walk
from textkit.io import files
from textkit.io.zipped import is_zipped
from textkit.jobs.runs import find_model
from textkit.recipe import read_recipe

_ENDINGS = (".svg", ".png", ".mmd")


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """What is drawn.

    - source: a model folder, a run folder or a recipe file. overrides: `section.key=value` for a
      recipe.
    - text: one text to walk through the model.
    - allow: each `package.module:Name` of the model that may be imported.
    """

    source: Path
    text: str | None = None
    overrides: Sequence[str] = ()
    allow: Sequence[str] | None = None


@dataclass(frozen=True)
class Drawing:
    """The stages, and the walk where a text was given."""

    of: DrawOptions
    stages: Sequence[Stage]
    walk: Walk | None = None

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        stages = [asdict(stage) for stage in self.stages]
        return {"stages": stages, "walk": None if self.walk is None else self.walk.to_dict()}

    def to_text(self) -> str:
        """Give a mermaid diagram, or the lines of a walk."""
        return mermaid(self.stages) if self.walk is None else render_walk(self.walk)

    def write(self, path: Path) -> None:
        """Write a picture, .svg or .png, or a mermaid diagram, .mmd."""
        if path.suffix.lower() not in _ENDINGS:
            raise UsageError(f"-o {path}: expected a name that ends in {', '.join(_ENDINGS)}")
        if path.suffix.lower() == ".mmd":
            files.write_text(path, mermaid(self.stages) + "\n")
        elif self.walk is not None:
            draw_walk(self.walk, path)
        else:
            draw_stages(self.stages, path, title=str(self.of.source))


def draw_model(options: DrawOptions) -> Drawing:
    """Give the drawing of a model or of a recipe.

    Raises UsageError for a text with a recipe, which knows no tokens, or with a model that has no
    network.

    >>> _ = Path("mine.toml").write_text('[encoder]\\nname = "linear"\\n', encoding="utf-8")
    >>> print(draw_model(DrawOptions(source=Path("mine.toml"))).to_text().splitlines()[0])
    flowchart TD
    """
    from textkit.classify import model_folder
    from textkit.classify.stages import stages_of

    if options.source.is_file() and not is_zipped(options.source):
        if options.text is not None:
            raise UsageError("a recipe has no tokens yet; --text walks through a trained model")
        recipe = read_recipe(options.source, options.overrides)
        return Drawing(options, stages_of(recipe))
    if options.overrides:
        raise UsageError("--set is for a recipe; a model is as it is")
    fitted = model_folder.load(find_model(options.source), allow=options.allow or ())
    stages = stages_of(fitted)
    if options.text is None:
        return Drawing(options, stages)
    require("torch", needed_by="a walk through a network")
    network = fitted.network  # refuses a model that has none, by name
    del network
    from textkit.classify.walk import walk_text

    return Drawing(options, stages, walk_text(fitted, options.text))


def draw_expression(expression: str, at: Mapping[str, float]) -> Computation:
    """Give the computation graph of an expression: every number on the way, and its gradient.

    at: a number for each name. Numbers, names, + - * / **, and exp, log, relu, sigmoid, sqrt and
    tanh are known; the expression is read and never run. Raises UsageError for anything else.

    >>> print(draw_expression("2 * a", {"a": 3}).to_text().splitlines()[-3])
      v2["*<br>6.0000<br>grad 1.0000"]
    """
    return compute(expression, at)


def read_numbers(given: Sequence[str]) -> dict[str, float]:
    """Read numbers of names, as ["x=2,w=-0.3", "b=1"].

    >>> read_numbers(["x=2,w=-0.3"])
    {'x': 2.0, 'w': -0.3}
    """
    numbers: dict[str, float] = {}
    for pair in (pair for part in given for pair in part.split(",")):
        name, equals, number = pair.partition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip().isidentifier() or not math.isfinite(value):
            raise UsageError(f"expected NAME=NUMBER, found '{pair}'", where="--at")
        if name.strip() in numbers:
            raise UsageError(f"'{name.strip()}' has two numbers", where="--at")
        numbers[name.strip()] = value
    return numbers
