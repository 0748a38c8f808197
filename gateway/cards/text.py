"""What text from outside must look like: bounded, and free of control characters."""

import unicodedata
from typing import Final

# Control characters forge lines in logs and terminals; surrogates cannot be encoded;
# separators of lines and paragraphs end a line in some readers. Unassigned characters
# pass: they are what this Python's Unicode tables do not know yet.
_REFUSED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def find_fault(text: str, max_length: int) -> str | None:
    """Returns what is wrong with the text, in words, or None.

    The length is counted in Unicode code points.
    """
    if len(text) > max_length:
        return f"is longer than {max_length} characters"
    if text.isprintable():
        return None
    if any(unicodedata.category(character) in _REFUSED for character in text):
        return "contains a control character"
    return None
