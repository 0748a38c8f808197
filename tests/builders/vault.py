"""A vault over a real database, with a key provider in memory and a clock to move."""

import asyncio
import json
import os
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from gateway.cards.details import BillingDetails
from gateway.keys.checkpoint_signer import ProviderSigner
from gateway.keys.hierarchy import KeyHierarchy
from gateway.keys.rotate_epoch import RotateEpoch, RotationParts
from gateway.merchants.ports import Environment, Merchant, ProcessorAccount
from gateway.policy.mandate import DEFAULT_PURPOSES, Mandate
from gateway.policy.policy_time import PolicyTime
from gateway.storage.engine import SqliteStorage
from gateway.vault.batch_tokenize_cards import BatchTokenizeCards
from gateway.vault.card_access import CardAccess, Use
from gateway.vault.delete_card_token import DeleteCardToken, DeleteCardTokenCommand
from gateway.vault.ports import CardField
from gateway.vault.read_card_tokens import ReadCardTokens
from gateway.vault.rewrap_cards import RewrapCards
from gateway.vault.seal_card import SealCard
from gateway.vault.sealed_input import PlainForm, SealedInput
from gateway.vault.tokenize_card import TokenizeCard, TokenizeCardCommand
from gateway.words.identifiers import (
    GATEWAY,
    MerchantId,
    ProcessorAccountId,
    RequestId,
    new_name,
)
from gateway.words.lifecycles import MerchantState
from gateway.words.purposes import PAYMENT_PURPOSES, Purpose, Verb
from tests.builders.storage import NOW, SHOP, VAULT, open_shop
from tests.fakes.clock import ManualClock
from tests.fakes.key_provider import MemoryKeyProvider

CALLER = "spiffe://vault.example/caller/test"
NUMBER = "4242424242424242"
BILLING = BillingDetails(
    name="Zoë Nguyễn",
    line1="Main Street 1",
    city="Berlin",
    postal_code="10115",
    country="DE",
    email="zoe@example.com",
    phone="+49 30 1234567",
)
CLOSED = MerchantId("closed")  # a merchant that was deactivated


class RecordingProvider(MemoryKeyProvider):
    """Remembers the wrapping keys that went through it, and how often one left."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.wrapping_keys = []
        self.unwraps = 0

    async def wrap(self, epoch, key, context):
        self.wrapping_keys.append(key)
        return await super().wrap(epoch, key, context)

    async def unwrap(self, epoch, wrapped, context):
        self.unwraps += 1
        return await super().unwrap(epoch, wrapped, context)


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A processor's declaration. See CardRecipient."""

    name: str = "simulator"
    purposes: frozenset = PAYMENT_PURPOSES | {Purpose.VERIFICATION}
    fields: frozenset = frozenset(CardField)


def an_account(account_id="simulator", processor="simulator"):
    return ProcessorAccount(
        account_id=ProcessorAccountId(account_id),
        processor=processor,
        environment=Environment.TEST,
        external_account="",
        created_at=NOW,
    )


def a_request_id():
    return RequestId(str(uuid.uuid4()))


def a_form(number=NUMBER, billing=BILLING, year=2030):
    return PlainForm(number=number, expiry_month=12, expiry_year=year, billing=billing)


def a_tokenize_command(*, purposes=DEFAULT_PURPOSES, **changes):
    values = {
        "merchant": SHOP,
        "caller": CALLER,
        "request_id": a_request_id(),
        "digest": b"d" * 32,
        "form": a_form(),
        "customer_reference": "customer-1",
        "mandate": Mandate(purposes=frozenset(purposes)),
    }
    return TokenizeCardCommand(**values | changes)


def a_delete_command(token, **changes):
    values = {
        "merchant": SHOP,
        "caller": CALLER,
        "request_id": a_request_id(),
        "digest": b"e" * 32,
        "token": token,
    }
    return DeleteCardTokenCommand(**values | changes)


def a_use(token, **changes):
    values = {
        "merchant": SHOP,
        "token": token,
        "verb": Verb.CHARGE,
        "purpose": Purpose.CUSTOMER_INITIATED,
        "caller": CALLER,
        "request_id": a_request_id(),
        "at": NOW,
        "card_salt": os.urandom(16),
        "account": an_account(),
        "payment": new_name("pay"),
    }
    return Use(**values | changes)


