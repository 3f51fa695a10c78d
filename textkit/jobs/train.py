"""Train a text classifier into a run folder, or find a learning rate for it.

In: files of texts and labels, and a recipe. Out: the folder that textkit/jobs/runs.py describes,
and a report of what it holds. A run that its watch stopped, or that was killed, goes on with
`resume`, to the same bytes as one that ran through.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textkit.classify.given import Given, Teaching
from textkit.data.label_spelling import note_variants, unify_labels
from textkit.data.labels import LabelledRows, no_rows, read_labelled
from textkit.data.targets import encode_labels, find_classes
from textkit.errors import TextkitError, UsageError, require
from textkit.io.bulk import write_rejects
from textkit.io.corpus import RowReader
from textkit.io.inputs import refuse_streams
from textkit.jobs import doctor, runs
from textkit.jobs.runs import TrainReport, find_model
from textkit.jobs.train_options import TrainOptions, choose_folder, open_run, say_start
from textkit.jobs.train_profile import StageClock
from textkit.recipe import Recipe, list_code
from textkit.registry import is_whole
from textkit.watch import Epoch, Health, Progress, Step, Watch

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier


@dataclass(frozen=True)
class RateReport:
    """The learning rate at which the loss falls fastest, and the picture of its curve."""

    suggested: float
    picture: Path


def train_run(options: TrainOptions, *, watch: Watch = Watch()) -> TrainReport:
    """Train into a run folder; every process that torchrun starts calls this, the first writes.

    `watch` hears what was guessed and every step and epoch; once its should_stop is true, the run
    ends early with the best weights so far and can go on. Raises UsageError for a folder or options
    that do not fit, DataError for rows that cannot be learnt from.

    >>> rows = "text,label\\n" + "good film,pos\\nbad film,neg\\n" * 10
    >>> _ = Path("train.csv").write_text(rows, encoding="utf-8")
    >>> small = ["encoder.dim=4", "embedding.dim=4", "training.epochs=1", "training.device=cpu"]
    >>> options = TrainOptions(data=Path("train.csv"), out=Path("run"), overrides=small)
    >>> report = train_run(options)
    >>> report.n_rows, report.history.ended, report.model.is_dir(), report.baseline
    (20, 'epochs', True, 1.0)
    """
    needed = ["torch", "accelerate", "matplotlib", *(["sklearn"] if options.baseline else [])]
    require(*needed, needed_by="training")
    refuse_streams(
        [options.data, *(options.more or ()), *filter(None, [options.valid, options.unlabelled])]
    )  # read, and known again by their hashes
    if not runs.is_main():  # the first process speaks for all
        watch = Watch(should_stop=watch.should_stop)
    clock = StageClock() if options.profile and runs.is_main() else None
    if clock is not None:
        watch = replace(watch, stage=clock.stage)
    run = choose_folder(options)
    with runs.kept(run):
        with watch.stage("start"):  # imports torch
            work, recipe = open_run(options, run)
        if options.resume and runs.is_over(work):
            return runs.read_report(work)
        if work != run:
            watch.note(f"{run} stays as it is until the new run, now in {work}, is finished")
        try:
            report = _train(options, recipe, work, watch)
            if clock is not None:
                profile = clock.profile(report.history)
                profile.write(work)
                report = replace(report, profile=profile)
            return runs.finish(report, run)
        except TextkitError:
            runs.give_up(work, run, is_new=not options.resume)
            raise


def _train(options: TrainOptions, recipe: Recipe, work: Path, watch: Watch) -> TrainReport:
    """Train in a folder that is free, or that holds a run to go on with."""
    with watch.stage("read"):
        rows = None if options.stream else _read(options, recipe, watch)
        others = None if options.unlabelled is None else _read_texts(options, watch)
        if runs.is_main() and not options.resume:
            runs.begin(work, options.data, recipe, say_start(options))
        if runs.is_main() and rows is not None:
            read = (*rows, others)
            write_rejects(work, [reject for part in read if part for reject in part.rejects])
    first = None
    if options.doctor and runs.is_alone() and rows is not None and not options.resume:
        with watch.stage("doctor"):
            first = doctor.overfit_batch(recipe, rows[0])
        watch.note(f"doctor: {first or 'one batch can be learnt by heart'}")
    health = doctor.read_health(work) if options.resume else []
    classifier = _fit(options, recipe, work, rows, others, watch, health)
    is_network = not is_whole(classifier.recipe_.encoder.name)
    if is_network:
        from textkit.nn.devices import leave_processes

        leave_processes()
    report = _report(work, classifier)
    if not runs.is_main():
        return report
    with watch.stage("save"):
        classifier.save(report.model, overwrite=True)
        if options.curves and report.history.best is not None and is_network:
            from textkit.training.curves import draw_curves

            draw_curves(work / runs.METRICS, report.curves, health=work / runs.HEALTH)
    if options.baseline and rows is not None and not watch.should_stop():
        with watch.stage("baseline"):
            report = replace(report, baseline=_score_baseline(*rows, recipe))
    if options.doctor and not watch.should_stop():
        train, valid = rows or (None, None)
        with watch.stage("doctor"):
            findings = doctor.examine(classifier, train, valid, health)
        report = replace(report, findings=[*([first] if first else []), *findings])
    return replace(report, stopped=watch.should_stop())


def suggest_rate(options: TrainOptions, *, watch: Watch = Watch()) -> RateReport:
    """Sweep the learning rate in a short training of its own, and draw the curve into the run
    folder; nothing else is written there.
    """
    require("torch", "accelerate", "matplotlib", needed_by="training")
    from textkit.classify.lr_finder import find_rate

    run = choose_folder(options)
    recipe = open_run(options, run, sweeps=True)[1]
    if is_whole(recipe.encoder.name):
        raise UsageError(f"a {recipe.encoder.name} model has no learning rate; leave out --find-lr")
    if recipe.contrast is not None:
        raise UsageError("--find-lr sweeps training.lr, and contrast has a rate of its own")
    rows, _ = _read(options, recipe, watch)
    sweep = find_rate(rows.texts, rows.labels, recipe)
    sweep.save_png(run / runs.PICTURE_OF_RATES)
    return RateReport(sweep.suggested, run / runs.PICTURE_OF_RATES)


def _read(
    options: TrainOptions, recipe: Recipe, watch: Watch
) -> tuple[LabelledRows, LabelledRows | None]:
    """Read the training rows, and the validation rows where they have a file."""
    paths = [options.data, *(options.more or ())]
    rows = [_read_file(path, options, recipe, watch) for path in paths]
    train = LabelledRows(
        [text for part in rows for text in part.texts],
        [label for part in rows for label in part.labels],
        [reject for part in rows for reject in part.rejects],
    )
    valid = None if options.valid is None else _read_file(options.valid, options, recipe, watch)
    if recipe.head.task == "regression":
        return train, valid
    if options.normalize_labels:
        return _unify(train, valid, watch)
    for line in note_variants(train.all_labels()):
        watch.note(f"labels: {line}")
    return train, valid


def _read_file(path: Path, options: TrainOptions, recipe: Recipe, watch: Watch) -> LabelledRows:
    return read_labelled(
        path,
        task=recipe.head.task,
        note=watch.note,
        on_bad=options.on_bad,
        missing=options.missing,
        **options.columns(recipe),
    )


def _read_texts(options: TrainOptions, watch: Watch) -> LabelledRows:
    """Read the texts of the file without labels; where it has some, they are not looked at."""
    assert options.unlabelled is not None
    reader = RowReader(
        options.unlabelled,
        text_column=options.text_column,
        delimiter=options.delimiter,
        on_bad=options.on_bad,
    )
    texts = [row.text for row in reader]
    for line in reader.notes():
        watch.note(line)
    if not texts:
        raise no_rows(reader)
    return LabelledRows(texts, [], tuple(reader.rejects))


def _unify(
    train: LabelledRows, valid: LabelledRows | None, watch: Watch
) -> tuple[LabelledRows, LabelledRows | None]:
    """Give the rows with one spelling for each label, and say which became which."""
    spelling, said = unify_labels(train.all_labels(), [] if valid is None else valid.all_labels())
    for line in said:
        watch.note(f"labels: {line}")
    return train.respell(spelling), None if valid is None else valid.respell(spelling)


def _fit(
    options: TrainOptions,
    recipe: Recipe,
    run: Path,
    rows: tuple[LabelledRows, LabelledRows | None] | None,
    others: LabelledRows | None,
    watch: Watch,
    health: list[Health],
) -> TextClassifier:
    """Fit a classifier from rows, or from the file where there are none; keep its metrics."""
    with watch.stage("start"):
        from textkit import TextClassifier
        from textkit.classify.auto_fitting import fit_rows

        watch = _keep_metrics(run, watch, options, health)
        watch.progress(Progress("training", 0, unit="batches"))
        classifier, checkpoints = TextClassifier(recipe), run / runs.CHECKPOINTS
    if rows is None:
        columns = options.columns(recipe)
        return classifier.fit_file(
            options.data, validation=options.valid, checkpoints=checkpoints, watch=watch, **columns
        )
    train, valid = rows
    start = _open_model(options.init_from, options, recipe)
    given = Given(
        train.texts,
        train.labels,
        validation=None if valid is None else (valid.texts, valid.labels),
        init_from=None if start is None else start.fitted_,
        keep_labels=options.keep_labels,
        teaching=_open_teaching(options, recipe, others),
        checkpoints=checkpoints,
        unlabelled=() if others is None or recipe.distil is not None else others.texts,
    )
    classifier.fitted_ = fit_rows(recipe, given, watch=watch)
    return classifier


def _open_teaching(
    options: TrainOptions, recipe: Recipe, others: LabelledRows | None
) -> Teaching | None:
    """Open the teacher of a recipe that has one; for a run that goes on its answers may do."""
    if recipe.distil is None:
        return None
    teacher = _open_model(options.teacher, options, recipe)
    texts = [] if others is None else others.texts
    return Teaching(None if teacher is None else teacher.fitted_, texts)


def _open_model(place: Path | None, options: TrainOptions, recipe: Recipe) -> TextClassifier | None:
    """Open a model to start or to learn from; what the user's own recipe names may be imported."""
    from textkit import TextClassifier

    if place is None:
        return None
    trusted = [*(options.allow or ()), *(name for _, name in list_code(recipe))]
    return TextClassifier.load(find_model(place), allow=trusted)


