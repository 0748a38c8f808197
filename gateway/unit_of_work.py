"""The Storage port: one transaction across vault, payments and log.

A capability declares the slice of the unit that it needs as a Protocol in its own
``ports.py`` (``AuditUnit``, ``VaultUnit``, ``PaymentUnit``); the engine's unit has
every slice. No SQL and no engine is visible above this port.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.words.identifiers import MerchantId

T = TypeVar("T")
U_co = TypeVar("U_co", covariant=True)


class Storage(Protocol[U_co]):
    """Durable units of work with group commit.

    Units that arrive during a commit share the next one, each in its own savepoint.

    ``work`` is synchronous and runs on the storage thread. Returning commits (a denial
    too); raising undoes this unit alone and reaches the caller. It may run twice: no
    I/O, clock, entropy or key provider inside. It sees one merchant (I9). Cancelling
    the caller never abandons a queued unit.

    Implementations pass tests/contract/storage_contract.py.
    """

    async def commit(self, merchant: MerchantId, work: Callable[[U_co], T]) -> T:
        """Runs the work and returns its value once it would survive a power cut.

        Raises:
            StorageUnavailable: The commit did not happen.
        """

    async def read(self, merchant: MerchantId, query: Callable[[U_co], T]) -> T:
        """Runs a query against committed state. It must not write.

        Raises:
            StorageUnavailable: The database did not answer.
        """
