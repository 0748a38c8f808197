"""Keys as C2SP notes name them (https://c2sp.org/signed-note): name+id+key.

A log signs with type 0x01; a witness cosigns with type 0x04
(https://c2sp.org/tlog-cosignature).
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

LOG: Final = b"\x01"
WITNESS: Final = b"\x04"
_ID_BYTES: Final = 4
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key, the name it signs as, and what it signs."""

    name: str
    public_key: bytes
    kind: bytes = LOG

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in a signature."""
        named = self.name.encode() + b"\n" + self.kind + self.public_key
        return hashlib.sha256(named).digest()[:_ID_BYTES]

    def show(self) -> str:
        """Returns the key in one line."""
        encoded = base64.b64encode(self.kind + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


def read_verifier_key(text: str) -> VerifierKey:
    """Reads a key in one line.

    Raises:
        ValueError: Not a verifier key, or its id does not fit.
    """
    try:
        name, key_id, encoded = text.strip().split("+", 2)
        content = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("not a verifier key: name+id+key is expected") from error
    key = VerifierKey(name, content[1:], content[:1])
    if key.kind not in (LOG, WITNESS) or len(key.public_key) != _KEY_BYTES:
        raise ValueError("not the verifier key of an Ed25519 key")
    if key.key_id.hex() != key_id:
        raise ValueError("the verifier key's id does not fit its name and key")
    return key
