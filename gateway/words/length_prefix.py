"""An unambiguous encoding of several parts: each is preceded by its length.

Used for associated data and HPKE info: ("ab", "c") and ("a", "bc") never look alike.
"""


def join_parts(*parts: str | bytes) -> bytes:
    """Returns the parts, each preceded by its length as four bytes, big-endian."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
