"""Word vectors as a picture: two axes by PCA or UMAP, a page to explore and a PNG to show.

In: Vectors and words, with labels where colours are wanted. Out: a Picture, written as one HTML
file that needs nothing else (hover for the word, search, drag and zoom, a legend that switches
labels off) and as a PNG.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from textkit.errors import DataError, UsageError, require
from textkit.io import files
from textkit.io.inputs import read_lines
from textkit.vectors.vectors import Vectors

# Okabe and Ito's palette, which colour-blind people can tell apart, without its yellow (too light
# on white) and its black (not to be seen on a dark page). Each colour again has another marker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
_MARKERS = "os^DP"
_SHOWN_LABELS = len(COLOURS) * len(_MARKERS)
PAGE_WORDS = 50_000
_PNG_NAMES = 250
_POINT_PIXELS = 4.0


@dataclass(frozen=True)
class Picture:
    """Words as points: positions (n_words, 2) float32, the label of each or None, what the axes
    are.
    """

    words: list[str]
    positions: npt.NDArray[np.float32]
    labels: list[str] | None
    axes: str
    notes: list[str]


def read_words(path: str | Path) -> tuple[list[str], list[str] | None]:
    """Read a list of words, one a line, each with a label after a tab or none has.

    >>> _ = Path("w.tsv").write_text("king\\trole\\nred\\tcolour\\n", encoding="utf-8")
    >>> read_words("w.tsv")
    (['king', 'red'], ['role', 'colour'])
    """
    words: list[str] = []
    labels: list[str] = []
    for number, line in read_lines(path):
        word, tab, label = line.partition("\t")
        if words and bool(tab) != bool(labels):
            raise DataError(
                f"'{word}' has {'a' if tab else 'no'} label, the words before it differ",
                where=f"{path}:{number}",
            )
        words.append(word)
        labels += [label] if tab else []
    if not words:
        raise DataError("file holds no words", where=str(path))
    return words, labels or None


def lay_out(
    vectors: Vectors,
    words: Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    method: Literal["pca", "umap"] = "pca",
    seed: int = 0,
) -> Picture:
    """Place words in the plane by the directions of their vectors.

    Those unknown are left out and counted.

    pca: the two directions of the largest variance of the unit vectors, signs fixed, so that the
    picture is the same on every run. umap: needs the extra `umap`. Raises DataError where fewer
    than two words are known.

    >>> v = Vectors(["a", "b", "c"], np.eye(3, dtype=np.float32))
    >>> lay_out(v, ["a", "b", "x"]).words
    ['a', 'b']
    """
    if labels is not None and len(labels) != len(words):
        raise UsageError(f"{len(labels)} labels for {len(words)} words")
    numbers = list(dict.fromkeys(words))
    label_of = (
        dict(zip(reversed(words), reversed(labels), strict=True)) if labels is not None else {}
    )
    known = [word for word in numbers if vectors.ngrams is not None or word in vectors]
    if len(known) < 2:
        raise DataError(
            f"{len(known)} of {len(numbers):,} words are among the words of {vectors.source}; a"
            f" picture needs 2"
        )
    if len(known) > PAGE_WORDS:
        raise UsageError(f"{len(known):,} words; a page draws at most {PAGE_WORDS:,}")
    rows = vectors.lookup(known, "zero" if vectors.ngrams is None else "ngram").astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(norms > 0, norms, 1)
    if method == "umap":
        positions, axes = _umap(rows, seed=seed), "UMAP of the unit vectors"
    elif method == "pca":
        positions, axes = _pca(rows)
    else:
        raise UsageError(f"method is '{method}', expected pca or umap")
    lost = len(numbers) - len(known)
    shown = ", ".join(word for word in numbers if word not in set(known))[:80]
    notes = (
        [f"{lost:,} of {len(numbers):,} words are unknown and not drawn: {shown}"] if lost else []
    )
    chosen = [label_of[word] for word in known] if labels is not None else None
    return Picture(known, positions.astype(np.float32), chosen, axes, notes)


def _pca(rows: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], str]:
    centred = rows - rows.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, ::-1][:, :2]
    # An axis may point either way: its largest part is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    positions = centred @ axes
    if positions.shape[1] < 2:
        positions = np.concatenate([positions, np.zeros((len(rows), 1))], axis=1)
    total = max(float(variances.sum()), 1e-12)
    shares = [max(float(value), 0.0) / total for value in variances[::-1][:2]]
    return (
        positions,
        f"PCA of the unit vectors: {' and '.join(f'{share:.0%}' for share in shares)} of the"
        f" variance",
    )


def _umap(rows: npt.NDArray[np.float64], *, seed: int) -> npt.NDArray[np.float64]:
    require("umap", needed_by="method 'umap'")
    import umap

    neighbours = min(15, len(rows) - 1)
    made = umap.UMAP(
        n_neighbors=neighbours, metric="euclidean", random_state=seed, n_jobs=1, init="pca"
    )
    return np.asarray(made.fit_transform(rows), np.float64)


def write_html(picture: Picture, path: str | Path, *, title: str = "Word vectors") -> None:
    """Write one page that needs no network and no other file."""
    names = sorted(set(picture.labels or []))
    spread = np.ptp(picture.positions, axis=0).max() or 1.0
    low = picture.positions.min(axis=0)
    data: dict[str, object] = {
        "words": picture.words,
        "x": [round(float(x), 4) for x in (picture.positions[:, 0] - low[0]) / spread],
        "y": [round(float(y), 4) for y in (picture.positions[:, 1] - low[1]) / spread],
        "labels": [names.index(label) for label in picture.labels] if picture.labels else None,
        "names": names,
        "colours": [COLOURS[i % len(COLOURS)] for i in range(max(len(names), 1))],
        "shapes": [i // len(COLOURS) % len(_MARKERS) for i in range(max(len(names), 1))],
        "axes": picture.axes,
    }
    # No word may end the script element or open a comment.
    embedded = (
        json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        .replace("<", "\\u003c")
        .replace("&", "\\u0026")
    )
    page = resources.files("textkit.vectors").joinpath("plot.html").read_text(encoding="utf-8")
    heading = title.replace("&", "&amp;").replace("<", "&lt;")
    files.write_text(path, page.replace("{{title}}", heading).replace("{{data}}", embedded))


def write_png(picture: Picture, path: str | Path, *, title: str = "Word vectors") -> None:
    """Draw the picture with matplotlib; words are named where names do not overlap."""
    require("matplotlib", needed_by="a PNG of vectors", extra="vectors")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    x, y = picture.positions.T
    labels = np.array(picture.labels or [""] * len(picture.words))
    names, counts = np.unique(labels, return_counts=True)
    shown = sorted(names[np.argsort(-counts, kind="stable")[:_SHOWN_LABELS]].tolist())
    others = ~np.isin(labels, shown)
    if others.any():  # below the named ones
        what = f"{len(names) - len(shown):,} more labels"
        axes.scatter(x[others], y[others], s=8, color="#BBBBBB", label=what, linewidths=0)
    for i, name in enumerate(shown):
        chosen = labels == name
        axes.scatter(
            x[chosen],
            y[chosen],
            s=20,
            color=COLOURS[i % len(COLOURS)],
            marker=_MARKERS[i // len(COLOURS)],
            label=(name if len(name) <= 30 else f"{name[:29]}…").replace("$", "\\$"),
            alpha=0.8,
            linewidths=0,
        )
    axes.set_title(title, loc="left")
    axes.set_xlabel(picture.axes)
    axes.margins(0.08)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    if picture.labels:
        axes.legend(
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            markerscale=1.5,
            fontsize=10 if len(shown) <= 20 else 8,
        )
    _name_points(axes, canvas, picture)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    files.write_bytes(path, buffer.getvalue())


def _name_points(axes: Any, canvas: Any, picture: Picture) -> None:
    """Write words beside their points, in order, on no other word and if possible on no other
    point.
    """
    import logging
    import warnings

    quiet = logging.getLogger("matplotlib.font_manager")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the font lacks some script: a box is drawn
        canvas.draw()
        pixels = axes.transData.transform(picture.positions)
        points = np.concatenate([pixels - _POINT_PIXELS, pixels + _POINT_PIXELS], axis=1)
        names = np.empty((0, 4))
        for number, word in enumerate(picture.words[:_PNG_NAMES]):
            shown = "".join(c if c.isprintable() else "?" for c in word[:30]).replace("$", "\\$")
            text = axes.annotate(
                shown,
                picture.positions[number],
                xytext=(0, 0),
                textcoords="offset pixels",
                fontsize=8,
            )
            box = text.get_window_extent(canvas.get_renderer())
            corner = np.array([box.x0, box.y0]) - pixels[number]
            places = pixels[number] + _places(box.width, box.height)
            boxes = np.concatenate([places, places + np.array([box.width, box.height])], axis=1)
            others = np.delete(points, number, axis=0)
            free = [i for i, place in enumerate(boxes) if not _overlaps(place, names).any()]
            best = next(
                (i for i in free if not _overlaps(boxes[i], others).any()),
                free[0] if free else None,
            )
            if best is None:
                text.remove()
                continue
            text.set_position(places[best] - pixels[number] - corner)
            names = np.concatenate([names, boxes[best : best + 1]])
    quiet.setLevel(before)


def _places(width: float, height: float) -> npt.NDArray[np.float64]:
    """Give the lower left corners (8, 2) that a name may have around a point at the origin, the
    best first.
    """
    near, left, middle = _POINT_PIXELS + 1, -_POINT_PIXELS - 1 - width, -height / 2
    below = -near - height
    return np.array(
        [
            (near, middle),
            (left, middle),
            (near, near / 2),
            (left, near / 2),
            (near, below),
            (left, below),
            (-width / 2, near),
            (-width / 2, below),
        ]
    )


def _overlaps(
    box: npt.NDArray[np.float64], others: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Tell which boxes (n, 4) of left, bottom, right, top meet a box (4,)."""
    return np.asarray((box[:2] < others[:, 2:]).all(axis=1) & (others[:, :2] < box[2:]).all(axis=1))
