"""``bailee audit``: checking and exporting a merchant's log without the gateway."""

from pathlib import Path
from typing import Final

from gateway.audit.verify import LogBroken, verify_export

VERIFIER_KEY_FILE: Final = "verifier-key.txt"


class AuditFailed(Exception):
    """The log does not verify, or could not be read; the text says which."""


def verify_export_at(folder: Path, key: str) -> str:
    """Checks an export with the public key alone and returns what held."""
    origin, public_key = _read_verifier_key(key)
    try:
        checked = verify_export(folder, origin=origin, public_key=public_key)
    except LogBroken as error:
        raise AuditFailed(f"{folder} is NOT the log that was signed: {error}") from None
    return f"ok: {checked.size} entries of {origin}, checked with the public key alone"
