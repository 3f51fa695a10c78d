"""Course, page 10: words as vectors.

GloVe's 400,000 vectors of 50 numbers come with the extra `glove`. They are looked up, beside
spaCy's way to the same; then neighbours, analogies and a map.
"""

from __future__ import annotations

import numpy as np
import spacy

from textkit import TextEmbedder, Vectors
from textkit.vectors.plot import lay_out, write_png

GROUPS = {
    "countries": "france germany spain italy japan china brazil egypt",
    "animals": "dog cat horse cow lion tiger wolf rabbit",
    "trades": "doctor nurse teacher lawyer engineer baker farmer judge",
    "food": "bread cheese butter rice soup apple onion pepper",
}


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Tell how nearly two vectors point the same way, from -1 to 1."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def main() -> None:
    glove = Vectors.open("glove")
    peace = glove["peace"]
    print(f"{len(glove):,} words, peace: {peace.shape[0]} numbers, first {peace[:4].round(3)}")

    nlp = spacy.blank("en")
    for word in ("peace", "and", "war"):
        nlp.vocab.set_vector(word, glove[word])
    assert np.array_equal(nlp("peace").vector, peace)
    both = nlp("war and peace").vector  # spaCy's vector of a text is the mean of its tokens'
    ours = TextEmbedder.open("glove").embed(["war and peace"]).vectors[0]
    print(f"war and peace: spaCy's vector and textkit's, cosine {cosine(both, ours):.3f}")

    print("\npeace    near:", ", ".join(word for word, _ in glove.nearest("peace", k=5)))
    for other in ("war", "treaty", "banana"):
        print(f"peace and {other:7} {cosine(peace, glove[other]):5.2f}")

    print()
    for a, b, c in (("man", "king", "woman"), ("france", "paris", "italy"), ("go", "went", "see")):
        found = ", ".join(word for word, _ in glove.analogy(a, b, c, k=3))
        print(f"{a} is to {b} as {c} is to: {found}")

    words = [word for names in GROUPS.values() for word in names.split()]
    labels = [label for label, names in GROUPS.items() for _ in names.split()]
    picture = lay_out(glove, words, labels)
    print(f"\n{len(picture.words)} words on a map; {picture.axes}")
    write_png(picture, "10-embeddings.png", title="Four groups of words, GloVe")
    rows = glove.lookup(words)
    near = sum(
        labels[int(np.argsort([-cosine(row, other) for other in rows])[1])] == label
        for row, label in zip(rows, labels, strict=True)
    )
    print(f"{near} of {len(words)} have a word of their own group as nearest")
    assert near >= 28


if __name__ == "__main__":
    main()
