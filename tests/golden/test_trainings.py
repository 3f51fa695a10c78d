"""Identical training and identical bytes: losses, weights and files are those recorded.

To record them anew on purpose: remove tests/data/golden/trainings.json (or bytes.json), run
`python scripts/make_golden.py trainings` (or bytes), and say in the commit what changed them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import observations as seen
from tests.golden.commands import BULK, bulk
from tests.golden.trainings import TRAININGS, see_training, train, train_file


@pytest.mark.parametrize("name", TRAININGS)
def test_training_gives_the_same_losses_and_weights(name: str) -> None:
    record = seen.read_record("trainings")
    seen.check(see_training(train(name)), {**record, "values": record["values"][name]})


def test_training_from_a_file_gives_the_same_losses_and_weights() -> None:
    record = seen.read_record("trainings")
    expected = record["values"]["bag-ngrams from a file"]
    seen.check(see_training(train_file("bag-ngrams")), {**record, "values": expected})


@pytest.mark.parametrize("name", BULK)
def test_bulk_jobs_write_the_same_bytes(name: str) -> None:
    """Parquet files name the pyarrow that made them: under another only the rows are compared."""
    record = seen.read_record("bytes")
    found, expected = bulk(name, Path()), record["values"][name]
    if record["pyarrow"] != seen.arrow_version():
        for path in (path for path in expected if path.endswith(".parquet")):
            del found[path]["sha256"], expected[path]["sha256"]
    seen.check(found, {**record, "values": expected})
