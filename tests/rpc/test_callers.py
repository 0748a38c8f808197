"""The directory of callers: who is let in, and until when."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import CallerUnknown, InvariantBroken, StorageUnavailable
from gateway.merchants.ports import CallerStore
from gateway.rpc.callers import CallerDirectory, caller_of_call
from gateway.words.callers import Caller, Role
from gateway.words.identifiers import GATEWAY
from tests.builders.certificates import DAY, Ca
from tests.builders.guarded_server import BILLING, CALLERS, CallerTable
from tests.builders.storage import open_shop
from tests.fakes.clock import ManualClock

NOW = datetime.now(UTC)


class Peer:
    """A TLS 1.3 connection with this certificate."""

    def __init__(self, certificate, spiffe_id=BILLING):
        self._facts = {
            "ssl_tls_version": [b"TLSv1.3"],
            "peer_spiffe_id": [spiffe_id.encode()],
            "x509_pem_cert": [certificate] if certificate else [],
        }

    def auth_context(self):
        return self._facts


@pytest.fixture(scope="module")
def certificate():
    return Ca().client(BILLING).certificate


@pytest.fixture
def peer(certificate):
    return Peer(certificate)


def directory_of(table, clock=None):
    return CallerDirectory(storage=table, clock=clock or ManualClock(NOW))


class TestCallerDirectory:
    async def test_knows_nobody_before_it_is_loaded(self, peer):
        with pytest.raises(CallerUnknown):
            directory_of(CallerTable()).authenticate(peer)

    async def test_reads_the_gateways_own_rows(self, tmp_path, peer):
        """With real storage: callers live in the gateway's scope, not a merchant's."""
        storage = await open_shop(tmp_path)
        caller = Caller(BILLING, frozenset({Role.PAY}), None)

        def put(unit: CallerUnitOfTest) -> None:
            unit.callers.put(caller)

        await storage.commit(GATEWAY, put)
        directory = directory_of(storage)
        await directory.refresh()

        assert directory.authenticate(peer) == caller
        await storage.close()

    async def test_forgets_a_caller_that_was_removed(self, peer):
        table = CallerTable()
        directory = directory_of(table)
        await directory.refresh()
        assert directory.authenticate(peer) == CALLERS[0]

        table.rows.clear()
        await directory.refresh()

        with pytest.raises(CallerUnknown):
            directory.authenticate(peer)

    async def test_keeps_those_it_knows_when_storage_fails(self, peer):
        table = CallerTable()
        directory = directory_of(table)
        await directory.refresh()

        table.error = StorageUnavailable()
        with pytest.raises(StorageUnavailable):
            await directory.refresh()

        assert directory.authenticate(peer) == CALLERS[0]

    async def test_lets_a_certificate_in_until_it_expires(self):
        """The handshake looked at it once; the connection may be an hour old."""
        certificate = Ca().client(BILLING, ends=DAY / 2).certificate
        clock = ManualClock(datetime.now(UTC))
        directory = directory_of(CallerTable(), clock)
        await directory.refresh()
        clock.move(DAY / 2 - timedelta(minutes=1))
        assert directory.authenticate(Peer(certificate)) == CALLERS[0]

        clock.move(timedelta(minutes=2))

        with pytest.raises(CallerUnknown) as raised:
            directory.authenticate(Peer(certificate))
        assert raised.value.metadata == {"certificate": "has expired"}

    @pytest.mark.parametrize("certificate", [b"", b"no certificate"])
    async def test_needs_the_certificate_itself(self, certificate):
        directory = directory_of(CallerTable())
        await directory.refresh()

        with pytest.raises(CallerUnknown):
            directory.authenticate(Peer(certificate))

    async def test_remembers_a_bounded_number_of_certificates(self, certificate):
        directory = directory_of(CallerTable())
        await directory.refresh()
        directory._expiries.update({str(n).encode(): NOW for n in range(4096)})

        assert directory.authenticate(Peer(certificate)) == CALLERS[0]
        assert len(directory._expiries) == 1


class TestCallerOfCall:
    def test_raises_where_no_guard_let_anybody_in(self):
        with pytest.raises(InvariantBroken):
            caller_of_call()


class CallerUnitOfTest:
    """The part of a unit that this test uses."""

    callers: CallerStore
