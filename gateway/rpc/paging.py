"""Page sizes and page tokens, the same for every list.

A token says where the next page begins, in a form that only the store understands, and
carries a MAC over that, the list's name and every other field of the request.

Invariants:
  * A token serves the merchant and the filters that it was made for, and no others
    (I9).
  * Nobody makes up a position, so a store may trust it.
"""

import base64
import binascii
import hmac
from typing import Any, Final

from gateway.errors import RequestInvalid
from gateway.keys.ports import KeyProvider
from gateway.words.keyed_hash import KeyedHash
from gateway.words.length_prefix import join_parts

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 1000
_TOKEN_LENGTH_MAX: Final = 512
_MAC_BYTES: Final = 16
_NOT_OURS: Final = "is not one that this list gave for these fields"


def read_page_size(size: int) -> int:
    """Returns how many rows a page has at most (AIP-158).

    Raises:
        RequestInvalid: Negative.
    """
    if size < 0:
        raise RequestInvalid("page_size", "is negative")
    return min(size, PAGE_SIZE_MAX) or PAGE_SIZE_DEFAULT


class PageTokens:
    """Makes and reads page tokens; every instance of a gateway agrees on them."""

    def __init__(self, provider: KeyProvider) -> None:
        self._key = KeyedHash(provider.mac_key("page-token"))

    def read(self, rpc: str, request: Any) -> str:  # noqa: ANN401 - any list's request
        """Returns the position that the request's token holds; empty for none.

        Raises:
            RequestInvalid: Made up, damaged, another merchant's or another list's.
        """
        token = request.page_token
        if not token:
            return ""
        if len(token) > _TOKEN_LENGTH_MAX:
            raise RequestInvalid("page_token", _NOT_OURS)
        try:
            content = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise RequestInvalid("page_token", _NOT_OURS) from None
        mac, position = content[:_MAC_BYTES], content[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(rpc, request, position)):
            raise RequestInvalid("page_token", _NOT_OURS)
        return position.decode("ascii")

    def show(self, rpc: str, request: Any, position: str) -> str:  # noqa: ANN401 - as read
        """Returns the token of the page that begins here; empty for no page."""
        if not position:
            return ""
        content = position.encode("ascii")
        mac = self._mac(rpc, request, content)
        return base64.b64encode(mac + content, altchars=b"-_").decode("ascii")

    def _mac(self, rpc: str, request: Any, position: bytes) -> bytes:  # noqa: ANN401 - as read
        fields = type(request)()
        fields.CopyFrom(request)
        for name in ("page_token", "page_size"):
            fields.ClearField(name)
        shown = fields.SerializeToString(deterministic=True)
        return self._key.digest(join_parts(rpc, shown, position))[:_MAC_BYTES]
