"""How every call is made: one channel, deadlines, tries, receipts.

Invariants:
  * The same message is sent in every try, so a retry never does the work twice.
  * A receipt is verified before an answer is returned.
  * With a journal, the request is in it before it leaves.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from bailee.audit.journal import RequestJournal
from bailee.bundle import Bundle
from bailee.card import Card
from bailee.errors import from_rpc_error
from bailee.receipts import LogMemories, VerifiedReceipt
from bailee.retries import Retries
from bailee.sealing import Sealer
from bailee.v1 import (
    audit_service_pb2_grpc,
    card_pb2,
    merchant_service_pb2_grpc,
    payment_service_pb2_grpc,
    receipt_pb2,
    vault_service_pb2,
    vault_service_pb2_grpc,
)

_Response = TypeVar("_Response", bound=Message)
_Item = TypeVar("_Item")

# A second connection attempt comes soon: a gateway restarts in about a second.
_CHANNEL_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),
)


class AsyncConnection:
    """The channel to one gateway and what is remembered about it."""

    def __init__(self, bundle: Bundle, *, journal: RequestJournal | None) -> None:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=bundle.ca_certificate,
            private_key=bundle.client_key,
            certificate_chain=bundle.client_certificate,
        )
        self.channel = grpc.aio.secure_channel(
            bundle.address, credentials, options=_CHANNEL_OPTIONS
        )
        self.vault = vault_service_pb2_grpc.VaultServiceStub(self.channel)
        self.payments = payment_service_pb2_grpc.PaymentServiceStub(self.channel)
        self.merchants = merchant_service_pb2_grpc.MerchantServiceStub(self.channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(self.channel)
        self.sealer = Sealer(bundle)
        self.logs = LogMemories(bundle)
        self.journal = journal


class AsyncCalls:
    """What every group of calls shares: whom it acts for, and how long it waits."""

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        merchant: str,
        timeout_seconds: float,
        retries: Retries,
    ) -> None:
        self._connection = connection
        self._merchant = merchant
        self._timeout_seconds = timeout_seconds
        self._retries = retries

    @property
    def merchant(self) -> str:
        """The merchant that calls act for."""
        return self._merchant

    def verify_receipt(self, receipt: receipt_pb2.Receipt) -> VerifiedReceipt:
        """Checks a receipt under the pinned log key; every answer's was checked."""
        return self._connection.logs.verify(self._merchant, receipt)

    async def _call(
        self,
        rpc: Callable[..., Awaitable[_Response]],
        request: Message,
        *,
        request_id: str = "",
    ) -> _Response:
        """Sends the same message until it is answered, then checks the receipt."""
        ends_at = time.monotonic() + self._timeout_seconds
        journal = self._connection.journal
        if journal is not None:
            journal.ask(request)
        attempt = 0
        while True:
            attempt += 1
            size_before = self._connection.logs.size(self._merchant)
            left = max(ends_at - time.monotonic(), 0.001)
            try:
                response = await rpc(request, timeout=left)
            except grpc.RpcError as rpc_error:
                error = from_rpc_error(rpc_error, request_id)
                wait = self._retries.wait_seconds(error, attempt)
                if wait is None or time.monotonic() + wait >= ends_at:
                    if journal is not None:
                        journal.answer(request, None, reason=error.reason or "NONE")
                    raise error from None
                await asyncio.sleep(wait)
            else:
                if journal is not None:
                    journal.answer(request, response)
                self._connection.logs.accept(self._merchant, response, size_before)
                return response

    async def _each(
        self,
        rpc: Callable[..., Awaitable[Any]],
        request: Any,  # noqa: ANN401 - any request with a page_token
        items: Callable[[Any], Iterable[_Item]],
    ) -> AsyncIterator[_Item]:
        """Yields the items of every page; asks for a page when it is needed."""
        while True:
            answer = await self._call(rpc, request)
            for item in items(answer):
                yield item
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def _seal_card(
        self, card: Card, rpc: str, request_id: str
    ) -> card_pb2.SealedCard:
        await self._fetch_sealing_keys()
        return self._connection.sealer.seal_card(
            card, merchant=self._merchant, rpc=rpc, request_id=request_id
        )

    async def _seal_security_code(
        self, code: str, rpc: str, request_id: str
    ) -> card_pb2.SealedSecurityCode:
        await self._fetch_sealing_keys()
        return self._connection.sealer.seal_security_code(
            code, merchant=self._merchant, rpc=rpc, request_id=request_id
        )

    async def _fetch_sealing_keys(self) -> None:
        now = datetime.now(UTC)
        sealer = self._connection.sealer
        if not sealer.needs_keys(now):
            return
        request = vault_service_pb2.ListSealingKeysRequest(merchant=self._merchant)
        answer = await self._call(self._connection.vault.ListSealingKeys, request)
        sealer.use_keys(answer.sealing_keys, now)
