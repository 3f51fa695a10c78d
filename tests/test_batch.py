"""TokenBatch: rows may be empty, and so may the batch."""

from __future__ import annotations

import pickle
from typing import Any, Literal

import numpy as np
import pytest

from textkit.batch import TokenBatch, cut_rows
from textkit.errors import UsageError

ROWS = [[], [4, 5, 6], [], [7], [8, 9], []]


def with_spans(rows: list[list[int]]) -> TokenBatch:
    return TokenBatch.from_rows(rows, [[(i, i + 1) for i in range(len(row))] for row in rows])


@pytest.mark.parametrize("rows", [[], [[]], [[], []], ROWS])
def test_pad_matches_naive_loop(rows: list[list[int]]) -> None:
    padded = TokenBatch.from_rows(rows).pad(pad_id=-1)
    width = max(map(len, rows), default=0)
    assert padded.ids.tolist() == [row + [-1] * (width - len(row)) for row in rows]
    assert padded.mask.tolist() == [
        [True] * len(row) + [False] * (width - len(row)) for row in rows
    ]
    assert padded.lengths.tolist() == [len(row) for row in rows]


def test_pad_keeps_min_width_for_empty_rows() -> None:
    assert TokenBatch.from_rows([[], []]).pad(min_width=1).ids.shape == (2, 1)


@pytest.mark.parametrize("chosen", [[], [0], [5, 4, 3, 2, 1, 0], [1, 1, 2], [3]])
def test_take_matches_naive_choice(chosen: list[int]) -> None:
    taken = with_spans(ROWS).take(chosen)
    assert [row.tolist() for row in taken] == [ROWS[i] for i in chosen]
    assert [len(taken.row_spans(i)) for i in range(len(taken))] == [len(ROWS[i]) for i in chosen]


@pytest.mark.parametrize(("start", "stop"), [(0, 6), (1, 4), (2, 2), (4, 99), (5, 1)])
def test_slice_matches_list_slice(start: int, stop: int) -> None:
    assert [row.tolist() for row in with_spans(ROWS).slice(start, stop)] == ROWS[start:stop]


def test_concatenate_undoes_slices() -> None:
    batch = with_spans(ROWS)
    joined = TokenBatch.concatenate([batch.slice(0, 2), batch.slice(2, 2), batch.slice(2, 6)])
    assert [row.tolist() for row in joined] == ROWS
    assert joined.spans is not None and batch.spans is not None
    assert joined.spans.tolist() == batch.spans.tolist()
    assert len(TokenBatch.concatenate([])) == 0


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 99])
def test_truncate_counts_what_it_cuts(limit: int) -> None:
    cut = with_spans(ROWS).truncate(limit)
    assert [row.tolist() for row in cut] == [row[:limit] for row in ROWS]
    assert cut.truncated.tolist() == [max(0, len(row) - limit) for row in ROWS]
    assert cut.truncate(0).truncated.tolist() == [len(row) for row in ROWS]


def test_to_arrow_shares_memory() -> None:
    batch = TokenBatch.from_rows(ROWS)
    array = batch.to_arrow()
    assert array.to_pylist() == ROWS
    assert array.values.buffers()[1].address == batch.ids.ctypes.data


def test_negative_index_and_out_of_range() -> None:
    batch = TokenBatch.from_rows(ROWS)
    assert batch[-2].tolist() == [8, 9]
    with pytest.raises(IndexError):
        batch[6]


def test_bad_columns_are_refused() -> None:
    ids, none = np.zeros(2, np.int32), np.zeros(1, np.int32)
    with pytest.raises(UsageError, match="must not decrease"):
        TokenBatch(ids, np.array([0, 3, 2]), None, np.zeros(2, np.int32))
    with pytest.raises(UsageError, match="start at 0"):
        TokenBatch(ids, np.array([0, 1]), None, none)
    with pytest.raises(UsageError, match="spans have shape"):
        TokenBatch(ids, np.array([0, 2]), np.zeros((1, 2), np.int32), none)
    with pytest.raises(UsageError, match="truncated"):
        TokenBatch(ids, np.array([0, 2]), None, np.zeros(2, np.int32))


