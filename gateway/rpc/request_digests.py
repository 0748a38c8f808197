"""The digest that tells a request from another with the same request id."""

from typing import Any, Final

from google.protobuf.message import Message

from gateway.idempotency.digest import request_digest
from gateway.keys.ports import KeyProvider
from gateway.words.identifiers import GATEWAY, MerchantId, read_merchant_id
from gateway.words.keyed_hash import KeyedHash

# What differs between two tries of one request, and what must never be remembered in
# any form (I4). Paths of field names; a request that lacks one is none the worse.
CLEARED: Final = (
    ("request_id",),
    ("security_code",),
    ("card", "plain", "security_code"),
)
# Callers that act for every merchant choose the names; the cache must not grow with it.
_KEYS_MAX: Final = 10_000


class RequestDigests:
    """Digests requests, each merchant's under its own key.

    A sealed card counts as its ciphertext. A security code never counts (I4).
    """

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self._keys: dict[MerchantId, KeyedHash] = {}

    def of(self, rpc: str, request: Message) -> bytes:
        """Returns the digest of a request, without request id and security code.

        Raises:
            RequestInvalid: Its merchant is not a merchant id.
        """
        key = self._key(request)
        copy = type(request)()
        copy.CopyFrom(request)
        for path in CLEARED:
            _clear(copy, path)
        return request_digest(key, rpc, copy.SerializeToString(deterministic=True))

    def _key(self, request: Any) -> KeyedHash:  # noqa: ANN401 - any request
        # Requests that name no merchant are about the gateway itself.
        named = "merchant" in request.DESCRIPTOR.fields_by_name
        merchant = read_merchant_id(request.merchant) if named else GATEWAY
        key = self._keys.get(merchant)
        if key is None:
            if len(self._keys) >= _KEYS_MAX:
                self._keys.clear()
            key = KeyedHash(self._provider.mac_key(f"request/{merchant}"))
            self._keys[merchant] = key
        return key


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
