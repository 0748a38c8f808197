"""A real database in a temporary folder, with two merchants in it."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.entry import Entry, EntryType
from gateway.merchants.ports import (
    AccountState,
    Environment,
    Merchant,
    ProcessorAccount,
)
from gateway.storage.engine import SqliteStorage
from gateway.words.identifiers import MerchantId, ProcessorAccountId
from gateway.words.lifecycles import MerchantState

SHOP = MerchantId("shop")
OTHER = MerchantId("other")
VAULT = "vault.example/vault-1"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Signer:
    """A checkpoint signer with a key of its own."""

    def __init__(self, key):
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()

    def sign(self, text):
        return self._key.sign(text)


def a_signer():
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def an_entry(merchant=SHOP, **changes):
    values = {
        "type": EntryType.LOG_STARTED,
        "merchant": merchant,
        "at": NOW,
        "caller": "test",
    }
    return Entry(**values | changes)


async def open_shop(folder, *, signer=None, vault_id=VAULT, connect=None):
    """Opens ``bailee.db`` in the folder and makes the two merchants if it is new."""
    storage = SqliteStorage.open(
        folder / "bailee.db",
        signer=signer or a_signer(),
        vault_id=vault_id,
        build="test",
        connect=connect,
    )
    for name in (SHOP, OTHER):
        await storage.commit(name, lambda unit, name=name: add_merchant(unit, name))
    return storage


def add_merchant(unit, name):
    if unit.merchants.accounts():
        return
    merchant = Merchant(
        merchant_id=name,
        state=MerchantState.ACTIVE,
        policy_version=1,
        created_at=NOW,
    )
    unit.merchants.add(merchant)
    unit.merchants.add_account(
        ProcessorAccount(
            merchant=name,
            account_id=ProcessorAccountId("simulator"),
            processor="simulator",
            environment=Environment.TEST,
            external_account="simulator",
            host="simulator",
            state=AccountState.ACTIVE,
            created_at=NOW,
        )
    )
