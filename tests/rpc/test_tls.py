"""Who gets through TLS, over real connections with every kind of certificate."""

import asyncio
import json
import os
import ssl
from contextlib import suppress

import grpc
import pytest
from bailee.v1 import vault_service_pb2_grpc
from cryptography import x509

from gateway.errors import CallerUnknown
from gateway.rpc.tls import TlsFiles, TlsFilesUnusable
from tests.builders import raw_http2
from tests.builders.certificates import DAY, SERVER, Ca
from tests.builders.guarded_server import BILLING, READER, Request, refusal_of

GET = b"/bailee.v1.VaultService/GetCardToken"
MESSAGE = Request(merchant="shop").SerializeToString()
SECONDS = 5


def get(channel):
    stub = vault_service_pb2_grpc.VaultServiceStub(channel)
    return stub.GetCardToken(Request(merchant="shop"), timeout=SECONDS)


async def refused(served, pair, ca=None):
    async with served.channel(pair, ca) as channel:
        return await refusal_of(get(channel))


class TestCertificates:
    async def test_that_names_one_caller_is_let_in(self, served, ca):
        async with served.channel(ca.client(BILLING)) as channel:
            assert (await get(channel)).card_token.name == BILLING

    @pytest.mark.parametrize(
        "uris",
        [
            pytest.param([], id="no id"),
            pytest.param([BILLING, READER], id="two callers"),
            pytest.param([BILLING, BILLING], id="one caller twice"),
            pytest.param([BILLING, "https://bailee.test/billing"], id="another uri"),
            pytest.param(["https://bailee.test/caller/billing"], id="no spiffe id"),
            pytest.param(["spiffe://bailee.test/caller/nobody"], id="unregistered"),
            pytest.param([BILLING + "/"], id="longer"),
            pytest.param([BILLING.upper()], id="capitals"),
            pytest.param([BILLING.replace("bailee", "other")], id="other domain"),
            pytest.param(["spiffe://bailee.test"], id="no path"),
        ],
    )
    async def test_that_does_not_name_one_caller_is_unknown(self, served, ca, uris):
        refusal = await refused(served, ca.client(*uris))

        assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CALLER_UNKNOWN")
        assert (refusal.metadata, refusal.fields) == ({}, [])
        assert not served.vault.arrived.is_set()

    async def test_that_names_a_caller_elsewhere_is_unknown(self, served, ca):
        """Neither the common name nor a DNS name makes a caller."""
        pair = ca.issue([x509.DNSName("billing")], common=BILLING)

        assert (await refused(served, pair)).reason == "CALLER_UNKNOWN"

    @pytest.mark.parametrize(
        "options",
        [
            pytest.param({"begins": -2 * DAY, "ends": -DAY}, id="expired"),
            pytest.param({"begins": DAY / 2, "ends": DAY}, id="not yet valid"),
            pytest.param({"usage": SERVER}, id="a server's"),
        ],
    )
    async def test_that_is_not_good_now_is_not_let_in(self, served, ca, options):
        """The handshake fails; gRPC shows that as UNAVAILABLE, without a reason."""
        refusal = await refused(served, ca.client(BILLING, **options))

        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "")
        assert not served.vault.arrived.is_set()

    async def test_of_another_authority_is_not_let_in(self, served, ca):
        """Even if that authority calls itself by the same name."""
        refusal = await refused(served, Ca().client(BILLING), ca)

        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "")
        assert not served.vault.arrived.is_set()

    async def test_is_required(self, served, ca):
        credentials = grpc.ssl_channel_credentials(ca.pem)
        async with grpc.aio.secure_channel(served.address, credentials) as channel:
            refusal = await refusal_of(get(channel))

        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "")

    async def test_is_required_also_for_health(self, served, ca):
        async with served.channel(ca.client()) as channel:
            call = channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
            assert (await refusal_of(call)).reason == "CALLER_UNKNOWN"

    async def test_without_tls_nothing_is_answered(self, served):
        async with grpc.aio.insecure_channel(served.address) as channel:
            assert (await refusal_of(get(channel))).code == "UNAVAILABLE"


class Peer:
    """A call's context that says whatever a test wants of TLS."""

    def __init__(self, **facts):
        self._facts = facts

    def auth_context(self):
        return self._facts


class TestTlsVersion:
    async def test_1_3_is_answered(self, served, ca, tmp_path):
        version, headers = await self.call(served, ca, tmp_path, None)

        assert version == "TLSv1.3"
        assert b"grpc-status\x010" in headers

    async def test_1_2_is_refused(self, served, ca, tmp_path):
        """The transport still agrees to TLS 1.2; the guard does not."""
        highest = ssl.TLSVersion.TLSv1_2
        version, headers = await self.call(served, ca, tmp_path, highest)

        assert version == "TLSv1.2"
        assert b"grpc-status\x0216" in headers
        assert b"the client certificate does not name a caller" in headers
        assert not served.vault.arrived.is_set()

    @staticmethod
    async def call(served, ca, folder, highest):
        context = raw_http2.tls_context(
            ca, ca.client(BILLING).write(folder, "client"), highest=highest
        )
        return await asyncio.to_thread(
            raw_http2.call, port_of(served), context, GET, MESSAGE
        )

    @pytest.mark.parametrize(
        "versions",
        [[], [b"TLSv1.2"], [b"TLSv1.1"], [b"TLSv1.3", b"TLSv1.2"], [b"tlsv1.3"], [b""]],
    )
    async def test_is_exactly_1_3(self, served, versions):
        peer = Peer(ssl_tls_version=versions, peer_spiffe_id=[BILLING.encode()])
        with pytest.raises(CallerUnknown):
            served.directory.authenticate(peer)

    async def test_must_be_known(self, served):
        """A plaintext connection says nothing of TLS."""
        with pytest.raises(CallerUnknown):
            served.directory.authenticate(Peer(peer_spiffe_id=[BILLING.encode()]))

    @pytest.mark.parametrize(
        "ids", [[], [BILLING.encode(), BILLING.encode()], [b"\xff"], [b""]]
    )
    async def test_alone_is_not_enough(self, served, ids):
        peer = Peer(ssl_tls_version=[b"TLSv1.3"], peer_spiffe_id=ids)
        with pytest.raises(CallerUnknown):
            served.directory.authenticate(peer)


