"""Train word vectors: word2vec and fastText, by gensim's own loops, on any corpus, with any
tokenizer.

In: files and VectorTraining. Out: our folder of vectors. The corpus is tokenized once, to numbers
on disk; every epoch takes its sentences from there. Jobs of 10,000 words, learning rates and random
numbers are gensim's, one for one, so with one worker the vectors are those of gensim's Word2Vec and
FastText over a LineSentence file of the same tokens: the same bytes for word2vec, the same up to
the rounding of the last mean for fastText.

The work stands in `OUT.training` until the vectors are whole: the corpus, and a checkpoint of
weights, position and random state. A run taken up again from it gives, with one worker, the same
bytes as one that was never stopped.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, TextkitError, require
from textkit.io import bulk, exchange, files, locks
from textkit.tokenizers import Tokenizer
from textkit.vectors.fasttext import Ngrams
from textkit.vectors.folder import map_safetensors, write_arrays
from textkit.vectors.gensim_model import VectorTraining, estimate_loss, make_model
from textkit.vectors.table import WordTable
from textkit.vectors.train_corpus import (
    SENTENCE_WORDS,
    SHAPE,
    Corpus,
    clean_texts,
    read_corpus,
    write_corpus,
)
from textkit.watch import Progress, Watch

CHECKPOINT = "checkpoint.safetensors"
# The loss is estimated before one job of this many.
_LOSS_EVERY = 16
_REPORT_SECONDS = 0.5


def train_vectors(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    tokenizer: Tokenizer,
    options: VectorTraining,
    text_column: str | None = None,
    delimiter: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    watch: Watch = Watch(),
    checkpoint_seconds: float = 60.0,
) -> WordTable | None:
    """Train on the rows of files, save our folder at `out`, and open it.

    None where `watch` stopped it early.

    overwrite: finished work in `out` may go, when the new vectors are whole. resume: go on from
    `OUT.training`, which a killed or stopped run of the same files and options left. watch: hears
    how far the work is, and is asked after every job whether to stop. The loss among its details is
    the mean of -log P(word and not its negative samples | context) over a sample of the last jobs;
    it begins at (negative + 1) log 2.
    """
    require("gensim", needed_by="training vectors")
    options.check()
    out = exchange.settle(out)
    with locks.held(out):
        return _train(
            [str(name) for name in inputs],
            out,
            tokenizer=tokenizer,
            options=options,
            text_column=text_column,
            delimiter=delimiter,
            overwrite=overwrite,
            resume=resume,
            watch=watch,
            checkpoint_seconds=checkpoint_seconds,
        )


def _train(
    inputs: list[str],
    out: Path,
    *,
    tokenizer: Tokenizer,
    options: VectorTraining,
    text_column: str | None,
    delimiter: str | None,
    overwrite: bool,
    resume: bool,
    watch: Watch,
    checkpoint_seconds: float,
) -> WordTable | None:
    """Train in `OUT.training`, which this process holds alone."""
    work = out.with_name(out.name + ".training")
    goes_on = resume and (work / bulk.JOB).exists()
    if not goes_on:  # what goes on was allowed when it began
        files.refuse_finished(out, overwrite=overwrite)
    if overwrite and not goes_on:
        exchange.remove_folder(work)
    rows = bulk.Inputs.of(inputs, text_column=text_column, delimiter=delimiter)
    chosen = asdict(options)
    description = {
        "inputs": bulk.describe_inputs(rows.names),
        "tokenizer": tokenizer.fingerprint,
        "options": chosen,
    }
    columns = {"text_column": text_column, "delimiter": delimiter}
    bulk.open_job(work, {**description, **columns}, resume=resume)
    try:
        if not (work / SHAPE).exists() and not _read(rows, tokenizer, work, watch):
            return None
        corpus = read_corpus(work)
        trainer = _Trainer(corpus, options)
    except TextkitError:
        exchange.remove_folder(work)  # the same would happen again: nothing here is worth resuming
        raise
    for line in rows.notes:
        watch.note(line)
    if (work / CHECKPOINT).exists():
        trainer.restore(work / CHECKPOINT)
    if not trainer.run(work / CHECKPOINT, watch, checkpoint_seconds=checkpoint_seconds):
        return None
    facts = {"trained": chosen, "tokenizer": tokenizer.kind, "n_tokens": len(corpus.tokens)}
    trainer.vectors(facts=facts).save(out, overwrite=True)
    exchange.remove_folder(work)
    return WordTable.load(out)


def _read(rows: bulk.Inputs, tokenizer: Tokenizer, work: Path, watch: Watch) -> bool:
    """Tokenize the corpus into the work folder; False when stopped before its end."""

    def advance(n_words: int) -> None:
        watch.progress(Progress("training", n_words, unit="words", details="words read"))
        if watch.should_stop():
            raise _StoppedError

    try:
        write_corpus(clean_texts(row.text for row in rows), tokenizer, work, progress=advance)
    except _StoppedError:
        return False
    return True


class _StoppedError(Exception):
    """Carry a wish to stop out of the reading of the corpus."""


class _Trainer:
    """gensim's model, fed job by job from a corpus of numbers."""

    def __init__(self, corpus: Corpus, options: VectorTraining) -> None:
        self.corpus, self.options = corpus, options
        self.model = make_model(corpus, options)
        table = np.full(len(corpus.words) + 1, None, object)
        table[:-1] = [word if word in self.model.wv.key_to_index else None for word in corpus.words]
        self._words = table
        self._rows = np.array(
            [self.model.wv.key_to_index.get(word, -1) for word in corpus.words], np.int64
        )
        # Sentences -> jobs, as gensim's producer fills them: as many whole sentences as 10,000
        # words hold.
        self._ends = np.cumsum(corpus.lengths)
        self._jobs = list(_cut_jobs(corpus.lengths))
        self._next_job = 0  # counted over all epochs

    def run(self, checkpoint: Path, watch: Watch, *, checkpoint_seconds: float) -> bool:
        """Train to the end.

        False when stopped early, with a checkpoint written either way it needs one.
        """
        n_all = len(self._jobs) * self.options.epochs
        started, reported, saved = time.monotonic(), 0.0, time.monotonic()
        first_word = self._words_before(self._next_job)
        losses: deque[float] = deque(maxlen=16)
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(self.options.workers) as pool:
            while self._next_job < n_all or waiting:
                stopping = watch.should_stop()
                now = time.monotonic()
                due = stopping or now - saved >= checkpoint_seconds
                if self._next_job < n_all and not due and len(waiting) < 2 * self.options.workers:
                    loss = (
                        self._loss_before(self._next_job)
                        if self._next_job % _LOSS_EVERY == 0
                        else None
                    )
                    losses.extend([] if loss is None else [loss])
                    waiting.append(pool.submit(self._train, *self._job(self._next_job)))
                    self._next_job += 1
                    continue
                if waiting:
                    waiting.popleft().result()
                elif due:
                    # No job is in flight: weights, position and random state belong together.
                    self._save(checkpoint)
                    saved = time.monotonic()
                    if stopping:
                        return False
                if now - reported >= _REPORT_SECONDS:
                    reported = now
                    done = self._words_before(self._next_job - len(waiting))
                    epoch = min((self._next_job - 1) // len(self._jobs) + 1, self.options.epochs)
                    loss_so_far = f"  loss {sum(losses) / len(losses):.3f}" if losses else ""
                    speed = (done - first_word) / max(now - started, 1e-9)
                    total = len(self.corpus.tokens) * self.options.epochs
                    details = f"epoch {epoch}{loss_so_far}  {speed:,.0f} words/s"
                    watch.progress(Progress("training", done, total, "words", details))
        return True

    def _job(self, number: int) -> tuple[list[list[str]], float]:
        """Give a job's sentences and its learning rate."""
        epoch, at = divmod(number, len(self._jobs))
        first, last = self._jobs[at]
        begin = self._begin(first)
        words = self._words[self.corpus.tokens[begin : int(self._ends[last - 1])]].tolist()
        stops = (self._ends[first:last] - begin).tolist()
        sentences = [words[start:stop] for start, stop in itertools.pairwise([0, *stops])]
        progress = (epoch + first / len(self.corpus.lengths)) / self.options.epochs
        alpha, low = self.options.alpha, self.options.min_alpha
        return sentences, max(low, alpha - (alpha - low) * progress)

    def _begin(self, sentence: int) -> int:
        """Give the number of a sentence's first token."""
        return int(self._ends[sentence]) - int(self.corpus.lengths[sentence])

    def _train(self, sentences: list[list[str]], alpha: float) -> None:
        """Run gensim's inner loop, which lets go of the interpreter lock."""
        self.model._do_train_job(sentences, alpha, self.model._get_thread_working_mem())

    def _loss_before(self, number: int) -> float | None:
        """Estimate the loss on a job that is to come."""
        first, last = self._jobs[number % len(self._jobs)]
        begin, ends = self._begin(first), self._ends[first:last]
        tokens = self._rows[self.corpus.tokens[begin : int(ends[-1])]]
        rng = np.random.default_rng([self.options.seed, number])
        skipgram = self.options.algorithm == "skipgram"
        return estimate_loss(self.model, tokens, ends - begin, skipgram=skipgram, rng=rng)

    def _words_before(self, job: int) -> int:
        epoch, at = divmod(job, len(self._jobs))
        within = int(self._ends[self._jobs[at - 1][1] - 1]) if at else 0
        return epoch * len(self.corpus.tokens) + within

    def _weights(self) -> dict[str, npt.NDArray[np.float32]]:
        wv = self.model.wv
        if self.options.model == "word2vec":
            return {"vectors": wv.vectors, "out": self.model.syn1neg}
        return {"vectors": wv.vectors_vocab, "ngrams": wv.vectors_ngrams, "out": self.model.syn1neg}

    def _save(self, path: Path) -> None:
        _, keys, position, has_gauss, _ = self.model.random.get_state()
        state = np.array([self._next_job, position, has_gauss, *keys.tolist()], np.int64)
        write_arrays(path, {**self._weights(), "state": state})

    def restore(self, path: Path) -> None:
        """Take up the weights, the position and the random state of a checkpoint."""
        arrays = map_safetensors(path)
        mine = self._weights()
        if set(arrays) != {*mine, "state"} or any(
            arrays[name].shape != mine[name].shape for name in mine
        ):
            raise ArtifactError(
                "the checkpoint is of another training; remove this folder", where=str(path.parent)
            )
        for name, array in mine.items():
            array[:] = arrays[name]
        job, position, has_gauss, *keys = arrays["state"].tolist()
        self.model.random.set_state(
            ("MT19937", np.array(keys, np.uint32), position, has_gauss, 0.0)
        )
        self._next_job = job

    def vectors(self, *, facts: dict[str, object]) -> WordTable:
        """Give what was trained; fastText's word vectors are the means over their n-grams."""
        wv = self.model.wv
        if self.options.model == "word2vec":
            return WordTable(wv.index_to_key, wv.vectors, source="trained by textkit", facts=facts)
        ngrams = Ngrams(wv.vectors_ngrams, self.options.min_n, self.options.max_n)
        table = ngrams.embed(wv.index_to_key, own=wv.vectors_vocab)
        return WordTable(
            wv.index_to_key, table, ngrams=ngrams, source="trained by textkit", facts=facts
        )


def _cut_jobs(lengths: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut sentences into runs (first, last + 1) of 10,000 words at most."""
    first = size = 0
    for number, length in enumerate(lengths.tolist()):
        if size + length > SENTENCE_WORDS:
            yield first, number
            first, size = number, 0
        size += length
    if first < len(lengths):
        yield first, len(lengths)
