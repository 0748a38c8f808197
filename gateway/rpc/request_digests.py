"""The digest that tells a request from another with the same request id."""

from typing import Any, Final

from google.protobuf.message import Message

from gateway.idempotency.digest import request_digest
from gateway.keys.merchant_keys import MerchantKeys
from gateway.keys.ports import KeyProvider
from gateway.words.identifiers import GATEWAY, read_merchant_id
from gateway.words.length_prefix import join_parts

# What differs between two tries of one request, and what must never be remembered in
# any form (I4). Paths of field names; a request that lacks one is none the worse.
CLEARED: Final = (
    ("request_id",),
    ("security_code",),
    ("card", "plain", "security_code"),
)


class RequestDigests:
    """Digests requests, each merchant's under its own key.

    A sealed card counts as its ciphertext. A security code never counts (I4).
    """

    def __init__(self, provider: KeyProvider) -> None:
        self._keys = MerchantKeys(provider, "request")

    def of(self, rpc: str, request: Message) -> bytes:
        """Returns the digest of a request, without request id and security code.

        Raises:
            RequestInvalid: Its merchant is not a merchant id.
        """
        fields: Any = request
        # Requests that name no merchant are about the gateway itself.
        named = "merchant" in fields.DESCRIPTOR.fields_by_name
        key = self._keys.of(read_merchant_id(fields.merchant) if named else GATEWAY)
        return request_digest(key, rpc, _without_secrets(request))

    def of_items(self, rpc: str, request: Message) -> list[bytes]:
        """Returns the digest of each of the request's ``items``, in their order.

        What the items share, an envelope for instance, is part of each.

        Raises:
            RequestInvalid: The request's merchant is not a merchant id.
        """
        fields: Any = request
        key = self._keys.of(read_merchant_id(fields.merchant))
        shared: Any = type(request)()
        shared.CopyFrom(request)
        shared.ClearField("items")
        common = request_digest(key, rpc, _without_secrets(shared))
        return [
            request_digest(key, rpc, join_parts(common, _without_secrets(item)))
            for item in fields.items
        ]


def _without_secrets(message: Message) -> bytes:
    """Returns the message's bytes without what is cleared."""
    copy = type(message)()
    copy.CopyFrom(message)
    for path in CLEARED:
        _clear(copy, path)
    return copy.SerializeToString(deterministic=True)


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