@pytest.mark.parametrize("n_rows", [None, 1, 2, 5])
@pytest.mark.parametrize("n_characters", [None, 1, 4, 99])
def test_cut_rows_closes_a_list_with_the_row_that_fills_it(
    n_rows: int | None, n_characters: int | None
) -> None:
    rows = [(i, "x" * (i * 3 % 7)) for i in range(12)]
    lists, streamed = (
        list(cut_rows(source, n_rows=n_rows, n_characters=n_characters, text_of=lambda row: row[1]))
        for source in (rows, iter(rows))
    )
    assert lists == streamed
    assert [row for part in lists for row in part] == rows

    def is_full(part: list[tuple[int, str]]) -> bool:
        n_held = sum(len(text) for _, text in part)
        return len(part) == n_rows or (n_characters is not None and n_held >= n_characters)

    assert all(map(is_full, lists[:-1]))
    assert not any(is_full(part[:-1]) for part in lists if len(part) > 1)
    assert not list(cut_rows([], n_rows=n_rows, n_characters=n_characters))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("multiple", [1, 3, 8])
@pytest.mark.parametrize("rows", [[], [[]], [[1, 2, 3], [], [4]], [[5]] * 3], ids=str)
def test_pad_on_either_side_matches_naive_loop(
    rows: list[list[int]], multiple: int, side: Literal["right", "left"]
) -> None:
    width = max(map(len, rows), default=0)
    while width % multiple:
        width += 1
    rest = [[9] * (width - len(row)) for row in rows]
    whole = [r + row if side == "left" else row + r for row, r in zip(rows, rest, strict=True)]
    batch = TokenBatch.from_rows(rows).padded_by(9)
    columns = batch.pad(side=side, to_multiple_of=multiple, tensors="np")
    assert columns["input_ids"].tolist() == whole
    assert columns["attention_mask"].tolist() == [[int(i != 9) for i in row] for row in whole]
    assert [column.dtype for column in columns.values()] == [np.int64, np.int64]
    padded = batch.pad(side=side, to_multiple_of=multiple)
    assert padded.ids.tolist() == whole
    assert padded.mask.tolist() == columns["attention_mask"].astype(bool).tolist()
    assert padded.lengths.tolist() == list(map(len, rows))


def test_pad_to_a_fixed_length() -> None:
    batch = TokenBatch.from_rows([[1], [2, 3]]).padded_by(7)
    assert batch.pad(max_length=3).ids.tolist() == [[1, 7, 7], [2, 3, 7]]
    assert batch.pad(max_length=3, to_multiple_of=4).ids.shape == (2, 4)
    assert batch.pad(max_length=3, pad_id=0).ids.tolist() == [[1, 0, 0], [2, 3, 0]]
    with pytest.raises(UsageError, match=r"row 1 has 2 tokens, more than max_length = 1"):
        batch.pad(max_length=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": "both"}, "side is 'both'"),
        ({"tensors": "tf"}, "tensors is 'tf'"),
        ({"to_multiple_of": 0}, "to_multiple_of is 0"),
    ],
)
def test_pad_refuses_what_it_does_not_know(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TokenBatch.from_rows([[1]]).pad(**options)


def test_every_part_of_a_batch_keeps_the_padding_token() -> None:
    batch = TokenBatch.from_rows([[1, 2], [3]]).padded_by(5)
    parts = [
        batch.slice(0, 1),
        batch.take([1, 0]),
        batch.truncate(1),
        batch.windows(1, stride=1),
        TokenBatch.concatenate([batch, TokenBatch.from_rows([[]]), batch]),
        pickle.loads(pickle.dumps(batch)),
    ]
    assert [part.pad_id for part in parts] == [5] * len(parts)
    assert TokenBatch.concatenate([batch, batch.padded_by(6)]).pad_id is None


def test_torch_tensors_run_through_a_model_of_transformers() -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    torch.manual_seed(0)
    model = transformers.BertModel(
        transformers.BertConfig(vocab_size=10, intermediate_size=8, **sizes)
    ).eval()
    batch = TokenBatch.from_rows([[1, 2, 3], [4]]).padded_by(9)
    with torch.no_grad():
        together = model(**batch.pad(tensors="pt")).last_hidden_state
        alone = model(torch.tensor([[4]])).last_hidden_state
    assert torch.allclose(together[1, :1], alone[0], atol=1e-6)
