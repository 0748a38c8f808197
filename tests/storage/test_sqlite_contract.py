"""SQLite keeps every promise of the Storage port."""

import pytest

from tests.builders.storage import open_shop
from tests.contract.cards_contract import CardListsContract
from tests.contract.denials_contract import DenialsContract
from tests.contract.keys_contract import (
    DataKeysContract,
    EpochsContract,
    KeysContract,
)
from tests.contract.storage_contract import (
    IsolationContract,
    LogContract,
    StorageContract,
)
from tests.contract.stores_contract import (
    CardsContract,
    ErasureContract,
    MerchantsContract,
    PaymentsContract,
    RequestsContract,
    UnsettledContract,
)


@pytest.fixture
async def storage(tmp_path):
    opened = await open_shop(tmp_path)
    yield opened
    await opened.close()


class TestSqliteStorage(StorageContract):
    pass


class TestSqliteLog(LogContract):
    pass


class TestSqliteIsolation(IsolationContract):
    pass


class TestSqliteDenials(DenialsContract):
    pass


class TestSqliteRequests(RequestsContract):
    pass


class TestSqliteMerchants(MerchantsContract):
    pass


class TestSqliteKeys(KeysContract):
    pass


class TestSqliteEpochs(EpochsContract):
    pass


class TestSqliteDataKeys(DataKeysContract):
    pass


class TestSqliteCards(CardsContract):
    pass


class TestSqliteCardLists(CardListsContract):
    pass


class TestSqliteErasure(ErasureContract):
    pass


class TestSqlitePayments(PaymentsContract):
    pass


class TestSqliteUnsettled(UnsettledContract):
    pass
