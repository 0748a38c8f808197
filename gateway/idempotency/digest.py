"""What makes two requests the same: a keyed digest of their bytes.

Keyed, because a request may hold a card number in clear, and card numbers are guessable
(PCI DSS 3.5.1.1 asks for a keyed hash). A sealed card counts as its ciphertext; the
caller of this function clears the security code first (I4).
"""

from gateway.words.keyed_hash import KeyedHash


def request_digest(key: KeyedHash, rpc: str, request: bytes) -> bytes:
    """Returns HMAC-SHA-256 of the RPC's name and the request's deterministic bytes."""
    name = rpc.encode()
    message = len(name).to_bytes(4, "big") + name + request
    return key.digest(message)
