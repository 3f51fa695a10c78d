"""textkit inside a spaCy pipeline: the component `textkit_classifier`, and word vectors as spaCy's.

    nlp = spacy.blank("en")
    nlp.add_pipe("textkit_classifier", config={"model": "reviews"})
    nlp("a good film").cats

In: a model folder or a run folder; Vectors. Out: `doc.cats` with the probabilities of
`predict_proba`, `doc._.textkit` with the answer of `predict`; `token.vector` with the rows of the
table. A pipeline that is saved holds the model itself. An installed textkit is known to spaCy by
its entry point: nothing has to be imported.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from textkit.classify import model_folder
from textkit.classify.classifier import TextClassifier
from textkit.errors import ArtifactError, TextkitError, UsageError, require
from textkit.io import hub, zipped
from textkit.jobs.runs import find_model
from textkit.recipe import list_code
from textkit.vectors.table import WordTable
from textkit.vectors.vectors import Vectors

require("spacy", needed_by="textkit.integrations.spacy")

from spacy.language import Language  # noqa: E402
from spacy.pipeline import Pipe  # noqa: E402
from spacy.scorer import Scorer  # noqa: E402
from spacy.tokens import Doc  # noqa: E402
from spacy.training import Example  # noqa: E402
from spacy.util import OOV_RANK, minibatch  # noqa: E402
from spacy.vectors import Vectors as SpacyVectors  # noqa: E402

__all__ = ["TextkitClassifier", "add_vectors", "make_classifier"]

FACTORY = "textkit_classifier"
EXTENSION = "textkit"
# As spaCy's own text categorizers have them.
_SCORE_WEIGHTS = {
    "cats_score": 1.0,
    "cats_score_desc": None,
    "cats_micro_p": None,
    "cats_micro_r": None,
    "cats_micro_f": None,
    "cats_macro_p": None,
    "cats_macro_r": None,
    "cats_macro_f": None,
    "cats_macro_auc": None,
    "cats_f_per_type": None,
}
# The areas under the curves, and their mean, which is the score of a multi-label model.
_OF_PROBABILITIES = ("cats_score", "cats_macro_auc", "cats_auc_per_type")

if not Doc.has_extension(EXTENSION):
    Doc.set_extension(EXTENSION, default={})


class TextkitClassifier(Pipe):  # type: ignore[misc]
    """A text classifier of textkit's as a component of a spaCy pipeline.

    It reads `doc.text` and no annotation, and only predicts; textkit trains it. Each Doc gets

    - `doc.cats`: label -> probability, those of `predict_proba`; nothing for a regression.
    - `doc._.textkit[name]`: what `predict` says: a label, of a multi-label model the list of those
      above their thresholds, of a regression a number, or a list of them.

    model: a model folder, a .zip of one, or a run folder. One that cannot be opened is an error
    only when it is first asked, since a saved pipeline names the folder that its model came from,
    which need not exist where the pipeline is loaded. batch_size: texts a call of the model;
    without it what `nlp.pipe` says.

    >>> import spacy
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("reviews")
    >>> nlp = spacy.blank("en")
    >>> component = nlp.add_pipe("textkit_classifier", config={"model": "reviews"})
    >>> doc = nlp("a good film")
    >>> max(doc.cats, key=doc.cats.get), doc._.textkit["textkit_classifier"], component.labels
    ('pos', 'pos', ('neg', 'pos'))
    """

    def __init__(
        self, name: str = FACTORY, *, model: str | None = None, batch_size: int | None = None
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"{name}: batch_size is {batch_size}, expected 1 or more")
        if model is not None and hub.is_name(model):  # or loading a saved pipeline would ask it
            raise UsageError(
                f"{name}: no hub is asked for the model of a config, {model}; leave it out, then"
                f" nlp.get_pipe('{name}').initialize(model='{model}')"
            )
        self.name = name
        self.batch_size = batch_size
        self._classifier: TextClassifier | None = None
        self._failure: TextkitError | None = None
        if model is not None:
            try:
                self._open(model)
            except TextkitError as err:
                self._failure = err

    @property
    def classifier(self) -> TextClassifier:
        """The model; UsageError where none was given, or what was wrong with the one of the
        config.
        """
        if self._classifier is not None:
            return self._classifier
        if self._failure is not None:
            raise self._failure
        raise UsageError(
            f"component '{self.name}' has no model; name its folder:"
            f" nlp.get_pipe('{self.name}').initialize(model=FOLDER)"
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The keys of `doc.cats`, in the order of the model's classes; none for a regression, and
        before there is a model.
        """
        model = self._classifier
        if model is None or model.task_ == "regression":
            return ()
        return tuple(str(label) for label in model.classes_.tolist())

    @property
    def thresholds(self) -> dict[str, float]:
        """Of a multi-label model: label -> what its probability must exceed; else nothing."""
        return dict(zip(self.labels, self.classifier.thresholds_.tolist(), strict=False))

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one Doc."""
        self._annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate Docs in order, so many at a time as the component's own batch_size says, else
        this one.
        """
        on_error = self.get_error_handler()
        for docs in minibatch(stream, size=self.batch_size or batch_size):
            try:
                self._annotate(docs)
            except Exception as err:  # noqa: BLE001 - the pipeline says what an error does
                on_error(self.name, self, docs, err)
            else:
                yield from docs

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]] | None = None,
        *,
        nlp: Language | None = None,
        model: str | Path | TextClassifier | None = None,
    ) -> None:
        """Take a model: a model folder, a .zip of one, a run folder, `hf:USER/NAME`, or a fitted
        TextClassifier.

        Without one the present model stays, and UsageError says where there is none.
        """
        if isinstance(model, TextClassifier):
            model.describe()  # which refuses one that is not fitted
            self._classifier = model
        elif model is not None:
            self._open(model)
        _ = self.classifier

    def score(self, examples: Iterable[Example], **options: Any) -> dict[str, Any]:
        """Score `doc.cats` as spaCy's text categorizers do; of a regression nothing.

        A label of a multi-label model counts where it exceeds its own threshold, unless `threshold`
        is given. options: those of `Scorer.score_cats`.
        """
        model = self.classifier
        if model.task_ == "regression":
            return {}
        examples = list(examples)
        options = {"labels": self.labels, "multi_label": model.task_ == "multi-label", **options}
        scores: dict[str, Any] = Scorer.score_cats(examples, "cats", **options)
        if model.task_ != "multi-label" or options.get("threshold") is not None:
            return scores
        thresholds = self.thresholds
        predicted = {id(example.predicted) for example in examples}

        def decide(doc: Doc, attr: str) -> dict[str, float]:
            cats: dict[str, float] = getattr(doc, attr)
            if id(doc) not in predicted:
                return cats
            return {label: float(cats.get(label, 0.0) > thresholds[label]) for label in thresholds}

        decided: dict[str, Any] = Scorer.score_cats(examples, "cats", getter=decide, **options)
        return decided | {key: scores[key] for key in _OF_PROBABILITIES}

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the model folder, which TextClassifier.load opens too."""
        del exclude
        self.classifier.save(path, overwrite=True)

    def from_disk(
        self, path: str | Path, *, exclude: Iterable[str] = (), allow: Sequence[str] = ()
    ) -> "TextkitClassifier":
        """Take the model of a folder, as `initialize` does.

        allow: each `package.module:Name` of the model that may be imported; no config can say it.
        ArtifactError names what is missing, changed or foreign.
        """
        del exclude
        self._open(path, allow=allow)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Give the model folder as the bytes of a .zip file."""
        del exclude
        fitted = self.classifier.fitted_
        with TemporaryDirectory() as beside:
            file = Path(beside) / "model.zip"
            with zipped.place_for(file) as folder:
                model_folder.write(fitted, folder)
                model_folder.seal(fitted, folder)
            return file.read_bytes()

    def from_bytes(
        self, data: bytes, *, exclude: Iterable[str] = (), allow: Sequence[str] = ()
    ) -> "TextkitClassifier":
        """Take the model that `to_bytes` gave."""
        del exclude
        with TemporaryDirectory() as beside:
            file = Path(beside) / "model.zip"
            file.write_bytes(data)
            try:
                self._open(file, allow=allow)
            except ArtifactError as err:
                raise ArtifactError(err.message, where=f"the bytes of '{self.name}'") from err
        return self

    def __reduce__(self) -> tuple[Callable[..., "TextkitClassifier"], tuple[object, ...]]:
        if self._classifier is None:
            return _restore, (self.name, self.batch_size, None, ())
        # What this process has imported, one that is trusted with its pickle may import.
        allow = tuple(name for _, name in list_code(self._classifier.recipe_))
        return _restore, (self.name, self.batch_size, self.to_bytes(), allow)

    def _open(self, place: str | Path, *, allow: Sequence[str] = ()) -> None:
        self._classifier = TextClassifier.load(find_model(place), allow=allow)

    def _annotate(self, docs: Sequence[Doc]) -> None:
        fitted = self.classifier.fitted_
        logits = fitted.logits([doc.text for doc in docs])
        answers = fitted.decide(logits)
        if fitted.task != "regression":
            labels = self.labels
            for doc, row in zip(docs, fitted.calibrate(logits).tolist(), strict=True):
                doc.cats.update(zip(labels, row, strict=True))
        plain = answers.tolist() if isinstance(answers, np.ndarray) else map(list, answers)
        for doc, answer in zip(docs, plain, strict=True):
            doc._.get(EXTENSION)[self.name] = answer


