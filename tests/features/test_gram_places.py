"""Where n-grams stand: the same n-grams as a row has, each on its own characters."""

from __future__ import annotations

from textkit.features.gram_places import GramPlaces
from textkit.features.tfidf import TfidfFeatures, TfidfOptions

TEXTS = [
    "A good film, a GOOD plot",
    "bad!",
    "İstanbul is a city",
    "x",
    "ΣΑΣ good",
    "",
    "a\x1cb good",
]


def test_the_n_grams_that_are_found_are_those_of_the_row() -> None:
    features, rows = TfidfFeatures.learn(TEXTS, TfidfOptions())
    places = GramPlaces(features)
    for number, text in enumerate(TEXTS):
        row = rows.columns[rows.offsets[number] : rows.offsets[number + 1]]
        assert sorted({column for column, _ in places.find(text)}) == sorted(row.tolist())


def test_each_stands_on_its_own_characters() -> None:
    features, _ = TfidfFeatures.learn(TEXTS, TfidfOptions())
    names = features.names()
    for text in TEXTS:
        for column, covered in GramPlaces(features).find(text):
            stood = "".join(text[i] for i in dict.fromkeys(covered.tolist())).lower()
            assert stood == names[column].replace(" ", "") or not stood.isascii()