def together(number, function):
    """Returns the function for a race: nobody enters it before ``number`` arrived."""
    barrier = asyncio.Barrier(number)

    async def waits(*arguments):
        await barrier.wait()
        return await function(*arguments)

    return waits


class Vault:
    """Every part of a vault, put together as app.py does."""

    def __init__(self, storage: SqliteStorage, provider: MemoryKeyProvider, folder):
        self.storage = storage
        self.provider = provider
        self.folder = folder
        self.clock = ManualClock(NOW)
        self.start_again()

    def start_again(self):
        """Forgets what a process keeps in memory: every unwrapped key."""
        self.hierarchy = KeyHierarchy(
            provider=self.provider, storage=self.storage, clock=self.clock
        )
        self.policy_time = PolicyTime(
            mark=self.storage.read_now(GATEWAY, lambda unit: unit.high_water.get()),
            now=self.clock.now(),
            monotonic_seconds=0.0,
        )
        self.access = CardAccess(
            hierarchy=self.hierarchy,
            policy_time=self.policy_time,
            vault_id=self.provider.vault_id,
        )
        self.sealed_input = SealedInput(provider=self.provider, accept_plain_cards=True)
        self.seal_card = SealCard(
            provider=self.provider,
            hierarchy=self.hierarchy,
            storage=self.storage,
            policy_time=self.policy_time,
        )
        self.tokenize_card = TokenizeCard(
            storage=self.storage,
            sealed_input=self.sealed_input,
            seal_card=self.seal_card,
            clock=self.clock,
        )
        self.rotation = self.a_rotation()
        self.batch_tokenize_cards = BatchTokenizeCards(
            storage=self.storage,
            sealed_input=self.sealed_input,
            seal_card=self.seal_card,
            clock=self.clock,
        )
        self.delete_card_token = DeleteCardToken(
            storage=self.storage, backups=self.rotation, clock=self.clock
        )
        self.read_card_tokens = ReadCardTokens(storage=self.storage)

    def a_rotation(self, **changes):
        """Returns what rotates the epoch key, with no pause and a month between."""
        cards = RewrapCards(
            storage=self.storage,
            cards=self.storage,
            hierarchy=self.hierarchy,
            vault_id=VAULT,
        )
        parts = {
            "provider": self.provider,
            "storage": self.storage,
            "holders": self.storage,
            "rewraps": [cards],
            "hierarchy": self.hierarchy,
            "clock": self.clock,
            "period": timedelta(days=30),
            "pause": timedelta(0),
            "instance": "this",
        }
        return RotateEpoch(RotationParts(**parts | changes))

    async def tokenize(self, **changes):
        """Returns the stored card of a new token."""
        command = a_tokenize_command(**changes)
        return (await self.tokenize_card.execute(command)).card

    async def intend(self, use):
        """Commits an intent, or a denial."""
        return await self.storage.commit(
            use.merchant, lambda unit: self.access.intend(unit, use)
        )

    async def keys_of(self, token, merchant=SHOP):
        """Returns every wrapped copy that the database holds of a card's data keys."""
        return await self.storage.read(merchant, lambda unit: unit.cards.keys(token))

    async def find(self, token, merchant=SHOP):
        return await self.storage.read(merchant, lambda unit: unit.cards.find(token))

    async def log(self, merchant=SHOP):
        """Returns the merchant's entries."""
        size = self.storage.stored_log(merchant).size()
        return [await self._entry(merchant, index) for index in range(size)]

    async def log_types(self, merchant=SHOP):
        return [entry["type"] for entry in await self.log(merchant)]

    async def _entry(self, merchant, index):
        receipt = await self.storage.read(
            merchant, lambda unit: unit.log.receipt(index)
        )
        return json.loads(receipt.entry)


@asynccontextmanager
async def a_vault(folder, provider=None):
    """Opens a vault with two merchants and one that was deactivated."""
    provider = provider or RecordingProvider(vault_id=VAULT)
    storage = await open_shop(folder, signer=ProviderSigner(provider))
    closed = Merchant(
        merchant_id=CLOSED,
        state=MerchantState.DEACTIVATED,
        policy_version=1,
        created_at=NOW,
    )
    await storage.commit(CLOSED, lambda unit: unit.merchants.add(closed))
    try:
        yield Vault(storage, provider, folder)
    finally:
        await storage.close()
