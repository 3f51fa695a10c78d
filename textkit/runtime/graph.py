"""A graph of padded rows, run by onnxruntime: what an exported network has become.

In: the bytes of a `model.onnx` and a TokenBatch. Out: the rows of one of its outputs, in order. A
graph takes `input_ids` and `attention_mask`, both (batch, time) int64, and any batch and time. It
is data: operators of other libraries and weights in other files are not looked for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.data.batching import plan_sorted
from textkit.errors import ArtifactError, DataError, require

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUTS = ("input_ids", "attention_mask")
# Padded positions a batch, as a network on a CPU takes them.
BATCH_TOKENS = 8192
# Sessions of the process that a process was forked from: one that is taken down waits for its
# threads, which did not come along, so none ever is.
_inherited: list[object] = []


class Graph:
    """The outputs of a `model.onnx` for rows of tokens; any number of threads may use one.

    where: the file, for errors. pad_id: what fills rows up. longest: tokens of the longest row that
    it takes, None for any. A pickle holds the bytes, and a forked process opens its own session.
    """

    def __init__(
        self, data: bytes, *, where: str, pad_id: int = 0, longest: int | None = None
    ) -> None:
        self.data, self.where, self.pad_id, self.longest = data, where, pad_id, longest
        self._opening = threading.Lock()
        self._opened: tuple[int, InferenceSession] | None = None
        session = self._session()
        self._widths = {output.name: output.shape[-1] for output in session.get_outputs()}
        if {value.name for value in session.get_inputs()} != set(INPUTS):
            raise ArtifactError(f"the graph's inputs are not {' and '.join(INPUTS)}", where=where)

    def __reduce__(self) -> tuple[Callable[..., Graph], tuple[object, ...]]:
        return _reopen, (self.data, self.where, self.pad_id, self.longest)

    def with_data(self, data: bytes) -> Graph:
        """Give another graph for the same rows."""
        return Graph(data, where=self.where, pad_id=self.pad_id, longest=self.longest)

    def width(self, output: str) -> int:
        """Give the width of an output's rows; ArtifactError where the graph has none of the name or
        its width is open.
        """
        width = self._widths.get(output)
        if not isinstance(width, int):
            raise ArtifactError(f"the graph has no output '{output}' of a width", where=self.where)
        return width

    def run(
        self, tokens: TokenBatch, *, output: str, batch_tokens: int = BATCH_TOKENS
    ) -> NDArray[np.float32]:
        """Compute an output for every row: (n_rows, width) float32.

        Raises DataError for a row that is longer than the graph takes, ArtifactError for numbers
        that are not finite.
        """
        longest = int(tokens.lengths.max(initial=0))
        if self.longest is not None and longest > self.longest:
            raise DataError(
                f"a row has {longest} tokens, the model takes {self.longest}; it has positions for"
                " no more"
            )
        rows = np.empty((len(tokens), self.width(output)), np.float32)
        session = self._session()
        for batch in plan_sorted(tokens.lengths, batch_tokens=batch_tokens):
            taken = tokens if len(batch) == len(tokens) == 1 else tokens.take(batch)
            padded = taken.pad(pad_id=self.pad_id, min_width=1, tensors="np")
            rows[batch] = _call(session, output, padded, where=self.where)
        if not np.isfinite(rows).all():
            raise ArtifactError("the graph gives numbers that are not finite", where=self.where)
        return rows

    def _session(self) -> InferenceSession:
        """Give this process's session: its threads do not come along with a fork."""
        opened = self._opened
        if opened is not None and opened[0] == os.getpid():
            return opened[1]
        if opened is not None:
            _inherited.append(opened[1])
        with self._opening if opened is None else threading.Lock():
            session = _open_session(self.data, where=self.where)
            self._opened = (os.getpid(), session)
            return session


def read_graph(path: Path, *, pad_id: int = 0, longest: int | None = None) -> Graph:
    """Open the file of a graph."""
    return Graph(path.read_bytes(), where=str(path), pad_id=pad_id, longest=longest)


def _open_session(data: bytes, *, where: str) -> InferenceSession:
    require("onnxruntime", needed_by="an exported network")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Threads that wait by running would take a core each from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime has a class of its own for each kind of bad file
        reason = " ".join(str(err).split())
        raise ArtifactError(f"onnxruntime cannot open it: {reason[:200]}", where=where) from err


def _call(
    session: InferenceSession, output: str, padded: dict[str, NDArray[np.int64]], *, where: str
) -> NDArray[Any]:
    try:
        computed: NDArray[Any] = session.run([output], padded)[0]
    except Exception as err:  # as above
        reason = " ".join(str(err).split())
        raise ArtifactError(f"onnxruntime cannot run it: {reason[:200]}", where=where) from err
    return computed


def _reopen(data: bytes, where: str, pad_id: int, longest: int | None) -> Graph:
    return Graph(data, where=where, pad_id=pad_id, longest=longest)
