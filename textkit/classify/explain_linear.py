"""The exact contributions of a linear model: each logit is a sum over the n-grams of the text, and
each n-gram's part goes to the characters that it covers.

In: a LinearModel, a text, a direction among its outputs. Out: a number a character. What nothing in
the text carries, the bias, is the value of a text without a known n-gram.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from textkit.classify.linear import LinearModel
from textkit.features.gram_places import GramPlaces


def contribute(
    model: LinearModel, places: GramPlaces, text: str, direction: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, float]:
    """Share what each n-gram adds among the characters where it stands: (n_characters,), with the
    value of the text, and that of a text without n-grams.

    direction: (n_outputs,); a value is the logits' product with it.
    """
    rows = model.features.encode([text])
    empty = model.score(model.features.encode([""]))[0].astype(np.float64)
    weights = model.weights.take(rows.columns, axis=0).astype(np.float64)
    if weights.shape[1] != model.machines.n_outputs:  # one machine tells two classes apart
        weights = np.concatenate([-weights / 2, weights / 2], axis=1)
    parts = dict(zip(rows.columns.tolist(), rows.values * (weights @ direction), strict=True))
    standing = defaultdict(list)
    for column, covered in places.find(text):
        standing[column].append(covered)
    characters = np.zeros(len(text))
    for column, part in parts.items():
        for covered in standing[column]:
            np.add.at(characters, covered, part / len(standing[column]) / len(covered))
    value = model.score(rows)[0].astype(np.float64) @ direction
    return characters, float(value), float(empty @ direction)