def _restore(
    name: str, batch_size: int | None, data: bytes | None, allow: tuple[str, ...]
) -> TextkitClassifier:
    component = TextkitClassifier(name, batch_size=batch_size)
    return component if data is None else component.from_bytes(data, allow=allow)


def make_classifier(
    nlp: Language, name: str, model: str | None, batch_size: int | None
) -> TextkitClassifier:
    """Make the component that `nlp.add_pipe("textkit_classifier")` adds."""
    return TextkitClassifier(name, model=model, batch_size=batch_size)


Language.factory(
    FACTORY,
    default_config={"model": None, "batch_size": None},
    assigns=["doc.cats", f"doc._.{EXTENSION}"],
    default_score_weights=_SCORE_WEIGHTS,
    func=make_classifier,
)


def add_vectors(nlp: Language, vectors: WordTable | str | Path, *, name: str | None = None) -> None:
    """Give a pipeline word vectors in the place of those that it has.

    vectors: Vectors, or a spec that `Vectors.open` takes. They are copied into memory as float32,
    and words that share a row share it here too. spaCy looks a token up as it stands: one that the
    table lacks has zeros, also where fastText's n-grams would make a vector of it. name: what spaCy
    calls the table; by default as spaCy itself would. `Vectors.open` reads the saved pipeline.

    >>> import spacy
    >>> nlp = spacy.blank("en")
    >>> add_vectors(nlp, Vectors(["king"], np.array([[1.0, 2.0]], np.float32)))
    >>> nlp("king").vector.tolist(), nlp("emperor").has_vector
    ([1.0, 2.0], False)
    """
    if not isinstance(vectors, WordTable):
        vectors = Vectors.open(vectors)
    table = np.empty((len(vectors.table), vectors.dim), np.float32)
    for first, block in vectors.blocks():
        table[first : first + len(block)] = block
    given = SpacyVectors(
        strings=nlp.vocab.strings,
        data=table,
        name=name or f"{nlp.meta['lang']}_{nlp.meta['name']}.vectors",
    )
    rows = range(len(vectors)) if vectors.word_rows is None else vectors.word_rows.tolist()
    for word, row in zip(vectors.words, rows, strict=True):
        given.add(nlp.vocab.strings.add(word), row=row)
    nlp.vocab.vectors = given
    for lexeme in nlp.vocab:  # what spaCy knows of words that it met before
        lexeme.rank = given.key2row.get(lexeme.orth, OOV_RANK)
