"""Client of the Bailee billing-data tokenization gateway.

Start with ``Client.from_bundle(path)``; the README shows a first charge.
"""

from bailee.bundle import Bundle
from bailee.card import Billing, Card, CardItem
from bailee.client import AsyncClient, Client, new_request_id
from bailee.errors import BaileeError, LogRollback, ReceiptInvalid
from bailee.retries import Retries

__all__ = [
    "AsyncClient",
    "BaileeError",
    "Billing",
    "Bundle",
    "Card",
    "CardItem",
    "Client",
    "LogRollback",
    "ReceiptInvalid",
    "Retries",
    "new_request_id",
]
