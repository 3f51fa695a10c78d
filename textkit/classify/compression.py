"""How a model was compressed: what its config says of it, and what its files hold in the place of
float32 numbers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from textkit.errors import ArtifactError
from textkit.runtime.quantized import NUMBERS
from textkit.tokenizers.protocol import COMPRESSED_FORMAT, EXPORTED_FORMAT, EXPORTED_KIND

KEY = "compression"


@dataclass(frozen=True, kw_only=True)
class Compression:
    """What was done to a model.

    numbers: what its tables are stored as, float32, float16 or int8. products: its graph multiplies
    in 8 bits too. n_rows: rows of its table, or features, that are left of n_rows_before. members:
    of an ensemble, left of members_before. retrained: what is left was trained once more.
    """

    numbers: str = "int8"
    products: bool = False
    n_rows: int = 0
    n_rows_before: int = 0
    members: int = 1
    members_before: int = 1
    retrained: bool = False

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Say it in words.

        >>> str(Compression(n_rows=50, n_rows_before=100, retrained=True))
        'int8, 50 of 100 rows, trained once more'
        """
        said = [self.numbers]
        said += ["products in 8 bits"] * self.products
        if self.n_rows < self.n_rows_before:
            said.append(f"{self.n_rows:,} of {self.n_rows_before:,} rows")
        if self.members < self.members_before:
            said.append(f"{self.members} of {self.members_before} members")
        said += ["trained once more"] * self.retrained
        return ", ".join(said)


def read_compression(config: dict[str, Any], *, where: str) -> Compression | None:
    """Read what a config says; None for a model that is not compressed, ArtifactError for values
    that say nothing.

    >>> read_compression({"compression": {"numbers": "int8", "n_rows": 2}}, where="x").n_rows
    2
    """
    if KEY not in config:
        return None
    given = config[KEY]
    usual = Compression().to_dict()
    right = isinstance(given, dict) and all(
        name in usual and type(value) is type(usual[name]) for name, value in given.items()
    )
    if not right or given.get("numbers", "int8") not in NUMBERS:
        raise ArtifactError(f"{KEY} is {str(given)[:80]}, which says nothing", where=where)
    return Compression(**given)


def seal_of(compression: Compression | None) -> tuple[str, int]:
    """Give the kind and the format of the folder of an exported model."""
    return EXPORTED_KIND, EXPORTED_FORMAT if compression is None else COMPRESSED_FORMAT


def described(compression: Compression | None) -> dict[str, object]:
    """Give what a config says of it."""
    return {} if compression is None else {KEY: compression.to_dict()}
