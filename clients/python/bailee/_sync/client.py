"""The client: every group of calls on one connection."""

from pathlib import Path
from types import TracebackType
from typing import Self

from bailee._sync.cards import CardCalls
from bailee._sync.connection import Connection
from bailee._sync.log import LogCalls
from bailee._sync.merchants import MerchantCalls
from bailee._sync.payments import PaymentCalls
from bailee.audit.journal import RequestJournal
from bailee.bundle import Bundle
from bailee.retries import Retries


class Client(CardCalls, PaymentCalls, MerchantCalls, LogCalls):
    """Calls one gateway. Safe to share between tasks and threads.

    Every method that changes something takes ``request_id`` (a UUID4); without one the
    client makes it. Repeating a call with the same request id and the same arguments
    never does the work twice. Errors are subclasses of ``BaileeError``, one for each
    reason; a decline is not an error but a payment in state DECLINED.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        timeout_seconds: float = 60.0,
        retries: Retries | None = None,
        journal: RequestJournal | None = None,
    ) -> None:
        """Opens a channel; the first call connects.

        Args:
            bundle: Address, certificates and pinned keys.
            timeout_seconds: Deadline of each call, tries included.
            retries: How often a call is tried again.
            journal: Keeps what was asked and the receipts, for ``bailee-audit watch``.
        """
        super().__init__(
            Connection(bundle, journal=journal),
            merchant=bundle.merchant,
            timeout_seconds=timeout_seconds,
            retries=retries or Retries(),
        )

    @classmethod
    def from_bundle(
        cls,
        path: str | Path,
        *,
        timeout_seconds: float = 60.0,
        retries: Retries | None = None,
        journal: RequestJournal | None = None,
    ) -> Self:
        """Opens a client with a bundle folder made by ``bailee init``."""
        return cls(
            Bundle.read(path),
            timeout_seconds=timeout_seconds,
            retries=retries,
            journal=journal,
        )

    def with_options(
        self,
        *,
        merchant: str | None = None,
        timeout_seconds: float | None = None,
        retries: Retries | None = None,
    ) -> "Client":
        """Returns a client on the same channel that differs in what is given.

        Closing either closes the channel of both.

        Args:
            merchant: Whom calls act for; the caller must be allowed to.
            timeout_seconds: Deadline of each call, tries included.
            retries: How often a call is tried again.
        """
        other = Client.__new__(Client)
        CardCalls.__init__(
            other,
            self._connection,
            merchant=self._merchant if merchant is None else merchant,
            timeout_seconds=(
                self._timeout_seconds if timeout_seconds is None else timeout_seconds
            ),
            retries=self._retries if retries is None else retries,
        )
        return other

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel."""
        self._connection.channel.close()
