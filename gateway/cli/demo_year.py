"""A year of a small shop, made in seconds: the traffic of ``bailee demo-audit``.

Every call goes through the gateway's own use cases, storage, keys and simulator; only
the clock is turned by hand, and the calls do not cross a network. The platform keeps a
request journal, and its watcher looks once a month.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bailee import new_request_id
from bailee.audit.journal import RequestJournal
from bailee.audit.keys import VerifierKey
from bailee.v1 import (
    card_pb2,
    money_pb2,
    payment_service_pb2,
    purpose_pb2,
    vault_service_pb2,
)
from google.protobuf.message import Message

from gateway.adapters import open_keys, open_storage
from gateway.app import Gateway
from gateway.audit.checkpoint import origin_of
from gateway.cli.init import InitOptions, create_gateway
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.key_providers.file import FileKeyProvider
from gateway.processors.simulator.embedded_transport import EmbeddedTransport
from gateway.processors.simulator.ledger import Ledger
from gateway.processors.simulator.processor import SimulatorProcessor
from gateway.rpc.callers import set_caller
from gateway.words.callers import Caller, Role
from gateway.words.identifiers import MerchantId

SHOP: Final = MerchantId("shop")
START: Final = datetime(2025, 1, 1, 9, 0, tzinfo=UTC)
MONTHS: Final = 12
CUSTOMERS: Final = 40

# Published by Stripe for testing; the simulator answers them as Stripe does.
_CARDS: Final = ("4242424242424242", "5555555555554444", "6011111111111117")
_DECLINED: Final = "4000000000000341"
_MONTHLY: Final = 1999
_CALLER: Final = Caller(
    spiffe_id="spiffe://shop.example/billing",
    roles=frozenset({Role.TOKENIZE, Role.PAY, Role.REFUND, Role.READ}),
    merchants=frozenset({SHOP}),
)
_GRANTED: Final = (
    purpose_pb2.PURPOSE_PAYMENT_CUSTOMER_INITIATED,
    purpose_pb2.PURPOSE_PAYMENT_RECURRING,
)


@dataclass(slots=True)
class HandClock:
    """A clock that is turned by hand."""

    moment: datetime = START

    def now(self) -> datetime:
        """See Clock.now."""
        return self.moment

    def turn(self, **passed: float) -> None:
        """Lets time pass."""
        self.moment += timedelta(**passed)


def make_home(folder: Path) -> None:
    """Makes the gateway in ``folder / "gateway"``, before any event loop runs."""
    create_gateway(folder / "gateway", InitOptions(), START)


@dataclass(slots=True)
class Year:
    """The shop: its gateway, its journal, and the processor's books."""

    folder: Path
    clock: HandClock = field(default_factory=HandClock)
    tokens: list[str] = field(default_factory=list)
    payments: list[str] = field(default_factory=list)
    calls: int = 0
    keys: FileKeyProvider = field(init=False)
    lister: SimulatorProcessor = field(init=False)
    gateway: Gateway = field(init=False)
    journal_file: Path = field(init=False)
    journal: RequestJournal = field(init=False)
    key: VerifierKey = field(init=False)
    _servicers: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        home = Settings.read(self.folder / "gateway")
        settings = home.model_copy(update={"accept_plain_cards": True})
        self.keys = keys = open_keys(settings)
        ledger = Ledger(settings.path("simulator_ledger"), self.clock)
        self.lister = SimulatorProcessor(EmbeddedTransport(ledger))
        self.gateway = Gateway(
            settings=settings,
            keys=keys,
            storage=open_storage(settings, keys),
            processors={"simulator": self.lister},
            clock=self.clock,
        )
        self.journal_file = self.folder / "journal.jsonl"
        self.journal = RequestJournal(self.journal_file)
        self.key = VerifierKey(
            origin_of(keys.vault_id, SHOP, 1), bytes(keys.log_public_key)
        )
        self._servicers = {
            service.name.rpartition(".")[2]: service.servicer
            for service in self.gateway.services
        }

    def leaves(self) -> list[bytes]:
        """Returns the log as the gateway keeps it."""
        log = self.gateway.storage.stored_log(SHOP)
        return list(log.leaves(0, log.size()))

    async def close(self) -> None:
        """Closes the gateway and the journal."""
        self.journal.close()
        await self.gateway.close()

    async def sign_up(self) -> None:
        """Every customer hands over a card."""
        for number in range(CUSTOMERS):
            card = _DECLINED if number == CUSTOMERS - 1 else _CARDS[number % 3]
            answer = await self._call("VaultService", "TokenizeCard", _tokenize(card))
            self.tokens.append(answer.card_token.name)
            self.clock.turn(minutes=7)

    async def month(self, month: int) -> None:
        """Every subscription is charged; some customers are refunded."""
        for number, token in enumerate(self.tokens):
            name = f"subscription-{number}-{month}"
            answer = await self.charge(token, name)
            if answer is not None and number % 10 == month % 10:
                await self.refund(answer.payment.name, 500)
            self.clock.turn(minutes=11)

    async def charge(
        self, token: str, key: str
    ) -> payment_service_pb2.CreatePaymentResponse | None:
        """Charges a month; returns None when the cardholder withdrew the card."""
        request = payment_service_pb2.CreatePaymentRequest(
            merchant=SHOP,
            request_id=new_request_id(),
            card_token=token,
            amount=money_pb2.Money(minor_units=_MONTHLY, currency="EUR"),
            purpose=purpose_pb2.PURPOSE_PAYMENT_RECURRING,
            charge_once_key=key,
            capture_method=payment_service_pb2.CAPTURE_METHOD_AUTOMATIC,
        )
        try:
            answer = await self._call("PaymentService", "CreatePayment", request)
        except GatewayError:
            return None
        self.payments.append(answer.payment.name)
        made: payment_service_pb2.CreatePaymentResponse = answer
        return made

    async def refund(self, payment: str, minor_units: int) -> None:
        """Gives some of it back."""
        request = payment_service_pb2.RefundPaymentRequest(
            merchant=SHOP,
            request_id=new_request_id(),
            payment=payment,
            amount=money_pb2.Money(minor_units=minor_units, currency="EUR"),
        )
        try:
            await self._call("PaymentService", "RefundPayment", request)
        except GatewayError:
            return  # it was declined: there is nothing to give back

    async def leave(self, number: int) -> None:
        """A customer leaves; the card is erased."""
        request = vault_service_pb2.DeleteCardTokenRequest(
            merchant=SHOP,
            request_id=new_request_id(),
            card_token=self.tokens[number],
        )
        await self._call("VaultService", "DeleteCardToken", request)

    async def _call(self, service: str, rpc: str, request: Message) -> Any:  # noqa: ANN401 - each RPC has its own answer
        """Does what the client and the server do around a call."""
        set_caller(_CALLER)
        self.calls += 1
        self.journal.ask(request)
        try:
            answer = await getattr(self._servicers[service], rpc)(request, None)
        except GatewayError as error:
            self.journal.answer(request, None, reason=error.reason)
            raise
        self.journal.answer(request, answer)
        return answer


def _tokenize(number: str) -> vault_service_pb2.TokenizeCardRequest:
    plain = card_pb2.PlainCard(number=number, expiry_month=12, expiry_year=2031)
    purposes: Sequence[purpose_pb2.Purpose.ValueType] = _GRANTED
    return vault_service_pb2.TokenizeCardRequest(
        merchant=SHOP,
        request_id=new_request_id(),
        card=card_pb2.CardInput(plain=plain),
        customer_reference=f"customer-{number[-2:]}",
        mandate=purpose_pb2.Mandate(purposes=purposes),
    )
