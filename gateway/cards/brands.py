"""Which scheme issued a card, told by the first digits of its number.

The table is ``brands.toml``. Invariants:
  * The longest matching prefix wins; of two equally long ones, the earlier row.
  * A number that matches nothing is ``UNKNOWN``: accepted if it passes the Luhn check.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from gateway.cards.security_code import SecurityCode
from gateway.errors import CardInvalid

_NUMBER_LENGTHS: Final = frozenset(range(12, 20))  # ISO/IEC 7812-1, as issued


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """A scheme and the form of its cards.

    An empty ``security_code_lengths`` means that its cards have none. Where ``luhn`` is
    False, issuers exist whose numbers have no valid check digit.
    """

    id: str
    name: str
    lengths: frozenset[int]
    security_code_lengths: frozenset[int]
    luhn: bool
    source: str

    def check_security_code(
        self, code: SecurityCode, field: str = "card.security_code"
    ) -> None:
        """Raises when this brand's security codes have another length.

        Raises:
            CardInvalid: Three digits where four are printed, or the reverse.
        """
        lengths = self.security_code_lengths
        if lengths and len(code.reveal()) not in lengths:
            raise CardInvalid(field, "does not have the length this brand uses")


UNKNOWN: Final = Brand(
    id="unknown",
    name="Unknown",
    lengths=_NUMBER_LENGTHS,
    security_code_lengths=frozenset(),
    luhn=True,
    source="ISO/IEC 7812-1",
)


def detect_brand(digits: str) -> Brand:
    """Returns the brand of a number, or ``UNKNOWN``."""
    widths, by_prefix = _prefixes()
    for width in widths:
        brand = by_prefix.get(digits[:width])
        if brand is not None:
            return brand
    return UNKNOWN


def brand_named(brand_id: str) -> Brand:
    """Returns the brand with this id; ``UNKNOWN`` for one the table does not hold."""
    return brands().get(brand_id, UNKNOWN)


@cache
def brands() -> Mapping[str, Brand]:
    """Returns the table by id, in the order of the file."""
    rows = [_read_row(row) for row in _rows()]
    return MappingProxyType({brand.id: brand for brand in rows})


@cache
def _prefixes() -> tuple[tuple[int, ...], Mapping[str, Brand]]:
    """Returns the widths of prefixes, longest first, and the brand of every prefix."""
    by_prefix: dict[str, Brand] = {}
    for row in _rows():
        for span in row["ranges"]:
            low, _, high = span.partition("-")
            for number in range(int(low), int(high or low) + 1):
                by_prefix.setdefault(str(number), brands()[row["id"]])
    widths = sorted({len(prefix) for prefix in by_prefix}, reverse=True)
    return tuple(widths), by_prefix


def _rows() -> list[dict[str, Any]]:
    text = files("gateway.cards").joinpath("brands.toml").read_text("utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["brand"]
    return rows


def _read_row(row: Mapping[str, Any]) -> Brand:
    return Brand(
        id=row["id"],
        name=row["name"],
        lengths=frozenset(row["lengths"]),
        security_code_lengths=frozenset(row["security_code"]),
        luhn=row.get("luhn", True),
        source=row["source"],
    )
