"""Train a text classifier from Python, measure it, save it, load it and use it."""

from textkit import TextClassifier
from textkit.data import quickstart

train, test = quickstart.split_rows(quickstart.docstring_rows())
texts, labels = zip(*train, strict=True)

model = TextClassifier(encoder="lstm", training__epochs=6, seed=1)
model.fit(texts, labels)

print(f"accuracy {model.score(*zip(*test, strict=True)):.3f}")

model.save("docstring-model")
again = TextClassifier.load("docstring-model")
for text in ("Open a socket to the server.", "Return the median of the sample."):
    probabilities = dict(
        zip(again.classes_.tolist(), again.predict_proba([text])[0].tolist(), strict=True)
    )
    best = max(probabilities, key=probabilities.get)
    print(f"{text:40} {best} {probabilities[best]:.2f}")
