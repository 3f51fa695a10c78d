"""A griffe extension: docstrings in this project's style get sections that mkdocstrings draws.

`name: meaning` sentences become the table of parameters or attributes, doctests become highlighted
examples; whatever else a docstring says stays text. Nothing is imported: griffe reads the sources.
"""

from __future__ import annotations

from typing import Any

import griffe
from sentences import restyle


class FreeStyle(griffe.Extension):
    """Rewrite each docstring into the sections of the `google` style."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a function, class, module or attribute, where it has one."""
        if obj.docstring is not None:
            obj.docstring.value = restyle(obj.docstring.value, *_names(obj))


def _names(obj: griffe.Object) -> tuple[dict[str, str], set[str]]:
    """Give what a docstring may speak of: parameters (name -> as it is written) and attributes."""
    if isinstance(obj, griffe.Class):
        attributes = {name for name, member in obj.members.items() if member.is_attribute}
        init = obj.members.get("__init__")
        parameters = init.parameters if isinstance(init, griffe.Function) else ()
    elif isinstance(obj, griffe.Function):
        attributes, parameters = set(), obj.parameters
    else:
        return {}, set()
    stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
    written = {
        parameter.name: stars.get(parameter.kind, "") + parameter.name for parameter in parameters
    }
    return written, attributes - set(written)