def _keep_metrics(run: Path, watch: Watch, options: TrainOptions, health: list[Health]) -> Watch:
    """Make a watch that also writes every epoch into the run folder, and its health where asked."""
    if not runs.is_main():
        return watch
    from textkit.training.curves import Board

    board = Board(run / "tensorboard") if options.tensorboard else None
    epochs: list[Epoch] = []

    def take_step(step: Step) -> None:
        watch.step(step)
        if board is not None:
            board.step(step)

    def take_epoch(epoch: Epoch) -> None:
        # A second training in one run, as after self-training, begins with epoch 1 again.
        epochs[:] = [*(each for each in epochs if each.epoch < epoch.epoch), epoch]
        runs.write_metrics(run, epochs)
        watch.epoch(epoch)
        if board is not None:
            board.epoch(epoch)

    def take_health(measured: Health) -> None:
        health[:] = [*(each for each in health if each.epoch < measured.epoch), measured]
        doctor.write_health(run, health)
        if board is not None:
            board.health(measured)

    asked = options.doctor or options.tensorboard
    return replace(
        watch, step=take_step, epoch=take_epoch, health=take_health if asked else watch.health
    )


def _report(run: Path, classifier: TextClassifier) -> TrainReport:
    coverage, choice, facts = classifier.coverage_, classifier.choice_, classifier.fitted_.facts
    return TrainReport(
        run,
        classifier.recipe_,
        classifier.history_,
        n_rows=classifier.n_rows_,
        n_weights=classifier.fitted_.model.n_weights,
        n_truncated_rows=classifier.n_truncated_,
        temperature=classifier.temperature_,
        n_valid_rows=None if facts is None else facts.n_valid,
        class_rows=None if facts is None else facts.class_rows,
        coverage=None if coverage is None else coverage.to_dict(),
        choice=None if choice is None else choice.to_dict(),
    )


def _score_baseline(rows: LabelledRows, valid: LabelledRows | None, recipe: Recipe) -> float | None:
    """Train the baseline on the network's own training rows and score it on its validation rows."""
    from textkit.classify.held_out import split_validation
    from textkit.evaluation.baseline import score_baseline

    task = recipe.head.task
    if task == "single-label" and len({*rows.all_labels()}) < 2:
        return None  # as where --keep-labels keeps the others
    classes = find_classes(task, rows.labels, joining=True)
    texts, targets = rows.texts, encode_labels(task, rows.labels, classes)
    if valid is not None:
        valid_targets = encode_labels(task, valid.labels, classes)
        return score_baseline(task, texts, targets, valid.texts, valid_targets)
    train, held = split_validation(targets, recipe)
    train_texts, held_texts = ([texts[i] for i in part] for part in (train, held))
    return score_baseline(task, train_texts, targets[train], held_texts, targets[held])