class TestHostileBytes:
    """A connection with a certificate may send anything at all."""

    @pytest.mark.parametrize(
        "path",
        [
            b"/\xff\xfe/X",
            b"/bailee.v1.VaultService/\xc3\x28",
            b"\xe9",
            b"",
            b"/",
            b"\x00",
        ],
    )
    @pytest.mark.parametrize("caller", [BILLING, "spiffe://bailee.test/removed"])
    async def test_in_a_path_do_not_stop_the_server(
        self, served, channel, ca, tmp_path, path, caller
    ):
        """Plain grpc.aio ends its serving loop when a path is not UTF-8."""
        context = raw_http2.tls_context(ca, ca.client(caller).write(tmp_path, "client"))
        with suppress(OSError):  # closing the connection is an answer, too
            await asyncio.to_thread(
                raw_http2.call, port_of(served), context, path, MESSAGE
            )

        assert (await get(channel)).card_token.name == BILLING

    @pytest.mark.parametrize("name", [b"x-any", b"x-any-bin", b"grpc-timeout"])
    async def test_in_metadata_do_not_stop_the_server(
        self, served, channel, ca, tmp_path, name, logs
    ):
        context = raw_http2.tls_context(
            ca, ca.client(BILLING).write(tmp_path, "client")
        )
        extra = [(name, b"marked\xff\xfe\x00")]
        _, headers = await asyncio.to_thread(
            raw_http2.call, port_of(served), context, GET, MESSAGE, extra=extra
        )

        assert b"marked" not in headers
        assert "marked" not in logs.getvalue()
        assert (await get(channel)).card_token.name == BILLING


class TestRenewal:
    async def test_serves_the_new_certificate_at_the_next_handshake(
        self, served, tmp_path
    ):
        """Also callers of a new authority, without a restart."""
        renewed = Ca("Renewed CA")
        replace_files(served.files, renewed)

        async with served.channel(renewed.client(BILLING), renewed) as channel:
            assert (await get(channel)).card_token.name == BILLING
        assert (await refused(served, served.ca.client(BILLING))).code == "UNAVAILABLE"

    async def test_keeps_the_old_one_while_the_files_do_not_fit(self, served, ca, logs):
        """A new certificate beside the old key: somebody is in the middle of it."""
        served.files["certificate"].write_bytes(ca.server().certificate)

        async with served.channel() as channel:
            assert (await get(channel)).card_token.name == BILLING
        lines = [json.loads(line) for line in logs.getvalue().splitlines()]
        [line] = [item for item in lines if item["logger"] == "gateway.rpc.tls"]
        assert line["message"] == "certificate files unusable"
        assert "is not the key of" in line["problem"]
        assert "PRIVATE KEY" not in line["problem"]


class TestTlsFiles:
    @pytest.fixture
    def paths(self, ca, tmp_path):
        certificate, key = ca.server().write(tmp_path, "server")
        client_ca = tmp_path / "ca.pem"
        client_ca.write_bytes(ca.pem)
        return {"certificate": certificate, "key": key, "client_ca": client_ca}

    def test_are_not_read_again_unless_they_change(self, paths):
        files = TlsFiles(**paths)
        files.read()

        assert files.read_if_changed() is None
        moment = paths["key"].stat().st_mtime_ns + 1
        os.utime(paths["key"], ns=(moment, moment))
        assert files.read_if_changed() is not None
        assert files.read_if_changed() is None

    @pytest.mark.parametrize("name", ["certificate", "key", "client_ca"])
    def test_are_refused_by_name_when_missing_or_no_pem(self, paths, name):
        for content in (b"", b"nonsense", None):
            if content is None:
                paths[name].unlink()
            else:
                paths[name].write_bytes(content)

            with pytest.raises(TlsFilesUnusable, match=paths[name].name):
                TlsFiles(**paths).read()

    def test_that_vanish_leave_the_old_ones_in_use(self, paths):
        files = TlsFiles(**paths)
        files.read()
        paths["key"].unlink()

        assert files.read_if_changed() is None


def replace_files(files, ca):
    """Writes a new certificate, key and authority; the clock of files is coarse."""
    pair = ca.server()
    for name, content in (
        ("certificate", pair.certificate),
        ("key", pair.key),
        ("client_ca", ca.pem),
    ):
        files[name].write_bytes(content)
        later = files[name].stat().st_mtime_ns + 1_000_000_000
        os.utime(files[name], ns=(later, later))


def port_of(served):
    return int(served.address.rpartition(":")[2])
