"""The digest that tells a request from another with the same request id."""

from typing import Final

from google.protobuf.message import Message

from gateway.idempotency.digest import request_digest
from gateway.keys.ports import KeyProvider
from gateway.words.identifiers import MerchantId


class RequestDigests:
    """Digests requests, each merchant's under its own key.

    A sealed card counts as its ciphertext. A security code never counts (I4).
    """

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self._keys: dict[MerchantId, bytes] = {}

    def of(self, rpc: str, merchant: MerchantId, request: Message) -> bytes:
        """Returns the digest of a request, without request id and security code."""
        key = self._keys.get(merchant)
        if key is None:
            key = self._keys[merchant] = self._provider.mac_key(f"request/{merchant}")
        copy = type(request)()
        copy.CopyFrom(request)
        copy.ClearField("request_id")
        for field in _SECURITY_CODES:
            _clear(copy, field)
        return request_digest(key, rpc, copy.SerializeToString(deterministic=True))


_SECURITY_CODES: Final = (("security_code",), ("card", "plain", "security_code"))


def _clear(message: Message, path: tuple[str, ...]) -> None:
    """Clears a nested field, if the message has it."""
    *outer, last = path
    for name in outer:
        fields = message.DESCRIPTOR.fields_by_name
        if name not in fields or not message.HasField(name):
            return
        message = getattr(message, name)
    if last in message.DESCRIPTOR.fields_by_name:
        message.ClearField(last)
