"""Calling a Bailee gateway.

Both clients seal cards themselves, make request ids and keep them across tries, set a
deadline on every call, verify every receipt and notice a log that goes backwards.
``Client`` is for threads, ``AsyncClient`` for asyncio; they have the same methods.
"""

from bailee._async.client import AsyncClient
from bailee._sync.client import Client
from bailee.requests import new_request_id

__all__ = ["AsyncClient", "Client", "new_request_id"]
