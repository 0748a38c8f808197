"""Pages of a list: how long they are, and where the next one begins.

Invariants:
  * A page token goes on with the list it was made for: the same RPC, merchant and
    filters. Only the gateway can make one; a changed one is refused.
  * It holds the name of the last item shown, which the caller knows already. It does
    not expire: a list goes on after that item, however many came or went since.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from gateway.errors import RequestInvalid
from gateway.keys.merchant_keys import MerchantKeys
from gateway.keys.ports import KeyProvider
from gateway.words.identifiers import read_merchant_id
from gateway.words.length_prefix import join_parts

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000
_MAC_BYTES: Final = 16
_TOKEN_LENGTH_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Page:
    """What a caller asks for: so many items after this one; empty from the start."""

    size: int
    after: str


class PageTokens:
    """Reads and makes page tokens of requests with ``page_size`` and ``page_token``."""

    def __init__(self, provider: KeyProvider) -> None:
        self._keys = MerchantKeys(provider, "page")

    def read(self, rpc: str, request: Message) -> Page:
        """Returns the page that a request asks for.

        Raises:
            RequestInvalid: A negative size, or a token of another list.
        """
        fields: Any = request
        if fields.page_size < 0:
            raise RequestInvalid("page_size", "is negative")
        # A larger size is a wish, not a mistake (AIP-158).
        size = min(fields.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        if not fields.page_token:
            return Page(size, "")
        mac, after = _decode(fields.page_token)
        if not hmac.compare_digest(mac, self._mac(rpc, request, after)):
            raise RequestInvalid("page_token", _FAULT)
        return Page(size, after.decode("utf-8"))

    def make(self, rpc: str, request: Message, last: str) -> str:
        """Returns the token of the page after the item named ``last``."""
        after = last.encode()
        content = self._mac(rpc, request, after) + after
        return urlsafe_b64encode(content).rstrip(b"=").decode("ascii")

    def _mac(self, rpc: str, request: Message, after: bytes) -> bytes:
        """Binds an item to the RPC and to everything in the request but the page."""
        fields: Any = type(request)()
        fields.CopyFrom(request)
        fields.ClearField("page_size")
        fields.ClearField("page_token")
        filters = fields.SerializeToString(deterministic=True)
        key = self._keys.of(read_merchant_id(fields.merchant))
        return key.digest(join_parts(rpc, filters, after))[:_MAC_BYTES]


_FAULT: Final = "is not of this list with these filters; start again without it"


def _decode(token: str) -> tuple[bytes, bytes]:
    """Returns MAC and item of a token's text, not yet compared."""
    if len(token) > _TOKEN_LENGTH_MAX or not token.isascii():
        raise RequestInvalid("page_token", _FAULT)
    try:
        content = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, binascii.Error) as error:
        raise RequestInvalid("page_token", _FAULT) from error
    return content[:_MAC_BYTES], content[_MAC_BYTES:]
