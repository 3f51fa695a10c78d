"""Draw a model or a recipe: its stages, or one text walked through it.

In: a model folder, a run folder or a recipe file. Out: a Drawing, which writes a picture, a mermaid
diagram or JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from textkit.errors import UsageError, require
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
