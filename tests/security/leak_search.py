"""Searching files for a secret in every form in which it could have been written."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """A secret in a file; ``form`` says how it was written."""

    file: str
    form: str
    secret: str


def forms_of(secret: str) -> Iterator[tuple[str, bytes]]:
    """Yields the bytes to look for: text, wide text, hex, base64, reversed, spaced."""
    plain = secret.encode()
    yield "ascii", plain
    yield "utf-16 little", secret.encode("utf-16-le")
    yield "utf-16 big", secret.encode("utf-16-be")
    yield "hex", plain.hex().encode()
    yield "hex capitals", plain.hex().upper().encode()
    yield "reversed", plain[::-1]
    for offset in range(3):
        # What base64 makes of the secret when it starts at this place of a triple:
        # the characters that also depend on its neighbours are cut off.
        encoded = base64.b64encode(b"\0" * offset + plain)
        begin = (offset * 8 + 5) // 6
        end = (offset + len(plain)) * 8 // 6
        yield f"base64 at {offset}", encoded[begin:end]
        yield (
            f"base64url at {offset}",
            encoded[begin:end].translate(bytes.maketrans(b"+/", b"-_")),
        )
    for separator in (" ", "-", "."):
        groups = [secret[place : place + 4] for place in range(0, len(secret), 4)]
        yield f"grouped by {separator!r}", separator.join(groups).encode()
        yield f"spaced by {separator!r}", separator.join(secret).encode()
    if secret.isdigit():
        padded = secret if len(secret) % 2 == 0 else secret + "f"
        yield "packed decimal", bytes.fromhex(padded)
        yield "little-endian integer", int(secret).to_bytes(8, "little")
        yield "big-endian integer", int(secret).to_bytes(8, "big").lstrip(b"\0")


def search_bytes(name: str, content: bytes, secrets: Iterable[str]) -> list[Found]:
    """Returns every secret found in the content."""
    return [
        Found(name, form, secret)
        for secret in secrets
        for form, needle in forms_of(secret)
        if needle in content
    ]


def search_files(folders: Iterable[Path], secrets: Iterable[str]) -> list[Found]:
    """Returns every secret found in any file of the folders."""
    wanted = list(secrets)
    found = []
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                found += search_bytes(str(file), file.read_bytes(), wanted)
    return found
