"""Make the card of a model: what it is, how to use it, what it learnt from, how good it is, and
where it ends.

In: a model folder, the run that it lies in if it does, and perhaps an evaluation. Out: the text of
README.md as the hub shows it, with the head that the hub reads. It tells no path of this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textkit.classify.compression import read_compression
from textkit.evaluation.baseline import BASELINE
from textkit.jobs.card_facts import CardFacts, CardOptions, gather_facts
from textkit.jobs.card_figures import FEW_ROWS, ClassFigures
from textkit.jobs.card_metadata import head
from textkit.registry import is_whole
from textkit.version import __version__

# Labels and classes that are listed; config.json has all.
_LISTED, _NAMED = 40, 8
_FEW_ROWS_OF_A_CLASS = 50


def make_card(options: CardOptions) -> str:
    """Make the card of a model; raises what `gather_facts` does.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("reviews")
    >>> card = make_card(CardOptions(model="reviews", licence="mit", language="en"))
    >>> card.splitlines()[:3]
    ['---', 'license: mit', 'library_name: textkit']
    """
    facts = gather_facts(options)
    title = facts.name.rpartition("/")[2]
    sections = [
        head(
            name=title,
            licence=facts.licence,
            language=facts.language,
            data=facts.data,
            tags=[facts.task],
            base_model=facts.base_model,
            figures=facts.measured,
        ),
        f"# {title}",
        *_what(facts),
        *_use(facts),
        *_training(facts),
        *_figures(facts),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(facts)),
        "## Licence",
        f"`{facts.licence}`",
        *_again(facts),
    ]
    return "\n\n".join(sections) + "\n"


def _what(facts: CardFacts) -> Iterator[str]:
    n, encoder = len(facts.labels), facts.recipe.encoder.name
    what = {
        "single-label": f"one of {n} labels",
        "multi-label": f"any number of {n} labels",
        "regression": "a number" if n == 1 else f"{n} numbers",
    }[facts.task]
    if is_whole(encoder):
        made = f"`{encoder}` model"
    else:
        made = f"`{encoder}` network over `{facts.recipe.tokenizer.name}` tokens"
    size = "" if facts.report is None else f", {facts.report.n_weights:,} weights"
    yield f"This model gives a text {what}. It is a {made}{size}, made with textkit {__version__}."
    compression = read_compression(dict(facts.config), where="config.json")
    if compression is not None:
        yield f"It was compressed: {compression}."
    elif "engine" in facts.config:
        yield f"It was exported, and {facts.config['engine']} computes it."
    yield _labels(facts)


def _labels(facts: CardFacts) -> str:
    """List the labels, with the rows of each where they are known."""
    counts = {} if facts.report is None else facts.report.class_rows or {}
    tested = (
        {each.name: each.n_rows for each in facts.measured[0].classes} if facts.measured else {}
    )
    columns = [("training and validation rows", counts)] if counts else []
    columns += [("test rows", tested)] if tested else []
    named = "number" if facts.task == "regression" else "label"
    lines = [f"| {' | '.join([named, *(title for title, _ in columns)])} |"]
    lines.append("|---|" + "---:|" * len(columns))
    for label in facts.labels[:_LISTED]:
        cells = [_cell(label), *(f"{rows.get(label, 0):,}" for _, rows in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    if len(facts.labels) > _LISTED:
        lines += ["", f"and {len(facts.labels) - _LISTED:,} more, which `config.json` lists."]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Write a text as it stands in a cell of a table."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def _use(facts: CardFacts) -> Iterator[str]:
    allow = f", allow={facts.code!r}" if facts.code else ""
    yield "## How to use it"
    yield _block("", f"pip install {_package(facts.extras)}")
    answer = 'print(model.predict(["a text"]))'
    chances = "" if facts.task == "regression" else 'print(model.predict_proba(["a text"]))\n'
    yield _block(
        "python",
        f'import textkit\n\nmodel = textkit.load("hf:{facts.name}"{allow})\n{answer}\n{chances}',
    )
    yield "In the shell:"
    yield _block("", f"textkit predict hf:{facts.name} texts.csv")
    if facts.code:
        yield f"It names code of others, which must be installed: {', '.join(facts.code)}."
        return
    both = _package({*facts.extras, "train", "transformers"})
    yield f"In transformers, with the same probabilities (`pip install {both}`):"
    yield _block(
        "python",
        "import textkit.integrations.transformers\nfrom transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", "{facts.name}")\n'
        'print(classify(["a text"], top_k=None))',
    )


def _package(extras: Iterable[str]) -> str:
    """Name the package with its extras, as the shell takes it.

    >>> _package([]), _package(["train", "onnx"])
    ('textkit-nlp', "'textkit-nlp[onnx,train]'")
    """
    named = ",".join(sorted(extras))
    return f"'textkit-nlp[{named}]'" if named else "textkit-nlp"


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _training(facts: CardFacts) -> Iterator[str]:
    yield "## Training data"
    if facts.data:
        yield f"Data sets: {', '.join(facts.data)}."
    report = facts.report
    if report is None:
        if not facts.data:
            yield "What it learnt from is not recorded here."
        return
    held = ""
    if report.n_valid_rows:
        held = f", {report.n_valid_rows:,} of them held out for validation"
    yield f"{report.n_rows:,} rows of `{facts.file}`{held}."
    yield f"SHA-256 of the file: `{facts.sha256}`"


def _figures(facts: CardFacts) -> Iterator[str]:
    yield "## Figures"
    for measured in facts.measured:
        rows = "" if measured.n_rows is None else f" ({measured.n_rows:,} rows)"
        yield f"On {measured.of}{rows}, as `textkit evaluate` measured it:"
        yield "\n".join(measured.to_table())
        if measured.difference is not None:
            difference, low, high = measured.difference
            yield (
                f"The baseline is {BASELINE}. The accuracy differs from its own by"
                f" {difference:+.3f} ({low:+.3f} to {high:+.3f})."
            )
    found, report = facts.found, facts.report
    if found is None or report is None:
        if not facts.measured:
            yield "None were given. `textkit evaluate MODEL TEST --json` measures a model."
        return
    of = f"{found.n_rows:,} rows" if found.n_rows else "rows"
    before = " (the model before it was exported)" if "engine" in facts.config else ""
    yield (
        f"On the {of} held out for validation{before}, by which the best state and the temperature"
        " were chosen, so that these figures are rather too good:"
    )
    yield "\n".join(found.to_table())
    if report.baseline is not None and not facts.measured:
        yield f"The baseline is {BASELINE} on the same rows."
    if report.baseline_wins:
        yield "**The baseline is better on these rows.**"


def _limits(facts: CardFacts) -> Iterator[str]:
    report, recipe = facts.report, facts.recipe
    if facts.task != "regression":
        yield (
            "It answers for every text, also for one of another kind or language than it learnt"
            " from: there is no answer for what it does not know."
        )
    if not facts.language:
        yield "The language of its texts was not stated."
    elif len(facts.language) == 1:
        yield f"Its texts were said to be in one language, `{facts.language[0]}`."
    if not is_whole(recipe.encoder.name) and recipe.tokenizer.max_length is not None:
        cut = ""
        if report is not None:
            n_cut = f"{report.n_truncated_rows:,}" if report.n_truncated_rows else "none"
            cut = f"; of the {report.n_rows:,} rows it learnt from, {n_cut} were"
        yield f"A text is cut after {recipe.tokenizer.max_length:,} tokens{cut}."
    if facts.task != "regression":
        yield _calibration(facts)
    if facts.found is not None and facts.found.n_rows and facts.found.n_rows < FEW_ROWS:
        yield (
            f"Only {facts.found.n_rows:,} rows were held out for validation, so that what was"
            " chosen by them, and the figures on them, are uncertain."
        )
    yield from _limits_of_labels(facts)
    lost = facts.manifest.get("compression", {})
    if "agreement" in lost:
        yield (
            f"Compressed, it gives the label of the model before for {lost['agreement']:.2%} of"
            f" {lost.get('n_texts', 0):,} texts."
        )
    if not facts.measured:
        yield "No figures on a test file of its own are given here."


def _limits_of_labels(facts: CardFacts) -> Iterator[str]:
    """Say which labels have few rows, and which are known worse than the others."""
    counts = {} if facts.report is None else facts.report.class_rows or {}
    few = [f"{_cell(name)} ({n:,})" for name, n in counts.items() if n < _FEW_ROWS_OF_A_CLASS]
    if few:
        yield f"Labels learnt from fewer than {_FEW_ROWS_OF_A_CLASS} rows: {_some(few)}."
    for measured in facts.measured:
        if measured.weak:
            yield f"Known worse than the other labels: {_some(map(_weak, measured.weak))}."
        if measured.scarce:
            names = [f"{_cell(each.name)} ({each.n_rows:,})" for each in measured.scarce]
            yield f"Labels tested on few rows: {_some(names)}."


def _calibration(facts: CardFacts) -> str:
    errors = [
        f" On {measured.of} their calibration error is {figure.value:.3f}."
        for measured in facts.measured
        for figure in measured.figures
        if figure.name == "calibration_error"
    ]
    found = "".join(errors[:1])
    if not facts.recipe.training.calibrate:
        return f"Its probabilities were not calibrated.{found}"
    return (
        f"Its probabilities were calibrated by a temperature of {facts.temperature:.3f} on the"
        f" validation rows; for texts of another kind they may be off.{found}"
    )


def _weak(each: ClassFigures) -> str:
    return f"{_cell(each.name)} (F1 {each.f1:.3f}, {each.n_rows:,} rows)"


def _some(names: Iterable[str]) -> str:
    parts = list(names)
    more = len(parts) - _NAMED
    return ", ".join(parts[:_NAMED]) + (f", and {more:,} more" if more > 0 else "")


def _again(facts: CardFacts) -> Iterator[str]:
    import tomli_w

    yield "## How to make it again"
    yield _block("", f"textkit train {facts.file or 'TRAIN'} --recipe recipe.toml -o run")
    if facts.options:
        yield f"The run was also given {', '.join(facts.options)}."
    recipe = _block("toml", tomli_w.dumps(facts.told_recipe()))
    yield f"<details><summary>recipe.toml</summary>\n\n{recipe}\n\n</details>"
