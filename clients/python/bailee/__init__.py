"""Client of the Bailee billing-data tokenization gateway.

Start with ``Client.from_bundle(path)``; the README shows a first charge.
"""

from bailee.bundle import Bundle
from bailee.card import Billing, Card
from bailee.client import Client
from bailee.errors import BaileeError, LogRollback, ReceiptInvalid

__all__ = [
    "BaileeError",
    "Billing",
    "Bundle",
    "Card",
    "Client",
    "LogRollback",
    "ReceiptInvalid",
]
