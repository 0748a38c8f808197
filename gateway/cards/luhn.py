"""The Luhn check digit (ISO/IEC 7812-1, annex B)."""

from typing import Final

_DOUBLED: Final = {str(digit): sum(divmod(2 * digit, 10)) for digit in range(10)}


def passes_luhn(digits: str) -> bool:
    """Whether the last of these ASCII digits is the check digit of the others."""
    total = sum(map(int, digits[-1::-2]))
    total += sum(_DOUBLED[digit] for digit in digits[-2::-2])
    return total % 10 == 0
